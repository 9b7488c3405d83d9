import { nttPrimes } from "@consilium/lattice/ring/primes"
import { publicKeyNoise, roundingNoise, secretKeyNoise } from "@consilium/lattice/rlwe/noise"
import { type RlweParameters, rlweParameters } from "@consilium/lattice/rlwe/parameters"
import type { IntegerLinear } from "../model/integer-model.js"
import { MOST_ROUNDED_BITS, type WeightsMode } from "../plan/plan.js"
import { absoluteSum, type UnitAffine } from "./fold.js"
import { absolute, ceilingOf, MOST_REACH, scaledInteger } from "./integers.js"
import { bitsOf, type LayerProof, noPlan } from "./refusal.js"

const PRIME_BITS = 26
/** Degree and number of primes, smallest first. */
const SIZES: Readonly<Record<WeightsMode, readonly (readonly [number, number])[]>> = {
  shared: [
    [2048, 2],
    [4096, 3],
    [4096, 4],
  ],
  kept: [
    [4096, 3],
    [4096, 4],
    [8192, 5],
    [8192, 6],
    [8192, 7],
    [8192, 8],
  ],
}
const MOST_INPUT_BITS = 120
/** How much wider than the noise bound answers are drowned: two to this power. */
const FLOOD_MARGIN_BITS = 40
/** Doubles in the sums of bounds are rounded; this covers it. */
const SLACK = 1 + 2 ** -20

export interface LinearChoice {
  readonly parameters: RlweParameters
  readonly inputBits: number
  readonly weightBits: number
  readonly answerPrimes: number
  readonly floodBits: number | null
  readonly error: number
  readonly logitBound: number
  readonly integers: IntegerLinear
  readonly proof: readonly LayerProof[]
}

interface Scaled extends Omit<LinearChoice, "answerPrimes" | "proof"> {
  /** The largest whole number before primes are given up, noise and flooding included. */
  readonly largest: bigint
}

/**
 * The best split of the modulus between inputs and weights.
 *
 * Math:   sum_j X_j W_j + bias + noise, |X_j| <= 2^k, W_j = round(w_j 2^m); noise = e w + [encryption of zero + flooding];
 *         all of it below q / 2, in whole numbers, hence no wrap
 * Error:  noise / 2^(k+m), half a step for each rounded input and weight, and the roundings of doubles
 */
const bestScales = (
  parameters: RlweParameters,
  { weights, bias, off }: UnitAffine,
  mode: WeightsMode,
): Scaled | null => {
  const half = parameters.ring.modulus / 2n
  const bound = absoluteSum(weights) + Math.abs(bias)
  let best: Scaled | null = null
  for (let weightBits = 1; weightBits <= 30; weightBits++) {
    const whole = weights.map((w) => scaledInteger(w, weightBits))
    if (whole.some((w) => absolute(w) >= 1n << 30n)) break
    const sum = whole.reduce((total, w) => total + absolute(w), 0n)
    const own = sum * BigInt(secretKeyNoise(parameters))
    const floodable = own + (mode === "kept" ? ceilingOf(publicKeyNoise(parameters)) : 0n)
    const floodBits = mode === "kept" ? bitsOf(floodable) + FLOOD_MARGIN_BITS : null
    const noise = floodable + (floodBits === null ? 0n : 1n << BigInt(floodBits))
    for (let inputBits = MOST_INPUT_BITS; inputBits > 0; inputBits--) {
      const shifted = scaledInteger(bias, inputBits + weightBits)
      const largest = (sum << BigInt(inputBits)) + absolute(shifted) + noise
      // a logit of one must fit as well, where the model never reaches it
      if (largest >= half || 1n << BigInt(inputBits + weightBits) >= half) continue
      const step = 2 ** Math.max(0, inputBits - MOST_ROUNDED_BITS)
      const error =
        SLACK *
        ((Number(sum) * step * 0.5 + Number(noise) + 0.5) / 2 ** (inputBits + weightBits) +
          (weights.length * 0.5) / 2 ** weightBits +
          off)
      if (best === null || error < best.error)
        best = {
          parameters,
          inputBits,
          weightBits,
          floodBits,
          error,
          logitBound: bound + error,
          integers: { kind: "linear", weights: Int32Array.from(whole, Number), bias: shifted },
          largest,
        }
      break
    }
  }
  return best
}

/** The fewest primes that an answer can come back with: what is given up is rounded away. */
const withAnswerPrimes = (scaled: Scaled, mode: WeightsMode, wanted: number): LinearChoice | null => {
  const { largest, ...choice } = scaled
  const { parameters, inputBits, weightBits, logitBound } = scaled
  const { primes } = parameters
  const range = logitBound - scaled.error
  const proof = [
    {
      layer: "Layer 1 (linear)",
      low: -range,
      high: range,
      largest,
      room: parameters.ring.modulus / 2n,
    },
  ]
  for (
    let answerPrimes = mode === "kept" ? 1 : primes.length;
    answerPrimes <= primes.length;
    answerPrimes++
  ) {
    const dropped = primes.slice(answerPrimes).reduce((product, q) => product * BigInt(q), 1n)
    const added = answerPrimes === primes.length ? 0 : roundingNoise(parameters)
    const scale = 2 ** (inputBits + weightBits) / Number(dropped)
    const error = scaled.error + (SLACK * added) / scale
    const fits = largest / dropped + 1n + ceilingOf(added) < parameters.ringOf(answerPrimes).modulus / 2n
    if (fits && error <= wanted) return { ...choice, answerPrimes, error, logitBound: range + error, proof }
  }
  return null
}

/**
 * The smallest parameters that evaluate a linear model within an error.
 * @throws {ConsiliumError} "inference/no-plan" if there are none
 */
export const chooseLinear = (model: UnitAffine, mode: WeightsMode, wanted: number): LinearChoice => {
  let least = Infinity
  const reach = absoluteSum(model.weights) + Math.abs(model.bias)
  for (const [degree, count] of reach < MOST_REACH ? SIZES[mode] : []) {
    if (model.weights.length > degree) continue
    const parameters = rlweParameters({ degree, primes: nttPrimes(degree, PRIME_BITS, count) })
    const scaled = bestScales(parameters, model, mode)
    if (scaled === null) continue
    least = Math.min(least, scaled.error)
    const choice = withAnswerPrimes(scaled, mode, wanted)
    if (choice !== null) return choice
  }
  return noPlan(
    `Layer 1 (linear): logits reach ${reach.toPrecision(3)} over the declared ranges, and no parameters hold them with an ` +
      `error of ${wanted}; the least found is ${least.toPrecision(3)}.`,
  )
}
