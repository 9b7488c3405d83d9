import type { Examples } from "@consilium/learning/data"
import { evaluateGroups, type GroupFigures, groupingOf } from "@consilium/learning/subgroups"
import { groupNames, type SubgroupReport } from "./reporting.js"
import type { Study } from "./study.js"
import { architectureOf } from "./training.js"

/** Held-out rows in the units of the records: where groups begin and end is said in those. */
export interface RowsInUnits {
  readonly names: readonly string[]
  readonly columns: number
  readonly features: Float64Array
  /** Whose each row is. */
  readonly patients: ArrayLike<number>
}

/**
 * How the last model does on the study's groups of a facility's held-out patients, with the small ones hidden and
 * whatever would give them away; null if the study declares none. A feature that the rows do not have hides its groups.
 *
 * Shape: holdOut and inUnits: the same rows in the same order
 */
export const measureSubgroups = (
  study: Study,
  parameters: Float64Array,
  holdOut: Examples,
  inUnits: RowsInUnits,
): SubgroupReport | null => {
  if (study.reporting.subgroups.length === 0) return null
  const { names, columns, features, patients } = inUnits
  const groupings = study.reporting.subgroups.map(({ feature, cuts }) => {
    const column = names.indexOf(feature)
    const values = Float64Array.from({ length: holdOut.rows }, (_, row) =>
      column < 0 ? Number.NaN : (features[row * columns + column] as number),
    )
    return groupingOf(values, cuts)
  })
  return evaluateGroups(architectureOf(study), parameters, holdOut, patients, groupings)
}

/** One group over all facilities that report groups. */
export interface GroupTable {
  readonly group: string
  /** Null where a facility hides the group. */
  readonly facilities: readonly { readonly facility: string; readonly figures: GroupFigures | null }[]
  /** All of them together; null if any of them hides the group, or none reports. */
  readonly all: GroupFigures | null
}

export interface SubgroupTable {
  readonly feature: string
  readonly groups: readonly GroupTable[]
}

/**
 * Figures of several facilities' patients as one: counts added, everything else as the mean over facilities, weighted by
 * rows. The AUC and the balanced accuracy of the union are not known; those given are means.
 */
const joined = (figures: readonly GroupFigures[]): GroupFigures => {
  const rows = figures.reduce((sum, one) => sum + one.rows, 0)
  const mean = (of: (one: GroupFigures) => number): number =>
    figures.reduce((sum, one) => sum + of(one) * one.rows, 0) / rows
  return {
    rows,
    positives: figures.reduce((sum, one) => sum + one.positives, 0),
    accuracy: mean(({ accuracy }) => accuracy),
    balancedAccuracy: mean(({ balancedAccuracy }) => balancedAccuracy),
    auc: mean(({ auc }) => auc),
    logLoss: mean(({ logLoss }) => logLoss),
  }
}

/**
 * The study's groups with what each facility reports of them, facilities in the order of their names. A group is joined over
 * facilities only where none of those that report hides it.
 */
export const subgroupTables = (
  study: Pick<Study, "reporting">,
  reports: readonly { readonly facility: string; readonly report: SubgroupReport }[],
): readonly SubgroupTable[] => {
  const inOrder = [...reports].sort((a, b) => (a.facility < b.facility ? -1 : 1))
  return study.reporting.subgroups.map((subgroup, i) => ({
    feature: subgroup.feature,
    groups: groupNames(subgroup).map((group, j) => {
      const facilities = inOrder.map(({ facility, report }) => ({
        facility,
        figures: report[i]?.[j] ?? null,
      }))
      const shown = facilities.flatMap(({ figures }) => figures ?? [])
      const whole = shown.length > 0 && shown.length === facilities.length
      return { group, facilities, all: whole ? joined(shown) : null }
    }),
  }))
}
