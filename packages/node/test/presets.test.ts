import { insecureSeededRandom } from "@consilium/base/testing"
import { epsilonAfter, isPrivate } from "@consilium/federation/privacy-plan"
import { checkStudy, type Study } from "@consilium/federation/study"
import { HEART_DECLARED_STANDARDISER, HEART_FEATURES } from "@consilium/records/heart-schema"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { testStudy } from "../../federation/test/members.js"
import { facilityFileSchema, facilityFileText, policyOf } from "../src/config/role-files.js"
import { type StudyFileInput, studyFileSchema, studyFileText, studyOf } from "../src/config/study-file.js"
import { presetStudy } from "../src/roles/presets.js"

const random = insecureSeededRandom("presets")
const features = HEART_FEATURES.map(({ name }) => name)
const first = testStudy(4, { model: { features }, rounds: 10, name: "heart", training: { fineTuneSteps: 5 } })
const preset = (kind: Parameters<typeof presetStudy>[0], studies: readonly Study[] = [first]) =>
  presetStudy(kind, studies, 4, random)

describe("a study started by its kind of privacy", () => {
  it("differential: the first study with noise that keeps all its rounds within epsilon 1", () => {
    const study = preset("differential")
    if ("missing" in study || !isPrivate(study)) throw new Error("The preset was to be a private study.")
    expect(checkStudy(study, 4)).toBeUndefined()
    expect(study).toMatchObject({
      name: "heart-differential-2",
      protection: "shamir",
      insecureSeed: null,
      rounds: 10,
      model: { features },
      quantisation: { weights: "equal", largestWeight: 1 },
      training: { fineTuneSteps: 0 },
      privacy: { epsilon: 1, delta: 1e-5, metrics: "exact" },
    })
    const spent = epsilonAfter(study, 10)
    expect(spent).toBeLessThanOrEqual(1)
    expect(spent).toBeGreaterThan(0.99)
    const real = preset("differential", [{ ...first, syntheticData: false }])
    expect(real).toMatchObject({ privacy: { metrics: "none" } })
  })

  it("homomorphic: the first study under ckks; combined: with noise as well", () => {
    const study = preset("homomorphic")
    expect(study).toMatchObject({ name: "heart-homomorphic-2", protection: "ckks", privacy: null })
    expect(preset("combined")).toMatchObject({ protection: "ckks", privacy: { epsilon: 1, delta: 1e-5 } })
    if ("missing" in study) throw new Error("The preset was to be a study.")
    expect(study.keys?.openings).toBeGreaterThan(10)
    expect(checkStudy(study, 4)).toBeUndefined()
  })

  it("names the part that is missing", () => {
    expect(preset("mpc", [])).toEqual({ missing: "a study" })
    expect(preset("differential", [])).toEqual({ missing: "a study" })
    expect(preset("differential", [testStudy()])).toEqual({
      missing: "declared constants to standardise the features of the first study with",
    })
  })

  it("mpc adds no noise", () => {
    expect(preset("mpc")).toMatchObject({ name: "heart-mpc-2", protection: "shamir", privacy: null })
  })
})

describe("privacy in configuration files", () => {
  const file = (privacy: StudyFileInput["privacy"], changes: Partial<StudyFileInput> = {}): Study =>
    studyOf(
      studyFileSchema.parse({
        name: "file",
        nonce: "00".repeat(32),
        model: { kind: "logistic-regression", features },
        training: { steps: 10 },
        server: {},
        quantisation: { weights: "equal" },
        rounds: 5,
        privacy,
        participants: [
          { name: "leader", role: "leader" },
          ...["a", "b", "c", "d"].map((name) => ({ name, role: "facility" as const, parent: "leader" })),
        ],
        ...changes,
      }),
    )
  const noise = (study: Study): number => study.privacy?.noiseMultiplier as number

  it("only epsilon: noise is calibrated, and the heart features have their declared constants", () => {
    const study = file({ epsilon: 2 })
    if (!isPrivate(study)) throw new Error("The study was to be private.")
    expect(study.privacy).toMatchObject({ delta: 1e-5, maxGradNorm: 1, sampleRate: 0.1, metrics: "none" })
    expect(epsilonAfter(study, 5)).toBeLessThanOrEqual(2)
    expect(study.privacy.standardise.map(({ mean }) => mean)).toEqual([...HEART_DECLARED_STANDARDISER.means])
  })

  it("a floor below the calibrated noise changes nothing, one above it is taken, uncalibrated it is taken as it is", () => {
    const calibrated = noise(file({ epsilon: 2 }))
    expect(noise(file({ epsilon: 2, noise_multiplier: calibrated / 2 }))).toBe(calibrated)
    expect(noise(file({ epsilon: 2, noise_multiplier: 2 * calibrated }))).toBe(2 * calibrated)
    expect(noise(file({ epsilon: 2, noise_multiplier: 0.9 * calibrated, calibrate: false }))).toBe(
      0.9 * calibrated,
    )
    expect(() => file({ epsilon: 2, noise_multiplier: 0.2, calibrate: false })).toThrow(
      "One round of 10 steps costs",
    )
  })

  it("features without constants, and weights by count, are refused", () => {
    const model = { kind: "logistic-regression" as const, features: ["age", "height"] }
    expect(() => file({ epsilon: 2 }, { model })).toThrow(
      "privacy.standardise: 0 pairs of mean and deviation are declared for the feature height",
    )
    const standardise = ["height", "age"].map((feature, i) => ({ feature, mean: i, deviation: 1 }))
    expect(file({ epsilon: 2, standardise }, { model }).privacy?.standardise[0]).toEqual({
      mean: 1,
      deviation: 1,
    })
    expect(() => file({ epsilon: 2 }, { quantisation: {} })).toThrow("Weights by exact record counts")
  })

  it("files name every key with its default, and are read as they are written", () => {
    const written = facilityFileText({ records: { format: "heart-csv", file: "rows.csv" } })
    const policy = policyOf(facilityFileSchema.parse(parse(written)))
    expect(policy.privacy).toEqual({
      study: { epsilon: 8, delta: 1e-5 },
      month: { epsilon: 16, delta: 1e-5 },
      lifetime: null,
    })
    const capped = { ...parse(written), policy: { privacy: { lifetime: { epsilon: 60, delta: 1e-6 } } } }
    expect(policyOf(facilityFileSchema.parse(capped)).privacy.lifetime).toEqual({ epsilon: 60, delta: 1e-6 })
    for (const lifetime of [{ epsilon: 60 }, { epsilon: 0, delta: 1e-6 }, { epsilon: 1, delta: 1 }])
      expect(facilityFileSchema.safeParse({ ...capped, policy: { privacy: { lifetime } } }).success).toBe(
        false,
      )
    const study = studyFileText({
      name: "file",
      nonce: "00".repeat(32),
      model: { kind: "logistic-regression", features },
      training: {},
      server: {},
      rounds: 5,
      privacy: { epsilon: 2 },
      participants: [{ name: "leader", role: "leader" }],
    })
    expect(parse(study).privacy).toEqual({
      epsilon: 2,
      delta: 1e-5,
      noise_multiplier: null,
      calibrate: true,
      max_grad_norm: 1,
      sample_rate: 0.1,
      metrics: "none",
      standardise: null,
      unit: "patient",
      noise: "local",
      mechanism: "gaussian",
      clipping: { kind: "flat" },
      patients: 0,
      most_patients: 0,
    })
  })
})
