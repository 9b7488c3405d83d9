import { bestBeforeStop, readEvaluation } from "./figures/evaluation.js"
import { evaluatedRounds, figuresOf, type OpenedFigures } from "./figures/opened-figures.js"
import { EARLY_STOP, recordRelease } from "./leader-release.js"
import type { LeaderState, Opening } from "./leader-state.js"
import { goOn, type Turn } from "./leader-turn.js"
import { attemptName, type FiguresPurpose } from "./purpose.js"

/** Keeps the figures that a sum was opened to, and goes on: no model comes of them. */
export const keepFigures = (
  turn: Turn,
  { attempt, proposal }: Opening,
  purpose: FiguresPurpose,
  sum: Float64Array,
): LeaderState => {
  const { study } = turn.context
  const { round, model } = attempt.spec
  const opened: OpenedFigures = {
    purpose,
    round,
    model,
    cohort: proposal.cohort.map(({ facility }) => facility),
    sum: figuresOf(study, purpose, sum),
  }
  turn.say({ type: "closed", spec: attempt.digest, accepted: model })
  turn.progress = { ...turn.progress, figures: [...turn.progress.figures, opened] }
  turn.tell(told(turn, opened))
  const best = bestBeforeStop(study, evaluatedRounds(study, turn.progress.figures))
  if (best !== null) {
    turn.tell(`the study stops early: its AUC has not risen since round ${best}`)
    if (best !== round)
      recordRelease(turn, best, EARLY_STOP, "no round since had a better AUC on the held-out patients")
  }
  return goOn(turn, { purpose, round })
}

const told = ({ context }: Turn, opened: OpenedFigures): string => {
  const name = attemptName({ ...opened, attempt: 1 })
  const { evaluation } = context.study
  if (opened.purpose === "statistics" || evaluation === null)
    return `${name}: ${opened.cohort.length} facilities`
  const { auc } = readEvaluation(evaluation, opened.sum, 0)
  return `${name}: ${opened.cohort.length} facilities, AUC ${auc === null ? "undefined" : auc.toFixed(3)}`
}
