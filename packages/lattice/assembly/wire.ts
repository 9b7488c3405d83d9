/** Residues as exactly BITS bits each, the first in the lowest bits: count is a multiple of 32, so no bit is left over. */
import { BITS, Q } from "./modular"

export function pack(into: usize, a: usize, count: usize, modulus: usize): void {
  const bits = load<u32>(modulus + BITS)
  let place = into
  let gathered: u64 = 0
  let held: u32 = 0
  for (let at: usize = 0; at < count << 2; at += 4) {
    gathered |= (load<u32>(a + at) as u64) << (held as u64)
    held += bits
    store<u32>(place, gathered as u32)
    const full = held >> 5
    place += (full << 2) as usize
    gathered >>= (full << 5) as u64
    held &= 31
  }
}

/** Writes residues and gives 1 if all are below q, else 0. Reads up to seven bytes beyond the end. */
export function unpack(into: usize, from: usize, count: usize, modulus: usize): i32 {
  const bits = load<u32>(modulus + BITS)
  const q = load<u32>(modulus + Q)
  const mask = ((1 as u32) << bits) - 1
  let beyond: u32 = 0
  let bit: u32 = 0
  for (let at: usize = 0; at < count << 2; at += 4) {
    const word = ((load<u64>(from + ((bit >> 3) as usize)) >> ((bit & 7) as u64)) as u32) & mask
    beyond |= q - 1 - word
    store<u32>(into + at, word)
    bit += bits
  }
  return ((beyond >> 31) as i32) ^ 1
}
