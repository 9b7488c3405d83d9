/**
 * What a ring computes with. There are two kernels, one in WebAssembly and one in plain TypeScript to compare it with;
 * they give the same bytes. Kernels check nothing: `ring.ts` does.
 *
 * A polynomial is an array of limbs, `degree` residues each, one limb for each prime; `limbs` names the prime of each
 * limb by its place in `primes`. `into` may be one of the operands.
 */
export interface RingKernel {
  readonly degree: number
  readonly primes: readonly number[]

  /** Coefficients to values at the odd powers of psi, in bit-reversed order. */
  forward(limbs: Limbs, a: Uint32Array, into: Uint32Array): void
  inverse(limbs: Limbs, a: Uint32Array, into: Uint32Array): void
  add(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void
  subtract(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void
  negate(limbs: Limbs, a: Uint32Array, into: Uint32Array): void
  /** Products place by place. */
  multiply(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void
  /** a b + c, place by place. */
  multiplyAdd(limbs: Limbs, a: Uint32Array, b: Uint32Array, c: Uint32Array, into: Uint32Array): void
  /** floor(a 2^32 / q), place by place. */
  prepare(limbs: Limbs, a: Uint32Array, into: Uint32Array): void
  /** Products with `b`, whose `prepare` is `quotients`. */
  multiplyPrepared(
    limbs: Limbs,
    a: Uint32Array,
    b: Uint32Array,
    quotients: Uint32Array,
    into: Uint32Array,
  ): void
  /** Products with one residue for each limb. */
  scale(limbs: Limbs, a: Uint32Array, factors: Uint32Array, into: Uint32Array): void
  /** X -> X^g on coefficients, g odd in [1, 2N). */
  automorphism(limbs: Limbs, a: Uint32Array, g: number, into: Uint32Array): void
  /** X -> X^g on values. */
  automorphismOfEvaluations(limbs: Limbs, a: Uint32Array, g: number, into: Uint32Array): void
  isReduced(limbs: Limbs, a: Uint32Array): boolean
  /** Whether all numbers lie in [-limit, limit], found in the same time for all. */
  isWithin(values: Int32Array, limit: number): boolean

  /** The polynomial of some signed numbers, in coefficients. */
  combine(limbs: Limbs, payload: Payload, into: Uint32Array): void
  /** The packed coefficients of A s + payload; A is what `uniform` makes of `seed`, s is given in values. */
  row(limbs: Limbs, seed: Uint8Array, secret: Uint32Array, payload: Payload, into: Uint8Array): void

  /** `STREAM.uniform`: the words of a stream, cut to the bits of the prime, that are below it. */
  uniform(limbs: Limbs, key: Uint8Array, into: Uint32Array): void
  /** `STREAM.ternary`: (byte mod 3) - 1 of the bytes of the stream other than 255. */
  ternary(key: Uint8Array, into: Int32Array): void
  /** `STREAM.binomial`: see `centredBinomial` in `plain-kernel.ts`. */
  centredBinomial(key: Uint8Array, pairs: number, into: Int32Array): void
  /** ChaCha20 (RFC 8439); `into` is at most `degree` words long. */
  keyStream(key: Uint8Array, nonce: Nonce, counter: number, into: Uint8Array): void

  /** Residues at the bit length of their prime each, the first in the lowest bits. */
  pack(limbs: Limbs, a: Uint32Array, into: Uint8Array): void
  /** Gives false, and changes nothing, if a number is no residue. */
  unpack(limbs: Limbs, bytes: Uint8Array, into: Uint32Array): boolean
  /** sum += the polynomial that is packed in `bytes`; else as `unpack`. */
  addPacked(limbs: Limbs, bytes: Uint8Array, sum: Uint32Array): boolean

  /** Rounds the centred number of each coefficient to a multiple of 2^shift and cuts that into lanes. */
  decode(limbs: Limbs, a: Uint32Array, layout: LaneLayout, into: Int32Array): DecodeResult

  /** Overwrites what earlier calls left in working memory. */
  erase(): void
}

export type Limbs = readonly number[]
export type Nonce = readonly [number, number, number]

/** The nonces of a key's streams; `uniform` takes the prime, `binomial` the number of the pass, in the second word. */
export const STREAM = { uniform: 1, ternary: 2, binomial: 3 } as const

/** Small signed numbers to be made into a polynomial: the sum of all that is given. */
export interface Payload {
  /** `degree` numbers each, times a constant given by its residues. */
  readonly lanes?: readonly { readonly values: Int32Array; readonly factors: Uint32Array }[]
  /** `degree` numbers. */
  readonly wide?: BigInt64Array
  /** Fresh centred binomial numbers from a key. */
  readonly error?: { readonly key: Uint8Array; readonly pairs: number }
}

/** How lanes lie in a number: lane k is at bit shift + k width. */
export interface LaneLayout {
  readonly lanes: number
  readonly width: number
  readonly shift: number
  /** Constants of the primes: see assembly/lanes.ts. */
  readonly table: Uint32Array
  /** Words of 32 bits that hold the product of the primes and a sign. */
  readonly words: number
}

export interface DecodeResult {
  /** Whether every number was within its lanes. */
  readonly within: boolean
  /** The largest distance of a number from its multiple of 2^shift. */
  readonly remainder: bigint
}
