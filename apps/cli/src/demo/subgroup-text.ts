import { SMALL_CELL } from "@consilium/learning/small-cells"
import type { GroupFiguresView, SubgroupView } from "@consilium/node/api/study-view"

const line = (
  label: string,
  { rows, positives, accuracy, balancedAccuracy, auc }: GroupFiguresView,
): string =>
  `  ${label.padEnd(34)} ${[accuracy, balancedAccuracy, auc].map((value) => value.toFixed(3)).join("   ")}  ${String(rows).padStart(6)} ${String(positives).padStart(6)}`

/** One group: all facilities as one, each that shows it, and who hides it. */
const groupText = (
  feature: string,
  { group, facilities, all }: SubgroupView["groups"][number],
  most: number,
): readonly string[] => {
  // of a one-hot feature the name of its column says what the groups are
  const label = `${feature.split("=")[0]}: ${group}`
  const shown = facilities.flatMap(({ facility, figures }) =>
    figures === null ? [] : [{ facility, figures }],
  )
  const hiding = facilities.flatMap(({ facility, figures }) => (figures === null ? [facility] : []))
  const names = hiding.length <= most ? hiding.join(", ") : `${hiding.length} facilities`
  return [
    all === null ? `  ${label.padEnd(34)} hidden for all together` : line(`${label}, all`, all),
    ...shown.slice(0, most).map(({ facility, figures }) => line(`  ${facility}`, figures)),
    ...(hiding.length > 0 ? [`    hidden by ${names}`] : []),
  ]
}

/** The figures by groups of patients, for a person; nothing where no facility reports any. */
export const subgroupText = (subgroups: readonly SubgroupView[], most: number): readonly string[] => {
  const told = subgroups.filter(({ groups }) => groups.some(({ facilities }) => facilities.length > 0))
  if (told.length === 0) return []
  return [
    "",
    "How well it does for groups          accuracy balanced AUC       rows    ill",
    ...told.flatMap(({ feature, groups }) => groups.flatMap((group) => groupText(feature, group, most))),
    `  (a group of fewer than ${SMALL_CELL} ill or ${SMALL_CELL} well patients is hidden, with what would give it away; of all together: means`,
    "  weighted by rows)",
  ]
}
