import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Digest } from "@consilium/base/hash"

/** All messages begin with 40 bytes: kind, version 1, two zeros, the number of patients (4 bytes), the hash of the plan. */
export const KIND = { request: 1, answer: 2, key: 3 } as const
type Kind = (typeof KIND)[keyof typeof KIND]

const VERSION = 1
const COUNT_AT = 4
const HASH_AT = 8
export const DIGEST_BYTES = 32
export const SEED_BYTES = 32
/** The most bytes that an asker uploads for any plan. */
export const MOST_KEY_BYTES = 2 ** 26
/** The most bytes that a request of any plan has. */
export const MOST_REQUEST_BYTES = 2 ** 26
export const HEAD_BYTES = HASH_AT + DIGEST_BYTES

export const malformed = (message: string): never => {
  throw new ConsiliumError("inference/malformed", message)
}

/** Writes the head of a message. */
export const writeHead = (out: Uint8Array, kind: Kind, count: number, plan: Digest): void => {
  out.set([kind, VERSION])
  new DataView(out.buffer, out.byteOffset).setUint32(COUNT_AT, count)
  out.set(plan, HASH_AT)
}

/**
 * The hash of the plan that a message says it is for; nothing else of it is looked at.
 * @throws {ConsiliumError} "inference/malformed" if it is shorter than a head
 */
export const namedPlan = (bytes: Uint8Array): Uint8Array => {
  if (bytes.length < HEAD_BYTES)
    malformed(`A message has ${bytes.length} bytes; its head alone has ${HEAD_BYTES}.`)
  return bytes.subarray(HASH_AT, HEAD_BYTES)
}

/**
 * The number of patients of a message. Its length is checked before anything is made, and is the plan's, whatever the bytes say.
 * @throws {ConsiliumError} "inference/malformed", "inference/other-plan"
 */
export const readHead = (bytes: Uint8Array, kind: Kind, length: number, plan: Digest): number => {
  const named = namedPlan(bytes)
  const [found, version, ...zeros] = bytes.subarray(0, COUNT_AT)
  if (found !== kind || version !== VERSION || zeros.some((byte) => byte !== 0))
    malformed(`A message of kind ${found}, version ${version}, is not of kind ${kind}, version ${VERSION}.`)
  if (!equalBytes(named, plan))
    throw new ConsiliumError(
      "inference/other-plan",
      `A message is for plan ${toHex(named)}; the plan here is ${toHex(plan)}.`,
    )
  if (bytes.length !== length) malformed(`A message has ${bytes.length} bytes; its plan says ${length}.`)
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(COUNT_AT)
}

/** Reads one part after the other behind the head. */
export class Parts {
  readonly #bytes: Uint8Array
  #at = HEAD_BYTES

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }
  take(length: number): Uint8Array {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
  /** A plain copy: the `slice` of a subclass such as Node's Buffer would share memory. */
  copy(length: number): Uint8Array {
    return new Uint8Array(this.take(length))
  }
}
