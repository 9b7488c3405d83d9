import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { type DistributedGaussian, distributedEvent, distributedRho } from "@consilium/privacy/distributed"
import { noiseBound, noiseShare } from "@consilium/privacy/distributed-noise"
import { type DpEvent, nonPrivateEvent } from "@consilium/privacy/events"
import type { FiguresPurpose } from "../purpose.js"
import type { Study } from "../study.js"
import { TAIL_BITS } from "../sum-noise.js"

// Figures are vectors of whole numbers, added under the study's protection like updates: what one patient adds is
// bounded, and with privacy every facility adds its share of noise.

/** What one row adds to a count, so that sums of values between 0 and 1 are on the same grid: one 256th. */
export const ROW = 256

/** Numbers of a statistics vector: rows, rows with the condition, and per feature sum, sum of squares and bins. */
export const statisticsLength = ({ statistics, model }: Pick<Study, "statistics" | "model">): number =>
  statistics === null ? 0 : 2 + model.features.length * (2 + statistics.bins)

/** Numbers of an evaluation vector: bins of the scores of those without and those with the condition. */
export const evaluationLength = ({ evaluation }: Pick<Study, "evaluation">): number =>
  evaluation === null ? 0 : 2 * evaluation.bins

/** Numbers of a purpose's vector. */
export const figuresLength = (
  study: Pick<Study, "statistics" | "evaluation" | "model">,
  purpose: FiguresPurpose,
): number => (purpose === "statistics" ? statisticsLength(study) : evaluationLength(study))

type Noisy = Pick<Study, "statistics" | "evaluation" | "model" | "cohort">

/**
 * What one patient moves a vector by at most, in its units.
 *
 * Math: statistics: ROW sqrt(2 + 3 F): every number it adds to gets at most ROW; evaluation: ROW, one bin
 */
export const figuresSensitivity = (study: Noisy, purpose: FiguresPurpose): number =>
  purpose === "statistics" ? ROW * Math.sqrt(2 + 3 * study.model.features.length) : ROW

const noiseOf = (study: Noisy, purpose: FiguresPurpose): number =>
  (purpose === "statistics" ? study.statistics : study.evaluation)?.noiseMultiplier ?? 0

/**
 * Each facility's share of the noise: enough that any cohort has all of it though the declared colluders take theirs off.
 *
 * Math: localSigma = z sensitivity / sqrt(k - c)
 */
const sharesOf = (study: Noisy, purpose: FiguresPurpose, dimension: number): DistributedGaussian => {
  const parties = study.cohort.minCohort - study.cohort.colluders
  const clip = figuresSensitivity(study, purpose)
  const localSigma = (noiseOf(study, purpose) * clip) / Math.sqrt(parties)
  return { clip, granularity: 1, localSigma, parties, dimension, beta: 0, whole: true }
}

/** What the opened figures cost every facility's patients: the whole sum, of which the declared colluders know their part. */
export const figuresEvent = (
  study: Noisy & Pick<Study, "statistics" | "evaluation" | "model">,
  purpose: FiguresPurpose,
): DpEvent => {
  const shares = sharesOf(study, purpose, figuresLength(study, purpose))
  // a search for the least noise begins with none
  return distributedRho(shares) < Number.POSITIVE_INFINITY ? distributedEvent(shares) : nonPrivateEvent
}

/**
 * Standard deviation of the noise on an opened sum of so many facilities, in its units; 0 without privacy.
 *
 * Math: localSigma sqrt(n)
 */
export const figuresNoise = (study: Noisy, purpose: FiguresPurpose, facilities: number): number =>
  noiseOf(study, purpose) === 0
    ? 0
    : sharesOf(study, purpose, figuresLength(study, purpose)).localSigma * Math.sqrt(facilities)

const noiseBoundOf = (study: Noisy, purpose: FiguresPurpose): number => {
  const dimension = figuresLength(study, purpose)
  if (noiseOf(study, purpose) === 0 || dimension === 0) return 0
  return noiseBound(sharesOf(study, purpose, dimension).localSigma, dimension, TAIL_BITS)
}

/** Largest honest magnitude of a number in a facility's vectors of figures; 0 in a study without any. */
export const figuresBound = (study: Noisy): number => {
  const { statistics, evaluation } = study
  return Math.max(
    statistics === null ? 0 : ROW * statistics.mostRows + noiseBoundOf(study, "statistics"),
    evaluation === null ? 0 : ROW * evaluation.mostRows + noiseBoundOf(study, "evaluation"),
  )
}

/**
 * A facility's vector with its share of noise, drawn within the bound that ranges are made for: a share beyond it, which
 * comes less than once in 2^128 draws, is drawn again, and no delta notices (see `TAIL_BITS`).
 */
export const withNoiseShare = (
  study: Noisy,
  purpose: FiguresPurpose,
  figures: Int32Array,
  random: RandomSource,
): Int32Array => {
  if (noiseOf(study, purpose) === 0) return figures
  const bound = BigInt(noiseBoundOf(study, purpose))
  for (;;) {
    const share = noiseShare(sharesOf(study, purpose, figures.length), random)
    if (share.every((value) => value <= bound && value >= -bound))
      return figures.map((value, i) => value + Number(share[i] as bigint))
  }
}

/** @throws {ConsiliumError} "round/too-many-rows" */
export const checkRows = (rows: number, most: number, what: string): void => {
  if (rows > most)
    throw new ConsiliumError(
      "round/too-many-rows",
      `This facility has more ${what} rows than the ${most} that the study's figures are made for.`,
      { remedy: "Raise most_rows in the study." },
    )
}

/** The first row of each patient, where privacy counts patients; else every row. */
export const rowsCounted = (
  study: Pick<Study, "privacy">,
  patients: ArrayLike<number>,
): readonly number[] => {
  if (study.privacy === null) return Array.from(patients, (_, row) => row)
  const seen = new Set<number>()
  return Array.from(patients, (patient, row) => ({ patient, row })).flatMap(({ patient, row }) => {
    if (seen.has(patient)) return []
    seen.add(patient)
    return [row]
  })
}
