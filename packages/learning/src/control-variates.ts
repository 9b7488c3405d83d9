import { ConsiliumError } from "@consilium/base/errors"
import { type Correction, checkCorrection } from "./correction.js"
import { checkPositive, checkWhole } from "./settings.js"
import { settled } from "./train.js"

/** How far a round's steps go: what turns a change of the model into a gradient. */
export interface StepRule {
  /** Local steps of a round, K. */
  readonly steps: number
  /** The rate of those steps, eta. */
  readonly learningRate: number
}

const reachOf = ({ steps, learningRate }: StepRule): number => {
  checkWhole("number of steps", steps, 1)
  checkPositive("learning rate", learningRate)
  return steps * learningRate
}

/**
 * A facility's control variate after a round in which its update counted. It is a function of that update and of what was
 * known before the round: no row is read.
 *
 * Math:   c_i <- c_i - c - u / (K eta), u = w_local - w_global
 * Shape:  update, own and common: one length
 * Source: Karimireddy et al. 2020, arXiv:1910.06378, algorithm 1, line 12, option II
 * @throws {ConsiliumError} "learning/bad-parameters", "learning/bad-setting", "learning/diverged"
 */
export const nextControl = (correction: Correction, update: Float64Array, rule: StepRule): Float64Array => {
  const reach = reachOf(rule)
  checkCorrection(correction, update.length)
  const { own, common } = correction
  return settled(update.map((u, j) => (own[j] as number) - (common[j] as number) - u / reach))
}

/**
 * The common control variate after a round. What a facility's own one moves by is, under option II, -c - u / (K eta): it
 * follows from its update and from what everybody knows, and the mean of it from the mean update. So facilities send
 * updates and nothing beside them.
 *
 * Math:   c <- c + share mean(c_i' - c_i) = c + share (-mean(u) / (K eta) - c), share = cohort / enrolled
 * Shape:  common and meanUpdate: one length
 * Source: Karimireddy et al. 2020, algorithm 1, line 17, with the means weighted as those of the updates are
 * @throws {ConsiliumError} "learning/bad-parameters", "learning/bad-setting", "learning/diverged"
 */
export const movedCommon = (
  common: Float64Array,
  meanUpdate: Float64Array,
  share: number,
  rule: StepRule,
): Float64Array => {
  const reach = reachOf(rule)
  checkCorrection({ own: common, common }, meanUpdate.length)
  if (!(share > 0 && share <= 1))
    throw new ConsiliumError(
      "learning/bad-setting",
      `A cohort is ${share} of those enrolled; a share above 0 and up to 1 was expected.`,
    )
  return settled(
    common.map((c, j) => {
      const pull = -(meanUpdate[j] as number) / reach
      // where everybody took part nothing of the old one is left, rounding included
      return share === 1 ? pull : c + share * (pull - c)
    }),
  )
}
