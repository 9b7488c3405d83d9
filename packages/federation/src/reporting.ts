import { type Encoded, f64, list, nullable, record, text, u32 } from "@consilium/base/encoding"
import type { Study } from "./study.js"

/** Most groupings of a study, and most cuts of one: what is shown of them is judged together, which takes time. */
export const MAX_SUBGROUPS = 6
export const MAX_CUTS = 7

const subgroupCodec = record({
  /** A feature of the model, in the units of the records. */
  feature: text(64),
  /** Where a group ends and the next begins, rising; none for a feature that answers yes (1) or no (0). */
  cuts: list(f64, MAX_CUTS),
  /** What the groups are called, in rising order of their values; none to call them by their values. */
  names: list(text(64), MAX_CUTS + 1),
})
/** Patients apart by one feature, such as women and men, or three ranges of age. */
export type Subgroup = Encoded<typeof subgroupCodec>

/** What is reported of the last model beside its figures on everybody held out. It decides nothing of the training. */
export const studyReportingCodec = record({ subgroups: list(subgroupCodec, MAX_SUBGROUPS) })

const groupFiguresCodec = record({
  rows: u32,
  positives: u32,
  accuracy: f64,
  balancedAccuracy: f64,
  auc: f64,
  logLoss: f64,
})

/** A facility's figures by the study's groupings and their groups, in the study's order; null for a group that is hidden. */
export const subgroupReportCodec = list(list(nullable(groupFiguresCodec), MAX_CUTS + 1), MAX_SUBGROUPS)
export type SubgroupReport = Encoded<typeof subgroupReportCodec>

export const groupCount = ({ cuts }: Pick<Subgroup, "cuts">): number => Math.max(2, cuts.length + 1)

/** What the groups of a grouping are called. */
export const groupNames = ({ cuts, names }: Subgroup): readonly string[] => {
  if (names.length > 0) return names
  if (cuts.length === 0) return ["0", "1"]
  return Array.from({ length: cuts.length + 1 }, (_, i) => {
    if (i === 0) return `under ${cuts[0]}`
    return i === cuts.length ? `${cuts[i - 1]} and over` : `${cuts[i - 1]} to under ${cuts[i]}`
  })
}

/** Whether a facility's report has a place for every group of the study, and nothing else. */
export const fitsSubgroups = ({ reporting }: Pick<Study, "reporting">, report: SubgroupReport): boolean =>
  report.length === reporting.subgroups.length &&
  reporting.subgroups.every((subgroup, i) => report[i]?.length === groupCount(subgroup))

const subgroupProblem = (
  { feature, cuts, names }: Subgroup,
  features: readonly string[],
): { readonly message: string; readonly remedy: string } | null => {
  if (!features.includes(feature))
    return {
      message: `Patients are to be told apart by ${feature}, which is no feature of the model.`,
      remedy: "Name a feature of the model in reporting.subgroups.",
    }
  if (cuts.some((cut, i) => !Number.isFinite(cut) || cut <= (cuts[i - 1] ?? Number.NEGATIVE_INFINITY)))
    return {
      message: `The cuts of ${feature} do not rise.`,
      remedy: "List the cuts of each grouping from the smallest to the largest, each once.",
    }
  if (names.length !== 0 && (names.length !== groupCount({ cuts }) || new Set(names).size !== names.length))
    return {
      message: `${names.length} names are given for the ${groupCount({ cuts })} groups of ${feature}, or one name twice.`,
      remedy: "Give each group a name of its own, or leave the names out.",
    }
  return names.includes("")
    ? { message: `A group of ${feature} has an empty name.`, remedy: "Give each group a name." }
    : null
}

/** What is wrong with a study's subgroups and what to do, or null. */
export const reportingProblem = (
  study: Study,
): { readonly message: string; readonly remedy: string } | null => {
  const { subgroups } = study.reporting
  const features = subgroups.map(({ feature }) => feature)
  if (subgroups.length > 0 && study.validation === "off")
    return {
      message: "Subgroups are declared in a study whose facilities report no figures.",
      remedy: "Set validation to report, or leave reporting.subgroups out.",
    }
  if (new Set(features).size !== features.length)
    return {
      message:
        "Patients are told apart by one feature twice: two sets of cuts could be subtracted from each other.",
      remedy: "Name every feature once in reporting.subgroups, with all its cuts.",
    }
  for (const subgroup of subgroups) {
    const problem = subgroupProblem(subgroup, study.model.features)
    if (problem !== null) return problem
  }
  return null
}
