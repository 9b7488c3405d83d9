import type { Study } from "../study.js"
import { checkRows, ROW, rowsCounted, statisticsLength } from "./figures-vector.js"
import { mergedSmallBins } from "./small-bins.js"
import type { StudyStatistics } from "./study-figures.js"

/** Training rows in the units of the records. */
export interface RowsToCount {
  readonly rows: number
  readonly columns: number
  readonly features: Float64Array
  readonly labels: Uint8Array
  /** Whose each row is. */
  readonly patients: ArrayLike<number>
}

type Counting = Pick<Study, "privacy" | "model"> & { readonly statistics: StudyStatistics }

/** What is no number is the lowest: it must not make one of a sum, which every other patient is in. */
const placeOf = (value: number, { low, high }: StudyStatistics["ranges"][number]): number =>
  Math.min(1, Math.max(0, (value - low) / (high - low) || 0))

const binOf = (place: number, bins: number): number => Math.min(bins - 1, Math.floor(place * bins))

/**
 * A facility's statistics: how many rows it has and how many with the condition, and of each feature the sum, the sum of
 * squares and a histogram, with values between the declared ends as 0 to 1.
 *
 * Shape:  2 + F (2 + bins) whole numbers: rows, positives, then per feature sum, squares, bins
 * Units:  ROW for a row; sums in ROWs of the feature's range. With privacy each patient's first row alone is counted and its
 *         values are rounded one by one, so that one patient adds at most ROW to any number; without, sums are rounded once
 * @throws {ConsiliumError} "round/too-many-rows"
 */
export const countStatistics = (study: Counting, table: RowsToCount): Int32Array => {
  const { bins, ranges, mostRows } = study.statistics
  const counted = rowsCounted(study, table.patients)
  checkRows(counted.length, mostRows, "training")
  const out = new Float64Array(statisticsLength(study))
  const grid = study.privacy === null ? (value: number) => value : Math.round
  const add = (place: number, value: number): void => {
    out[place] = (out[place] as number) + value
  }
  for (const row of counted) {
    add(0, ROW)
    if (table.labels[row] === 1) add(1, ROW)
    for (const [j, range] of ranges.entries()) {
      const place = placeOf(table.features[row * table.columns + j] as number, range)
      const first = 2 + j * (2 + bins)
      add(first, grid(ROW * place))
      add(first + 1, grid(ROW * place * place))
      add(first + 2 + binOf(place, bins), ROW)
    }
  }
  return Int32Array.from(out, Math.round)
}

/** One bin of a feature: how many rows have a value in [from, to), the last one closed. */
export interface CountedBin {
  readonly from: number
  readonly to: number
  readonly rows: number
}

export interface FeatureStatistics {
  readonly feature: string
  readonly mean: number | null
  /** Of the rows as a population: divided by their number. */
  readonly deviation: number | null
  /** Lower quartile, median and upper quartile; each within a bin's width of the true one. */
  readonly quartiles: readonly [number, number, number] | null
  /** Bins in order; neighbours are joined until each has as many rows as the smallest group that is told, or none. */
  readonly histogram: readonly CountedBin[]
}

/** What all facilities' training rows have in common. */
export interface Statistics {
  readonly rows: number
  readonly positives: number
  readonly features: readonly FeatureStatistics[]
  /** Standard deviation of the noise on every count, in rows; 0 where nothing is noised. */
  readonly noise: number
}

/** The value below which a share of the rows lies, by straight lines within bins. */
const quantileOf = (histogram: readonly CountedBin[], share: number): number | null => {
  const rows = histogram.reduce((sum, bin) => sum + bin.rows, 0)
  if (rows <= 0) return null
  let left = share * rows
  for (const bin of histogram) {
    if (bin.rows > 0 && left <= bin.rows) return bin.from + (bin.to - bin.from) * (left / bin.rows)
    left -= bin.rows
  }
  return histogram.at(-1)?.to ?? null
}

const featureOf = (
  sum: Float64Array,
  { bins, ranges }: StudyStatistics,
  feature: string,
  j: number,
): FeatureStatistics => {
  const { low, high } = ranges[j] as StudyStatistics["ranges"][number]
  const width = high - low
  const first = 2 + j * (2 + bins)
  const rows = (sum[0] as number) / ROW
  const counts = Array.from({ length: bins }, (_, bin) => Math.max(0, (sum[first + 2 + bin] as number) / ROW))
  const fine = counts.map((count, bin) => ({
    from: low + (width * bin) / bins,
    to: low + (width * (bin + 1)) / bins,
    rows: count,
  }))
  const histogram = mergedSmallBins(fine)
  const inRange = (value: number): number => Math.min(high, Math.max(low, value))
  if (rows < 1) return { feature, mean: null, deviation: null, quartiles: null, histogram }
  const place = (sum[first] as number) / ROW / rows
  const square = (sum[first + 1] as number) / ROW / rows
  const quartiles = [0.25, 0.5, 0.75].map((share) => quantileOf(histogram, share))
  return {
    feature,
    mean: inRange(low + width * place),
    deviation: width * Math.sqrt(Math.max(0, square - place * place)),
    quartiles: quartiles.includes(null) ? null : (quartiles as [number, number, number]),
    histogram,
  }
}

/**
 * What an opened sum of statistics says. Counts that noise made negative are zero; few rows are not told: their bins are
 * joined with neighbours.
 *
 * Error: without privacy the mean is within 2^-9 / rows of a range of that of all rows, the deviation within about
 *        2^-8 / rows of a range where it is not near 0; quantiles within a bin
 */
export const readStatistics = (
  study: Pick<Study, "model"> & { readonly statistics: StudyStatistics },
  sum: Float64Array,
  noise: number,
): Statistics => {
  const { statistics, model } = study
  return {
    rows: Math.max(0, Math.round((sum[0] as number) / ROW)),
    positives: Math.max(0, Math.round((sum[1] as number) / ROW)),
    features: model.features.map((feature, j) => featureOf(sum, statistics, feature, j)),
    noise,
  }
}
