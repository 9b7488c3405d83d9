/**
 * Arithmetic modulo primes below 2^30, four residues to a vector, and the record that describes a prime.
 *
 * "Lazy" values are any 32-bit number that stands for its residue; each function says how large its results are.
 */

/** Offsets, in bytes, of the fields of a modulus' record. */
export const Q: usize = 0
export const BITS: usize = 4
export const BARRETT: usize = 8
export const FORWARD: usize = 12
export const FORWARD_QUOTIENTS: usize = 16
export const INVERSE: usize = 20
export const INVERSE_QUOTIENTS: usize = 24
/** 1 / N, and the last inverse twiddle over N, each followed by its quotient. */
export const LAST: usize = 28
export const LAST_TWIDDLE: usize = 36
/** floor(2^32 / q), the quotient of 1. */
export const ONE_QUOTIENT: usize = 44
/** 2^32 mod q, its quotient, and -2^63 mod q: for 64-bit numbers. */
export const HIGH_WORD: usize = 48
export const HIGH_QUOTIENT: usize = 52
export const SIGN_OFFSET: usize = 56

/** floor(w 2^32 / q), the companion of a constant w < q in Shoup's multiplication. */
export function quotient(w: u32, q: u32): u32 {
  return (((w as u64) << 32) / (q as u64)) as u32
}
export function multiplyExact(a: u32, b: u32, q: u32): u32 {
  return (((a as u64) * (b as u64)) % (q as u64)) as u32
}
/** Shoup's product of any 32-bit x and a constant, below 2 q. */
export function multiplyConstant(x: u32, w: u32, wq: u32, q: u32): u32 {
  return x * w - ((((x as u64) * (wq as u64)) >> 32) as u32) * q
}
/** x - q if that is not negative, else x; for x < 2 q, without a branch. */
export function reduceOnce(x: u32, q: u32): u32 {
  const less = x - q
  return less + (q & (0 - (less >> 31)))
}

/** The upper halves of four 64-bit products. */
export function high(a: v128, b: v128): v128 {
  return i32x4.shuffle(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b), 1, 3, 5, 7)
}
/** As `multiplyConstant`. */
export function constantProduct(x: v128, w: v128, wq: v128, q: v128): v128 {
  return i32x4.sub(i32x4.mul(x, w), i32x4.mul(high(x, wq), q))
}
/** x - m where x >= m, else x. */
export function lower(x: v128, m: v128): v128 {
  return i32x4.min_u(x, i32x4.sub(x, m))
}
