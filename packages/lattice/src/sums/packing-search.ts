import { log } from "@consilium/base/elementary"
import { productOf } from "../ring/crt.js"
import { nttPrimes } from "../ring/primes.js"
import { MOST_MODULUS_BITS } from "../rlwe/parameters.js"
import type { Packing } from "./value-codec.js"
import { bitsUp } from "./whole-root.js"

/** What is asked of a packing. */
export interface PackingDemand {
  readonly form: Packing["form"]
  readonly facilities: number
  readonly values: number
  /** The largest size of one facility's value. */
  readonly largest: number
  readonly degrees: readonly number[]
  /** What an opened coefficient may be off by, at most. */
  readonly noise: (degree: number) => bigint
  /** Fewest bits of the modulus and of Delta, for more room than the values need; 0 unless said otherwise. */
  readonly leastModulusBits?: number
  readonly leastDeltaBits?: number
}

export interface FoundPacking {
  readonly degree: number
  readonly primes: readonly number[]
  readonly packing: Packing
  /** Bytes of the whole vector. */
  readonly bytes: number
}

/** Delta = 2^56 is the largest that lanes are decoded from. */
const MOST_DELTA_BITS = 56
const MOST_LANES = 4
const MOST_LANE_BITS = 31
const [LEAST_PRIME, MOST_PRIME] = [26, 30]

/** Bits of a lane that holds every sum: ceil(log2(2 n B_u + 1)). */
export const laneBitsOf = (facilities: number, largest: number): number =>
  bitsUp(2n * BigInt(facilities) * BigInt(largest) + 1n)

/**
 * Whether values and noise fit. A 32nd of Delta / 2 is left over, so that an opening of what does not belong together is
 * noticed by its remainder: that all of 1024 random ones stay within the noise has probability (31 / 32)^1024 < 2^-46.
 */
export const packingFits = (
  modulus: bigint,
  packing: Packing,
  largestSum: bigint,
  noise: bigint,
): boolean => {
  const { form, lanes, laneBits, deltaBits } = packing
  if (form === "bfv") {
    const plainBits = BigInt(lanes * laneBits)
    const delta = modulus >> plainBits
    return delta >= 1n << 30n && 64n * (noise + (1n << (plainBits - 1n))) <= 31n * delta
  }
  const delta = 1n << BigInt(deltaBits)
  let reach = 0n
  for (let lane = 0; lane < lanes; lane++) reach += largestSum << BigInt(lane * laneBits)
  return (
    deltaBits <= MOST_DELTA_BITS && 64n * noise <= 31n * delta && reach * delta + delta / 2n <= modulus / 2n
  )
}

/** Sizes of the fewest primes of 26 to 30 bits that have so many bits together, the largest first; or null. */
const primeSizes = (bits: number): readonly number[] | null => {
  const count = Math.ceil(bits / MOST_PRIME)
  if (count * LEAST_PRIME > bits) return null
  const [size, larger] = [Math.floor(bits / count), bits % count]
  return Array.from({ length: count }, (_, i) => (i < larger ? size + 1 : size))
}
const primesOf = (degree: number, sizes: readonly number[]): readonly number[] =>
  [...new Set(sizes)].flatMap((size) => nttPrimes(degree, size, sizes.filter((s) => s === size).length))

/** About log2 of a whole number above zero, for people to read. */
export const bitsText = (x: bigint): string => {
  const shift = Math.max(0, x.toString(2).length - 53)
  return ((log(Number(x >> BigInt(shift))) / Math.LN2 + shift) as number).toFixed(1)
}

/** The packing that takes the fewest bytes for the whole vector; or null, and why each degree has none. */
export const searchPacking = (
  demand: PackingDemand,
): { readonly best: FoundPacking | null; readonly reasons: readonly string[] } => {
  const {
    form,
    facilities,
    values,
    largest,
    degrees,
    noise,
    leastModulusBits = 0,
    leastDeltaBits = 0,
  } = demand
  const laneBits = laneBitsOf(facilities, largest)
  if (laneBits > MOST_LANE_BITS)
    return {
      best: null,
      reasons: [`A lane of ${laneBits} bits is needed; the widest has ${MOST_LANE_BITS}.`],
    }
  const largestSum = BigInt(facilities) * BigInt(largest)
  let best: FoundPacking | null = null
  const reasons: string[] = []
  for (const degree of degrees) {
    const most = MOST_MODULUS_BITS[degree] ?? 0
    const room = noise(degree)
    const deltaBits = Math.max(leastDeltaBits, bitsUp((64n * room + 30n) / 31n))
    let found = false
    for (let lanes = 1; lanes <= MOST_LANES; lanes++) {
      const packing = { form, lanes, laneBits, deltaBits }
      const least = Math.max(leastModulusBits, lanes * laneBits + deltaBits - 1)
      for (let bits = least; bits <= most; bits++) {
        const sizes = primeSizes(bits)
        if (sizes === null) continue
        const primes = primesOf(degree, sizes)
        const modulus = productOf(primes)
        if (modulus.toString(2).length > most || !packingFits(modulus, packing, largestSum, room)) continue
        found = true
        const bytes = (Math.max(1, Math.ceil(values / (lanes * degree))) * bits * degree) / 8
        if (best === null || bytes < best.bytes) {
          const exact = form === "ckks" ? deltaBits : bits - lanes * laneBits - 1
          best = { degree, primes, packing: { ...packing, deltaBits: exact }, bytes }
        }
        break
      }
    }
    if (!found)
      reasons.push(
        `Degree ${degree}: one lane of ${laneBits} bits above Delta = 2^${deltaBits} does not fit into the ${most} bits ` +
          `of modulus that are safe${leastModulusBits === 0 ? "" : `, of which ${leastModulusBits} or more are asked for`}` +
          (form === "ckks" && deltaBits > MOST_DELTA_BITS
            ? `, and Delta is at most 2^${MOST_DELTA_BITS}.`
            : "."),
      )
  }
  return { best, reasons }
}
