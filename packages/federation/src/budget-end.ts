import { toHex } from "@consilium/base/bytes"
import { bestBeforeStop, type EvaluatedRound } from "./figures/evaluation.js"
import type { Directory } from "./roster.js"
import type { Study } from "./study.js"

/** Code of the refusal of a facility whose budget for the study holds no further round. A spent budget never grows again. */
export const BUDGET_USED_UP = "policy/privacy-budget"

/**
 * Whether so many facilities have refused for a spent budget that those who are left are too few for any sum.
 * `usedUp` holds their ids in hexadecimal.
 */
export const budgetsEndIt = (study: Study, directory: Directory, usedUp: ReadonlySet<string>): boolean =>
  directory.facilities.filter(({ id }) => !usedUp.has(toHex(id))).length < study.cohort.minCohort

/** What is said at the end of a study whose rounds are all closed. */
export const COMPLETE = "The study is complete."

/** Why a study ends that nobody stopped: its rounds are closed, its model gets no better, or nobody may pay for another. */
export const endReason = (study: Study, closed: number, evaluated: readonly EvaluatedRound[]): string => {
  if (closed === study.rounds) return COMPLETE
  const best = bestBeforeStop(study, evaluated)
  return best !== null
    ? `The study stopped early, after round ${closed} of ${study.rounds}: its AUC has not risen since round ${best}.`
    : `The privacy budget is used up after round ${closed} of ${study.rounds}: too few facilities may spend on another round.`
}
