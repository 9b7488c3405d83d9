import { concatBytes } from "@consilium/base/bytes"
import type { CkksCiphertext } from "../src/ckks/evaluator.js"
import type { Coefficients, Evaluations } from "../src/ring/ring.js"
import { type PublicKey, RlweSecret } from "../src/rlwe/keys.js"
import { centred } from "../src/rlwe/mixed-radix.js"
import type { RlweParameters } from "../src/rlwe/parameters.js"
import type { GaloisKey, KeyRow, RelinearisationKey } from "../src/rlwe/switching-key.js"

/**
 * The bytes in which SEAL 4.1 saves its objects without compression, little-endian. Every object begins with 16 bytes:
 * a magic number, the size of this head, the version, the compression (0), two zeros, and the size of all. A residue
 * takes 8 bytes; polynomials are in NTT form with the smallest primitive root, in bit-reversed order, as here.
 */
const HEAD = [0x5e, 0xa1, 16, 4, 1, 0, 0, 0]

const u64 = (value: number | bigint): Uint8Array => {
  const out = new DataView(new ArrayBuffer(8))
  out.setBigUint64(0, BigInt(value), true)
  return new Uint8Array(out.buffer)
}
const f64 = (value: number): Uint8Array => {
  const out = new DataView(new ArrayBuffer(8))
  out.setFloat64(0, value, true)
  return new Uint8Array(out.buffer)
}
const object = (...parts: readonly Uint8Array[]): Uint8Array => {
  const size = parts.reduce((sum, part) => sum + part.length, 16)
  return concatBytes(Uint8Array.from(HEAD), u64(size), ...parts)
}
const residues = (...polynomials: readonly Uint32Array[]): Uint8Array => {
  const words = polynomials.flatMap((polynomial) => [...polynomial])
  const out = new DataView(new ArrayBuffer(8 * words.length))
  words.forEach((word, i) => {
    out.setUint32(8 * i, word, true)
  })
  return object(u64(words.length), new Uint8Array(out.buffer))
}

class Reader {
  readonly #view: DataView
  readonly #bytes: Uint8Array
  #at = 0
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  head(): void {
    const head = [...this.take(8)]
    if (head.some((byte, i) => byte !== HEAD[i])) throw new Error(`not a head of SEAL 4.1: ${head.join(" ")}`)
    this.take(8)
  }
  take(length: number): Uint8Array {
    this.#at += length
    return this.#bytes.slice(this.#at - length, this.#at)
  }
  u64(): number {
    this.#at += 8
    return Number(this.#view.getBigUint64(this.#at - 8, true))
  }
  f64(): number {
    this.#at += 8
    return this.#view.getFloat64(this.#at - 8, true)
  }
  residues(): Uint32Array {
    this.head()
    return Uint32Array.from({ length: this.u64() }, () => this.u64())
  }
  end(): void {
    if (this.#at !== this.#bytes.length) throw new Error(`${this.#bytes.length - this.#at} bytes are left`)
  }
}

const CKKS = 2

/** SEAL's encryption parameters with exactly these primes, in this order; the last one is special. */
export const sealParameters = ({ degree, primes, specialPrimes }: RlweParameters): Uint8Array => {
  const all = [...primes, ...specialPrimes]
  const moduli = [...all, 0].map((q) => object(u64(q)))
  return object(Uint8Array.of(CKKS), u64(degree), u64(all.length), ...moduli)
}

interface SealCiphertext {
  readonly id: Uint8Array
  readonly parts: readonly Evaluations[]
  readonly limbs: number
  readonly scale: number
}
const readCiphertext = (reader: Reader): SealCiphertext => {
  reader.head()
  const id = reader.take(32)
  if (reader.take(1)[0] !== 1) throw new Error("not in NTT form")
  const [size, degree, limbs] = [reader.u64(), reader.u64(), reader.u64()]
  const scale = reader.f64()
  reader.u64()
  const words = reader.residues()
  const each = limbs * degree
  const parts = Array.from({ length: size }, (_, i) => words.slice(i * each, (i + 1) * each) as Evaluations)
  return { id, parts, limbs, scale }
}
const writeCiphertext = (
  id: Uint8Array,
  parts: readonly Uint32Array[],
  degree: number,
  scale: number,
): Uint8Array =>
  object(
    id,
    Uint8Array.of(1),
    u64(parts.length),
    u64(degree),
    u64((parts[0] as Uint32Array).length / degree),
    f64(scale),
    u64(1),
    residues(...parts),
  )

/** The first 32 bytes behind the head: the name SEAL gives to the parameters at the object's level. */
export const sealId = (bytes: Uint8Array): Uint8Array => bytes.slice(16, 48)

export const ciphertextFromSeal = (parameters: RlweParameters, bytes: Uint8Array): CkksCiphertext => {
  const reader = new Reader(bytes)
  const { parts, limbs, scale } = readCiphertext(reader)
  reader.end()
  return { parameters, parts, limbs, level: limbs - 1, scale, size: parts.length }
}
export const ciphertextToSeal = (ciphertext: CkksCiphertext, id: Uint8Array): Uint8Array =>
  writeCiphertext(id, ciphertext.parts, ciphertext.parameters.degree, ciphertext.scale)

export const secretFromSeal = (parameters: RlweParameters, bytes: Uint8Array): RlweSecret => {
  const reader = new Reader(bytes)
  reader.head()
  reader.take(48)
  const values = reader.residues() as Evaluations
  reader.end()
  const coefficients: Coefficients = parameters.keyRing.inverse(values)
  const ternary = centred(coefficients.subarray(0, parameters.degree), parameters.keyRing.primes[0] as number)
  const secret = RlweSecret.from(parameters, ternary)
  if (secret.values().some((value, i) => value !== values[i]))
    throw new Error("the limbs of a secret do not belong together")
  return secret
}
/** `keyId` is that of the parameters with all primes. */
export const secretToSeal = (secret: RlweSecret, keyId: Uint8Array): Uint8Array =>
  object(keyId, u64(secret.values().length), f64(1), residues(secret.values()))

const rowOf = ({ parts }: SealCiphertext): KeyRow => ({
  b: parts[0] as Evaluations,
  a: parts[1] as Evaluations,
})
export const publicKeyFromSeal = (parameters: RlweParameters, bytes: Uint8Array): PublicKey => {
  const reader = new Reader(bytes)
  const row = rowOf(readCiphertext(reader))
  reader.end()
  return { type: "public", parameters, ...row }
}
export const publicKeyToSeal = (key: PublicKey, keyId: Uint8Array): Uint8Array =>
  writeCiphertext(keyId, [key.b, key.a], key.parameters.degree, 1)

/** The rows of all keys in a set of switching keys, by their place. */
const readSwitching = (bytes: Uint8Array): ReadonlyMap<number, readonly KeyRow[]> => {
  const reader = new Reader(bytes)
  reader.head()
  reader.take(32)
  const keys = new Map<number, readonly KeyRow[]>()
  for (let place = 0, count = reader.u64(); place < count; place++) {
    const rows = Array.from({ length: reader.u64() }, () => rowOf(readCiphertext(reader)))
    if (rows.length > 0) keys.set(place, rows)
  }
  reader.end()
  return keys
}
const writeSwitching = (
  keys: ReadonlyMap<number, readonly KeyRow[]>,
  places: number,
  keyId: Uint8Array,
  degree: number,
): Uint8Array =>
  object(
    keyId,
    u64(places),
    ...Array.from({ length: places }, (_, place) => {
      const rows = keys.get(place) ?? []
      return concatBytes(
        u64(rows.length),
        ...rows.map(({ b, a }) => writeCiphertext(keyId, [b, a], degree, 1)),
      )
    }),
  )

export const relinearisationKeyFromSeal = (
  parameters: RlweParameters,
  bytes: Uint8Array,
): RelinearisationKey => ({
  from: { type: "relinearisation" },
  parameters,
  rows: readSwitching(bytes).get(0) as readonly KeyRow[],
})
export const relinearisationKeyToSeal = (key: RelinearisationKey, keyId: Uint8Array): Uint8Array =>
  writeSwitching(new Map([[0, key.rows]]), 1, keyId, key.parameters.degree)

/** The key of X -> X^g stands at place (g - 1) / 2 of N. */
export const galoisKeysFromSeal = (parameters: RlweParameters, bytes: Uint8Array): readonly GaloisKey[] =>
  [...readSwitching(bytes)].map(([place, rows]) => ({
    from: { type: "galois", exponent: 2 * place + 1 },
    parameters,
    rows,
  }))
export const galoisKeysToSeal = (keys: readonly GaloisKey[], keyId: Uint8Array): Uint8Array => {
  const { degree } = (keys[0] as GaloisKey).parameters
  return writeSwitching(
    new Map(keys.map((key) => [(key.from.exponent - 1) / 2, key.rows])),
    degree,
    keyId,
    degree,
  )
}
