import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { mostAnswers } from "@consilium/inference/server/answer-budget"
import { namedPlan } from "@consilium/inference/wire/head"
import { inProcessQueue, type JobQueue } from "../jobs/job-queue.js"
import { AnswerLedger } from "./answer-ledger.js"
import { AskerKeys } from "./asker-keys.js"
import { AskingFolder } from "./asking-folder.js"
import { Batches, type BatchView } from "./batches.js"
import { ByteRoom } from "./byte-room.js"
import { EvaluationThreads } from "./evaluation-threads.js"
import { byCost, type Evaluated, type Evaluator, type HeldKey } from "./evaluator.js"
import { ModelShelf, type ModelVersion } from "./model-shelf.js"

export interface InferenceRules {
  /** Answers of one model that one asker may have; null for as many as do not determine a kept model, and any number of a shared one. */
  readonly answersPerAsker: number | null
  /** Threads for what takes longer than a linear model. */
  readonly threads: number
  /** Bytes that requests, batches and their answers may take together. */
  readonly roomBytes: number
  /** Bytes of one batch. */
  readonly batchBytes: number
}

export const INFERENCE_RULES: InferenceRules = {
  answersPerAsker: null,
  threads: 1,
  roomBytes: 256 << 20,
  batchBytes: 64 << 20,
}

export interface InferenceServiceOptions {
  /** Where askers' keys and budgets are remembered. */
  readonly folder: string
  readonly rules?: InferenceRules
  readonly now?: () => number
  readonly random?: RandomSource
  /** The built file of a thread's program, where this file is not built. */
  readonly threadEntry?: URL
}

/** Models that answer on encrypted patients, for askers that somebody else has admitted. It holds no secret key of anybody. */
export class InferenceService {
  readonly shelf: ModelShelf
  readonly room: ByteRoom
  readonly rules: InferenceRules
  readonly keys: AskerKeys
  readonly #folder: AskingFolder
  readonly #ledger: AnswerLedger
  readonly #evaluator: Evaluator
  readonly #queue: JobQueue
  readonly #batches: Batches

  private constructor(folder: AskingFolder, options: InferenceServiceOptions) {
    const { rules = INFERENCE_RULES, now = Date.now, random = systemRandom, threadEntry } = options
    this.rules = rules
    this.shelf = new ModelShelf(now)
    this.room = new ByteRoom(rules.roomBytes)
    this.#folder = folder
    this.#ledger = new AnswerLedger(folder)
    this.#evaluator = byCost(new EvaluationThreads(rules.threads, threadEntry))
    this.keys = new AskerKeys(folder, this.#evaluator, { now, random })
    this.#queue = inProcessQueue()
    this.#batches = new Batches({
      queue: this.#queue,
      evaluator: this.#evaluator,
      room: this.room,
      now,
      random,
    })
  }

  /** @throws {ConsiliumError} "store/locked", "store/corrupt", "store/failed" */
  static async open(options: InferenceServiceOptions): Promise<InferenceService> {
    return new InferenceService(await AskingFolder.open(options.folder), options)
  }

  /** Answers of a model that one asker may have; null for any number. */
  allowed({ served: { plan } }: ModelVersion): number | null {
    return this.rules.answersPerAsker ?? (plan.weights === "kept" ? mostAnswers(plan) : null)
  }

  /** Answers that an asker has had of a model, where they are counted. */
  given(asker: string, id: string): number {
    return this.#ledger.given(asker, id)
  }

  /**
   * Room for what an asker is about to send; what comes back gives it free.
   * @throws {ConsiliumError} "inference/overloaded"
   */
  hold(asker: string, bytes: number): () => void {
    this.#batches.expire()
    return this.room.take(asker, bytes)
  }

  /**
   * The answer to one request. What it asks for is taken from the asker's budget, on disk, before anything is computed.
   * @throws {ConsiliumError} "inference/no-model", "inference/not-offered", "inference/other-plan", "inference/unknown-key",
   *   "inference/budget-spent", "inference/overloaded"; as `ModelServer.answer`
   */
  async answer(asker: string, id: string, request: Uint8Array): Promise<Evaluated> {
    const version = this.#versionFor(id, request)
    const { patients } = version.server.head(request)
    const key = this.#keyOf(asker, version, request)
    await this.#ledger.take(asker, id, this.allowed(version), patients)
    return this.#evaluator.answer(version, { asker, request, key })
  }

  /**
   * Takes requests that follow each other without a gap, all of one plan, to be answered one after the other.
   * @throws {ConsiliumError} as `answer`; "inference/malformed" if the bytes are no whole number of requests
   */
  async addBatch(asker: string, id: string, body: Uint8Array): Promise<BatchView> {
    const version = this.#versionFor(id, body)
    const { requestBytes } = version.server.prepared
    if (body.length === 0 || body.length % requestBytes !== 0)
      throw new ConsiliumError(
        "inference/malformed",
        `A batch has ${body.length} bytes, which is no whole number of requests of ${requestBytes}.`,
      )
    const requests = Array.from({ length: body.length / requestBytes }, (_, i) =>
      body.subarray(i * requestBytes, (i + 1) * requestBytes),
    )
    let patients = 0
    for (const request of requests) {
      patients += version.server.head(request).patients
      this.#keyOf(asker, version, request)
    }
    return this.#batches.add(asker, version, requests, this.#keysOf(asker, version), () =>
      this.#ledger.take(asker, id, this.allowed(version), patients),
    )
  }

  /** @throws {ConsiliumError} "inference/no-batch" */
  batch(asker: string, id: string, batch: string): BatchView {
    return this.#batches.view(asker, id, batch)
  }

  /** @throws {ConsiliumError} "inference/no-batch", "inference/batch-not-done" */
  batchAnswers(asker: string, id: string, batch: string): readonly Uint8Array[] {
    return this.#batches.answers(asker, id, batch)
  }

  /** @throws {ConsiliumError} "inference/no-batch" */
  removeBatch(asker: string, id: string, batch: string): void {
    this.#batches.remove(asker, id, batch)
  }

  #versionFor(id: string, request: Uint8Array): ModelVersion {
    this.shelf.current(id)
    return this.shelf.version(id, toHex(namedPlan(request)))
  }

  /** The key that a request names, if it is the asker's. */
  #keyOf(asker: string, version: ModelVersion, request: Uint8Array): HeldKey | null {
    const { keyId } = version.server.head(request)
    return keyId === null ? null : this.keys.of(asker, version, keyId)
  }

  /** The same for later; made here, where no request is in reach that it would keep in memory. */
  #keysOf(asker: string, version: ModelVersion): (request: Uint8Array) => HeldKey | null {
    return (request) => this.#keyOf(asker, version, request)
  }

  /** Ends in good order: what is under way is let go, budgets are written. */
  async close(): Promise<void> {
    await this.#evaluator.close()
    await this.#queue.close()
    await this.#ledger.close()
    await this.#folder.close()
  }
}
