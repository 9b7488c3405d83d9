/**
 * From residues modulo several primes to small signed numbers: x modulo Q, centred, divided by 2^shift, rounded, cut into
 * lanes. Exact: mixed-radix digits (Garner 1959), then whole numbers of several words. No branch depends on a value.
 *
 * The table: for each prime q, floor(2^32 / q), floor(Q / 2) mod q, 0; then for each pair j < i, ordered by i and j, the
 * inverse of q_j modulo q_i and its quotient; then the words of 2^(shift-1) - floor(Q / 2), two's complement.
 */
import { multiplyConstant, reduceOnce } from "./modular"

const MOST_LIMBS: usize = 32
const digits: usize = memory.data(128, 16)
// words of the number, and beyond them room for reads of eight bytes
const number: usize = memory.data(160, 16)

let largest: u64 = 0

export function mostLimbs(): usize {
  return MOST_LIMBS
}
/** The largest distance from a multiple of 2^shift in the last call. */
export function largestRemainder(): u64 {
  return largest
}

/** Eight bytes of the number from any bit on; at least 57 bits count. */
function bitsFrom(bit: u32): u64 {
  return load<u64>(number + ((bit >> 3) as usize)) >> ((bit & 7) as u64)
}

/**
 * Writes lane after lane, `degree` numbers each; gives 1 if every number was within its lanes, else 0. `words` holds
 * one word more than Q needs; `shift` is in [1, 56], `width` in [2, 31].
 */
export function decode(
  into: usize,
  a: usize,
  degree: usize,
  limbs: usize,
  table: usize,
  words: usize,
  shift: u32,
  width: u32,
  lanes: u32,
): i32 {
  const pairs = table + (limbs << 4)
  const constant = pairs + ((limbs * (limbs - 1)) << 2)
  const stride = degree << 2
  const halfLane = (1 as u64) << ((width - 1) as u64)
  const laneMask = (halfLane << 1) - 1
  const step = (1 as u64) << (shift as u64)
  let outside: u32 = 0
  largest = 0
  memory.fill(number, 0, 160)
  for (let at: usize = 0; at < stride; at += 4) {
    // digits of x + floor(Q / 2)
    let pair = pairs
    for (let i: usize = 0; i < limbs; i++) {
      const record = table + (i << 4)
      const q = load<u32>(record)
      const oneQuotient = load<u32>(record, 4)
      let digit = reduceOnce(load<u32>(a + i * stride + at) + load<u32>(record, 8), q)
      for (let j: usize = 0; j < i; j++) {
        const other = multiplyConstant(load<u32>(digits + (j << 2)), 1, oneQuotient, q)
        digit = multiplyConstant(digit + (q << 1) - other, load<u32>(pair), load<u32>(pair, 4), q)
        digit = reduceOnce(digit, q)
        pair += 8
      }
      store<u32>(digits + (i << 2), digit)
    }
    // the number itself, by Horner's rule
    store<u32>(number, load<u32>(digits + ((limbs - 1) << 2)))
    for (let word: usize = 1; word < words; word++) store<u32>(number + (word << 2), 0)
    for (let i: isize = (limbs as isize) - 2; i >= 0; i--) {
      const q = load<u32>(table + ((i as usize) << 4)) as u64
      let carry: u64 = load<u32>(digits + ((i as usize) << 2)) as u64
      const used = (limbs as usize) - (i as usize)
      for (let word: usize = 0; word < used && word < words; word++) {
        carry += (load<u32>(number + (word << 2)) as u64) * q
        store<u32>(number + (word << 2), carry as u32)
        carry >>= 32
      }
    }
    let carry: u64 = 0
    for (let word: usize = 0; word < words; word++) {
      carry += (load<u32>(number + (word << 2)) as u64) + (load<u32>(constant + (word << 2)) as u64)
      store<u32>(number + (word << 2), carry as u32)
      carry >>= 32
    }
    const sign: u32 = (load<i32>(number + ((words - 1) << 2)) >> 31) as u32
    // two words of sign beyond, for reads of lanes near the top
    store<u32>(number + (words << 2), sign)
    store<u32>(number + (words << 2), sign, 4)
    store<u32>(number + (words << 2), sign, 8)

    const remainder = ((load<u64>(number) & (step - 1)) as i64) - ((step >> 1) as i64)
    const flip = remainder >> 63
    const size = ((remainder ^ flip) - flip) as u64
    const grows = (0 as u64) - ((size > largest) as u64)
    largest ^= (largest ^ size) & grows

    let bit = shift
    let borrowed: u64 = 0
    for (let lane: u32 = 0; lane < lanes; lane++) {
      const value = (bitsFrom(bit) & laneMask) + borrowed
      borrowed = (value >= halfLane) as u64
      store<u32>(into + (lane as usize) * stride + at, (value - (borrowed << (width as u64))) as u32)
      bit += width
    }
    // what is left must be nothing: all bits equal to the sign, and the sign repaid by the last lane
    outside |= sign ^ (0 - (borrowed as u32))
    for (; bit < (words as u32) << 5; bit += 32) outside |= (bitsFrom(bit) as u32) ^ sign
  }
  memory.fill(number, 0, 160)
  memory.fill(digits, 0, 128)
  return (outside === 0) as i32
}
