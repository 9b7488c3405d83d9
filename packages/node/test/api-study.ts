import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { LogEntry } from "@consilium/federation/log"
import { messageCodec } from "@consilium/federation/messages"
import { modelHashOf, modelParameters } from "@consilium/federation/model"
import type { Directory } from "@consilium/federation/roster"
import { isKeyed, type Study, studyDigest } from "@consilium/federation/study"
import { type Options, type Outcome, runStudy } from "../../federation/test/harness.js"
import { testStudy } from "../../federation/test/members.js"
import type { LeaderService, StudyHandle } from "../src/api/leader-service.js"

/** The log of a study that ran in this process, as the leader's process would offer it; it can be shown bit by bit. */
export class LoggedStudy implements StudyHandle {
  readonly id: string
  readonly study: Study
  readonly outcome: Outcome
  readonly #rosters: readonly Directory[]
  readonly #models = new Map<string, Uint8Array>()
  readonly #waiting = new Set<() => void>()
  #shown: number

  constructor(
    outcome: Outcome,
    rosters: readonly Directory[] = [outcome.directory],
    shown = outcome.log.length,
  ) {
    this.outcome = outcome
    this.study = outcome.study
    this.id = toHex(studyDigest(outcome.study))
    this.#rosters = rosters
    this.#shown = shown
    for (const { header, body } of outcome.log)
      if (header.type === "candidate") {
        const message = decode(messageCodec, body)
        if (message.type !== "candidate") throw new Error("A candidate is no candidate.")
        const hash = modelHashOf(this.study, modelParameters(this.study, message.model))
        this.#models.set(toHex(hash), message.model)
      }
  }

  rosters(): readonly Directory[] {
    return this.#rosters
  }

  get length(): number {
    return this.#shown
  }

  async *entries(after = 0): AsyncGenerator<LogEntry> {
    for (const entry of this.outcome.log.slice(after, this.#shown)) yield entry
  }

  async grown(after: number, signal: AbortSignal): Promise<void> {
    if (this.#shown > after || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener("abort", done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener("abort", done)
    })
  }

  stop(): Promise<never> {
    const { leader } = this.outcome
    const how = leader.phase === "aborted" ? leader.reason : "it is complete."
    return Promise.reject(new ConsiliumError("round/over", `The study ${this.study.name} is over: ${how}`))
  }

  rotateKeys(): Promise<never> {
    const { name, protection } = this.study
    return Promise.reject(
      isKeyed(this.study)
        ? new ConsiliumError("keys/no-round", `The study ${name} is over; its keys are destroyed.`)
        : new ConsiliumError("keys/none", `The study ${name} is protected by ${protection}.`),
    )
  }

  /** Shows some more of the log. */
  grow(by = Number.POSITIVE_INFINITY): void {
    this.#shown = Math.min(this.outcome.log.length, this.#shown + by)
    for (const done of [...this.#waiting]) done()
  }

  /** Readers that wait for more. */
  get waiting(): number {
    return this.#waiting.size
  }

  async model(hash: string): Promise<Uint8Array> {
    const file = this.#models.get(hash)
    if (!file) throw new ConsiliumError("store/missing", "No model of this study has this hash.")
    return file
  }
}

/** A leader whose studies run in this process, in no time. */
export class TestLeader implements LeaderService {
  readonly name = "leader"
  readonly all: StudyHandle[] = []
  isReady = true
  /** What happens instead of a start. */
  refuse: (() => never) | null = null
  starts = 0

  studies(): readonly StudyHandle[] {
    return this.all
  }

  async startStudy(study: Study): Promise<StudyHandle> {
    this.starts += 1
    this.refuse?.()
    // as if the authority were asked
    await new Promise((resolve) => setTimeout(resolve, 5))
    const handle = new LoggedStudy(runStudy({ facilities: 4, fogs: 2, study }))
    this.all.push(handle)
    return handle
  }

  ready(): boolean {
    return this.isReady
  }
}

const outcomes = new Map<string, Outcome>()
/** The outcome of a run, made once. */
export const ran = (options: Options = {}): Outcome => {
  const name = JSON.stringify(options)
  const outcome = outcomes.get(name) ?? runStudy(options)
  outcomes.set(name, outcome)
  return outcome
}

/** A preset of the tests: the small study with another nonce each time. */
export const freshStudy = (number: number): Study =>
  testStudy(4, { nonce: new Uint8Array(32).fill(number), name: `preset ${number}`, rounds: 1 })
