import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { problemOf, Refusal } from "../api/problems.js"
import type { ProblemView } from "../api/study-view.js"
import type { JobQueue } from "../jobs/job-queue.js"
import type { ByteRoom } from "./byte-room.js"
import type { Evaluator, HeldKey } from "./evaluator.js"
import type { ModelVersion } from "./model-shelf.js"

export type BatchState = "waiting" | "running" | "done" | "failed"

export interface BatchView {
  readonly id: string
  readonly model: string
  readonly plan: string
  readonly state: BatchState
  readonly requests: number
  readonly answered: number
  readonly expires: string
  readonly problem: ProblemView | null
}

interface Batch {
  readonly id: string
  readonly asker: string
  readonly version: ModelVersion
  readonly requests: number
  state: BatchState
  /** What is still to be answered; let go of with the batch, wherever its turn stands. */
  pending: readonly Uint8Array[]
  answers: Uint8Array[]
  expires: number
  problem: ProblemView | null
  readonly free: () => void
  /** Gone: nothing more is computed for it. */
  deleted: boolean
}

/** How long the answers of a batch are kept after the last of them, and how long a batch may wait. */
export const BATCH_MS = 10 * 60 * 1000
const MOST_BATCHES = 1024
const MOST_BATCHES_OF_ONE = 16
const ID_BYTES = 16

/** Requests that are answered one after the other while their asker does other things. They are in memory: a restart forgets them. */
export class Batches {
  readonly #queue: JobQueue
  readonly #evaluator: Evaluator
  readonly #room: ByteRoom
  readonly #now: () => number
  readonly #random: RandomSource
  readonly #batches = new Map<string, Batch>()

  constructor(options: {
    readonly queue: JobQueue
    readonly evaluator: Evaluator
    readonly room: ByteRoom
    readonly now?: () => number
    readonly random?: RandomSource
  }) {
    this.#queue = options.queue
    this.#evaluator = options.evaluator
    this.#room = options.room
    this.#now = options.now ?? Date.now
    this.#random = options.random ?? systemRandom
  }

  #check(asker: string): void {
    this.expire()
    const own = [...this.#batches.values()].filter((batch) => batch.asker === asker).length
    if (own >= MOST_BATCHES_OF_ONE || this.#batches.size >= MOST_BATCHES)
      throw new Refusal(
        "inference/overloaded",
        `${own} batches of this asker and ${this.#batches.size} in all are kept already.`,
        { "retry-after": "2" },
        { remedy: "Fetch and delete batches that are done." },
      )
  }

  /**
   * Takes requests of one version, whose heads are checked; what is not paid for leaves nothing.
   * @param paid begun once there is room for requests and answers
   * @throws {ConsiliumError} "inference/overloaded" before anything is paid, or what paying throws
   */
  async add(
    asker: string,
    version: ModelVersion,
    requests: readonly Uint8Array[],
    keyOf: (request: Uint8Array) => HeldKey | null,
    paid: () => Promise<void>,
  ): Promise<BatchView> {
    this.#check(asker)
    const { requestBytes, answerBytes } = version.server.prepared
    const batch: Batch = {
      id: toHex(this.#random.bytes(ID_BYTES)),
      asker,
      version,
      requests: requests.length,
      pending: requests,
      state: "waiting",
      answers: [],
      expires: this.#now() + BATCH_MS,
      problem: null,
      free: this.#room.take(asker, requests.length * (requestBytes + answerBytes)),
      deleted: false,
    }
    this.#batches.set(batch.id, batch)
    try {
      await paid()
    } catch (error) {
      this.#delete(batch)
      throw error
    }
    this.#queue.add((signal) => this.#answer(batch, keyOf, signal))
    return viewOf(batch)
  }

  async #answer(
    batch: Batch,
    keyOf: (request: Uint8Array) => HeldKey | null,
    signal: AbortSignal,
  ): Promise<void> {
    if (batch.deleted) return
    batch.state = "running"
    try {
      const { asker, version } = batch
      for (let at = 0; at < batch.requests; at++) {
        if (signal.aborted || batch.deleted) return
        const request = batch.pending[at] as Uint8Array
        const { answer } = await this.#evaluator.answer(version, { asker, request, key: keyOf(request) })
        batch.answers.push(answer)
        batch.expires = this.#now() + BATCH_MS
        // other requests get their turn between two of a batch
        await new Promise((resolve) => setImmediate(resolve))
      }
      batch.state = "done"
      batch.pending = []
    } catch (error) {
      batch.state = "failed"
      batch.pending = []
      batch.answers = []
      batch.problem = problemOf(error).body
    }
  }

  /** @throws {ConsiliumError} "inference/no-batch" */
  view(asker: string, model: string, id: string): BatchView {
    return viewOf(this.#of(asker, model, id))
  }

  /** All answers, in the order of the requests. @throws {ConsiliumError} "inference/no-batch", "inference/batch-not-done" */
  answers(asker: string, model: string, id: string): readonly Uint8Array[] {
    const batch = this.#of(asker, model, id)
    if (batch.state !== "done")
      throw new ConsiliumError(
        "inference/batch-not-done",
        `The batch is ${batch.state}: ${batch.answers.length} of ${batch.requests} requests are answered.`,
      )
    return batch.answers
  }

  /** @throws {ConsiliumError} "inference/no-batch" */
  remove(asker: string, model: string, id: string): void {
    this.#delete(this.#of(asker, model, id))
  }

  #of(asker: string, model: string, id: string): Batch {
    this.expire()
    const batch = this.#batches.get(id)
    if (batch === undefined || batch.asker !== asker || batch.version.id !== model)
      throw new ConsiliumError("inference/no-batch", "There is no batch of this id.")
    return batch
  }

  /** Lets go of batches whose answers nobody fetched in time. */
  expire(): void {
    const now = this.#now()
    for (const batch of this.#batches.values())
      if (batch.expires <= now && batch.state !== "running" && batch.state !== "waiting") this.#delete(batch)
  }

  #delete(batch: Batch): void {
    batch.deleted = true
    batch.pending = []
    batch.answers = []
    batch.free()
    this.#batches.delete(batch.id)
  }
}

const viewOf = (batch: Batch): BatchView => ({
  id: batch.id,
  model: batch.version.id,
  plan: batch.version.plan,
  state: batch.state,
  requests: batch.requests,
  answered: batch.answers.length,
  expires: new Date(batch.expires).toISOString(),
  problem: batch.problem,
})
