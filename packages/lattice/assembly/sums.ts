// biome-ignore-all lint/correctness/noPrecisionLoss: integers have 64 bits in AssemblyScript
/** The kernel of sums: what `src/sums/wasm-sums-kernel.ts` calls. Memory beyond `__heap_base` is laid out there. */
export { begin, forget, keyPointer } from "./chacha"
export { wideGaussian } from "./flooding"
export { decodeQuotient, largestQuotientRemainder } from "./quotient"

/** 2^64 divided by the golden ratio, made odd. */
const SPREAD: u64 = 0x9e3779b97f4a7c15

export function heapBase(): usize {
  return __heap_base
}

/** Carries a check of words of 64 bits on: each word changes it in a way that can be undone, so no single change is lost. */
export function check(before: u64, from: usize, words: usize): u64 {
  let value = before
  for (let at: usize = 0; at < words << 3; at += 8) value = rotl(value ^ load<u64>(from + at), 29) * SPREAD
  return value
}
