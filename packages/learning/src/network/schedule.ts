import { ConsiliumError } from "@consilium/base/errors"
import { cosPi } from "../circle.js"
import { checkPositive, checkWhole } from "../settings.js"

/** How the learning rate goes from step to step. */
export type Schedule =
  | { readonly kind: "constant"; readonly rate: number }
  /** The rate times `factor`, again after every `every` steps. */
  | { readonly kind: "step"; readonly rate: number; readonly every: number; readonly factor: number }
  /** From `rate` down to `floor` over `steps` steps, along half a cosine; `floor` from there on. */
  | { readonly kind: "cosine"; readonly rate: number; readonly floor: number; readonly steps: number }
  /** Evenly from rate / steps up to what `next` begins with; `next` from there on. */
  | {
      readonly kind: "warm-up"
      readonly steps: number
      readonly next: Exclude<Schedule, { kind: "warm-up" }>
    }

/**
 * Refuses a schedule that cannot be.
 * @throws {ConsiliumError} "learning/bad-setting"
 */
export const checkSchedule = (schedule: Schedule): void => {
  switch (schedule.kind) {
    case "constant":
      checkPositive("learning rate", schedule.rate)
      return
    case "step":
      checkPositive("learning rate", schedule.rate)
      checkWhole("number of steps between changes of the learning rate", schedule.every, 1)
      checkPositive("factor of the learning rate", schedule.factor)
      return
    case "cosine":
      checkPositive("learning rate", schedule.rate)
      checkWhole("number of steps of a learning rate", schedule.steps, 1)
      if (!(schedule.floor >= 0 && schedule.floor <= schedule.rate))
        throw new ConsiliumError(
          "learning/bad-setting",
          `The lowest learning rate is ${schedule.floor}; it must lie between 0 and ${schedule.rate}.`,
        )
      return
    case "warm-up":
      checkWhole("number of steps of a warm-up", schedule.steps, 1)
      if ((schedule.next as Schedule).kind !== "warm-up") {
        checkSchedule(schedule.next)
        return
      }
  }
  throw new ConsiliumError("learning/bad-setting", "The schedule of the learning rate is of no known kind.")
}

/**
 * The learning rate of a step; the first step is step 0.
 *
 * Math: cosine: floor + (rate - floor) (1 + cos(pi step / steps)) / 2; warm-up: next(0) (step + 1) / steps
 */
export const learningRate = (schedule: Schedule, step: number): number => {
  switch (schedule.kind) {
    case "constant":
      return schedule.rate
    case "step": {
      let rate = schedule.rate
      for (let change = Math.floor(step / schedule.every); change > 0 && rate > 0; change--)
        rate *= schedule.factor
      return rate
    }
    case "cosine": {
      const part = Math.min(step / schedule.steps, 1)
      return schedule.floor + ((schedule.rate - schedule.floor) * (1 + cosPi(part))) / 2
    }
    case "warm-up":
      return step < schedule.steps
        ? (learningRate(schedule.next, 0) * (step + 1)) / schedule.steps
        : learningRate(schedule.next, step - schedule.steps)
  }
}
