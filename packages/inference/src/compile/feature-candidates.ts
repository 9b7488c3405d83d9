import { MOST_MODULUS_BITS } from "@consilium/lattice/rlwe/parameters"
import type { SlotNetwork } from "../model/integer-model.js"
import { type FeatureLayout, featureLayout, widthAbove } from "../plan/feature-layout.js"
import { stagePlaces } from "../plan/feature-stages.js"
import { MOST_KEY_BYTES } from "../wire/head.js"

const PRIME_BITS = [26, 27, 28, 29, 30] as const
const MOST_SPECIAL = 7

/** Numbers of primes: before the first layer, and those that are left at each activation. */
interface Depths {
  readonly first: number
  readonly left: readonly number[]
}

/** A product takes about as many primes as its degree, or one more; the first layer one or two. */
const depthsOf = (degrees: readonly number[]): readonly Depths[] => {
  const last = degrees[degrees.length - 1] as number
  let left: readonly (readonly number[])[] = [[last], [last + 1]]
  for (const degree of degrees.slice(0, -1).reverse())
    left = left.flatMap((later) =>
      [degree, degree + 1].map((given) => [(later[0] as number) + given, ...later]),
    )
  return left.flatMap((all) => [1, 2].map((given) => ({ first: (all[0] as number) + given, left: all })))
}

/** What is tried: primes of so many bits, given up at these places. */
export interface Candidate extends Depths {
  readonly degree: number
  readonly bits: number
  readonly special: number
  /** Of keys and a request, to choose by: the time of a server grows with them as well. */
  readonly bytes: number
}

/** Rotations and products of each stage. */
const stageSwitchCounts = (layout: FeatureLayout): readonly number[] =>
  stagePlaces(layout).map((places, stage) => new Set(places).size + (stage === 0 ? 0 : 1))

export const layoutFor = (network: SlotNetwork, degree: number): FeatureLayout =>
  featureLayout(
    degree,
    network.layers[0]?.weights[0]?.length ?? 0,
    network.layers.map(({ weights }) => widthAbove(weights.length)),
  )

/** The candidates of a degree that are within the table of secure parameters, fewest bytes first. */
export const candidatesOf = (network: SlotNetwork, degree: number): readonly Candidate[] => {
  const layout = layoutFor(network, degree)
  const counts = stageSwitchCounts(layout)
  const degrees = network.layers.map(({ slopes }) => (slopes.length === 0 ? 2 : 3))
  const bytesOf = ({ first, left }: Depths, bits: number, special: number): number => {
    const limbs = counts.reduce((sum, count, stage) => {
      const own = left[stage - 1] ?? first
      return sum + count * Math.ceil(own / special) * (own + special)
    }, layout.ciphertexts * first)
    return (limbs * bits * degree) / 8
  }
  return depthsOf(degrees)
    .flatMap((depths) =>
      PRIME_BITS.flatMap((bits) => {
        const room = Math.floor((MOST_MODULUS_BITS[degree] as number) / bits) - depths.first
        const own = Array.from({ length: Math.min(room, MOST_SPECIAL) }, (_, k): Candidate => {
          const special = k + 1
          return { ...depths, degree, bits, special, bytes: bytesOf(depths, bits, special) }
        })
        return own.sort((a, b) => a.bytes - b.bytes).slice(0, 1)
      }),
    )
    .filter(({ bytes }) => bytes <= MOST_KEY_BYTES)
    .sort((a, b) => a.bytes - b.bytes)
}
