import { wholeNorm } from "@consilium/privacy/layer-clipped-sum"
import { LAYER_NORM_TOLERANCE } from "@consilium/privacy/sum-release"
import type { Clipping, StudyPrivacy } from "./privacy-plan.js"

interface Problem {
  readonly message: string
  readonly remedy: string
}
const problem = (message: string, remedy: string): Problem => ({ message, remedy })

/** Norms beyond these leave no room for a grid. */
const LEAST_NORM = 1e-6
const LARGEST_NORM = 1e6
/** A step of the logarithm of the norm beyond this only jumps from one limit to the other. */
const FASTEST = 10

const isWithin = (value: number, least: number, most: number): boolean => value >= least && value <= most

const layersProblem = (norms: readonly number[], maxGradNorm: number): Problem | null => {
  if (norms.length !== 2)
    return problem(
      `${norms.length} ${norms.length === 1 ? "norm is" : "norms are"} declared for the 2 layers of a logistic regression, its weights and its bias.`,
      "Set privacy.clipping.norms to one norm for the weights and one for the bias.",
    )
  if (!norms.every((norm) => isWithin(norm, LEAST_NORM, LARGEST_NORM)))
    return problem(
      `Layers cannot be clipped to norms of ${norms.join(" and ")}.`,
      "Set privacy.clipping.norms near 1.",
    )
  const together = wholeNorm(norms)
  if (Math.abs(together / maxGradNorm - 1) <= LAYER_NORM_TOLERANCE) return null
  return problem(
    `Layers with norms of ${norms.join(" and ")} have one of ${together.toPrecision(8)} together, and privacy.max_grad_norm is ${maxGradNorm}.`,
    `Set privacy.max_grad_norm to ${together.toPrecision(8)}, or choose norms whose squares add up to its square.`,
  )
}

const adaptiveProblem = (
  clipping: Extract<Clipping, { type: "adaptive" }>,
  { noiseMultiplier, maxGradNorm }: StudyPrivacy,
): Problem | null => {
  const { targetQuantile, learningRate, countSigma, minimum, maximum } = clipping
  if (!(targetQuantile > 0 && targetQuantile < 1 && learningRate > 0 && learningRate <= FASTEST))
    return problem(
      `A clip norm cannot follow the quantile ${targetQuantile} at a learning rate of ${learningRate}.`,
      `Set privacy.clipping.target_quantile between 0 and 1, and privacy.clipping.learning_rate to ${FASTEST} or less; 0.5 and 0.2 are usual.`,
    )
  if (!(isWithin(minimum, LEAST_NORM, maximum) && maximum <= LARGEST_NORM))
    return problem(
      `A clip norm cannot stay between ${minimum} and ${maximum}.`,
      `Set privacy.clipping.minimum and maximum to norms from ${LEAST_NORM} to ${LARGEST_NORM}, the smaller one first.`,
    )
  if (!isWithin(maxGradNorm, minimum, maximum))
    return problem(
      `The first clip norm, privacy.max_grad_norm ${maxGradNorm}, lies outside ${minimum} to ${maximum}.`,
      "Set privacy.max_grad_norm between privacy.clipping.minimum and maximum.",
    )
  if (!(countSigma > noiseMultiplier / 2 && countSigma <= 1e6))
    return problem(
      `A count with noise of ${countSigma} costs as much as a noise multiplier of ${noiseMultiplier} allows in all, or more.`,
      `Set privacy.clipping.count_sigma above ${(noiseMultiplier / 2).toPrecision(4)}, half the noise multiplier; a twentieth of the patients of a step is usual.`,
    )
  return null
}

/** What is wrong with how a study's steps clip, or with their kind of noise, and what to do; or null. */
export const clippingProblem = (privacy: StudyPrivacy): Problem | null => {
  const { mechanism, clipping, maxGradNorm } = privacy
  if (mechanism === "laplace" && clipping.type !== "flat")
    return problem(
      "Laplace noise goes with gradients that are clipped as a whole, in L1 norm.",
      "Set privacy.clipping to flat, or privacy.mechanism to gaussian.",
    )
  switch (clipping.type) {
    case "flat":
      return null
    case "per-layer":
      return layersProblem(clipping.norms, maxGradNorm)
    case "adaptive":
      return adaptiveProblem(clipping, privacy)
  }
}
