import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Accountant } from "./accountant.js"
import { nextClipNorm, unclippedShare } from "./adaptive-clipping.js"
import type { ClippedGrid } from "./clipped-sum.js"
import { discreteLaplace } from "./discrete-laplace.js"
import { type DpEvent, mustBeCount, mustBePositive, poissonSampledEvent } from "./events.js"
import { FAST_SIGMA_LIMIT, FastDiscreteGaussian } from "./fast-discrete-gaussian.js"
import { UPWARD } from "./mechanism.js"
import { poissonSample } from "./poisson-sample.js"
import { RandomBits } from "./random-bits.js"
import { compare, exactly, multiply, type Rational, toNumber } from "./rational.js"
import { type SumRelease, type SumReleaseParameters, sumRelease } from "./sum-release.js"

export interface DpOptimizerParameters extends SumReleaseParameters {
  /** Probability with which a row joins a batch; in (0, 1]. */
  readonly sampleRate: Rational | number
  /** How many rows there are; public. A patient with several records is one row: their gradients are summed first. */
  readonly datasetSize: number
  readonly learningRate: number
  readonly random: RandomSource
  /** What has been spent so far; the optimizer composes its steps onto it. */
  readonly accountant: Accountant
  /** With adaptive clipping: the norm to go on from, such as `clipNorm` of an earlier optimizer; maxGradNorm if left out. */
  readonly clipNorm?: number
}

/** Exact noise of a kind: discrete Gaussian of a standard deviation, or discrete Laplace of a scale. */
const samplerOf = (
  { noise }: SumRelease,
  mechanism: "gaussian" | "laplace",
  random: RandomSource,
): { samples(count: number): BigInt64Array } => {
  const exact = exactly(noise)
  return mechanism === "gaussian"
    ? new FastDiscreteGaussian(multiply(exact, exact), random)
    : { samples: (count) => discreteLaplace(exact, count, random) }
}

/** A double that is at least the rate, which a double need not hold exactly. */
const notBelow = (rate: Rational): number => {
  const nearest = toNumber(rate)
  return compare(exactly(nearest), rate) < 0 ? Math.min(1, nearest * UPWARD) : nearest
}

/**
 * DP-SGD for any model that gives one gradient per row: draws Poisson batches, clips, sums on a grid, adds exact
 * discrete noise, and charges the accountant for each step before its result leaves. Rows are clipped as a whole, layer by
 * layer, or to a norm that follows a quantile of theirs; the noise is Gaussian, or Laplace on rows clipped in L1.
 *
 *     const rows = [...optimizer.nextBatch()].map((row) => gradientOf(row))
 *     optimizer.step(parameters, rows)
 *
 * Math:   parameters -= learningRate / (q N) * step * (sum of clipped rows + N(0, sigma^2) on whole numbers),
 *         sigma = noiseMultiplier * sensitivity. The divisor is the expected batch size: the true one is private
 * Units:  noiseMultiplier is a ratio of standard deviation and sensitivity (not a variance); neighbours by adding or
 *         removing one row
 * Timing: the noise as `FastDiscreteGaussian` or `discreteLaplace`; the rest depends on the rows
 * Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1; adaptive clipping: Andrew et al. 2021, arXiv:1905.03871; the
 *         words are those of Opacus (Yousefpour et al. 2021)
 */
export class DpOptimizer {
  /** What one step costs. */
  readonly event: DpEvent
  /** Standard deviation (Laplace: scale) of the noise on each entry of a sum, in grid steps. */
  readonly sigma: number
  /** Mean size of a batch, which every sum is divided by. */
  readonly expectedBatchSize: number
  readonly #parameters: DpOptimizerParameters
  readonly #release: SumRelease
  readonly #noise: { samples(count: number): BigInt64Array }
  readonly #bits: RandomBits
  #accountant: Accountant
  #steps = 0
  #batch: number | null = null
  #clipNorm: number

  /** @throws {ConsiliumError} "privacy/bad-parameter" if a parameter makes no sense */
  constructor(parameters: DpOptimizerParameters) {
    const { maxGradNorm, datasetSize, learningRate, mechanism = "gaussian", clipping } = parameters
    this.#release = sumRelease(parameters)
    this.sigma = this.#release.noise
    mustBePositive("The noise of a sum", this.sigma)
    if (!(this.sigma <= FAST_SIGMA_LIMIT))
      throw new ConsiliumError(
        "privacy/bad-parameter",
        `The noise of ${this.sigma} grid steps exceeds 2^39.`,
        { remedy: "Take a coarser grid." },
      )
    mustBePositive("A learning rate", learningRate)
    mustBeCount("The number of rows", datasetSize, 1)
    if (parameters.accountant.relation !== "add-or-remove-one")
      throw new ConsiliumError(
        "privacy/bad-parameter",
        "Training on Poisson samples is accounted for neighbours that add or remove one row, and the accountant's replace one.",
      )
    const rate = exactly(parameters.sampleRate)
    if (rate.numerator <= 0n || rate.numerator > rate.denominator)
      throw new ConsiliumError("privacy/bad-parameter", "A sampling rate lies outside (0, 1].")
    this.#clipNorm = parameters.clipNorm ?? maxGradNorm
    if (clipping?.type === "adaptive") {
      const { minimum, maximum } = clipping.rule
      if (!(minimum <= this.#clipNorm && this.#clipNorm <= maximum))
        throw new ConsiliumError(
          "privacy/bad-parameter",
          `A clip norm of ${this.#clipNorm} lies outside [${minimum}, ${maximum}].`,
        )
      // a rule that makes no sense is refused now, not at the first step
      nextClipNorm(this.#clipNorm, 0, clipping.rule)
    } else if (this.#clipNorm !== maxGradNorm)
      throw new ConsiliumError("privacy/bad-parameter", "Only adaptive clipping goes on from another norm.")
    this.expectedBatchSize = toNumber(multiply(rate, exactly(datasetSize)))
    this.event = poissonSampledEvent(notBelow(rate), this.#release.event)
    this.#parameters = parameters
    this.#accountant = parameters.accountant
    this.#noise = samplerOf(this.#release, mechanism, parameters.random)
    this.#bits = new RandomBits(parameters.random)
  }

  /** The accountant with all steps taken so far. */
  get accountant(): Accountant {
    return this.#accountant
  }
  /** The norm that the next sum is clipped to; it changes with every sum if clipping is adaptive. */
  get clipNorm(): number {
    return this.#clipNorm
  }
  /** The grid of the next sum. */
  get grid(): ClippedGrid {
    const { dimension } = this.#parameters
    return { maxNorm: this.#clipNorm, dimension, step: this.#release.step(this.#clipNorm) }
  }
  /** How many noisy sums have been given. */
  get steps(): number {
    return this.#steps
  }

  /**
   * The rows of the next batch, which may be none. Asking again before a step draws anew; nothing has been released.
   */
  nextBatch(): Uint32Array {
    const rows = poissonSample(this.#parameters.sampleRate, this.#parameters.datasetSize, this.#bits)
    this.#batch = rows.length
    return rows
  }

  /**
   * The noisy sum of the batch's clipped gradients, in steps of `grid` as it was before the call; an empty batch gives noise
   * alone. Charged whether or not it is used. With adaptive clipping the noisy count of unclipped rows, which is part of the
   * same release, then moves `clipNorm`: a function of what was released, so it costs nothing more.
   * @throws {ConsiliumError} "privacy/wrong-batch" if there is no batch or the rows are not as many as it has;
   *   "privacy/bad-parameter" if a row is unusable. Neither charges or uses up the batch.
   */
  noisyClippedSum(rows: readonly Float64Array[]): BigInt64Array {
    if (rows.length !== this.#batch)
      throw new ConsiliumError(
        "privacy/wrong-batch",
        this.#batch === null
          ? "A step was taken without a batch."
          : "The gradients are not those of the batch.",
      )
    const sum = this.#release.sum(rows, this.#clipNorm)
    this.#accountant = this.#accountant.compose(this.event)
    this.#batch = null
    this.#steps++
    const noisy = this.#noise.samples(sum.length)
    for (let i = 0; i < sum.length; i++) noisy[i] = (noisy[i] as bigint) + BigInt(sum[i] as number)
    const { dimension, clipping } = this.#parameters
    const { countWeight } = this.#release
    if (clipping?.type !== "adaptive" || countWeight === null) return noisy
    const halves = Number(noisy[dimension] as bigint) / (2 * countWeight)
    const share = unclippedShare(halves, this.expectedBatchSize)
    this.#clipNorm = nextClipNorm(this.#clipNorm, share, clipping.rule)
    return noisy.slice(0, dimension)
  }

  /**
   * One step of gradient descent on `parameters`, in place.
   * @throws {ConsiliumError} as `noisyClippedSum`; "privacy/bad-parameter" if the parameters have another dimension
   */
  step(parameters: Float64Array, rows: readonly Float64Array[]): void {
    const { step, dimension } = this.grid
    if (!(parameters instanceof Float64Array) || parameters.length !== dimension)
      throw new ConsiliumError(
        "privacy/bad-parameter",
        `The parameters are no Float64Array of ${dimension} numbers.`,
      )
    const sum = this.noisyClippedSum(rows)
    const factor = (this.#parameters.learningRate * step) / this.expectedBatchSize
    for (let i = 0; i < sum.length; i++)
      parameters[i] = (parameters[i] as number) - factor * Number(sum[i] as bigint)
  }
}
