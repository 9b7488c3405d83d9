import type { Architecture } from "./architecture.js"
import { checkExamples, type Examples } from "./data.js"
import { evaluate } from "./metrics.js"
import { type Grouping, shownGroups } from "./small-cells.js"

/** How a model does on one group of patients. Such a group has rows of both labels, so every figure is defined. */
export interface GroupFigures {
  readonly rows: number
  readonly positives: number
  readonly accuracy: number
  readonly balancedAccuracy: number
  readonly auc: number
  /** In nats per row. */
  readonly logLoss: number
}

/**
 * The groups that a feature's values fall into.
 *
 * Math:  with cuts c_1 < ... < c_k: group 0 below c_1, group i from c_i to below c_(i+1), group k from c_k on. Without
 *        cuts the feature answers yes or no: group 0 where it is 0, group 1 where it is 1; any other value belongs to none
 * Shape: cuts.length + 1 groups, or 2 without cuts
 */
export const groupingOf = (values: Float64Array, cuts: readonly number[]): Grouping => {
  const place = (value: number): number => {
    if (cuts.length === 0) return value === 0 || value === 1 ? value : -1
    return Number.isNaN(value) ? -1 : cuts.filter((cut) => value >= cut).length
  }
  return { groups: Math.max(2, cuts.length + 1), groupOf: Int32Array.from(values, place) }
}

const rowsOf = ({ columns, features, labels }: Examples, places: readonly number[]): Examples => ({
  rows: places.length,
  columns,
  features: Float64Array.from(
    places.flatMap((row) => [...features.subarray(row * columns, (row + 1) * columns)]),
  ),
  labels: Uint8Array.from(places, (row) => labels[row] as number),
})

/**
 * How a model does on groups of the given examples; null for a group that is not to be shown. The groupings are judged
 * together with the figures of all examples, which count as shown as well: see `shownGroups`.
 *
 * Shape: one row per grouping, one entry per group; patients and groupOf: one entry per example
 * @throws {ConsiliumError} "learning/bad-parameters", "learning/bad-examples" on input that does not fit
 */
export const evaluateGroups = (
  architecture: Architecture,
  parameters: Float64Array,
  examples: Examples,
  patients: ArrayLike<number>,
  groupings: readonly Grouping[],
): readonly (readonly (GroupFigures | null)[])[] => {
  checkExamples(examples)
  const shown = shownGroups(groupings, { labels: examples.labels, patients })
  return groupings.map(({ groupOf }, i) =>
    (shown[i] as readonly boolean[]).map((isShown, group) => {
      if (!isShown) return null
      const members = Array.from(groupOf.keys()).filter((row) => groupOf[row] === group)
      const { rows, positives, accuracy, balancedAccuracy, auc, logLoss } = evaluate(
        architecture,
        parameters,
        rowsOf(examples, members),
      )
      // a shown group has both labels
      return {
        rows,
        positives,
        accuracy: accuracy as number,
        balancedAccuracy: balancedAccuracy as number,
        auc: auc as number,
        logLoss: logLoss as number,
      }
    }),
  )
}
