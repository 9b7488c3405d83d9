import { type Codec, list, record, u8, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type FeatureLayout, featureLayout, MOST_WIDTH, widthAbove } from "./feature-layout.js"

/** One hidden layer of a network whose features lie in slots. */
export interface FeatureLayer {
  /** Its units. */
  readonly width: number
  /** The activation's degree. */
  readonly degree: 2 | 3
  /** What goes into the activation is multiplied by two to this power. */
  readonly scaleBits: number
  /** How many primes are left there. */
  readonly primes: number
}

/** What asker and server agree on beyond the plan where features lie in slots; public, and without a weight. */
export interface FeatureProgram {
  /** Primes that only key switching uses. */
  readonly specialPrimes: readonly number[]
  readonly layers: readonly FeatureLayer[]
}

export const MOST_HIDDEN_LAYERS = 8
const MOST_SPECIAL = 16

const malformed = (message: string): never => {
  throw new ConsiliumError("inference/malformed", message)
}

const activationDegree: Codec<2 | 3> = {
  write: u8.write,
  read(reader) {
    const degree = u8.read(reader)
    return degree === 2 || degree === 3 ? degree : malformed(`A plan has an activation of degree ${degree}.`)
  },
}
const layerCodec = record({ width: u32, degree: activationDegree, scaleBits: u8, primes: u8 })

export const featureProgramCodec: Codec<FeatureProgram> = record({
  specialPrimes: list(u32, MOST_SPECIAL),
  layers: list(layerCodec, MOST_HIDDEN_LAYERS),
})

/** What of a plan a program is bound to. */
export interface FeatureRing {
  readonly degree: number
  readonly primes: readonly number[]
  readonly columns: number
}

/** Where the numbers of a program's layers lie. */
export const programLayout = ({ layers }: FeatureProgram, { degree, columns }: FeatureRing): FeatureLayout =>
  featureLayout(
    degree,
    columns,
    layers.map(({ width }) => widthAbove(width)),
  )

/**
 * Refuses a program whose numbers contradict each other or its plan's.
 * @throws {ConsiliumError} "inference/malformed"
 */
export const checkFeatureProgram = (
  { specialPrimes, layers }: FeatureProgram,
  { degree, primes }: Pick<FeatureRing, "degree" | "primes">,
): void => {
  if (specialPrimes.length < 1 || layers.length < 1)
    malformed("A plan with features in slots has no special prime, or no layer.")
  let left = primes.length
  layers.forEach((layer, i) => {
    if (layer.width < 1 || layer.width > Math.min(MOST_WIDTH, degree / 2))
      malformed(`Layer ${2 * i + 1} of a plan has ${layer.width} units.`)
    if (layer.primes < 1 || layer.primes >= left)
      malformed(`Layer ${2 * i + 1} of a plan leaves ${layer.primes} of ${left} primes.`)
    if (layer.scaleBits < 1) malformed(`Layer ${2 * i + 1} of a plan has no scale.`)
    left = layer.primes
  })
}

/**
 * What the weights of a layer are multiplied by: so that after the division by the primes that are given up its numbers have the scale
 * of the layer.
 *
 * Math: 2^T q_kept ... q_(l-1) / scale of what comes in
 */
export const weightScale = (
  { layers }: FeatureProgram,
  { primes, inputBits }: { readonly primes: readonly number[]; readonly inputBits: number },
  layer: number,
): number => {
  const { scaleBits, primes: kept } = layers[layer] as FeatureLayer
  const before = layers[layer - 1]
  const comesIn = before === undefined ? inputBits : before.degree * before.scaleBits
  return primes
    .slice(kept, before?.primes ?? primes.length)
    .reduce((scale, q) => scale * q, 2 ** (scaleBits - comesIn))
}
