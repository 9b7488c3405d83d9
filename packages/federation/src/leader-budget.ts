import { BUDGET_USED_UP, budgetsEndIt, endReason } from "./budget-end.js"
import { evaluatedRounds } from "./figures/opened-figures.js"
import { showLastModel } from "./leader-finishing.js"
import type { Attempt, LeaderState } from "./leader-state.js"
import type { Turn } from "./leader-turn.js"

/**
 * Ends the study with the model of the last closed round, where so many facilities have used up their budgets that no
 * attempt can ever have a cohort again; null if one may, or if there is no closed round to end with.
 */
export const endOnBudgets = (turn: Turn, attempt: Attempt): LeaderState | null => {
  // what is refused during figures or a ceremony may be late: an audit counts refusals of updates alone
  if (attempt.spec.purpose !== "update") return null
  const { study, directory } = turn.context
  const rounds = turn.progress.closed.length
  const usedUp = [...attempt.out].flatMap(([id, code]) => (code === BUDGET_USED_UP ? [id] : []))
  if (rounds === 0 || !budgetsEndIt(study, directory, new Set(usedUp))) return null
  const reason = endReason(study, rounds, evaluatedRounds(study, turn.progress.figures))
  turn.say({ type: "void", spec: attempt.digest, reason })
  turn.tell(reason)
  return showLastModel(turn, rounds)
}
