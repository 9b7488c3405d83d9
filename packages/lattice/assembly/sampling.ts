/**
 * Polynomials from the key stream. Branches depend on rejected draws only, which are independent of what is kept.
 */
import { nextPortion } from "./chacha"
import { BITS, Q } from "./modular"

/** Residues: the words of the stream, cut to the bits of q, that are below q. */
export function uniform(into: usize, count: usize, modulus: usize): void {
  const q = load<u32>(modulus + Q)
  const mask = ((1 as u32) << load<u32>(modulus + BITS)) - 1
  const limit = i32x4.splat(q)
  const cut = i32x4.splat(mask)
  const end = into + (count << 2)
  let place = into
  while (place < end) {
    const portion = nextPortion()
    for (let at: usize = 0; at < 256 && place < end; at += 16) {
      const words = v128.and(v128.load(portion + at), cut)
      if (place + 16 <= end && !v128.any_true(i32x4.ge_u(words, limit))) {
        v128.store(place, words)
        place += 16
      } else
        for (let i: usize = 0; i < 16 && place < end; i += 4) {
          const word = load<u32>(portion + at + i) & mask
          store<u32>(place, word)
          place += (word < q ? 4 : 0) as usize
        }
    }
  }
}

/** -1, 0 or 1: (byte mod 3) - 1 of the bytes of the stream that are not 255. */
export function ternary(into: usize, count: usize): void {
  const end = into + (count << 2)
  let place = into
  while (place < end) {
    const portion = nextPortion()
    for (let at: usize = 0; at < 256 && place < end; at++) {
      const byte = load<u8>(portion + at) as u32
      // byte / 3 by multiplication: exact below 256
      store<u32>(place, byte - ((byte * 171) >> 9) * 3 - 1)
      place += (byte !== 255 ? 4 : 0) as usize
    }
  }
}

function ones(words: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(i8x16.popcnt(words)))
}

/** into += (ones among `pairs` bits) - (ones among `pairs` others), at most 32: four words for, four words against. */
export function accumulateBinomial(into: usize, count: usize, pairs: u32): void {
  const cut = i32x4.splat((((1 as u64) << (pairs as u64)) - 1) as u32)
  const end = into + (count << 2)
  for (let place = into; place < end; ) {
    const portion = nextPortion()
    for (let at: usize = 0; at < 256; at += 32) {
      const plus = ones(v128.and(v128.load(portion + at), cut))
      const minus = ones(v128.and(v128.load(portion + at, 16), cut))
      v128.store(place, i32x4.add(v128.load(place), i32x4.sub(plus, minus)))
      place += 16
    }
  }
}
