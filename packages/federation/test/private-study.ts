import type { StudyPrivacy } from "../src/privacy-plan.js"
import type { StudyChanges } from "./members.js"

export const somePrivacy = (changes: Partial<StudyPrivacy> = {}): StudyPrivacy => ({
  epsilon: 8,
  delta: 1e-5,
  unit: "patient",
  noise: "local",
  mechanism: "gaussian",
  clipping: { type: "flat" },
  patients: 0,
  mostPatients: 0,
  noiseMultiplier: 1.5,
  maxGradNorm: 1,
  sampleRate: 0.3,
  standardise: [0, 1, 2].map(() => ({ mean: 0, deviation: 1 })),
  metrics: "exact",
  ...changes,
})

/** What makes a test study train with differential privacy. */
export const withPrivacy = (changes: Partial<StudyPrivacy> = {}): StudyChanges => ({
  privacy: somePrivacy(changes),
  quantisation: { weights: "equal", largestWeight: 1 },
  training: { steps: 4, learningRate: 0.5 },
})
