import { type RandomSource, uniformUnit } from "@consilium/base/random"
import type { Examples } from "@consilium/learning/data"

/**
 * Invented patients that are put among a facility's own, to see how well an update betrays them. Each has a feature that
 * nobody else has, so that what it moves can be told from what all others move: the sharpest test there is.
 */
export interface Canaries {
  /** The facility's own rows, to which the canaries are added. */
  readonly background: Examples
  readonly count: number
  /** The value of a canary's own feature: large, so that its gradient is clipped and has hardly a share in the bias. */
  readonly size: number
}

/** A coin for each canary. */
export const tossCoins = (count: number, random: RandomSource): readonly boolean[] =>
  Array.from({ length: count }, () => uniformUnit(random) < 0.5)

/** Labels in turn, so that what canaries do to the bias cancels. */
const labelOf = (canary: number): number => canary % 2

/**
 * The facility's rows, wider by one column a canary, and the canaries that are in.
 *
 * Shape: background.columns + count columns; background.rows + those included
 */
export const withCanaries = (
  { background, count, size }: Canaries,
  included: readonly boolean[],
): Examples => {
  const chosen = Array.from({ length: count }, (_, canary) => canary).filter((canary) => included[canary])
  const columns = background.columns + count
  const rows = background.rows + chosen.length
  const features = new Float64Array(rows * columns)
  const labels = new Uint8Array(rows)
  labels.set(background.labels)
  for (let row = 0; row < background.rows; row++)
    features.set(
      background.features.subarray(row * background.columns, (row + 1) * background.columns),
      row * columns,
    )
  for (const [i, canary] of chosen.entries()) {
    const row = background.rows + i
    features[row * columns + background.columns + canary] = size
    labels[row] = labelOf(canary)
  }
  return { rows, columns, features, labels }
}

/**
 * How far an update goes the way of each canary's clipped gradient: the likelihood ratio's only statistic, since the
 * noise is the same in all directions.
 *
 * Math:   the weight of the canary's own feature, towards its label
 * Shape:  update: background.columns + count + 1; result: count
 * Source: Steinke, Nasr, Jagielski 2023 (arXiv:2305.08846), section 6; Nasr et al. 2023, arXiv:2302.07956
 */
export const canaryScores = (
  update: ArrayLike<number>,
  { background, count }: Pick<Canaries, "background" | "count">,
): Float64Array =>
  Float64Array.from(
    { length: count },
    (_, canary) => (2 * labelOf(canary) - 1) * (update[background.columns + canary] as number),
  )
