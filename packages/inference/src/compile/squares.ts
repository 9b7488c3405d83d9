import { log } from "@consilium/base/elementary"
import { nttPrimes } from "@consilium/lattice/ring/primes"
import { ERROR_DEVIATION, type RlweParameters, rlweParameters } from "@consilium/lattice/rlwe/parameters"
import type { IntegerSquares, IntegerUnit } from "../model/integer-model.js"
import type { ModelLayer } from "../model/model.js"
import { HEAD_BYTES, MOST_REQUEST_BYTES, SEED_BYTES } from "../wire/head.js"
import { absoluteSum, doublesOff, type UnitAffine } from "./fold.js"
import { absolute, ceilingOf, MOST_REACH, scaledInteger } from "./integers.js"
import { bitsOf, type LayerProof, noPlan } from "./refusal.js"

const PRIME_BITS = 26
/** Degree and number of primes, smallest first. */
const SIZES = [
  [4096, 4],
  [8192, 6],
  [8192, 8],
] as const
const MOST_INPUT_BITS = 45
const MOST_WEIGHT_BITS = 30
const FAILURE_BITS = 40
const SLACK = 1 + 2 ** -20

/** A logit as a sum of signed squares of affine functions of unit values. */
export interface SignedSquares {
  readonly units: readonly (UnitAffine & { readonly sign: 1 | -1 })[]
  readonly bias: number
  /** How far roundings of doubles take the bias from the model's, at most. */
  readonly off: number
}

type Dense = Extract<ModelLayer, { kind: "dense" }>

/** The activation as c_2 x^2 + c_1 x + c_0. */
const quadratic = (layer: ModelLayer, name: string): readonly [number, number, number] => {
  if (layer.kind === "square") return [0, 0, 1]
  const coefficients = layer.kind === "polynomial" ? layer.coefficients : []
  const [c0 = 0, c1 = 0, c2 = 0, ...higher] = coefficients
  if (c2 === 0 || higher.some((c) => c !== 0))
    return noPlan(
      `${name}: encrypted patients are multiplied once, by a square or a polynomial of degree two.`,
    )
  return [c0, c1, c2]
}

/**
 * A network of one hidden layer as a sum of signed squares, so that its second layer costs no bits and no product.
 *
 * Math: sum_i v_i (c_2 h_i^2 + c_1 h_i + c_0) + b = sum_i sign_i (sqrt(|v_i c_2|) (h_i + c_1 / (2 c_2)))^2 + b + sum_i v_i (c_0 - c_1^2 /
 *       (4 c_2))
 * Error: a small c_2 makes large squares of which little is left: their doubles' last digits count
 * @throws {ConsiliumError} "inference/no-plan" if the network is another one
 */
export const signedSquares = (
  layers: readonly ModelLayer[],
  fold: (weights: readonly number[], bias: number) => UnitAffine,
): SignedSquares => {
  const kinds = ["dense", "activation", "dense"]
  layers.forEach((layer, i) => {
    const name = `Layer ${i + 1} (${layer.kind})`
    const wanted = kinds[i]
    if (wanted === undefined || (wanted === "dense") !== (layer.kind === "dense"))
      noPlan(
        `${name}: what can be evaluated without keys is a dense layer, one activation, and a dense layer.`,
      )
  })
  if (layers.length !== kinds.length)
    noPlan(`Layer ${layers.length}: a dense layer, one activation and a dense layer are needed.`)
  const [first, activation, last] = layers as readonly [Dense, ModelLayer, Dense]
  const [c0, c1, c2] = quadratic(activation, `Layer 2 (${activation.kind})`)
  let bias = last.biases[0] as number
  let size = Math.abs(bias)
  const units = first.weights.flatMap((row, i) => {
    const v = last.weights[0]?.[i] as number
    bias += v * (c0 - (c1 * c1) / (4 * c2))
    size += Math.abs(v) * (Math.abs(c0) + (c1 * c1) / Math.abs(4 * c2))
    if (v * c2 === 0) return []
    const root = Math.sqrt(Math.abs(v * c2))
    const unit = fold(row, first.biases[i] as number)
    const sign: 1 | -1 = v * c2 > 0 ? 1 : -1
    const shift = c1 / (2 * c2)
    const off =
      (unit.off + doublesOff(0, absoluteSum(unit.weights) + Math.abs(unit.bias) + Math.abs(shift))) * root
    return [{ weights: unit.weights.map((w) => w * root), bias: (unit.bias + shift) * root, off, sign }]
  })
  return { units, bias, off: doublesOff(units.length, size) }
}

export interface SquaresChoice {
  readonly parameters: RlweParameters
  readonly inputBits: number
  readonly weightBits: number
  readonly error: number
  readonly logitBound: number
  readonly integers: IntegerSquares
  readonly proof: readonly LayerProof[]
}

/**
 * The largest error, in absolute value, of a slot among so many, but for a chance of 2^-40 in all.
 *
 * Math:   each part of a slot is a sum of N errors e_k and roundings r_k times cosines or sines, whose squares add to N / 2:
 *         sub-Gaussian with (sigma^2 + 1 / 4) N / 2, roundings taken as independent
 * Units:  whole numbers, before the scale
 */
export const slotNoise = (degree: number, slots: number): number =>
  Math.SQRT2 * Math.sqrt((ERROR_DEVIATION ** 2 + 0.25) * degree * (log(4 * slots) + FAILURE_BITS * Math.LN2))

/** The reach of every unit, and from where to where the sum of squares goes, in interval arithmetic. */
const intervals = ({ units, bias }: SignedSquares) => {
  const reaches = units.map((unit) => absoluteSum(unit.weights) + Math.abs(unit.bias))
  let [low, high] = [bias, bias]
  units.forEach(({ sign, weights, bias: shift }, i) => {
    const most = (reaches[i] as number) ** 2
    const least = Math.max(0, Math.abs(shift) - absoluteSum(weights)) ** 2
    low += sign > 0 ? least : -most
    high += sign > 0 ? most : -least
  })
  return { reaches, low, high }
}

/**
 * Whole numbers for two scales, or the layer that does not fit.
 *
 * Math:   G_i = sum_j A_ij X_j + B_i, out = sum_i sign_i G_i^2 + C; |X_j| <= 2^k + noise; |G_i| and |out| below q / 2, and so are the
 *         coefficients, which are at most the largest slot
 * Error:  |g_i' - g_i| <= t_i, half a step for each weight, the noise times the weights and the roundings of doubles; sum_i (2 |g_i| t_i +
 *         t_i^2), and what decoding a double loses of the squares
 */
const tryScales = (
  parameters: RlweParameters,
  squares: SignedSquares,
  noise: number,
  weightBits: number,
  inputBits: number,
) => {
  const half = parameters.ring.modulus / 2n
  const bits = inputBits + weightBits
  const largestInput = (1n << BigInt(inputBits)) + ceilingOf(noise)
  const { reaches, low, high } = intervals(squares)
  const decoded = reaches.reduce((sum, reach) => sum + reach * reach, Math.abs(squares.bias))
  let error = 0.5 / 2 ** (2 * bits) + squares.off + doublesOff(0, decoded)
  let [hidden, positive, negative] = [0n, 0n, 0n]
  const units: IntegerUnit[] = []
  for (const [i, unit] of squares.units.entries()) {
    const whole = unit.weights.map((w) => scaledInteger(w, weightBits))
    if (whole.some((w) => absolute(w) >= 1n << 30n)) return null
    const bias = scaledInteger(unit.bias, bits)
    const sum = whole.reduce((total, w) => total + absolute(w), 0n)
    const largest = sum * largestInput + absolute(bias)
    if (largest > hidden) hidden = largest
    if (unit.sign > 0) positive += largest * largest
    else negative += largest * largest
    const off =
      (unit.weights.length * 0.5) / 2 ** weightBits +
      0.5 / 2 ** bits +
      (Number(sum) * noise) / 2 ** bits +
      unit.off
    error += 2 * (reaches[i] as number) * off + off * off
    units.push({ weights: Int32Array.from(whole, Number), bias, sign: unit.sign })
  }
  const bias = scaledInteger(squares.bias, 2 * bits)
  const one = 1n << BigInt(2 * bits)
  const sum = (positive > negative ? positive : negative) + absolute(bias)
  // a logit of one must fit as well, where the model never reaches it
  const out = sum > one ? sum : one
  const room = half
  const most = Math.max(...reaches, 0)
  const proof: readonly LayerProof[] = [
    { layer: "Layer 1 (dense)", low: -most, high: most, largest: hidden, room },
    { layer: "Layer 2 (square)", low: 0, high: most * most, largest: hidden * hidden, room },
    { layer: "Layer 3 (dense)", low, high, largest: out, room },
  ]
  const tooLarge = proof.find((layer) => layer.largest >= layer.room)
  const integers: IntegerSquares = { kind: "squares", units, bias }
  return { error: error * SLACK, logitBound: Math.max(-low, high), integers, proof, tooLarge }
}

/** A logit of one must fit: 2 (k + m) is below the bits of half the modulus. */
const mostInputBits = (parameters: RlweParameters, weightBits: number): number =>
  Math.min(MOST_INPUT_BITS, Math.floor(bitsOf(parameters.ring.modulus / 2n) / 2) - weightBits)

const requestBytes = (columns: number, { ring }: RlweParameters): number =>
  HEAD_BYTES + columns * (ring.packedLength + SEED_BYTES)

/**
 * The smallest parameters that evaluate a sum of squares within an error.
 * @throws {ConsiliumError} "inference/no-plan" if there are none
 */
export const chooseSquares = (squares: SignedSquares, columns: number, wanted: number): SquaresChoice => {
  let least = Infinity
  const { reaches, low, high } = intervals(squares)
  const worst = Math.max(...reaches, 0) ** 2
  for (const [degree, count] of Math.max(worst, -low, high) < MOST_REACH ? SIZES : []) {
    const parameters = rlweParameters({ degree, primes: nttPrimes(degree, PRIME_BITS, count) })
    if (requestBytes(columns, parameters) > MOST_REQUEST_BYTES) break
    const noise = slotNoise(degree, (degree / 2) * columns)
    let best: SquaresChoice | null = null
    for (let weightBits = 4; weightBits <= MOST_WEIGHT_BITS; weightBits++)
      for (let inputBits = mostInputBits(parameters, weightBits); inputBits > 8; inputBits--) {
        const tried = tryScales(parameters, squares, noise, weightBits, inputBits)
        if (tried === null) break
        const { tooLarge, ...found } = tried
        if (tooLarge !== undefined) continue
        least = Math.min(least, found.error)
        if (best === null || found.error < best.error)
          best = { parameters, inputBits, weightBits, ...found, logitBound: found.logitBound + found.error }
        break
      }
    if (best !== null && best.error <= wanted) return best
  }
  const layer = worst > Math.max(-low, high) ? "Layer 2 (square)" : "Layer 3 (dense)"
  return noPlan(
    `${layer}: over the declared ranges its values reach ${Math.max(worst, -low, high).toPrecision(3)}, and no parameters hold them with an ` +
      `error of ${wanted}; the least found is ${least.toPrecision(3)}.`,
  )
}
