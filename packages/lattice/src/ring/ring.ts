import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { productOf, reconstructor, residuesOf } from "./crt.js"
import type { Payload, RingKernel } from "./kernel.js"
import { PlainKernel } from "./plain-kernel.js"
import { DEGREES, isDegree, isNttPrime } from "./primes.js"
import { WasmKernel } from "./wasm-kernel.js"

/** A polynomial by its coefficients: limb after limb, N residues below the limb's prime each. */
export type Coefficients = Uint32Array & { readonly __form: "coefficients" }
/** A polynomial by its values at the 2N-th roots of unity (NTT form), in bit-reversed order, limb after limb. */
export type Evaluations = Uint32Array & { readonly __form: "evaluations" }
export type Polynomial = Coefficients | Evaluations
/** A polynomial to multiply by often. */
export interface Prepared {
  readonly values: Evaluations
  readonly quotients: Uint32Array
}
/** Small signed numbers, one for each coefficient: secrets, errors, messages. */
export type SmallPolynomial = Int32Array

export interface RingOptions {
  /** "wasm" unless said otherwise; "plain" is the slow twin. */
  readonly kernel?: "wasm" | "plain"
}

/** What `Ring.row` makes a row of. */
export interface RowParts {
  /** The public seed of A, 32 bytes. */
  readonly seed: Uint8Array
  /** The secret s in NTT form. */
  readonly secret: Evaluations
  /** Where the key of fresh errors is drawn from, and their width; left out, there is no error. */
  readonly error?: { readonly random: RandomSource; readonly pairs: number }
  /** What is added in coefficients: lanes of a `LaneCodec`, 64-bit numbers such as flooding. */
  readonly message?: Omit<Payload, "error">
}

/** Pairs of bits of the usual error: standard deviation sqrt(21 / 2) = 3.24. */
export const ERROR_PAIRS = 21
export const MOST_ERROR_PAIRS = 64
const MOST_PRIMES = 32

const badRing = (message: string): never => {
  throw new ConsiliumError("lattice/bad-ring", message)
}
const badPolynomial = (message: string): never => {
  throw new ConsiliumError("lattice/bad-polynomial", message)
}

/**
 * Polynomials modulo X^N + 1 and a product of primes, held by their residues.
 *
 * Polynomials are ordinary arrays, owned by the caller. Every operation takes an array for its result, which may be an
 * operand, or makes one. Lengths are checked; that residues are below their primes is the caller's promise, which
 * `isReduced` checks and every function here keeps.
 *
 * Math:   Z[X] / (X^N + 1, Q), Q = q_1 ... q_L
 * Shape:  L x N words of 32 bits
 * Timing: depends on no coefficient; samplers branch on rejected draws only
 */
export class Ring {
  readonly degree: number
  readonly primes: readonly number[]
  /** The product of the primes. */
  readonly modulus: bigint
  /** Words of a polynomial. */
  readonly size: number
  /** Bytes of a packed polynomial. */
  readonly packedLength: number
  readonly #kernel: RingKernel
  readonly #limbs: readonly number[]

  private constructor(kernel: RingKernel, limbs: readonly number[]) {
    this.#kernel = kernel
    this.#limbs = limbs
    this.degree = kernel.degree
    this.primes = limbs.map((limb) => kernel.primes[limb] as number)
    this.modulus = productOf(this.primes)
    this.size = limbs.length * kernel.degree
    this.packedLength = this.primes.reduce((sum, q) => sum + ((32 - Math.clz32(q)) * this.degree) / 8, 0)
  }

  /**
   * The ring of some distinct primes, such as `nttPrimes` gives.
   * @throws {ConsiliumError} "lattice/bad-ring" if the degree or a prime cannot be used
   */
  static of(degree: number, primes: readonly number[], options: RingOptions = {}): Ring {
    if (!isDegree(degree)) badRing(`The degree ${degree} is none of ${DEGREES.join(", ")}.`)
    if (primes.length < 1 || primes.length > MOST_PRIMES)
      badRing(`A ring has 1 to ${MOST_PRIMES} primes, not ${primes.length}.`)
    primes.forEach((q, i) => {
      if (!isNttPrime(q, degree))
        badRing(`${q} is not a prime of 26 to 30 bits that is 1 modulo ${2 * degree}.`)
      if (primes.indexOf(q) !== i) badRing(`The prime ${q} is given twice.`)
    })
    const Kernel = options.kernel === "plain" ? PlainKernel : WasmKernel
    return new Ring(
      new Kernel(degree, [...primes]),
      primes.map((_, i) => i),
    )
  }

  /**
   * The ring of some of the primes, by their places; it shares this ring's tables.
   * @throws {ConsiliumError} "lattice/bad-ring" if a place does not exist or is named twice
   */
  sub(places: readonly number[]): Ring {
    const limbs = places.map((place) => this.#limbs[place] ?? badRing(`The ring has no prime ${place}.`))
    if (limbs.length === 0 || new Set(limbs).size !== limbs.length)
      badRing("A ring of some primes needs at least one, and each once.")
    return new Ring(this.#kernel, limbs)
  }

  #check(...polynomials: readonly { readonly length: number }[]): void {
    for (const { length } of polynomials)
      if (length !== this.size)
        badPolynomial(`A polynomial has ${length} words; this ring's have ${this.size}.`)
  }
  #new<P extends Polynomial>(): P {
    return new Uint32Array(this.size) as P
  }

  zeroCoefficients(): Coefficients {
    return this.#new()
  }
  zeroEvaluations(): Evaluations {
    return this.#new()
  }
  isReduced(a: Uint32Array): boolean {
    this.#check(a)
    return this.#kernel.isReduced(this.#limbs, a)
  }

  /** Cost: one forward transform for each prime */
  forward(a: Coefficients, into: Uint32Array = this.#new()): Evaluations {
    this.#check(a, into)
    this.#kernel.forward(this.#limbs, a, into)
    return into as Evaluations
  }
  /** Cost: one inverse transform for each prime */
  inverse(a: Evaluations, into: Uint32Array = this.#new()): Coefficients {
    this.#check(a, into)
    this.#kernel.inverse(this.#limbs, a, into)
    return into as Coefficients
  }
  add<P extends Polynomial>(a: P, b: P, into: Uint32Array = this.#new()): P {
    this.#check(a, b, into)
    this.#kernel.add(this.#limbs, a, b, into)
    return into as P
  }
  subtract<P extends Polynomial>(a: P, b: P, into: Uint32Array = this.#new()): P {
    this.#check(a, b, into)
    this.#kernel.subtract(this.#limbs, a, b, into)
    return into as P
  }
  negate<P extends Polynomial>(a: P, into: Uint32Array = this.#new()): P {
    this.#check(a, into)
    this.#kernel.negate(this.#limbs, a, into)
    return into as P
  }
  /** a times a whole number. */
  scale<P extends Polynomial>(a: P, factor: bigint, into: Uint32Array = this.#new()): P {
    return this.scaleByResidues(a, residuesOf(this.primes, factor), into)
  }
  /** a times a number given by its residues, one for each prime. */
  scaleByResidues<P extends Polynomial>(a: P, factors: Uint32Array, into: Uint32Array = this.#new()): P {
    this.#check(a, into)
    if (factors.length !== this.primes.length || factors.some((w, i) => w >= (this.primes[i] as number)))
      badPolynomial(`A constant needs one residue for each of ${this.primes.length} primes.`)
    this.#kernel.scale(this.#limbs, a, factors, into)
    return into as P
  }
  /** The product in the ring, place by place in NTT form. */
  multiply(a: Evaluations, b: Evaluations, into: Uint32Array = this.#new()): Evaluations {
    this.#check(a, b, into)
    this.#kernel.multiply(this.#limbs, a, b, into)
    return into as Evaluations
  }
  /** a b + c. */
  multiplyAdd(a: Evaluations, b: Evaluations, c: Evaluations, into: Uint32Array = this.#new()): Evaluations {
    this.#check(a, b, c, into)
    this.#kernel.multiplyAdd(this.#limbs, a, b, c, into)
    return into as Evaluations
  }
  /** Shoup's companion of a polynomial, for `multiplyPrepared`. */
  prepare(values: Evaluations): Prepared {
    this.#check(values)
    const quotients = new Uint32Array(this.size)
    this.#kernel.prepare(this.#limbs, values, quotients)
    return { values, quotients }
  }
  multiplyPrepared(a: Evaluations, b: Prepared, into: Uint32Array = this.#new()): Evaluations {
    this.#check(a, b.values, b.quotients, into)
    this.#kernel.multiplyPrepared(this.#limbs, a, b.values, b.quotients, into)
    return into as Evaluations
  }

  /**
   * X -> X^g, on coefficients.
   * @throws {ConsiliumError} "lattice/bad-ring" if g is not odd and in [1, 2N)
   */
  automorphism(a: Coefficients, g: number, into: Uint32Array = this.#new()): Coefficients {
    this.#check(a, into)
    this.#checkExponent(g)
    this.#kernel.automorphism(this.#limbs, a, g, into)
    return into as Coefficients
  }
  /** X -> X^g, in NTT form, where it only changes places. */
  automorphismOfEvaluations(a: Evaluations, g: number, into: Uint32Array = this.#new()): Evaluations {
    this.#check(a, into)
    this.#checkExponent(g)
    this.#kernel.automorphismOfEvaluations(this.#limbs, a, g, into)
    return into as Evaluations
  }
  #checkExponent(g: number): void {
    if (!Number.isInteger(g) || g % 2 !== 1 || g < 1 || g >= 2 * this.degree)
      badRing(`X -> X^g needs an odd g in [1, ${2 * this.degree}), not ${g}.`)
  }

  /** The polynomial of small signed numbers. */
  fromSmall(values: SmallPolynomial): Coefficients {
    return this.combine({ lanes: [{ values, factors: residuesOf(this.primes, 1n) }] })
  }
  /** The polynomial of signed 64-bit numbers. */
  fromWide(values: BigInt64Array): Coefficients {
    return this.combine({ wide: values })
  }
  /** The sum of signed numbers times constants. */
  combine(message: Omit<Payload, "error">, into: Uint32Array = this.#new()): Coefficients {
    this.#check(into)
    this.#checkMessage(message)
    this.#kernel.combine(this.#limbs, message, into)
    return into as Coefficients
  }
  #checkMessage(message: Omit<Payload, "error">): void {
    for (const { values, factors } of message.lanes ?? []) {
      if (values.length !== this.degree)
        badPolynomial(`A lane has ${values.length} numbers; the degree is ${this.degree}.`)
      if (factors.length !== this.primes.length || factors.some((w, i) => w >= (this.primes[i] as number)))
        badPolynomial(`A lane's constant needs one residue for each of ${this.primes.length} primes.`)
    }
    if (message.wide !== undefined && message.wide.length !== this.degree)
      badPolynomial(`There are ${message.wide.length} wide numbers; the degree is ${this.degree}.`)
  }
  /** The polynomial of whole numbers of any size; slow. */
  fromBigInts(values: readonly bigint[]): Coefficients {
    if (values.length !== this.degree)
      badPolynomial(`There are ${values.length} coefficients; the degree is ${this.degree}.`)
    const out = this.zeroCoefficients()
    values.forEach((value, i) => {
      residuesOf(this.primes, value).forEach((residue, limb) => {
        out[limb * this.degree + i] = residue
      })
    })
    return out
  }
  /** The coefficients, centred: in [-floor(Q / 2), Q - floor(Q / 2)); slow. */
  toBigInts(a: Coefficients): bigint[] {
    this.#check(a)
    const reconstruct = reconstructor(this.primes)
    return Array.from({ length: this.degree }, (_, i) =>
      reconstruct(this.primes.map((_, limb) => a[limb * this.degree + i] as number)),
    )
  }

  /**
   * The public uniform polynomial of a seed, the same for all who know it; a limb depends on its prime alone.
   *
   * Math:   words of ChaCha20(seed, nonce (1, q, 0)) cut to the bits of q; those below q, in order
   * Source: RFC 8439
   */
  uniform(seed: Uint8Array, into: Uint32Array = this.#new()): Evaluations {
    this.#check(into)
    this.#checkKey(seed)
    this.#kernel.uniform(this.#limbs, seed, into)
    return into as Evaluations
  }
  /** A secret uniform polynomial; takes 32 bytes of the source. */
  uniformSecret(random: RandomSource): Evaluations {
    return this.#withKey(random, (key) => this.uniform(key))
  }
  /** Coefficients uniform on -1, 0, 1; takes 32 bytes of the source. */
  ternary(random: RandomSource): SmallPolynomial {
    const out = new Int32Array(this.degree)
    this.#withKey(random, (key) => this.#kernel.ternary(key, out))
    return out
  }
  /**
   * Centred binomial coefficients; takes 32 bytes of the source.
   *
   * Math:  ones among k fair bits less ones among k others: variance k / 2
   * @throws {ConsiliumError} "lattice/bad-ring" if `pairs` is not a whole number in [1, 64]
   */
  centredBinomial(random: RandomSource, pairs: number = ERROR_PAIRS): SmallPolynomial {
    this.#checkPairs(pairs)
    const out = new Int32Array(this.degree)
    this.#withKey(random, (key) => this.#kernel.centredBinomial(key, pairs, out))
    return out
  }
  #checkPairs(pairs: number): void {
    if (!Number.isInteger(pairs) || pairs < 1 || pairs > MOST_ERROR_PAIRS)
      badRing(`Errors take 1 to ${MOST_ERROR_PAIRS} pairs of bits, not ${pairs}.`)
  }
  #checkKey(key: Uint8Array): void {
    if (key.length !== 32) badPolynomial(`A seed has 32 bytes, not ${key.length}.`)
  }
  #withKey<T>(random: RandomSource, use: (key: Uint8Array) => T): T {
    const key = random.bytes(32)
    this.#checkKey(key)
    try {
      return use(key)
    } finally {
      key.fill(0)
    }
  }

  /**
   * One row of ring learning with errors, in one step: expand, multiply, transform, add, pack. Nothing secret stays in
   * the kernel's memory.
   *
   * Math:   pack(A s + e + message), A = uniform(seed), in coefficients
   * Cost:   one inverse transform for each prime
   * Timing: depends on neither secret, error nor message
   */
  row(parts: RowParts, into: Uint8Array = new Uint8Array(this.packedLength)): Uint8Array {
    const { seed, secret, error, message = {} } = parts
    this.#check(secret)
    this.#checkKey(seed)
    this.#checkMessage(message)
    this.#checkPacked(into)
    if (error === undefined) {
      this.#kernel.row(this.#limbs, seed, secret, message, into)
      return into
    }
    const { random, pairs } = error
    this.#checkPairs(pairs)
    this.#withKey(random, (key) =>
      this.#kernel.row(this.#limbs, seed, secret, { ...message, error: { key, pairs } }, into),
    )
    return into
  }

  /** The wire form: limb after limb, each residue at the bit length of its prime, low bits first; no padding. */
  pack(a: Polynomial, into: Uint8Array = new Uint8Array(this.packedLength)): Uint8Array {
    this.#check(a)
    this.#checkPacked(into)
    this.#kernel.pack(this.#limbs, a, into)
    return into
  }
  /**
   * The polynomial of its wire form, in whichever form it was packed.
   * @throws {ConsiliumError} "lattice/malformed" unless `pack` could have written the bytes
   */
  unpackCoefficients(bytes: Uint8Array, into: Uint32Array = this.#new()): Coefficients {
    return this.#unpack(bytes, into) as Coefficients
  }
  /** @throws {ConsiliumError} "lattice/malformed" unless `pack` could have written the bytes */
  unpackEvaluations(bytes: Uint8Array, into: Uint32Array = this.#new()): Evaluations {
    return this.#unpack(bytes, into) as Evaluations
  }
  #unpack(bytes: Uint8Array, into: Uint32Array): Uint32Array {
    this.#check(into)
    this.#checkPacked(bytes)
    if (!this.#kernel.unpack(this.#limbs, bytes, into)) this.#notCanonical()
    return into
  }
  /**
   * sum += the polynomial that is packed; the sum stays as it was if the bytes are refused.
   * @throws {ConsiliumError} "lattice/malformed" unless `pack` could have written the bytes
   */
  addPacked(sum: Polynomial, bytes: Uint8Array): void {
    this.#check(sum)
    this.#checkPacked(bytes)
    if (!this.#kernel.addPacked(this.#limbs, bytes, sum)) this.#notCanonical()
  }
  #checkPacked(bytes: Uint8Array): void {
    if (bytes.length !== this.packedLength)
      throw new ConsiliumError(
        "lattice/malformed",
        `A packed polynomial has ${bytes.length} bytes; this ring's have ${this.packedLength}.`,
      )
  }
  #notCanonical(): never {
    throw new ConsiliumError("lattice/malformed", "A packed polynomial holds a number that is no residue.")
  }

  /** Whether all numbers lie in [-limit, limit]; the time tells nothing of them. */
  isWithin(values: Int32Array, limit: number): boolean {
    return this.#kernel.isWithin(values, limit)
  }
  /** For `LaneCodec`, which checks the layout and describes the result. */
  decodeLanes(
    a: Coefficients,
    layout: Parameters<RingKernel["decode"]>[2],
  ): ReturnType<RingKernel["decode"]> & { readonly values: Int32Array } {
    this.#check(a)
    const values = new Int32Array(layout.lanes * this.degree)
    return { ...this.#kernel.decode(this.#limbs, a, layout, values), values }
  }

  /**
   * Overwrites what earlier operations left in the kernel's memory. Samplers, `combine`, `row` and `decodeLanes` leave
   * nothing; after transforms and arithmetic on secrets call this.
   */
  erase(): void {
    this.#kernel.erase()
  }
}
