import { toHex } from "@consilium/base/bytes"
import { decode, f64Array } from "@consilium/base/encoding"
import {
  evaluationsOf,
  figuresOf,
  type OpenedFigures,
  statisticsOf,
} from "@consilium/federation/figures/opened-figures"
import type { Proposal, RoundSpec } from "@consilium/federation/messages"
import { type FiguresGiven, NO_FIGURES } from "@consilium/federation/privacy-plan"
import { type FiguresPurpose, subjectOf } from "@consilium/federation/purpose"
import { MAX_VALUES, type Study } from "@consilium/federation/study"
import { startAttempt } from "./round-fold.js"
import type { FiguresAttemptView, FiguresView } from "./study-view.js"

// Statistics and evaluations as the log shows them: their attempts, and what their sums were opened to.

/** Figures that were asked for and are not opened or given up yet. */
interface UnderWay {
  readonly purpose: FiguresPurpose
  readonly round: number
  readonly model: Uint8Array
  /** What they are about, which is charged once however often it is sent. */
  readonly subject: string
  readonly cohort: readonly Uint8Array[]
}

export interface FiguresFold {
  readonly underWay: UnderWay | null
  readonly opened: readonly OpenedFigures[]
  /** For each facility how many figures it has taken part in, and in what it did last. */
  readonly given: ReadonlyMap<string, FiguresGiven & { readonly subject: string }>
}

export const startFigures = (): FiguresFold => ({ underWay: null, opened: [], given: new Map() })

export const NO_FIGURES_VIEW: FiguresView = { attempts: [], statistics: null, evaluations: [] }

export const underWay = (
  fold: FiguresFold,
  purpose: FiguresPurpose,
  { round, model }: Pick<RoundSpec, "round" | "model">,
): FiguresFold => ({
  ...fold,
  underWay: { purpose, round, model, subject: toHex(subjectOf({ purpose, model })), cohort: [] },
})

export const nothingUnderWay = (fold: FiguresFold): FiguresFold =>
  fold.underWay === null ? fold : { ...fold, underWay: null }

export const certified = (fold: FiguresFold, { cohort }: Proposal): FiguresFold =>
  fold.underWay === null
    ? fold
    : { ...fold, underWay: { ...fold.underWay, cohort: cohort.map(({ facility }) => facility) } }

/** The fold in which facilities have sent what the figures under way ask for. */
export const withGiven = (fold: FiguresFold, names: readonly string[]): FiguresFold => {
  if (fold.underWay === null) return fold
  const { purpose, subject } = fold.underWay
  const given = new Map(fold.given)
  for (const name of names) {
    const before = given.get(name) ?? { ...NO_FIGURES, subject: "" }
    if (before.subject === subject) continue
    const what = purpose === "statistics" ? "statistics" : "evaluations"
    given.set(name, { ...before, [what]: before[what] + 1, subject })
  }
  return { ...fold, given }
}

export const givenBy = ({ given }: FiguresFold, facility: string): FiguresGiven =>
  given.get(facility) ?? NO_FIGURES

/** The fold with the sum that was opened of the figures under way. */
export const withSum = (study: Study, fold: FiguresFold, body: Uint8Array): FiguresFold => {
  if (fold.underWay === null) return fold
  const { purpose, round, model, cohort } = fold.underWay
  const sum = figuresOf(study, purpose, decode(f64Array(MAX_VALUES), body))
  return { ...fold, opened: [...fold.opened, { purpose, round, model, cohort, sum }] }
}

export const startFiguresAttempt = (
  purpose: FiguresPurpose,
  spec: RoundSpec,
  names: readonly string[],
  at: string,
): FiguresAttemptView => ({
  purpose,
  round: spec.round,
  ...startAttempt(spec, names, at),
  cohort: [],
  openers: [],
})

export const withLastAttempt = (
  view: FiguresView,
  change: (attempt: FiguresAttemptView) => FiguresAttemptView,
): FiguresView => {
  const last = view.attempts.at(-1)
  return last === undefined ? view : { ...view, attempts: [...view.attempts.slice(0, -1), change(last)] }
}

/** What opened figures say, with facilities by their names. */
export const figuresIn = (
  study: Study,
  opened: readonly OpenedFigures[],
  nameOf: (id: Uint8Array) => string,
): Omit<FiguresView, "attempts"> => ({
  statistics: statisticsOf(study, opened),
  evaluations: evaluationsOf(study, opened).map(({ cohort, ...evaluation }) => ({
    ...evaluation,
    facilities: cohort.map(nameOf).sort(),
  })),
})

export const figuresView = (
  study: Study,
  { attempts }: FiguresView,
  { opened }: FiguresFold,
  nameOf: (id: Uint8Array) => string,
): FiguresView => ({ attempts, ...figuresIn(study, opened, nameOf) })
