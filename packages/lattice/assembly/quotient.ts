/**
 * From residues to floor(2^P x / Q + 1/2) modulo 2^P, cut into lanes: x / Q as the sum of y_i / q_i modulo 1, where
 * y_i = x (Q / q_i)^-1 mod q_i. No branch depends on a value.
 */
// words of the fraction, and beyond them room for reads of eight bytes
const fraction: usize = memory.data(176, 16)

let largest: u64 = 0

/** The largest distance from a whole number in the last call, in units of 2^-64. */
export function largestQuotientRemainder(): u64 {
  return largest
}

function bitsFrom(bit: u32): u64 {
  return load<u64>(fraction + ((bit >> 3) as usize)) >> ((bit & 7) as u64)
}

/**
 * Writes lane after lane, `degree` numbers each. y: the residues y_i, limb after limb; table: for each prime floor(2^(32 words)
 * / q) in `words` words, lowest first; words is at most 40 and holds at least 64 bits beyond lanes * width.
 */
export function decodeQuotient(
  into: usize,
  y: usize,
  degree: usize,
  limbs: usize,
  table: usize,
  words: usize,
  width: u32,
  lanes: u32,
): void {
  const stride = degree << 2
  const first = ((words as u32) << 5) - lanes * width
  const halfLane = (1 as u64) << ((width - 1) as u64)
  const laneMask = (halfLane << 1) - 1
  largest = 0
  for (let at: usize = 0; at < stride; at += 4) {
    memory.fill(fraction, 0, 176)
    // one half of the last place
    store<u32>(fraction + ((((first - 1) >> 5) << 2) as usize), (1 as u32) << ((first - 1) & 31))
    for (let i: usize = 0; i < limbs; i++) {
      const factor = load<u32>(y + i * stride + at) as u64
      const row = table + i * (words << 2)
      let carry: u64 = 0
      for (let word: usize = 0; word < words; word++) {
        const place = fraction + (word << 2)
        carry += (load<u32>(place) as u64) + factor * (load<u32>(row + (word << 2)) as u64)
        store<u32>(place, carry as u32)
        carry >>= 32
      }
    }
    // the 64 bits below the last place, in two reads: one gives 57
    const below = (bitsFrom(first - 32) << 32) | (bitsFrom(first - 64) & 0xffffffff)
    const remainder = (below ^ 0x8000000000000000) as i64
    const flip = remainder >> 63
    const size = ((remainder ^ flip) - flip) as u64
    largest ^= (largest ^ size) & ((0 as u64) - ((size > largest) as u64))
    let bit = first
    let borrowed: u64 = 0
    for (let lane: u32 = 0; lane < lanes; lane++) {
      // beyond the last word there are zeros
      const value = (bitsFrom(bit) & laneMask) + borrowed
      borrowed = (value >= halfLane) as u64
      store<u32>(into + (lane as usize) * stride + at, (value - (borrowed << (width as u64))) as u32)
      bit += width
    }
  }
  memory.fill(fraction, 0, 176)
}
