import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { FacilityContext } from "./facility-state.js"
import { isEvaluated } from "./figures/study-figures.js"
import type { RoundSpec } from "./messages.js"
import { initialModel, modelHashOf } from "./model.js"
import type { Refusal } from "./policy.js"
import { isFigures } from "./purpose.js"

/**
 * Refuses figures that the study does not declare, or at another time or for another model than it does.
 * @throws {ConsiliumError} "round/unexpected"
 */
export const checkFiguresDue = ({ study }: FacilityContext, { purpose, round, model }: RoundSpec): void => {
  const refuse = (message: string): never => {
    throw new ConsiliumError("round/unexpected", message)
  }
  if (purpose === "statistics") {
    if (study.statistics === null || round !== 0)
      refuse("Statistics were asked for that the study does not declare.")
    if (!equalBytes(model, modelHashOf(study, initialModel(study))))
      refuse("Statistics were asked for with another model than the one every study begins with.")
  } else if (purpose === "evaluation") {
    if (round < 1 || !isEvaluated(study, round))
      refuse(`An evaluation of round ${round} was asked for that the study does not declare.`)
  } else if (purpose === "update" && round < 1) refuse("Rounds of updates begin with the first.")
}

/** Why this facility takes no part in figures, or null if it does. */
export const refuseFigures = ({ policy }: FacilityContext, { purpose }: RoundSpec): Refusal | null =>
  isFigures(purpose) && policy.figures === "none"
    ? {
        code: "policy/figures",
        reason: `This facility's policy takes no part in ${purpose === "statistics" ? "statistics" : "evaluations"} of all facilities together.`,
      }
    : null
