import { ConsiliumError } from "@consilium/base/errors"
import type { InferencePlan } from "../plan/plan.js"

/** How many answers one asker may have of one model, whatever keys it uses: plain data, stored before an answer is sent. */
export interface AnswerBudget {
  readonly allowed: number
  readonly spent: number
}

/**
 * The most answers that do not determine a linear model by themselves: one for each column. One more gives all weights and the bias.
 * Fewer hide more; what is known of the weights beforehand counts as well.
 */
export const mostAnswers = ({ schema }: InferencePlan): number => schema.columns.length

/**
 * The budget after some answers: patients, not requests. Also for blocks that are reserved ahead.
 * @throws {ConsiliumError} "inference/budget-spent" if it does not hold them; "inference/malformed" if a number is none
 */
export const spendAnswers = (budget: AnswerBudget, answers: number): AnswerBudget => {
  const { allowed, spent } = budget
  if (![allowed, spent, answers].every((n) => Number.isSafeInteger(n) && n >= 0) || answers < 1)
    throw new ConsiliumError("inference/malformed", "Budgets and answers are counted in whole numbers.")
  if (answers > allowed - spent)
    throw new ConsiliumError(
      "inference/budget-spent",
      `${answers} answers are asked for; ${Math.max(0, allowed - spent)} of ${allowed} are left.`,
    )
  return { allowed, spent: spent + answers }
}
