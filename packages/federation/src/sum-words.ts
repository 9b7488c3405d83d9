import type { Study } from "./study.js"
import { noiseOnSumOf } from "./sum-noise.js"

/** What a study whose noise is on its sums promises, and what that rests on, in words; null where it is not on them. */
export const sumNoiseWords = (study: Pick<Study, "privacy" | "cohort" | "quantisation">): string | null => {
  const onSum = noiseOnSumOf(study)
  if (onSum === null || study.privacy === null) return null
  const { unit, clipNorm, colluders } = onSum
  const { noiseMultiplier, epsilon, delta } = study.privacy
  const clipped = unit === "patient" ? "each patient's gradient" : "each facility's whole update"
  return `Noise is on each round's opened sum, once (multiplier ${noiseMultiplier}), and ${clipped} is clipped to ${clipNorm}: every facility adds a share, and what is promised holds while at most ${colluders} of a sum's facilities work together. Each facility may spend epsilon ${epsilon} at delta ${delta} in this study; what each has spent so far stands below.`
}
