import { isPrivate, type PrivateStudy, type StudyPrivacy } from "../src/privacy-plan.js"
import { type StudyChanges, testStudy } from "./members.js"
import { somePrivacy } from "./private-study.js"

/** What makes a test study put its noise on the sum, over patients or over facilities. */
export const withSumNoise = (
  unit: StudyPrivacy["unit"],
  {
    privacy = {},
    ...changes
  }: Omit<StudyChanges, "privacy"> & { readonly privacy?: Partial<StudyPrivacy> } = {},
): StudyChanges => ({
  ...changes,
  privacy: somePrivacy({
    unit,
    noise: "sum",
    sampleRate: 1,
    noiseMultiplier: 2,
    ...(unit === "patient" ? { patients: 15, mostPatients: 40 } : {}),
    ...privacy,
  }),
  quantisation: { weights: "equal", largestWeight: 1, fractionBits: 10, ...changes.quantisation },
  training: { steps: unit === "patient" ? 1 : 4, learningRate: 0.5, ...changes.training },
})

/** A test study with its noise on the sum. */
export const sumStudy = (...given: Parameters<typeof withSumNoise>): PrivateStudy => {
  const study = testStudy(4, withSumNoise(...given))
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}
