import { type DpEvent, poissonSampledEvent } from "@consilium/privacy/events"
import { type RowClipping, type SumReleaseParameters, sumRelease } from "@consilium/privacy/sum-release"
import type { Clipping, StudyPrivacy } from "./privacy-plan.js"

// How a facility's own steps clip and add noise: what the study says, in the terms of the privacy package.

/** What decides the noise of one step. */
export interface StepRules extends Pick<StudyPrivacy, "noiseMultiplier" | "maxGradNorm"> {
  /** "gaussian" if left out. */
  readonly mechanism?: StudyPrivacy["mechanism"]
  /** Flat if left out. How rows are clipped moves no price: noise is always a multiple of what a patient moves. */
  readonly clipping?: Clipping
}

/** How many parameters each layer of a logistic regression has: its weights, and its bias, which stands last. */
export const layerSizes = (dimension: number): readonly number[] => [dimension - 1, 1]

const rowClippingOf = (clipping: Clipping, dimension: number): RowClipping => {
  switch (clipping.type) {
    case "flat":
      return { type: "flat" }
    case "per-layer": {
      const sizes = layerSizes(dimension)
      const layers = clipping.norms.map((maxNorm, i) => ({ size: sizes[i] ?? 0, maxNorm }))
      return { type: "per-layer", layers }
    }
    case "adaptive": {
      const { countSigma, targetQuantile, learningRate, minimum, maximum } = clipping
      return { type: "adaptive", countSigma, rule: { targetQuantile, learningRate, minimum, maximum } }
    }
  }
}

/** How a step on a model of so many parameters clips and adds noise. */
export const stepParameters = (
  { noiseMultiplier, maxGradNorm, mechanism = "gaussian", clipping = { type: "flat" } }: StepRules,
  dimension: number,
): SumReleaseParameters => ({
  noiseMultiplier,
  maxGradNorm,
  dimension,
  mechanism,
  clipping: rowClippingOf(clipping, dimension),
})

/**
 * What one step releases: the event that the training's own optimiser charges.
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const releasedByStep = (
  rules: StepRules & Pick<StudyPrivacy, "sampleRate">,
  dimension: number,
): DpEvent => poissonSampledEvent(rules.sampleRate, sumRelease(stepParameters(rules, dimension)).event)
