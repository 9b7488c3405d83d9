import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { Asker } from "@consilium/inference/client/asker"
import { planFromBytes } from "@consilium/inference/plan/plan"
import { OwnPlanKeys } from "../keys/own-keys.js"
import type { HeldBlank } from "../keys/plan-keys.js"
import type { FailureMessage, MessageEnd, ReplyMessage, TaskMessage, Tasks } from "./messages.js"

/** The keys of one plan, and the blanks that were given away. */
class Place {
  readonly keys: OwnPlanKeys
  readonly blanks = new Map<number, HeldBlank>()
  #next = 0

  constructor(plan: Uint8Array, random: RandomSource) {
    this.keys = new OwnPlanKeys(new Asker(planFromBytes(plan)), random)
  }

  async give(): Promise<Tasks["blank"]["reply"]> {
    const held = await this.keys.blank()
    const parts = held.blank.release()
    const blank = this.#next++
    this.blanks.set(blank, held)
    return { blank, parts }
  }
  async open(task: Tasks["open"]["ask"]): Promise<Tasks["open"]["reply"]> {
    const held = this.blanks.get(task.blank)
    if (held === undefined)
      throw new ConsiliumError("inference/bad-answer", "The answer was opened already, or its key erased.")
    const predictions = await held.open(task.answer, task.patients)
    this.blanks.delete(task.blank)
    return predictions
  }
  discard(blank: number): void {
    this.blanks.get(blank)?.discard()
    this.blanks.delete(blank)
  }
}

const failureOf = (error: unknown): FailureMessage =>
  isConsiliumError(error)
    ? { code: error.code, message: error.message, remedy: error.remedy }
    : { code: null, message: "The worker that holds the keys failed.", remedy: null }

/** What of a reply moves to the page instead of being copied. */
const movedOf = (reply: Tasks[keyof Tasks]["reply"]): Transferable[] =>
  reply !== null && "parts" in reply ? reply.parts.ciphertexts.map(({ c0 }) => c0.buffer as ArrayBuffer) : []

/** Does the tasks of a page: the inside of a worker. */
export const serveKeys = (end: MessageEnd, random: RandomSource = systemRandom): void => {
  const places = new Map<number, Place>()
  const placeOf = (name: number): Place => {
    const place = places.get(name)
    if (place === undefined)
      throw new ConsiliumError("inference/client-closed", "The keys of this plan were erased.")
    return place
  }
  const done = async (message: TaskMessage): Promise<Tasks[keyof Tasks]["reply"]> => {
    switch (message.task) {
      case "begin":
        places.set(message.place, new Place(message.plan, random))
        return null
      case "key":
        return placeOf(message.place).keys.newKey(message.nonce)
      case "blank":
        return placeOf(message.place).give()
      case "open":
        return placeOf(message.place).open(message)
      case "discard":
        placeOf(message.place).discard(message.blank)
        return null
      case "end":
        places.get(message.place)?.keys.close()
        places.delete(message.place)
        return null
    }
  }
  const tell = (reply: ReplyMessage, moved: Transferable[]) => end.postMessage(reply, moved)
  end.addEventListener("message", ({ data }) => {
    const message = data as TaskMessage
    done(message).then(
      (reply) => tell({ id: message.id, reply }, movedOf(reply)),
      (error: unknown) => tell({ id: message.id, failure: failureOf(error) }, []),
    )
  })
}
