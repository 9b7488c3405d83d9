import { toHex } from "@consilium/base/bytes"
import type { AskingKey } from "@consilium/inference/wire/asking-key"
import type { ModelVersion } from "./model-shelf.js"

/** An asker's key: its bytes for another thread, or ready for this one. */
export interface HeldKey {
  readonly id: string
  readonly nonce: Uint8Array
  bytes(): Promise<Uint8Array>
  ready(): Promise<AskingKey>
}

export interface Evaluated {
  readonly answer: Uint8Array
  /** Milliseconds that evaluating took, waiting not counted. */
  readonly ms: number
}

/** A request, whose it is, and the key that it names. */
export interface AskedRequest {
  readonly asker: string
  readonly request: Uint8Array
  readonly key: HeldKey | null
}

/** A key that an asker uploads, and the nonce that it was given. */
export interface UploadedKey {
  readonly asker: string
  readonly nonce: Uint8Array
  readonly bytes: Uint8Array
}

/** What computes answers. */
export interface Evaluator {
  /** @throws {ConsiliumError} as `ModelServer.answer` */
  answer(version: ModelVersion, asked: AskedRequest): Promise<Evaluated>
  /** The id of a key, once all of it is checked. @throws {ConsiliumError} as `ModelServer.readKey` */
  check(version: ModelVersion, uploaded: UploadedKey): Promise<string>
  close(): Promise<void>
}

/** Computes in this thread. */
export const inThread: Evaluator = {
  async answer({ server }, { request, key }) {
    const ready = key === null ? null : await key.ready()
    const began = performance.now()
    const answer = ready === null ? server.answer(request) : server.answer(request, { key: ready })
    return { answer, ms: performance.now() - began }
  },
  async check({ server }, { nonce, bytes }) {
    return toHex(server.readKey(nonce, bytes).id)
  },
  close: () => Promise.resolve(),
}

/** Whether a model answers in this thread: one that takes a fraction of a millisecond, less than handing it to another takes. */
export const answersHere = ({ served: { plan } }: ModelVersion): boolean => plan.packing === "lr-coefficients"

/** Computes here what takes little, and elsewhere what would hold up others. */
export const byCost = (workers: Evaluator): Evaluator => ({
  answer: (version, asked) => (answersHere(version) ? inThread : workers).answer(version, asked),
  check: (version, uploaded) => (answersHere(version) ? inThread : workers).check(version, uploaded),
  close: () => workers.close(),
})
