import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { LogEntry } from "@consilium/federation/log"
import { messageCodec } from "@consilium/federation/messages"
import { modelHashOf, modelParameters } from "@consilium/federation/model"
import type { Directory } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import type { RotationAnswer, RotationWish } from "../api/key-schemas.js"
import type { StudyHandle } from "../api/leader-service.js"
import type { StopDecision, Stopped } from "../api/stop-schemas.js"
import type { LeaderMachine } from "./leader-machine.js"
import { rotateKeys } from "./rotate-keys.js"
import { stopStudy } from "./stop-study.js"
import type { Hosted } from "./study-host.js"

/** Events whose bodies hold a model. */
const WITH_MODEL = new Set(["announce", "candidate"])

/** A study of a running leader, as its API and its operator see it. */
export class HostedLeader implements StudyHandle {
  readonly #hosted: Hosted<LeaderMachine>
  readonly #rosters: Directory[]
  readonly #models = new Map<string, number>()
  #indexed = 0

  constructor(hosted: Hosted<LeaderMachine>, first: Directory) {
    this.#hosted = hosted
    this.#rosters = [first]
    const follow = (): void => {
      const { directory } = hosted.machine
      if (directory.roster.version > (this.#rosters[0] as Directory).roster.version)
        this.#rosters.unshift(directory)
    }
    follow()
    hosted.runner.onStep(follow)
  }

  get id(): string {
    return this.#hosted.runner.id
  }
  get study(): Study {
    return this.#hosted.study
  }
  get over(): boolean {
    return this.#hosted.runner.over
  }
  get length(): number {
    return this.#hosted.runner.store.length
  }
  rosters(): readonly Directory[] {
    return this.#rosters
  }
  entries(after = 0): AsyncIterable<LogEntry> {
    return this.#hosted.runner.store.entries(after)
  }

  stop(decision: StopDecision, via: string): Promise<Stopped> {
    return stopStudy(this.#hosted, decision, via)
  }

  rotateKeys(wish: RotationWish): Promise<RotationAnswer> {
    return rotateKeys(this.#hosted, wish)
  }

  grown(after: number, signal: AbortSignal): Promise<void> {
    if (this.length > after || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        forget()
        signal.removeEventListener("abort", done)
        resolve()
      }
      const forget = this.#hosted.runner.onStep(() => {
        if (this.length > after) done()
      })
      signal.addEventListener("abort", done, { once: true })
    })
  }

  async model(hash: string): Promise<Uint8Array> {
    for await (const entry of this.entries(this.#indexed)) {
      this.#indexed = entry.header.seq
      const file = modelIn(entry)
      if (file === null) continue
      const name = toHex(modelHashOf(this.study, modelParameters(this.study, file)))
      if (!this.#models.has(name)) this.#models.set(name, entry.header.seq)
    }
    const seq = this.#models.get(hash)
    if (seq !== undefined)
      for await (const entry of this.entries(seq - 1)) {
        const file = modelIn(entry)
        if (file !== null) return file
        break
      }
    throw new ConsiliumError("store/missing", `The study ${this.study.name} has no model ${hash}.`)
  }
}

const modelIn = ({ header, body }: LogEntry): Uint8Array | null => {
  if (!WITH_MODEL.has(header.type)) return null
  const message = decode(messageCodec, body)
  // a key ceremony has no model
  if (message.type === "announce") return message.spec.purpose === "keys" ? null : message.model
  return message.type === "candidate" ? message.model : null
}
