import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Evaluations, Ring } from "../ring/ring.js"
import { isSeed, type Seed } from "../ring/seeds.js"
import type { RlweCiphertext } from "./ciphertext.js"
import { type PublicKey, RlweSecret } from "./keys.js"
import type { RlweParameters } from "./parameters.js"
import {
  type GaloisKey,
  groupCount,
  type KeyRow,
  type RelinearisationKey,
  type SwitchFrom,
  switchingRow,
} from "./switching-key.js"

/**
 * Bytes of keys and ciphertexts. All begin with 48 bytes: kind, version 1, whether seeded, number of polynomials or rows,
 * number of primes, three zeros; an extra of 8 bytes, whose meaning is the kind's; the 32 bytes of the parameters. Then
 * come packed polynomials and at most one seed. The head determines the length, which is checked before anything is
 * made, so nothing larger than the bytes themselves is set aside for what they claim, but for what a seed expands to.
 */
export const KIND = {
  ckks: 1,
  bfv: 2,
  public: 3,
  relinearisation: 4,
  galois: 5,
  secret: 6,
} as const
type Kind = (typeof KIND)[keyof typeof KIND]

const VERSION = 1
const HEAD_BYTES = 48
const EXTRA_AT = 8
const ID_AT = 16
const SEED_BYTES = 32
/** The most polynomials of a ciphertext. */
const MOST_PARTS = 3

const malformed = (message: string): never => {
  throw new ConsiliumError("lattice/malformed", message)
}

interface Head {
  readonly kind: Kind
  readonly seeded: boolean
  readonly count: number
  readonly limbs: number
  /** 8 bytes. */
  readonly extra: DataView
}

const NO_EXTRA = new DataView(new ArrayBuffer(8))

/** The bytes with their head, and where the rest begins. */
const begin = (parameters: RlweParameters, head: Head, length: number): Uint8Array => {
  const out = new Uint8Array(HEAD_BYTES + length)
  out.set([head.kind, VERSION, head.seeded ? 1 : 0, head.count, head.limbs])
  out.set(new Uint8Array(head.extra.buffer, head.extra.byteOffset, 8), EXTRA_AT)
  out.set(parameters.id(), ID_AT)
  return out
}

const readHead = (parameters: RlweParameters, kind: Kind, bytes: Uint8Array): Head => {
  if (bytes.length < HEAD_BYTES)
    malformed(`There are ${bytes.length} bytes; the head alone has ${HEAD_BYTES}.`)
  const [found, version, seeded, count, limbs, ...zeros] = bytes.subarray(
    0,
    EXTRA_AT,
  ) as unknown as number[] as [number, number, number, number, number, ...number[]]
  if (found !== kind || version !== VERSION)
    malformed(`Bytes of kind ${found}, version ${version}, are not of kind ${kind}, version ${VERSION}.`)
  if (seeded > 1 || zeros.some((byte) => byte !== 0)) malformed("A head has a flag that does not exist.")
  const id = bytes.subarray(ID_AT, HEAD_BYTES)
  if (!equalBytes(id, parameters.id()))
    throw new ConsiliumError(
      "lattice/foreign",
      `Bytes for parameters ${toHex(id.subarray(0, 4))} were read with ${parameters.toString()}.`,
    )
  const extra = new DataView(bytes.buffer, bytes.byteOffset + EXTRA_AT, 8)
  return { kind, seeded: seeded === 1, count, limbs, extra }
}
const noExtra = (head: Head): void => {
  if (head.extra.getBigUint64(0) !== 0n) malformed("A head has an extra where its kind has none.")
}
const checkLength = (bytes: Uint8Array, expected: number): void => {
  if (bytes.length !== HEAD_BYTES + expected)
    malformed(`There are ${bytes.length} bytes; the head says ${HEAD_BYTES + expected}.`)
}

/** Reads or writes one thing after the other behind the head. */
class Cursor {
  readonly #bytes: Uint8Array
  #at = HEAD_BYTES

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }
  take(length: number): Uint8Array {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
  write(ring: Ring, polynomial: Evaluations): void {
    ring.pack(polynomial, this.take(ring.packedLength))
  }
  read(ring: Ring): Evaluations {
    return ring.unpackEvaluations(this.take(ring.packedLength))
  }
  readSeed(): Seed {
    // a plain copy: the `slice` of a subclass such as Node's Buffer shares memory instead of copying
    const seed = new Uint8Array(this.take(SEED_BYTES))
    return isSeed(seed) ? seed : malformed("A seed is cut short.")
  }
}

/** What a scheme adds to the bytes of a ciphertext. */
export interface CiphertextKind {
  readonly kind: typeof KIND.ckks | typeof KIND.bfv
  /** 8 bytes. */
  readonly extra: DataView
}

/** The bytes of a ciphertext; the second part of a fresh one travels as its seed. */
export const ciphertextToBytes = (ciphertext: RlweCiphertext, scheme: CiphertextKind): Uint8Array => {
  const { parameters, parts, limbs, seed } = ciphertext
  const ring = parameters.ringOf(limbs)
  const seeded = seed !== undefined
  const length = seeded ? ring.packedLength + SEED_BYTES : parts.length * ring.packedLength
  const out = begin(parameters, { ...scheme, seeded, count: parts.length, limbs }, length)
  const cursor = new Cursor(out)
  for (const part of seeded ? parts.slice(0, 1) : parts) cursor.write(ring, part)
  if (seed !== undefined) cursor.take(SEED_BYTES).set(seed)
  return out
}

/**
 * The ciphertext of its bytes, and the scheme's extra.
 * @throws {ConsiliumError} "lattice/malformed" unless `ciphertextToBytes` could have written the bytes,
 *   "lattice/foreign" if they are for other parameters
 */
export const ciphertextFromBytes = (
  parameters: RlweParameters,
  kind: CiphertextKind["kind"],
  bytes: Uint8Array,
): { readonly ciphertext: RlweCiphertext; readonly extra: DataView } => {
  const head = readHead(parameters, kind, bytes)
  const { seeded, count, limbs, extra } = head
  if (limbs < 1 || limbs > parameters.primes.length)
    malformed(`A ciphertext has ${limbs} primes; there are ${parameters.primes.length}.`)
  if (count < 2 || count > MOST_PARTS || (seeded && count !== 2))
    malformed(`A ciphertext has ${count} polynomials${seeded ? " and a seed" : ""}.`)
  const ring = parameters.ringOf(limbs)
  checkLength(bytes, seeded ? ring.packedLength + SEED_BYTES : count * ring.packedLength)
  const cursor = new Cursor(bytes)
  if (!seeded) {
    const parts = Array.from({ length: count }, () => cursor.read(ring))
    return { ciphertext: { parameters, parts, limbs }, extra }
  }
  const c0 = cursor.read(ring)
  const seed = cursor.readSeed()
  return { ciphertext: { parameters, parts: [c0, ring.uniform(seed)], limbs, seed }, extra }
}

const rowsToBytes = (
  parameters: RlweParameters,
  kind: Kind,
  extra: DataView,
  rows: readonly KeyRow[],
  seed: Seed | undefined,
): Uint8Array => {
  const ring = parameters.keyRing
  const seeded = seed !== undefined
  const length = rows.length * ring.packedLength * (seeded ? 1 : 2) + (seeded ? SEED_BYTES : 0)
  const head = { kind, seeded, count: rows.length, limbs: ring.primes.length, extra }
  const out = begin(parameters, head, length)
  const cursor = new Cursor(out)
  for (const { b, a } of rows) {
    cursor.write(ring, b)
    if (!seeded) cursor.write(ring, a)
  }
  if (seeded) cursor.take(SEED_BYTES).set(seed)
  return out
}
const rowsFromBytes = (
  parameters: RlweParameters,
  head: Head,
  bytes: Uint8Array,
  count: number,
  expand: (seed: Seed, row: number) => Evaluations,
): { readonly rows: readonly KeyRow[]; readonly seed?: Seed } => {
  const ring = parameters.keyRing
  if (head.count !== count || head.limbs !== ring.primes.length)
    malformed(`A key has ${head.count} rows of ${head.limbs} primes, not ${count} of ${ring.primes.length}.`)
  const { seeded } = head
  checkLength(bytes, count * ring.packedLength * (seeded ? 1 : 2) + (seeded ? SEED_BYTES : 0))
  const cursor = new Cursor(bytes)
  if (!seeded)
    return { rows: Array.from({ length: count }, () => ({ b: cursor.read(ring), a: cursor.read(ring) })) }
  const bs = Array.from({ length: count }, () => cursor.read(ring))
  const seed = cursor.readSeed()
  return { rows: bs.map((b, row) => ({ b, a: expand(seed, row) })), seed }
}

/** The bytes of a public key. */
export const publicKeyToBytes = (key: PublicKey): Uint8Array =>
  rowsToBytes(key.parameters, KIND.public, NO_EXTRA, [{ b: key.b, a: key.a }], key.seed)

/** @throws {ConsiliumError} "lattice/malformed" or "lattice/foreign" as `ciphertextFromBytes` */
export const publicKeyFromBytes = (parameters: RlweParameters, bytes: Uint8Array): PublicKey => {
  const head = readHead(parameters, KIND.public, bytes)
  noExtra(head)
  const { rows, ...seed } = rowsFromBytes(parameters, head, bytes, 1, (s) => parameters.keyRing.uniform(s))
  return { type: "public", parameters, ...(rows[0] as KeyRow), ...seed }
}

const switchingFromBytes = <F extends SwitchFrom>(
  parameters: RlweParameters,
  head: Head,
  bytes: Uint8Array,
  from: F,
) => {
  const read = rowsFromBytes(parameters, head, bytes, groupCount(parameters), (seed, row) =>
    switchingRow(parameters, seed, row),
  )
  if (read.rows.length === 0) malformed("These parameters have no special prime, hence no such keys.")
  return { from, parameters, ...read }
}

/** The bytes of a relinearisation key. */
export const relinearisationKeyToBytes = (key: RelinearisationKey): Uint8Array =>
  rowsToBytes(key.parameters, KIND.relinearisation, NO_EXTRA, key.rows, key.seed)

/** @throws {ConsiliumError} "lattice/malformed" or "lattice/foreign" as `ciphertextFromBytes` */
export const relinearisationKeyFromBytes = (
  parameters: RlweParameters,
  bytes: Uint8Array,
): RelinearisationKey => {
  const head = readHead(parameters, KIND.relinearisation, bytes)
  noExtra(head)
  return switchingFromBytes(parameters, head, bytes, { type: "relinearisation" })
}

/** The bytes of a Galois key. */
export const galoisKeyToBytes = (key: GaloisKey): Uint8Array => {
  const extra = new DataView(new ArrayBuffer(8))
  extra.setBigUint64(0, BigInt(key.from.exponent))
  return rowsToBytes(key.parameters, KIND.galois, extra, key.rows, key.seed)
}

/** @throws {ConsiliumError} "lattice/malformed" or "lattice/foreign" as `ciphertextFromBytes` */
export const galoisKeyFromBytes = (parameters: RlweParameters, bytes: Uint8Array): GaloisKey => {
  const head = readHead(parameters, KIND.galois, bytes)
  const wide = head.extra.getBigUint64(0)
  const most = 2 * parameters.degree
  if (wide >= BigInt(most) || wide % 2n !== 1n)
    malformed(`A Galois key is for an exponent that is not odd and below ${most}.`)
  return switchingFromBytes(parameters, head, bytes, { type: "galois", exponent: Number(wide) })
}

/**
 * The bytes of a secret key, for sealing at rest: two bits for each coefficient, -1, 0, 1 as 0, 1, 2.
 * Timing: depends on no coefficient
 */
export const secretToBytes = (secret: RlweSecret): Uint8Array => {
  const { parameters } = secret
  const ternary = secret.expose()
  const head = { kind: KIND.secret, seeded: false, count: 1, limbs: 0, extra: NO_EXTRA }
  const out = begin(parameters, head, parameters.degree / 4)
  for (let i = 0; i < ternary.length; i++) {
    const at = HEAD_BYTES + (i >> 2)
    out[at] = (out[at] as number) | (((ternary[i] as number) + 1) << (2 * (i & 3)))
  }
  ternary.fill(0)
  return out
}

/** @throws {ConsiliumError} "lattice/malformed" or "lattice/foreign" as `ciphertextFromBytes` */
export const secretFromBytes = (parameters: RlweParameters, bytes: Uint8Array): RlweSecret => {
  const head = readHead(parameters, KIND.secret, bytes)
  noExtra(head)
  if (head.seeded || head.count !== 1 || head.limbs !== 0)
    malformed("The head of a secret key is not that of one.")
  checkLength(bytes, parameters.degree / 4)
  const ternary = new Int32Array(parameters.degree)
  let beyond = 0
  for (let i = 0; i < ternary.length; i++) {
    const two = ((bytes[HEAD_BYTES + (i >> 2)] as number) >> (2 * (i & 3))) & 3
    beyond |= two & (two >> 1)
    ternary[i] = two - 1
  }
  if (beyond !== 0) {
    ternary.fill(0)
    malformed("A secret key holds a coefficient that is not -1, 0 or 1.")
  }
  const secret = RlweSecret.from(parameters, ternary)
  ternary.fill(0)
  return secret
}
