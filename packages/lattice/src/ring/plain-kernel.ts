import { reconstructor } from "./crt.js"
import {
  type DecodeResult,
  type LaneLayout,
  type Limbs,
  type Nonce,
  type Payload,
  type RingKernel,
  STREAM,
} from "./kernel.js"
import { keyStreamWords } from "./key-stream.js"
import { inverseModulo, multiplyModulo, powerModulo, residueOf } from "./modular.js"
import { primitiveRoot } from "./primes.js"

const reversed = (i: number, bits: number): number => {
  let out = 0
  for (let b = 0; b < bits; b++) out |= ((i >> b) & 1) << (bits - 1 - b)
  return out
}
const ones = (word: number): number => {
  let count = 0
  for (let left = word; left > 0; left = Math.floor(left / 2)) count += left % 2
  return count
}
const bitLength = (q: number): number => 32 - Math.clz32(q)

/** The kernel in plain TypeScript: slow, and written to be read. It says what the other one must compute. */
export class PlainKernel implements RingKernel {
  readonly degree: number
  readonly primes: readonly number[]
  /** For each prime, psi^r for r = i with its bits reversed. */
  readonly #powers: readonly Uint32Array[]
  readonly #inversePowers: readonly Uint32Array[]
  readonly #order: Uint32Array

  constructor(degree: number, primes: readonly number[]) {
    this.degree = degree
    this.primes = primes
    const bits = 31 - Math.clz32(degree)
    this.#order = Uint32Array.from({ length: degree }, (_, i) => reversed(i, bits))
    const powersOf = (root: number, q: number): Uint32Array => {
      const out = new Uint32Array(degree)
      let power = 1
      for (let i = 0; i < degree; i++) {
        out[this.#order[i] as number] = power
        power = multiplyModulo(power, root, q)
      }
      return out
    }
    const roots = primes.map((q) => primitiveRoot(q, degree))
    this.#powers = primes.map((q, i) => powersOf(roots[i] as number, q))
    this.#inversePowers = primes.map((q, i) => powersOf(inverseModulo(roots[i] as number, q), q))
  }

  /** into[i] = work(place of i, prime), for every place of every limb. */
  #map(limbs: Limbs, into: Uint32Array, work: (at: number, q: number) => number): void {
    const out = new Uint32Array(into.length)
    for (let i = 0; i < into.length; i++)
      out[i] = work(i, this.primes[limbs[Math.floor(i / this.degree)] as number] as number)
    into.set(out)
  }

  forward(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    into.set(a)
    limbs.forEach((prime, limb) => {
      const q = this.primes[prime] as number
      const powers = this.#powers[prime] as Uint32Array
      const x = into.subarray(limb * this.degree, (limb + 1) * this.degree)
      for (let groups = 1, half = this.degree / 2; half >= 1; groups *= 2, half /= 2)
        for (let group = 0; group < groups; group++)
          for (let i = 2 * half * group; i < 2 * half * group + half; i++) {
            const y = multiplyModulo(x[i + half] as number, powers[groups + group] as number, q)
            x[i + half] = ((x[i] as number) + q - y) % q
            x[i] = ((x[i] as number) + y) % q
          }
    })
  }
  inverse(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    into.set(a)
    limbs.forEach((prime, limb) => {
      const q = this.primes[prime] as number
      const powers = this.#inversePowers[prime] as Uint32Array
      const x = into.subarray(limb * this.degree, (limb + 1) * this.degree)
      for (let groups = this.degree / 2, half = 1; groups >= 1; groups /= 2, half *= 2)
        for (let group = 0; group < groups; group++)
          for (let i = 2 * half * group; i < 2 * half * group + half; i++) {
            const difference = ((x[i] as number) + q - (x[i + half] as number)) % q
            x[i] = ((x[i] as number) + (x[i + half] as number)) % q
            x[i + half] = multiplyModulo(difference, powers[groups + group] as number, q)
          }
      const share = inverseModulo(this.degree, q)
      for (let i = 0; i < this.degree; i++) x[i] = multiplyModulo(x[i] as number, share, q)
    })
  }

  add(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void {
    this.#map(limbs, into, (i, q) => ((a[i] as number) + (b[i] as number)) % q)
  }
  subtract(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void {
    this.#map(limbs, into, (i, q) => ((a[i] as number) + q - (b[i] as number)) % q)
  }
  negate(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    this.#map(limbs, into, (i, q) => (q - (a[i] as number)) % q)
  }
  multiply(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void {
    this.#map(limbs, into, (i, q) => multiplyModulo(a[i] as number, b[i] as number, q))
  }
  multiplyAdd(limbs: Limbs, a: Uint32Array, b: Uint32Array, c: Uint32Array, into: Uint32Array): void {
    this.#map(
      limbs,
      into,
      (i, q) => (multiplyModulo(a[i] as number, b[i] as number, q) + (c[i] as number)) % q,
    )
  }
  prepare(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    this.#map(limbs, into, (i, q) => Number((BigInt(a[i] as number) << 32n) / BigInt(q)))
  }
  multiplyPrepared(
    limbs: Limbs,
    a: Uint32Array,
    b: Uint32Array,
    _quotients: Uint32Array,
    into: Uint32Array,
  ): void {
    this.#map(limbs, into, (i, q) => multiplyModulo(a[i] as number, b[i] as number, q))
  }
  scale(limbs: Limbs, a: Uint32Array, factors: Uint32Array, into: Uint32Array): void {
    this.#map(limbs, into, (i, q) =>
      multiplyModulo(a[i] as number, factors[Math.floor(i / this.degree)] as number, q),
    )
  }
  automorphism(limbs: Limbs, a: Uint32Array, g: number, into: Uint32Array): void {
    const back = powerOf2Inverse(g, 2 * this.degree)
    this.#map(limbs, into, (i, q) => {
      const limb = Math.floor(i / this.degree) * this.degree
      // the coefficient that lands at place i or, with the other sign, at place i + N
      const from = ((i - limb) * back) % (2 * this.degree)
      const value = a[limb + (from % this.degree)] as number
      return from < this.degree ? value : (q - value) % q
    })
  }
  automorphismOfEvaluations(limbs: Limbs, a: Uint32Array, g: number, into: Uint32Array): void {
    this.#map(limbs, into, (i) => {
      const limb = Math.floor(i / this.degree) * this.degree
      const exponent = ((2 * (this.#order[i - limb] as number) + 1) * g) % (2 * this.degree)
      return a[limb + (this.#order[(exponent - 1) / 2] as number)] as number
    })
  }
  isReduced(limbs: Limbs, a: Uint32Array): boolean {
    return a.every((value, i) => value < this.#primeAt(limbs, i))
  }
  #primeAt(limbs: Limbs, i: number): number {
    return this.primes[limbs[Math.floor(i / this.degree)] as number] as number
  }
  isWithin(values: Int32Array, limit: number): boolean {
    return values.every((value) => Math.abs(value) <= limit)
  }

  combine(limbs: Limbs, payload: Payload, into: Uint32Array): void {
    const error = new Int32Array(this.degree)
    if (payload.error !== undefined) this.centredBinomial(payload.error.key, payload.error.pairs, error)
    this.#map(limbs, into, (i, q) => {
      const at = i % this.degree
      let sum = BigInt(error[at] as number) + (payload.wide?.[at] ?? 0n)
      for (const { values, factors } of payload.lanes ?? [])
        sum += BigInt(values[at] as number) * BigInt(factors[Math.floor(i / this.degree)] as number)
      return residueOf(sum, q)
    })
  }
  row(limbs: Limbs, seed: Uint8Array, secret: Uint32Array, payload: Payload, into: Uint8Array): void {
    const product = new Uint32Array(secret.length)
    const message = new Uint32Array(secret.length)
    this.uniform(limbs, seed, product)
    this.multiply(limbs, product, secret, product)
    this.inverse(limbs, product, product)
    this.combine(limbs, payload, message)
    this.add(limbs, product, message, product)
    this.pack(limbs, product, into)
  }

  uniform(limbs: Limbs, key: Uint8Array, into: Uint32Array): void {
    limbs.forEach((prime, limb) => {
      const q = this.primes[prime] as number
      const words = keyStreamWords(key, [STREAM.uniform, q, 0])
      for (let i = 0; i < this.degree; ) {
        const word = (words.next().value as number) % 2 ** bitLength(q)
        if (word < q) into[limb * this.degree + i++] = word
      }
    })
  }
  ternary(key: Uint8Array, into: Int32Array): void {
    const words = keyStreamWords(key, [STREAM.ternary, 0, 0])
    for (let i = 0; i < this.degree; ) {
      const word = words.next().value as number
      for (let b = 0; b < 4 && i < this.degree; b++) {
        const byte = Math.floor(word / 256 ** b) % 256
        if (byte !== 255) into[i++] = (byte % 3) - 1
      }
    }
  }
  /**
   * Ones among `pairs` bits less ones among `pairs` others, 32 pairs a pass: of eight words of the stream the first four
   * are for, the last four against, the next four coefficients.
   */
  centredBinomial(key: Uint8Array, pairs: number, into: Int32Array): void {
    into.fill(0)
    for (let pass = 0; 32 * pass < pairs; pass++) {
      const bits = Math.min(32, pairs - 32 * pass)
      const words = keyStreamWords(key, [STREAM.binomial, pass, 0])
      const four = () => [0, 1, 2, 3].map(() => ones((words.next().value as number) % 2 ** bits))
      for (let i = 0; i < this.degree; i += 4) {
        const plus = four()
        four().forEach((minus, lane) => {
          into[i + lane] = (into[i + lane] as number) + (plus[lane] as number) - minus
        })
      }
    }
  }
  keyStream(key: Uint8Array, nonce: Nonce, counter: number, into: Uint8Array): void {
    const words = keyStreamWords(key, nonce, counter)
    let word = 0
    for (let i = 0; i < into.length; i++) {
      if (i % 4 === 0) word = words.next().value as number
      into[i] = Math.floor(word / 256 ** (i % 4))
    }
  }

  pack(limbs: Limbs, a: Uint32Array, into: Uint8Array): void {
    let at = 0
    limbs.forEach((prime, limb) => {
      const bits = bitLength(this.primes[prime] as number)
      let gathered = 0
      let held = 0
      for (let i = 0; i < this.degree; i++) {
        gathered += (a[limb * this.degree + i] as number) * 2 ** held
        for (held += bits; held >= 8; held -= 8) {
          into[at++] = gathered % 256
          gathered = Math.floor(gathered / 256)
        }
      }
    })
  }
  unpack(limbs: Limbs, bytes: Uint8Array, into: Uint32Array): boolean {
    const out = new Uint32Array(into.length)
    let at = 0
    limbs.forEach((prime, limb) => {
      const bits = bitLength(this.primes[prime] as number)
      let gathered = 0
      let held = 0
      for (let i = 0; i < this.degree; i++) {
        for (; held < bits; held += 8) gathered += (bytes[at++] as number) * 2 ** held
        out[limb * this.degree + i] = gathered % 2 ** bits
        gathered = Math.floor(gathered / 2 ** bits)
        held -= bits
      }
    })
    if (!this.isReduced(limbs, out)) return false
    into.set(out)
    return true
  }
  addPacked(limbs: Limbs, bytes: Uint8Array, sum: Uint32Array): boolean {
    const other = new Uint32Array(sum.length)
    if (!this.unpack(limbs, bytes, other)) return false
    this.add(limbs, sum, other, sum)
    return true
  }

  decode(limbs: Limbs, a: Uint32Array, layout: LaneLayout, into: Int32Array): DecodeResult {
    const primes = limbs.map((prime) => this.primes[prime] as number)
    const reconstruct = reconstructor(primes)
    const [shift, width] = [BigInt(layout.shift), BigInt(layout.width)]
    let within = true
    let remainder = 0n
    for (let i = 0; i < this.degree; i++) {
      const x = reconstruct(primes.map((_, limb) => a[limb * this.degree + i] as number))
      let left = (x + (1n << (shift - 1n))) >> shift
      const distance = x - (left << shift)
      const size = distance < 0n ? -distance : distance
      if (size > remainder) remainder = size
      for (let lane = 0; lane < layout.lanes; lane++) {
        const value = BigInt.asIntN(layout.width, left)
        into[lane * this.degree + i] = Number(value)
        left = (left - value) >> width
      }
      if (left !== 0n) within = false
    }
    return { within, remainder }
  }

  /** Nothing is kept between calls. */
  erase(): void {}
}

/** g^-1 modulo a power of two, for odd g. */
const powerOf2Inverse = (g: number, modulus: number): number =>
  // the group of odd residues has order modulus / 2, and exponent modulus / 4
  powerModulo(g, modulus / 4 - 1, modulus)
