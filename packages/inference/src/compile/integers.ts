/** What no plan's numbers reach: below it they can be scaled and are finite still. */
export const MOST_REACH = 2 ** 256

/** value 2^bits, rounded to a whole number; exact in the double's own digits. */
export const scaledInteger = (value: number, bits: number): bigint => {
  // a double times a power of two is exact until it leaves the range of doubles, which is far beyond MOST_REACH
  const scaled = value * 2 ** bits
  return Math.abs(scaled) < 2 ** 52 ? BigInt(Math.round(scaled)) : BigInt(scaled)
}

export const absolute = (value: bigint): bigint => (value < 0n ? -value : value)

/** A whole number that is not below a double. */
export const ceilingOf = (value: number): bigint => BigInt(Math.ceil(value))
