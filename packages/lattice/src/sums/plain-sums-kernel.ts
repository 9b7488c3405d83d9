import { keyStreamWords } from "../ring/key-stream.js"
import { GAUSSIAN_NONCE, type GaussianTable, type QuotientLayout, type SumsKernel } from "./sums-kernel.js"

const WORD = 1n << 64n
const HALF = 1n << 63n
const DEGREE = 18
const LN2 = 12786308645202655659n
const PER_LN2 = 13306513097844322491n
const SPREAD = 0x9e3779b97f4a7c15n

const high = (a: bigint, b: bigint): bigint => (a * b) >> 64n
/** 2^63 / j!, rounded, from j = 18 down to 0. */
const TERMS = Array.from({ length: DEGREE + 1 }, (_, i) => {
  let factorial = 1n
  for (let j = 2n; j <= BigInt(DEGREE - i); j++) factorial *= j
  return (2n * HALF + factorial) / (2n * factorial)
})

/** e^-x as a number of 63 bits and a number of halvings; x in units of 2^-60. */
export const exponential = (x: bigint): { readonly p: bigint; readonly halvings: bigint } => {
  const halvings = high(x, PER_LN2) >> 59n
  const rest = BigInt.asUintN(64, (x << 4n) - halvings * LN2)
  return { p: TERMS.reduce((p, term) => term - high(rest, p)), halvings }
}

/** The plain twin of assembly/sums.ts. */
export class PlainSumsKernel implements SumsKernel {
  wideGaussian(key: Uint8Array, table: GaussianTable, into: BigInt64Array): void {
    const { thresholds, curvature } = table
    const stretch = BigInt(table.stretch)
    const words = keyStreamWords(key, GAUSSIAN_NONCE)
    const next = (): bigint => BigInt(words.next().value) | (BigInt(words.next().value) << 32n)
    for (let place = 0; place < into.length; ) {
      const [upper, lower, third, last] = [next(), next(), next(), next()]
      const draw = upper * WORD + lower
      const base = BigInt(thresholds.filter((threshold) => threshold <= draw).length)
      const offset = third & ((1n << stretch) - 1n)
      const f = offset << (64n - stretch)
      const slope = (high(curvature, f) >> 7n) + ((2n * base * curvature) >> 7n)
      const { p, halvings } = exponential(high(slope, f))
      const size = (base << stretch) + offset
      const negative = (last & 1n) === 1n
      if (last >> 1n >= p || (third >> 48n) % (1n << halvings) !== 0n || (size === 0n && negative)) continue
      into[place] = negative ? -size : size
      place++
    }
  }

  decodeQuotient(y: Uint32Array, layout: QuotientLayout, into: Int32Array): bigint {
    const { degree, lanes, width, words, table } = layout
    const limbs = y.length / degree
    const whole = 1n << BigInt(32 * words)
    const below = BigInt(32 * words - lanes * width)
    const factors = Array.from({ length: limbs }, (_, i) => {
      let factor = 0n
      for (let w = words - 1; w >= 0; w--) factor = (factor << 32n) | BigInt(table[i * words + w] as number)
      return factor
    })
    let largest = 0n
    for (let place = 0; place < degree; place++) {
      let x = 1n << (below - 1n)
      for (let i = 0; i < limbs; i++) x += BigInt(y[i * degree + place] as number) * (factors[i] as bigint)
      x %= whole
      const remainder = ((x >> (below - 64n)) & (WORD - 1n)) - HALF
      const size = remainder < 0n ? -remainder : remainder
      if (size > largest) largest = size
      let left = x >> below
      for (let lane = 0; lane < lanes; lane++) {
        const value = BigInt.asIntN(width, left)
        into[lane * degree + place] = Number(value)
        left = (left - value) >> BigInt(width)
      }
    }
    return largest
  }

  check(before: bigint, bytes: Uint8Array): bigint {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let value = before
    for (let at = 0; at < bytes.length; at += 8) {
      const mixed = value ^ view.getBigUint64(at, true)
      value = BigInt.asUintN(64, ((mixed << 29n) | (mixed >> 35n)) * SPREAD)
    }
    return value
  }
}
