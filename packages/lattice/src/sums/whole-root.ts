/** The smallest whole number whose square is at least x, for x >= 0. */
export const rootUp = (x: bigint): bigint => {
  if (x <= 1n) return x
  // Newton's iteration from above falls until it reaches the floor of the root
  let root = 1n << BigInt((x.toString(2).length + 1) >> 1)
  for (;;) {
    const next = (root + x / root) >> 1n
    if (next >= root) break
    root = next
  }
  return root * root === x ? root : root + 1n
}

/** The smallest e with 2^e >= x, for x >= 1. */
export const bitsUp = (x: bigint): number => (x - 1n === 0n ? 0 : (x - 1n).toString(2).length)
