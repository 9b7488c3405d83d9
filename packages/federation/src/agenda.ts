import { bestBeforeStop, type EvaluatedRound } from "./figures/evaluation.js"
import { isEvaluated } from "./figures/study-figures.js"
import type { Place } from "./purpose.js"
import type { Study } from "./study.js"

/** An attempt that may be announced, when keys are in order. */
export type Due = Place & { readonly purpose: "update" | "statistics" | "evaluation" }

/** What a study begins with. */
export const firstDue = ({ statistics }: Pick<Study, "statistics">): Due =>
  statistics === null
    ? { purpose: "update", round: 1, attempt: 1 }
    : { purpose: "statistics", round: 0, attempt: 1 }

/**
 * What follows what is done or given up: the evaluation of a round that has one, the next round, or nothing, and the study is
 * finished. Everybody who reads the log comes to the same.
 */
export const dueAfter = (
  study: Study,
  { purpose, round }: Pick<Place, "purpose" | "round">,
  evaluated: readonly EvaluatedRound[],
): Due | null => {
  if (purpose === "update" && isEvaluated(study, round)) return { purpose: "evaluation", round, attempt: 1 }
  if (round >= study.rounds || bestBeforeStop(study, evaluated) !== null) return null
  return { purpose: "update", round: round + 1, attempt: 1 }
}
