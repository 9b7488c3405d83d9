import { fromHex } from "@consilium/base/bytes"
import { compileWasm, instantiateWasm, type WasmModule } from "../platform.js"
import {
  type DecodeResult,
  type LaneLayout,
  type Limbs,
  type Nonce,
  type Payload,
  type RingKernel,
  STREAM,
} from "./kernel.js"
import { inverseModulo, multiplyModulo } from "./modular.js"
import { primitiveRoot } from "./primes.js"
import { RING_WASM } from "./ring-wasm.generated.js"

type Operation = (...numbers: number[]) => void
type Test = (...numbers: number[]) => number
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  heapBase(): number
  keyPointer(): number
  largestRemainder(): bigint
  readonly reversedOrder: Operation
  readonly prepareModulus: Operation
  readonly begin: Operation
  readonly forget: Operation
  readonly keyStream: Operation
  readonly forward: Operation
  readonly inverse: Operation
  readonly add: Operation
  readonly subtract: Operation
  readonly negate: Operation
  readonly multiply: Operation
  readonly multiplyAdd: Operation
  readonly prepare: Operation
  readonly multiplyPrepared: Operation
  readonly scale: Operation
  readonly automorphism: Operation
  readonly automorphismOfValues: Operation
  readonly accumulateSmall: Operation
  readonly accumulateScaled: Operation
  readonly accumulateWide: Operation
  readonly accumulateBinomial: Operation
  readonly uniform: Operation
  readonly ternary: Operation
  readonly pack: Operation
  readonly quotient: Test
  readonly isReduced: Test
  readonly isWithin: Test
  readonly unpack: Test
  readonly decode: Test
}

let compiled: WasmModule | undefined
const RECORD_BYTES = 64
const TABLE_WORDS = 2048
const PAGE = 65_536

/** The kernel in WebAssembly with 128-bit vectors. Its memory holds the tables of the primes and one operation's operands. */
export class WasmKernel implements RingKernel {
  readonly degree: number
  readonly primes: readonly number[]
  readonly #wasm: Exports
  readonly #words: Uint32Array
  readonly #bytes: Uint8Array
  readonly #numbers: Int32Array
  readonly #wide: BigInt64Array
  readonly #records: number
  readonly #order: number
  readonly #a: number
  readonly #b: number
  readonly #c: number
  /** Two limbs' room: 32-bit or 64-bit numbers of one polynomial. */
  readonly #values: number
  readonly #error: number
  readonly #table: number
  readonly #end: number

  constructor(degree: number, primes: readonly number[]) {
    this.degree = degree
    this.primes = primes
    compiled ??= compileWasm(fromHex(RING_WASM))
    const wasm = instantiateWasm<Exports>(compiled, {})
    this.#wasm = wasm
    const limb = 4 * degree
    let at = Math.ceil(wasm.heapBase() / 16) * 16
    const take = (bytes: number): number => {
      const start = at
      at += bytes
      return start
    }
    this.#records = take(RECORD_BYTES * primes.length)
    this.#order = take(limb)
    const tables = take(4 * limb * primes.length)
    this.#a = take(limb * primes.length)
    this.#b = take(limb * primes.length)
    this.#c = take(limb * primes.length + 16)
    this.#values = take(2 * limb)
    this.#error = take(limb)
    this.#table = take(4 * TABLE_WORDS)
    this.#end = at
    const buffered = wasm.memory.buffer.byteLength
    if (at > buffered) wasm.memory.grow(Math.ceil((at - buffered) / PAGE))
    const { buffer } = wasm.memory
    this.#words = new Uint32Array(buffer)
    this.#bytes = new Uint8Array(buffer)
    this.#numbers = new Int32Array(buffer)
    this.#wide = new BigInt64Array(buffer)
    wasm.reversedOrder(this.#order, 31 - Math.clz32(degree))
    primes.forEach((q, i) => {
      const root = primitiveRoot(q, degree)
      wasm.prepareModulus(
        this.#records + RECORD_BYTES * i,
        tables + 4 * limb * i,
        degree,
        this.#order,
        q,
        root,
        inverseModulo(root, q),
        inverseModulo(degree, q),
      )
    })
  }

  #put(at: number, words: Uint32Array): void {
    this.#words.set(words, at / 4)
  }
  #get(at: number, into: Uint32Array): void {
    into.set(this.#words.subarray(at / 4, at / 4 + into.length))
  }
  /** Calls `work` with the offset in bytes and the record of each limb. */
  #each(limbs: Limbs, work: (offset: number, record: number, prime: number) => void): void {
    for (let i = 0; i < limbs.length; i++) {
      const prime = limbs[i] as number
      work(4 * this.degree * i, this.#records + RECORD_BYTES * prime, prime)
    }
  }

  forward(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    this.#put(this.#a, a)
    this.#each(limbs, (offset, record) => this.#wasm.forward(this.#a + offset, this.degree, record))
    this.#get(this.#a, into)
  }
  inverse(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    this.#put(this.#a, a)
    this.#each(limbs, (offset, record) => this.#wasm.inverse(this.#a + offset, this.degree, record))
    this.#get(this.#a, into)
  }

  #pairwise(operation: Operation, limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void {
    this.#put(this.#a, a)
    this.#put(this.#b, b)
    this.#each(limbs, (offset, record) =>
      operation(this.#a + offset, this.#a + offset, this.#b + offset, this.degree, record),
    )
    this.#get(this.#a, into)
  }
  add(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void {
    this.#pairwise(this.#wasm.add, limbs, a, b, into)
  }
  subtract(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void {
    this.#pairwise(this.#wasm.subtract, limbs, a, b, into)
  }
  multiply(limbs: Limbs, a: Uint32Array, b: Uint32Array, into: Uint32Array): void {
    this.#pairwise(this.#wasm.multiply, limbs, a, b, into)
  }
  multiplyAdd(limbs: Limbs, a: Uint32Array, b: Uint32Array, c: Uint32Array, into: Uint32Array): void {
    this.#put(this.#c, c)
    this.#pairwise(
      (to, x, y, degree, record) =>
        this.#wasm.multiplyAdd(
          to as number,
          x as number,
          y as number,
          (x as number) - this.#a + this.#c,
          degree as number,
          record as number,
        ),
      limbs,
      a,
      b,
      into,
    )
  }
  #alone(limbs: Limbs, a: Uint32Array, into: Uint32Array, work: Operation): void {
    this.#put(this.#a, a)
    this.#each(limbs, (offset, record, prime) => work(this.#b + offset, this.#a + offset, record, prime))
    this.#get(this.#b, into)
  }
  negate(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    this.#alone(limbs, a, into, (to, from, record) =>
      this.#wasm.negate(to as number, from as number, this.degree, record as number),
    )
  }
  prepare(limbs: Limbs, a: Uint32Array, into: Uint32Array): void {
    this.#alone(limbs, a, into, (to, from, record) =>
      this.#wasm.prepare(to as number, from as number, this.degree, record as number),
    )
  }
  multiplyPrepared(
    limbs: Limbs,
    a: Uint32Array,
    b: Uint32Array,
    quotients: Uint32Array,
    into: Uint32Array,
  ): void {
    this.#put(this.#a, a)
    this.#put(this.#b, b)
    this.#put(this.#c, quotients)
    this.#each(limbs, (offset, record) => {
      const to = this.#a + offset
      this.#wasm.multiplyPrepared(to, to, this.#b + offset, this.#c + offset, this.degree, record)
    })
    this.#get(this.#a, into)
  }
  scale(limbs: Limbs, a: Uint32Array, factors: Uint32Array, into: Uint32Array): void {
    this.#put(this.#a, a)
    limbs.forEach((prime, i) => {
      const [at, w] = [this.#a + 4 * this.degree * i, factors[i] as number]
      this.#wasm.scale(at, at, w, this.#quotient(w, prime), this.degree, this.#records + RECORD_BYTES * prime)
    })
    this.#get(this.#a, into)
  }
  #quotient(w: number, prime: number): number {
    return this.#wasm.quotient(w, this.primes[prime] as number)
  }
  automorphism(limbs: Limbs, a: Uint32Array, g: number, into: Uint32Array): void {
    this.#alone(limbs, a, into, (to, from, record) =>
      this.#wasm.automorphism(to as number, from as number, g, this.degree, record as number),
    )
  }
  automorphismOfEvaluations(limbs: Limbs, a: Uint32Array, g: number, into: Uint32Array): void {
    this.#alone(limbs, a, into, (to, from) =>
      this.#wasm.automorphismOfValues(to as number, from as number, g, this.degree, this.#order),
    )
  }
  isReduced(limbs: Limbs, a: Uint32Array): boolean {
    this.#put(this.#a, a)
    return limbs.every(
      (prime, i) =>
        this.#wasm.isReduced(
          this.#a + 4 * this.degree * i,
          this.degree,
          this.#records + RECORD_BYTES * prime,
        ) === 1,
    )
  }
  isWithin(values: Int32Array, limit: number): boolean {
    let within = 1
    for (let start = 0; start < values.length; start += this.degree) {
      const part = values.subarray(start, start + this.degree)
      if (part.length < this.degree) this.#words.fill(0, this.#values / 4, this.#values / 4 + this.degree)
      this.#numbers.set(part, this.#values / 4)
      within &= this.#wasm.isWithin(this.#values, this.degree, limit)
    }
    this.#bytes.fill(0, this.#values, this.#error)
    return within === 1
  }

  #key(key: Uint8Array): void {
    this.#bytes.set(key, this.#wasm.keyPointer())
  }
  #binomial(at: number, key: Uint8Array, pairs: number): void {
    this.#bytes.fill(0, at, at + 4 * this.degree)
    this.#key(key)
    for (let pass = 0; 32 * pass < pairs; pass++) {
      this.#wasm.begin(0, STREAM.binomial, pass, 0)
      this.#wasm.accumulateBinomial(at, this.degree, Math.min(32, pairs - 32 * pass))
    }
    this.#wasm.forget()
  }
  #uniform(limbs: Limbs, at: number, key: Uint8Array): void {
    this.#key(key)
    this.#each(limbs, (offset, record, prime) => {
      this.#wasm.begin(0, STREAM.uniform, this.primes[prime] as number, 0)
      this.#wasm.uniform(at + offset, this.degree, record)
    })
    this.#wasm.forget()
  }
  /** Adds a payload to the limbs at `at`, and leaves none of it elsewhere. */
  #accumulate(limbs: Limbs, at: number, payload: Payload): void {
    const wasm = this.#wasm
    for (const { values, factors } of payload.lanes ?? []) {
      this.#numbers.set(values, this.#values / 4)
      limbs.forEach((prime, i) => {
        const q = this.primes[prime] as number
        const w = factors[i] as number
        const offset = (q - multiplyModulo(w, 2 ** 31 % q, q)) % q
        const [to, record] = [at + 4 * this.degree * i, this.#records + RECORD_BYTES * prime]
        wasm.accumulateScaled(to, this.#values, w, this.#quotient(w, prime), offset, this.degree, record)
      })
    }
    if (payload.wide !== undefined) {
      this.#wide.set(payload.wide, this.#values / 8)
      this.#each(limbs, (offset, record) =>
        wasm.accumulateWide(at + offset, this.#values, this.degree, record),
      )
    }
    if (payload.error !== undefined) {
      this.#binomial(this.#error, payload.error.key, payload.error.pairs)
      this.#each(limbs, (offset, record) =>
        wasm.accumulateSmall(at + offset, this.#error, this.degree, record),
      )
    }
    this.#bytes.fill(0, this.#values, this.#table)
  }
  combine(limbs: Limbs, payload: Payload, into: Uint32Array): void {
    this.#bytes.fill(0, this.#a, this.#a + 4 * into.length)
    this.#accumulate(limbs, this.#a, payload)
    this.#get(this.#a, into)
    this.#bytes.fill(0, this.#a, this.#a + 4 * into.length)
  }
  row(limbs: Limbs, seed: Uint8Array, secret: Uint32Array, payload: Payload, into: Uint8Array): void {
    const wasm = this.#wasm
    this.#uniform(limbs, this.#a, seed)
    this.#put(this.#b, secret)
    this.#each(limbs, (offset, record) => {
      const at = this.#a + offset
      wasm.multiply(at, at, this.#b + offset, this.degree, record)
      wasm.inverse(at, this.degree, record)
    })
    this.#accumulate(limbs, this.#a, payload)
    this.#packAll(limbs, into)
    this.#bytes.fill(0, this.#b, this.#b + 4 * secret.length)
  }

  uniform(limbs: Limbs, key: Uint8Array, into: Uint32Array): void {
    this.#uniform(limbs, this.#a, key)
    this.#get(this.#a, into)
    this.#bytes.fill(0, this.#a, this.#a + 4 * into.length)
  }
  ternary(key: Uint8Array, into: Int32Array): void {
    this.#key(key)
    this.#wasm.begin(0, STREAM.ternary, 0, 0)
    this.#wasm.ternary(this.#error, this.degree)
    this.#takeNumbers(into)
  }
  centredBinomial(key: Uint8Array, pairs: number, into: Int32Array): void {
    this.#binomial(this.#error, key, pairs)
    this.#takeNumbers(into)
  }
  #takeNumbers(into: Int32Array): void {
    into.set(this.#numbers.subarray(this.#error / 4, this.#error / 4 + this.degree))
    this.#bytes.fill(0, this.#error, this.#table)
    this.#wasm.forget()
  }
  keyStream(key: Uint8Array, nonce: Nonce, counter: number, into: Uint8Array): void {
    this.#key(key)
    this.#wasm.begin(counter, ...nonce)
    const whole = Math.ceil(into.length / 256) * 256
    this.#wasm.keyStream(this.#c, whole)
    into.set(this.#bytes.subarray(this.#c, this.#c + into.length))
    this.#bytes.fill(0, this.#c, this.#c + whole)
    this.#wasm.forget()
  }

  #packedSize(prime: number): number {
    return ((32 - Math.clz32(this.primes[prime] as number)) * this.degree) / 8
  }
  #packAll(limbs: Limbs, into: Uint8Array): void {
    let at = this.#c
    this.#each(limbs, (offset, record, prime) => {
      this.#wasm.pack(at, this.#a + offset, this.degree, record)
      at += this.#packedSize(prime)
    })
    into.set(this.#bytes.subarray(this.#c, at))
  }
  pack(limbs: Limbs, a: Uint32Array, into: Uint8Array): void {
    this.#put(this.#a, a)
    this.#packAll(limbs, into)
  }
  #unpackAll(limbs: Limbs, bytes: Uint8Array): boolean {
    this.#bytes.set(bytes, this.#c)
    let at = this.#c
    let canonical = 1
    this.#each(limbs, (offset, record, prime) => {
      canonical &= this.#wasm.unpack(this.#a + offset, at, this.degree, record)
      at += this.#packedSize(prime)
    })
    return canonical === 1
  }
  unpack(limbs: Limbs, bytes: Uint8Array, into: Uint32Array): boolean {
    if (!this.#unpackAll(limbs, bytes)) return false
    this.#get(this.#a, into)
    return true
  }
  addPacked(limbs: Limbs, bytes: Uint8Array, sum: Uint32Array): boolean {
    if (!this.#unpackAll(limbs, bytes)) return false
    this.#put(this.#b, sum)
    this.#each(limbs, (offset, record) =>
      this.#wasm.add(this.#b + offset, this.#b + offset, this.#a + offset, this.degree, record),
    )
    this.#get(this.#b, sum)
    return true
  }

  decode(limbs: Limbs, a: Uint32Array, layout: LaneLayout, into: Int32Array): DecodeResult {
    const { lanes, width, shift, table, words } = layout
    this.#put(this.#a, a)
    this.#put(this.#table, table)
    // from here to the table there is room for five limbs or more, hence for the four lanes that are allowed
    const room = this.#b
    const within = this.#wasm.decode(
      room,
      this.#a,
      this.degree,
      limbs.length,
      this.#table,
      words,
      shift,
      width,
      lanes,
    )
    into.set(this.#numbers.subarray(room / 4, room / 4 + lanes * this.degree))
    this.#bytes.fill(0, room, room + 4 * lanes * this.degree)
    this.#bytes.fill(0, this.#a, this.#a + 4 * a.length)
    return { within: within === 1, remainder: this.#wasm.largestRemainder() }
  }
  erase(): void {
    this.#bytes.fill(0, this.#a, this.#end)
    this.#wasm.forget()
  }
}
