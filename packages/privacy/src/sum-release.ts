import { ConsiliumError } from "@consilium/base/errors"
import type { AdaptiveClipping } from "./adaptive-clipping.js"
import { clippedSum, gridSensitivity } from "./clipped-sum.js"
import { countedClippedSum, countedGrid } from "./counted-clipped-sum.js"
import {
  type DpEvent,
  discreteGaussianVectorEvent,
  discreteLaplaceEvent,
  mustBeCount,
  mustBeNonNegative,
  mustBePositive,
} from "./events.js"
import { checkStep, finestUsefulStep } from "./grid.js"
import { l1ClippedSum, l1GridSensitivity } from "./l1-clipped-sum.js"
import { type Layer, layerClippedSum, layerSensitivity, wholeNorm } from "./layer-clipped-sum.js"

/** How the rows of a sum are clipped. */
export type RowClipping =
  /** Each row as a whole. */
  | { readonly type: "flat" }
  /** Each layer to its own norm; together they have maxGradNorm. */
  | { readonly type: "per-layer"; readonly layers: readonly Layer[] }
  /** To a norm that follows a quantile of the rows' norms; maxGradNorm is the first. */
  | { readonly type: "adaptive"; readonly rule: AdaptiveClipping; readonly countSigma: number }

export interface SumReleaseParameters {
  /** Standard deviation (Laplace: scale) of the noise / what one row can move the sum. */
  readonly noiseMultiplier: number
  /** L2 norm (Laplace: L1 norm) to which each row is clipped. */
  readonly maxGradNorm: number
  /** Numbers in a row. */
  readonly dimension: number
  /** "gaussian" if left out. */
  readonly mechanism?: "gaussian" | "laplace"
  /** "flat" if left out. */
  readonly clipping?: RowClipping
  /**
   * Grid step, a power of two; if left out, the largest that adds at most a hundredth to the sensitivity. With adaptive
   * clipping it is a share of the clip norm.
   */
  readonly gridStep?: number
}

/** How rows become one vector of whole numbers, and which noise on it costs what. */
export interface SumRelease {
  /** What one noisy sum costs if all rows take part. */
  readonly event: DpEvent
  /** Standard deviation (Laplace: scale) of the noise on every entry, in grid steps. */
  readonly noise: number
  /** What one row adds to the last entry if it was not clipped, if that entry is a count; null if there is none. */
  readonly countWeight: number | null
  /** Grid step at a clip norm, in units of the rows. */
  step(clipNorm: number): number
  /** The clipped sum in whole steps, with the count as last entry if there is one. */
  sum(rows: readonly Float64Array[], clipNorm: number): Float64Array
}

/** How far the norm of all layers may lie from maxGradNorm, relative: decimals of a file are no exact roots. */
export const LAYER_NORM_TOLERANCE = 1e-6

const bad = (message: string, remedy?: string): never => {
  throw new ConsiliumError("privacy/bad-parameter", message, remedy === undefined ? {} : { remedy })
}

const gaussian = (noiseMultiplier: number, sensitivity: number): Pick<SumRelease, "event" | "noise"> => {
  const noise = noiseMultiplier * sensitivity
  return { noise, event: discreteGaussianVectorEvent(noise, sensitivity) }
}

const flat = ({ noiseMultiplier, maxGradNorm, dimension, gridStep }: SumReleaseParameters): SumRelease => {
  const step = gridStep ?? finestUsefulStep(maxGradNorm, dimension)
  checkStep(step)
  const grid = { maxNorm: maxGradNorm, dimension, step }
  return {
    ...gaussian(noiseMultiplier, gridSensitivity(grid)),
    countWeight: null,
    step: () => step,
    sum: (rows) => clippedSum(rows, grid),
  }
}

const perLayer = (parameters: SumReleaseParameters, layers: readonly Layer[]): SumRelease => {
  const { noiseMultiplier, maxGradNorm, dimension, gridStep } = parameters
  const step = gridStep ?? finestUsefulStep(maxGradNorm, dimension)
  const grid = { layers, step }
  checkStep(step)
  const sensitivity = layerSensitivity(grid)
  const size = layers.reduce((sum, layer) => sum + layer.size, 0)
  if (size !== dimension) bad(`Layers of ${size} numbers in all do not make rows of ${dimension}.`)
  const norm = wholeNorm(layers.map(({ maxNorm }) => maxNorm))
  if (Math.abs(norm / maxGradNorm - 1) > LAYER_NORM_TOLERANCE)
    bad(
      `Layers with a norm of ${norm} together are not rows with one of ${maxGradNorm}.`,
      "Choose norms whose squares add up to that of the whole.",
    )
  return {
    ...gaussian(noiseMultiplier, sensitivity),
    countWeight: null,
    step: () => step,
    sum: (rows) => layerClippedSum(rows, grid),
  }
}

const adaptive = (
  parameters: SumReleaseParameters,
  { rule, countSigma }: Extract<RowClipping, { type: "adaptive" }>,
): SumRelease => {
  const { noiseMultiplier, maxGradNorm, dimension, gridStep } = parameters
  mustBePositive("The least clip norm", rule.minimum)
  if (!(rule.minimum <= maxGradNorm && maxGradNorm <= rule.maximum))
    bad(`The first clip norm, ${maxGradNorm}, lies outside [${rule.minimum}, ${rule.maximum}].`)
  const relativeStep = gridStep ?? finestUsefulStep(1, dimension)
  const grid = countedGrid(noiseMultiplier, countSigma, dimension, relativeStep)
  if (!(rule.minimum >= 2 ** -400 && rule.maximum <= 2 ** 400))
    bad(`Clip norms from ${rule.minimum} to ${rule.maximum} leave no room for a grid.`)
  return {
    ...gaussian(noiseMultiplier, grid.sensitivity),
    countWeight: grid.weight,
    step: (clipNorm) => relativeStep * clipNorm,
    sum: (rows, clipNorm) => countedClippedSum(rows, clipNorm, grid),
  }
}

const laplace = ({ noiseMultiplier, maxGradNorm, dimension, gridStep }: SumReleaseParameters): SumRelease => {
  // sqrt(dimension) more in L1 than in L2: `dimension` coordinates move by half a step each
  const step = gridStep ?? finestUsefulStep(maxGradNorm, dimension * dimension)
  checkStep(step)
  const grid = { maxNorm: maxGradNorm, dimension, step }
  const sensitivity = l1GridSensitivity(grid)
  if (sensitivity < 1) bad("The grid is so coarse that nothing would be left of a row.", "Take a finer grid.")
  const noise = noiseMultiplier * sensitivity
  return {
    noise,
    event: discreteLaplaceEvent(noise, sensitivity),
    countWeight: null,
    step: () => step,
    sum: (rows) => l1ClippedSum(rows, grid),
  }
}

/**
 * A noisy sum of clipped rows: how it is made, and what it costs. Pure: it holds no noise and has spent nothing. No noise is
 * a price as well (all there is); who draws noise refuses it.
 *
 * Units:  noiseMultiplier: standard deviation / L2 sensitivity, or for Laplace noise scale / L1 sensitivity; neighbours by
 *         adding or removing one row
 * Source: `clippedSum`, `layerClippedSum`, `countedClippedSum`, `l1ClippedSum`
 * @throws {ConsiliumError} "privacy/bad-parameter" if a parameter makes no sense, or Laplace noise meets other than flat clipping
 */
export const sumRelease = (parameters: SumReleaseParameters): SumRelease => {
  const { noiseMultiplier, maxGradNorm, dimension, mechanism = "gaussian" } = parameters
  const { clipping = { type: "flat" } } = parameters
  mustBeNonNegative("A noise multiplier", noiseMultiplier)
  mustBePositive("A gradient norm", maxGradNorm)
  mustBeCount("A dimension", dimension, 1)
  if (mechanism === "laplace")
    return clipping.type === "flat"
      ? laplace(parameters)
      : bad(
          "Laplace noise goes with rows that are clipped as a whole.",
          "Take flat clipping, or Gaussian noise.",
        )
  switch (clipping.type) {
    case "flat":
      return flat(parameters)
    case "per-layer":
      return perLayer(parameters, clipping.layers)
    case "adaptive":
      return adaptive(parameters, clipping)
  }
}
