import { ConsiliumError } from "@consilium/base/errors"
import type { Asker } from "@consilium/inference/client/asker"
import { Blank } from "@consilium/inference/client/blank"
import { planToBytes } from "@consilium/inference/plan/plan"
import type { HeldBlank, KeyPlace, KeyUpload, PlanKeys } from "../keys/plan-keys.js"
import type { MessageEnd, ReplyMessage, TaskName, Tasks } from "./messages.js"

interface Waiting {
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: unknown) => void
}

const ended = (message: string): ConsiliumError => new ConsiliumError("inference/worker-ended", message)

/** Secret keys in a worker: they never come to the page. The page encodes patients and adds them to blanks, the worker opens answers. */
export class WorkerAsker implements KeyPlace {
  readonly #end: MessageEnd
  readonly #terminate: () => void
  readonly #waiting = new Map<number, Waiting>()
  #next = 0
  #failure: ConsiliumError | null = null

  /** `end` is one end of a pair whose other end runs `serveKeys`. */
  constructor(end: MessageEnd, terminate: () => void = () => undefined) {
    this.#end = end
    this.#terminate = terminate
    end.addEventListener("message", ({ data }) => this.#settle(data as ReplyMessage))
  }

  /** Starts a worker of a script, such as the bundle's `consilium-inference-worker.js`. */
  static start(script: URL | string): WorkerAsker {
    return WorkerAsker.of(new Worker(script, { type: "module", name: "consilium keys" }))
  }
  /** Takes a worker that was started in a bundler's own way; whoever closes the asker ends it. */
  static of(worker: Worker): WorkerAsker {
    const asker = new WorkerAsker(worker, () => worker.terminate())
    worker.addEventListener("error", () =>
      asker.#fail(ended("The worker that holds the keys could not be started, or failed.")),
    )
    worker.addEventListener("messageerror", () =>
      asker.#fail(ended("A message of the worker that holds the keys could not be read.")),
    )
    return asker
  }

  async keysFor(asker: Asker): Promise<PlanKeys> {
    const place = this.#next
    await this.#ask("begin", place, { plan: planToBytes(asker.prepared.plan) })
    return {
      hasKey: false,
      newKey: (nonce): Promise<KeyUpload> => this.#ask("key", place, { nonce }),
      blank: () => this.#blank(asker, place),
      close: () => this.#tell("end", place, {}),
    }
  }

  async #blank(asker: Asker, place: number): Promise<HeldBlank> {
    const { blank: name, parts } = await this.#ask("blank", place, {})
    const blank = new Blank(asker.prepared, parts)
    let opened = false
    return {
      blank,
      open: async (answer, patients) => {
        const predictions = await this.#ask("open", place, { blank: name, answer, patients })
        opened = true
        return predictions
      },
      discard: () => {
        if (opened) return
        opened = true
        blank.erase()
        this.#tell("discard", place, { blank: name })
      },
    }
  }

  #ask<N extends TaskName>(task: N, place: number, ask: Tasks[N]["ask"]): Promise<Tasks[N]["reply"]> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const id = this.#next++
    return new Promise<Tasks[N]["reply"]>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting["resolve"], reject })
      this.#end.postMessage({ id, place, task, ...ask }, [])
    })
  }
  /** Asks for what nobody waits for. */
  #tell<N extends TaskName>(task: N, place: number, ask: Tasks[N]["ask"]): void {
    this.#ask(task, place, ask).catch(() => undefined)
  }

  #settle(message: ReplyMessage): void {
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if ("reply" in message) {
      waiting?.resolve(message.reply)
      return
    }
    const { code, message: told, remedy } = message.failure
    waiting?.reject(
      code === null ? ended(told) : new ConsiliumError(code, told, remedy === null ? {} : { remedy }),
    )
  }

  #fail(failure: ConsiliumError): void {
    this.#failure ??= failure
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
  }

  /** Ends the worker and with it every key. */
  close(): void {
    this.#fail(ended("The worker that holds the keys was ended."))
    this.#terminate()
  }
}
