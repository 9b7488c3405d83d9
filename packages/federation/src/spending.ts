import type { Budget } from "./policy.js"

// When a person should hear of a budget before it stops a study, and in which words.

/** Share of a budget from which on its use is worth a warning. */
export const WARNING_SHARE = 0.8
/** Fewest further rounds that fit without a warning. */
export const WARNING_ROUNDS = 3

export type CapKind = "study" | "month" | "lifetime"

/** How much of a budget is spent. */
export interface CapSpending {
  readonly kind: CapKind
  /** The study's name, or the month; empty for the lifetime. */
  readonly name: string
  readonly cap: Budget
  /** In nats at the cap's delta; infinite where nothing bounds it. */
  readonly epsilon: number
}

/** How many more rounds of a study fit. */
export interface RoundsLeft {
  readonly study: string
  /** What has an end first; `planned` if all that are left fit. */
  readonly by: CapKind | "planned"
  readonly rounds: number
  /** Rounds that the study's plan has left. */
  readonly left: number
}

export interface SpendingWarning {
  /** `share`: most of a budget is spent. `rounds`: hardly any further round fits. */
  readonly kind: "share" | "rounds"
  readonly cap: CapKind
  /** One sentence for a person, with the numbers. */
  readonly says: string
}

const shown = (epsilon: number): string => (epsilon < Infinity ? epsilon.toFixed(2) : "without bound")

const budgetOf = (kind: CapKind, name: string): string =>
  ({
    study: `The privacy budget for the study ${name}`,
    month: `The privacy budget for ${name}, over all studies,`,
    lifetime: "The lifetime privacy budget, over all studies of all months,",
  })[kind]

/** A warning once most of a budget is spent, or null. */
export const shareWarning = ({ kind, name, cap, epsilon }: CapSpending): SpendingWarning | null => {
  const share = epsilon / cap.epsilon
  if (!(share >= WARNING_SHARE)) return null
  const used = share < 1 ? `${Math.floor(100 * share)} % used` : "used up"
  return {
    kind: "share",
    cap: kind,
    says: `${budgetOf(kind, name)} is ${used}: epsilon ${shown(epsilon)} of ${shown(cap.epsilon)} (delta ${cap.delta}).`,
  }
}

const endOf = (by: CapKind): string =>
  ({ study: "the study's budget", month: "this month's budget", lifetime: "the lifetime budget" })[by]

/** A warning when a budget ends a study's plan and hardly any further round fits, or null. */
export const roundsWarning = ({ study, by, rounds, left }: RoundsLeft): SpendingWarning | null => {
  if (by === "planned" || rounds >= WARNING_ROUNDS || rounds >= left) return null
  const planned = `${left} ${left === 1 ? "is" : "are"} still planned`
  const fit =
    rounds === 0
      ? `No further round of the study ${study} fits: ${endOf(by)} for patients' privacy is used up`
      : `Only ${rounds} more ${rounds === 1 ? "round" : "rounds"} of the study ${study} ${rounds === 1 ? "fits" : "fit"}: then ${endOf(by)} for patients' privacy is used up`
  return { kind: "rounds", cap: by, says: `${fit}, and ${planned}.` }
}
