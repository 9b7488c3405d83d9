import { fromHex } from "@consilium/base/bytes"
import { compileWasm, instantiateWasm } from "../platform.js"
import { GAUSSIAN_NONCE, type GaussianTable, type QuotientLayout, type SumsKernel } from "./sums-kernel.js"
import { SUMS_WASM } from "./sums-wasm.generated.js"

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  heapBase(): number
  keyPointer(): number
  begin(counter: number, first: number, second: number, third: number): void
  forget(): void
  wideGaussian(
    into: number,
    count: number,
    table: number,
    entries: number,
    curvature: bigint,
    stretch: bigint,
  ): void
  decodeQuotient(
    into: number,
    y: number,
    degree: number,
    limbs: number,
    table: number,
    words: number,
    width: number,
    lanes: number,
  ): void
  largestQuotientRemainder(): bigint
  check(before: bigint, from: number, words: number): bigint
}

const PAGE = 65_536
const CHECK_PORTION = 65_536
const FLIP = 1n << 63n

/** The kernel in WebAssembly; its memory holds one operation's operands, and nothing when the operation is done. */
export class WasmSumsKernel implements SumsKernel {
  readonly #wasm: Exports
  readonly #base: number

  constructor() {
    this.#wasm = instantiateWasm<Exports>(compileWasm(fromHex(SUMS_WASM)), {})
    this.#base = Math.ceil(this.#wasm.heapBase() / 16) * 16
  }

  /** Runs `work` in `bytes` bytes of memory, which are zero before and after. */
  #within<T>(bytes: number, work: (memory: ArrayBuffer, at: number) => T): T {
    const { memory } = this.#wasm
    const missing = this.#base + bytes - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE))
    try {
      return work(memory.buffer, this.#base)
    } finally {
      new Uint8Array(memory.buffer, this.#base, bytes).fill(0)
    }
  }

  wideGaussian(key: Uint8Array, table: GaussianTable, into: BigInt64Array): void {
    const { thresholds, curvature, stretch } = table
    const tableBytes = 16 * thresholds.length
    this.#within(tableBytes + 8 * (into.length + 1), (memory, at) => {
      const words = new BigUint64Array(memory, at, 2 * thresholds.length)
      thresholds.forEach((threshold, i) => {
        words[i] = (threshold >> 64n) ^ FLIP
        words[thresholds.length + i] = BigInt.asUintN(64, threshold) ^ FLIP
      })
      new Uint8Array(memory, this.#wasm.keyPointer(), 32).set(key)
      this.#wasm.begin(0, ...GAUSSIAN_NONCE)
      this.#wasm.wideGaussian(at + tableBytes, into.length, at, thresholds.length, curvature, BigInt(stretch))
      this.#wasm.forget()
      into.set(new BigInt64Array(memory, at + tableBytes, into.length))
    })
  }

  decodeQuotient(y: Uint32Array, layout: QuotientLayout, into: Int32Array): bigint {
    const { degree, lanes, width, words, table } = layout
    const tableBytes = 16 * Math.ceil(table.length / 4)
    return this.#within(tableBytes + 4 * (y.length + into.length), (memory, at) => {
      new Uint32Array(memory, at, table.length).set(table)
      new Uint32Array(memory, at + tableBytes, y.length).set(y)
      const out = at + tableBytes + 4 * y.length
      const limbs = y.length / degree
      this.#wasm.decodeQuotient(out, at + tableBytes, degree, limbs, at, words, width, lanes)
      into.set(new Int32Array(memory, out, into.length))
      return BigInt.asUintN(64, this.#wasm.largestQuotientRemainder())
    })
  }

  check(before: bigint, bytes: Uint8Array): bigint {
    return this.#within(Math.min(CHECK_PORTION, bytes.length), (memory, at) => {
      let value = before
      for (let from = 0; from < bytes.length; from += CHECK_PORTION) {
        const portion = bytes.subarray(from, from + CHECK_PORTION)
        new Uint8Array(memory, at, portion.length).set(portion)
        value = this.#wasm.check(value, at, portion.length / 8)
      }
      return BigInt.asUintN(64, value)
    })
  }
}
