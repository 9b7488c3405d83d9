// biome-ignore-all lint/correctness/noPrecisionLoss: integers have 64 bits in AssemblyScript
/**
 * The inner loop of the wide discrete Gaussian; `src/sums/wide-gaussian.ts` says what it computes and how far it is from
 * ideal. Whole-number arithmetic only; no branch and no address depends on a value drawn, but for whether it is kept.
 */
import { nextPortion } from "./chacha"

const LOW: u64 = 0xffffffff
const FLIP: u64 = 0x8000000000000000
const CANDIDATE_BYTES: usize = 32
/** floor(2^63 / ln 2) and floor(2^64 ln 2). */
const PER_LN2: u64 = 13306513097844322491
const LN2: u64 = 12786308645202655659
const DEGREE: usize = 18
/** 2^63 / j!, rounded, from j = 18 down to 0. */
const TERMS: usize = memory.data<u64>([
  1441, 25931, 440829, 7053264, 105798954, 1481185359, 19255409662, 231064915947, 2541714075412,
  25417140754119, 228754266787073, 1830034134296583, 12810238940076078, 76861433640456465, 384307168202282325,
  1537228672809129301, 4611686018427387904, 9223372036854775808, 9223372036854775808,
])

/** The upper 64 bits of a 128-bit product. */
function high(a: u64, b: u64): u64 {
  const al = a & LOW
  const ah = a >> 32
  const bl = b & LOW
  const bh = b >> 32
  const middle = ah * bl + ((al * bl) >> 32)
  return ah * bh + (middle >> 32) + ((al * bh + (middle & LOW)) >> 32)
}

/** How many thresholds, 128 bits each with their sign bits flipped, a draw reaches; the upper words stand first. */
function reached(table: usize, entries: usize, upper: u64, lower: u64): u64 {
  const drawnUpper = i64x2.splat(upper ^ FLIP)
  const drawnLower = i64x2.splat(lower ^ FLIP)
  const second = entries << 3
  let count = i64x2.splat(0)
  for (let at: usize = 0; at < second; at += 16) {
    const thresholdUpper = v128.load(table + at)
    const above = i64x2.lt_s(thresholdUpper, drawnUpper)
    const level = i64x2.eq(thresholdUpper, drawnUpper)
    const least = i64x2.le_s(v128.load(table + second + at), drawnLower)
    count = i64x2.sub(count, v128.or(above, v128.and(level, least)))
  }
  return i64x2.extract_lane(count, 0) + i64x2.extract_lane(count, 1)
}

/**
 * Writes `count` numbers of 64 bits, and room for one more is needed. table: `entries` thresholds, an even number;
 * curvature: floor(2^67 / (2 sigma_0^2)), at most 2^64 - 1; stretch: k = 2^stretch, at most 48.
 */
export function wideGaussian(
  into: usize,
  count: usize,
  table: usize,
  entries: usize,
  curvature: u64,
  stretch: u64,
): void {
  const end = into + (count << 3)
  const offsets = ((1 as u64) << stretch) - 1
  let place = into
  while (place < end) {
    const portion = nextPortion()
    for (let from = portion; from < portion + 256 && place < end; from += CANDIDATE_BYTES) {
      const base = reached(table, entries, load<u64>(from), load<u64>(from, 8))
      const third = load<u64>(from, 16)
      const last = load<u64>(from, 24)
      const offset = third & offsets
      // u / k in units of 2^-64; a shift by 64 would be a shift by none
      const f = (offset << (63 - stretch)) << 1
      const twice = base << 1
      const slope =
        (high(curvature, f) >> 7) + ((twice * (curvature >> 32)) << 25) + ((twice * (curvature & LOW)) >> 7)
      // the exponent in units of 2^-60: whole multiples of ln 2, and the rest in units of 2^-64
      const exponent = high(slope, f)
      const halvings = high(exponent, PER_LN2) >> 59
      const rest = (exponent << 4) - halvings * LN2
      let p = load<u64>(TERMS)
      for (let j: usize = 1; j <= DEGREE; j++) p = load<u64>(TERMS + (j << 3)) - high(rest, p)
      const sign = last & 1
      const size = (base << stretch) + offset
      store<u64>(place, (size ^ (0 - sign)) + sign)
      const kept =
        ((last >> 1 < p) as usize) &
        ((((third >> 48) & (((1 as u64) << halvings) - 1)) === 0) as usize) &
        (((size | (sign ^ 1)) !== 0) as usize)
      place += kept << 3
    }
  }
}
