/** The kernel of a ring: what `src/ring/wasm-kernel.ts` calls. Memory beyond `__heap_base` is laid out there. */
import {
  BARRETT,
  BITS,
  FORWARD,
  FORWARD_QUOTIENTS,
  HIGH_QUOTIENT,
  HIGH_WORD,
  INVERSE,
  INVERSE_QUOTIENTS,
  LAST,
  LAST_TWIDDLE,
  multiplyExact,
  ONE_QUOTIENT,
  Q,
  quotient,
  SIGN_OFFSET,
} from "./modular"

export { begin, forget, keyPointer, keyStream } from "./chacha"
export { decode, largestRemainder, mostLimbs } from "./lanes"
export { quotient } from "./modular"
export { forward, inverse } from "./ntt"
export {
  accumulateScaled,
  accumulateSmall,
  accumulateWide,
  add,
  automorphism,
  automorphismOfValues,
  isReduced,
  isWithin,
  multiply,
  multiplyAdd,
  multiplyPrepared,
  negate,
  prepare,
  scale,
  subtract,
} from "./pointwise"
export { accumulateBinomial, ternary, uniform } from "./sampling"
export { pack, unpack } from "./wire"

export function heapBase(): usize {
  return __heap_base
}

/** i with its lowest `bits` bits reversed, for all i below 2^bits. */
export function reversedOrder(into: usize, bits: u32): void {
  for (let i: u32 = 0; i < (1 as u32) << bits; i++) {
    let reversed: u32 = 0
    for (let b: u32 = 0; b < bits; b++) reversed |= ((i >> b) & 1) << (bits - 1 - b)
    store<u32>(into + ((i as usize) << 2), reversed)
  }
}

/** Powers of `root` in reversed order, and their quotients. */
function powers(into: usize, quotients: usize, root: u32, degree: usize, order: usize, q: u32): void {
  let power: u32 = 1
  for (let i: usize = 0; i < degree; i++) {
    const at = (load<u32>(order + (i << 2)) as usize) << 2
    store<u32>(into + at, power)
    store<u32>(quotients + at, quotient(power, q))
    power = multiplyExact(power, root, q)
  }
}

/** Fills the record of a prime and its four tables of `degree` words; `root` has order 2 N, 1 / N is `last`. */
export function prepareModulus(
  modulus: usize,
  tables: usize,
  degree: usize,
  order: usize,
  q: u32,
  root: u32,
  inverseRoot: u32,
  last: u32,
): void {
  const size = degree << 2
  const bits = 32 - clz(q)
  store<u32>(modulus + Q, q)
  store<u32>(modulus + BITS, bits)
  store<u32>(modulus + BARRETT, (((1 as u64) << ((2 * bits + 1) as u64)) / (q as u64)) as u32)
  store<u32>(modulus + FORWARD, tables as u32)
  store<u32>(modulus + FORWARD_QUOTIENTS, (tables + size) as u32)
  store<u32>(modulus + INVERSE, (tables + 2 * size) as u32)
  store<u32>(modulus + INVERSE_QUOTIENTS, (tables + 3 * size) as u32)
  powers(tables, tables + size, root, degree, order, q)
  powers(tables + 2 * size, tables + 3 * size, inverseRoot, degree, order, q)
  const lastTwiddle = multiplyExact(load<u32>(tables + 2 * size, 4), last, q)
  store<u32>(modulus + LAST, last)
  store<u32>(modulus + LAST, quotient(last, q), 4)
  store<u32>(modulus + LAST_TWIDDLE, lastTwiddle)
  store<u32>(modulus + LAST_TWIDDLE, quotient(lastTwiddle, q), 4)
  const word = (((1 as u64) << 32) % (q as u64)) as u32
  store<u32>(modulus + ONE_QUOTIENT, quotient(1, q))
  store<u32>(modulus + HIGH_WORD, word)
  store<u32>(modulus + HIGH_QUOTIENT, quotient(word, q))
  store<u32>(modulus + SIGN_OFFSET, q - multiplyExact(word, (((1 as u64) << 31) % (q as u64)) as u32, q))
}
