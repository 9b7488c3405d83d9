import type { ComparedFigures, ComparedStudy } from "./compared-study.js"

export const FIGURES = ["accuracy", "balancedAccuracy", "auc", "logLoss"] as const
export type Figure = (typeof FIGURES)[number]
export type Means = Readonly<Record<Figure, number | null>>

/** How a study differs from the first one; positive where it has more. Null where a difference would say nothing. */
export interface Difference {
  readonly id: string
  readonly sameModel: boolean
  /** The mean of the same facilities over the same number of rows. */
  readonly mean: Means | null
  readonly facilities: readonly ({ readonly facility: string; readonly comparable: boolean } & Means)[]
  readonly facilityBytes: number
  readonly seconds: number
  /** Of the largest over facilities; null unless both have one. */
  readonly epsilon: number | null
}

export interface Comparison {
  readonly studies: readonly (ComparedStudy & {
    /** The mean over the facilities that report, leaving out undefined figures. */
    readonly mean: Means
    /** The largest over facilities; null without differential privacy. */
    readonly epsilon: number | null
  })[]
  /** Each study beside the first. */
  readonly differences: readonly Difference[]
  /** What must be known before numbers are set side by side. */
  readonly notes: readonly string[]
}

const meanOf = (figures: readonly ComparedFigures[], of: Figure): number | null => {
  const defined = figures.flatMap((one) => one[of] ?? [])
  return defined.length === 0 ? null : defined.reduce((sum, value) => sum + value, 0) / defined.length
}

const eachFigure = (value: (of: Figure) => number | null): Means => ({
  accuracy: value("accuracy"),
  balancedAccuracy: value("balancedAccuracy"),
  auc: value("auc"),
  logLoss: value("logLoss"),
})

const NONE: Means = { accuracy: null, balancedAccuracy: null, auc: null, logLoss: null }

const gain = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : b - a)

const largestEpsilon = ({ privacy }: ComparedStudy): number | null => {
  const known = privacy.flatMap(({ epsilon }) => epsilon ?? [])
  return known.length === 0 ? null : Math.max(...known)
}

const rowsOf = (study: ComparedStudy, facility: string): number | null =>
  study.figures.find((one) => one.facility === facility)?.rows ?? null

const reporting = (studies: readonly ComparedStudy[]): readonly string[] =>
  [...new Set(studies.flatMap(({ figures }) => figures.map(({ facility }) => facility)))].sort()

/** Facilities whose hold-outs cannot be the same in both, with why. */
const otherHoldOuts = (first: ComparedStudy, other: ComparedStudy): readonly string[] =>
  reporting([first, other]).flatMap((facility) => {
    const [before, after] = [rowsOf(first, facility), rowsOf(other, facility)]
    if (before === after) return []
    const words = (rows: number | null): string =>
      rows === null ? "reports nothing" : `tests on ${rows} rows`
    return [`${facility} ${words(before)} in ${first.name} and ${words(after)} in ${other.name}`]
  })

const differenceOf = (first: ComparedStudy, other: ComparedStudy): Difference => {
  const same = otherHoldOuts(first, other).length === 0 && first.figures.length > 0
  return {
    id: other.id,
    sameModel: first.modelHash !== null && first.modelHash === other.modelHash,
    mean: same ? eachFigure((of) => gain(meanOf(first.figures, of), meanOf(other.figures, of))) : null,
    facilities: reporting([first, other]).map((facility) => {
      const before = first.figures.find((one) => one.facility === facility)
      const after = other.figures.find((one) => one.facility === facility)
      const comparable = before !== undefined && before.rows === after?.rows
      return {
        facility,
        comparable,
        ...(comparable ? eachFigure((of) => gain(before[of], after[of])) : NONE),
      }
    }),
    facilityBytes: other.bytes.facilities - first.bytes.facilities,
    seconds: other.seconds - first.seconds,
    epsilon: gain(largestEpsilon(first), largestEpsilon(other)),
  }
}

const notesOn = (first: ComparedStudy, other: ComparedStudy): readonly string[] => {
  const apart = otherHoldOuts(first, other)
  const [before, after] = [largestEpsilon(first), largestEpsilon(other)]
  return [
    ...(apart.length === 0
      ? []
      : [
          `The hold-outs differ, so that figures of ${first.name} and ${other.name} cannot be compared: ${apart.join("; ")}.`,
        ]),
    ...((before === null) === (after === null) || apart.length > 0
      ? []
      : [
          `One of ${first.name} and ${other.name} has differential privacy, and may hold out other patients: equal numbers of rows do not show that the patients are the same.`,
        ]),
  ]
}

/** Studies side by side, and how each differs from the first. */
export const comparisonOf = (studies: readonly ComparedStudy[]): Comparison => {
  const [first, ...others] = studies
  if (first === undefined) return { studies: [], differences: [], notes: [] }
  const early = studies.filter(({ state }) => state !== "complete")
  return {
    studies: studies.map((study) => ({
      ...study,
      mean: eachFigure((of) => meanOf(study.figures, of)),
      epsilon: largestEpsilon(study),
    })),
    differences: others.map((other) => differenceOf(first, other)),
    notes: [
      ...others.flatMap((other) => notesOn(first, other)),
      ...early.map(
        ({ name, state, rounds, reason }) =>
          `${name} is ${state} after ${rounds.closed}${rounds.planned === null ? "" : ` of ${rounds.planned}`} rounds${reason === null ? "" : ` (${reason})`}; its figures are those of its last closed round.`,
      ),
      ...studies
        .filter(({ figures }) => figures.length === 0)
        .map(({ name }) => `No facility reports figures in ${name}.`),
    ],
  }
}
