import type { StudyPrivacy } from "./privacy-plan.js"

/** The kind of noise, in a word. */
export const mechanismWords = ({ mechanism }: Pick<StudyPrivacy, "mechanism">): string =>
  mechanism === "laplace" ? "Laplace" : "Gaussian"

/** What is clipped to what in a study's steps, to follow the word "clips". */
export const clippingWords = ({
  mechanism,
  clipping,
  maxGradNorm,
}: Pick<StudyPrivacy, "mechanism" | "clipping" | "maxGradNorm">): string => {
  const norm = mechanism === "laplace" ? "L1 norm" : "norm"
  switch (clipping.type) {
    case "flat":
      return `each patient's gradient at ${norm} ${maxGradNorm}`
    case "per-layer": {
      const [weights, bias] = clipping.norms
      return `each patient's gradient layer by layer: the weights at norm ${weights}, the bias at norm ${bias}`
    }
    case "adaptive": {
      const { targetQuantile, countSigma, minimum, maximum } = clipping
      return `each patient's gradient at a norm that follows the quantile ${targetQuantile} of theirs: ${maxGradNorm} at first, ${minimum} to ${maximum} later, by a noisy count (deviation ${countSigma}) that is part of every step`
    }
  }
}
