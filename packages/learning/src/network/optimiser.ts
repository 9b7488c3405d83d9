import { ConsiliumError } from "@consilium/base/errors"
import type { Address, Kernel } from "../kernel/kernel.js"
import { checkDecay, checkPositive } from "../settings.js"

/** How parameters move along a gradient. */
export type Optimiser =
  | { readonly kind: "sgd" }
  | { readonly kind: "momentum"; readonly decay: number }
  | {
      readonly kind: "adam"
      readonly decay1: number
      readonly decay2: number
      readonly epsilon: number
      /** Share of each parameter, times the learning rate, that a step takes off (AdamW); 0 for plain Adam. */
      readonly weightDecay: number
    }

/** Adam with the numbers of its paper. */
export const ADAM: Optimiser = { kind: "adam", decay1: 0.9, decay2: 0.999, epsilon: 1e-8, weightDecay: 0 }

/** AdamW: Adam that also shrinks the parameters. */
export const adamW = (weightDecay = 0.01): Optimiser => ({ ...ADAM, weightDecay }) as Optimiser

/**
 * Refuses an optimiser that cannot be.
 * @throws {ConsiliumError} "learning/bad-setting"
 */
export const checkOptimiser = (optimiser: Optimiser): void => {
  switch (optimiser.kind) {
    case "sgd":
      return
    case "momentum":
      checkDecay("decay of a momentum", optimiser.decay)
      return
    case "adam":
      checkDecay("first decay of Adam", optimiser.decay1)
      checkDecay("second decay of Adam", optimiser.decay2)
      checkPositive("epsilon of Adam", optimiser.epsilon)
      checkDecay("weight decay", optimiser.weightDecay)
      return
    default:
      throw new ConsiliumError(
        "learning/bad-setting",
        `"${String((optimiser as { kind: unknown }).kind)}" is no optimiser.`,
      )
  }
}

/** How many numbers an optimiser keeps for each parameter. */
export const momentCount = ({ kind }: Optimiser): number => (kind === "sgd" ? 0 : kind === "momentum" ? 1 : 2)

/** beta1^t and beta2^t as running products (`**` is not the same in every engine). */
export interface Decays {
  readonly first: number
  readonly second: number
}

/** Before the first step. */
export const START_DECAYS: Decays = { first: 1, second: 1 }

/**
 * One step, in place on the parameters and on the moments behind them. Gives the decays after the step.
 *
 * Math:   momentum: v <- decay v + g; w <- w - rate v
 *         adam: m <- d1 m + (1 - d1) g; v <- d2 v + (1 - d2) g^2; w <- w - rate weightDecay w;
 *               w <- w - (rate / (1 - d1^t)) m / (sqrt(v) / sqrt(1 - d2^t) + epsilon)
 * Source: Kingma and Ba 2015, arXiv:1412.6980; Loshchilov and Hutter 2019, arXiv:1711.05101 (AdamW)
 */
export const optimiserStep = (
  kernel: Kernel,
  optimiser: Optimiser,
  decays: Decays,
  count: number,
  parameters: Address,
  gradient: Address,
  rate: number,
): Decays => {
  const moments = parameters + 4 * count
  switch (optimiser.kind) {
    case "sgd":
      kernel.sgdStep(count, parameters, gradient, rate)
      return decays
    case "momentum":
      kernel.momentumStep(count, parameters, gradient, moments, rate, optimiser.decay)
      return decays
    case "adam": {
      const { decay1, decay2, epsilon, weightDecay } = optimiser
      const next = { first: decays.first * decay1, second: decays.second * decay2 }
      kernel.adamStep(
        count,
        parameters,
        gradient,
        moments,
        moments + 4 * count,
        rate / (1 - next.first),
        Math.sqrt(1 - next.second),
        epsilon,
        decay1,
        1 - decay1,
        decay2,
        1 - decay2,
        rate * weightDecay,
      )
      return next
    }
  }
}
