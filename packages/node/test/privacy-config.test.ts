import { insecureSeededRandom } from "@consilium/base/testing"
import { epsilonAfter, isPrivate } from "@consilium/federation/privacy-plan"
import { checkStudy, type Study } from "@consilium/federation/study"
import { HEART_FEATURES } from "@consilium/records/heart-schema"
import { describe, expect, it } from "vitest"
import { testStudy } from "../../federation/test/members.js"
import { privacyConfigSchema, privacyTerms, withPrivacyTerms } from "../src/config/privacy-config.js"
import { studyFileSchema, studyOf } from "../src/config/study-file.js"
import { parseConfig } from "../src/config/yaml-file.js"
import { configuredStudy } from "../src/roles/configured-study.js"
import { EXAMPLE_CONFIG } from "./privacy-config-example.js"

const read = (text: string) => parseConfig(privacyConfigSchema, "privacy_config.yaml", text)
const terms = (text: string) => privacyTerms(read(text))
const errorOf = (text: string): string => {
  try {
    terms(text)
  } catch (error) {
    const { code, message } = error as { readonly code: string; readonly message: string }
    return `${code}: ${message}`
  }
  throw new Error("It was accepted.")
}

describe("privacy_config.yaml", () => {
  it("the example of the design means what it says", () => {
    expect(terms(EXAMPLE_CONFIG)).toEqual({
      privacy: { epsilon: 1, delta: 1e-5, noise_multiplier: 1.1, calibrate: true, max_grad_norm: 1 },
      protection: "ckks",
      ring: { degree: 4096, modulus_bits: 0, scale_bits: 0 },
      notes: [],
    })
  })

  it("has a default for every key, and knows no others", () => {
    expect(terms("{}")).toEqual({
      privacy: { epsilon: 1, delta: 1e-5, noise_multiplier: null, calibrate: true, max_grad_norm: 1 },
      protection: "ckks",
      ring: null,
      notes: [],
    })
    expect(() => read("epsilom: 1")).toThrow('privacy_config.yaml: (top): Unrecognized key: "epsilom"')
    expect(() => read("epsilon: 0")).toThrow("epsilon")
    expect(() => read("delta: 1")).toThrow("delta")
  })

  it("says what is off, and what that means", () => {
    const off = terms("differential_privacy: false\nhomomorphic_encryption: false\nkey_length: 4096")
    expect(off).toMatchObject({ privacy: null, protection: "plain", ring: null })
    expect(off.notes.join("\n")).toMatchInlineSnapshot(`
      "differential_privacy is false: no noise is added, nothing is spent, and nothing bounds what the model tells of one patient; epsilon, delta, noise_multiplier, max_grad_norm and calibrate have no effect.
      homomorphic_encryption is false: whoever adds updates reads them (protection plain). Facilities that wrote no policy refuse that; encryption_scheme, key_length and ckks have no effect."
    `)
  })

  it("wants a noise multiplier where nothing is calibrated", () => {
    expect(errorOf("calibrate: false")).toBe(
      "config/invalid: calibrate: false, and no noise_multiplier says how much noise there is.",
    )
  })

  it.each([
    [
      "key_length: 3000",
      4096,
      "key_length 3000 is rounded up to 4096: ring degrees are 1024, 2048, 4096, 8192, 16384.",
    ],
    ["encryption_scheme: BFV\nkey_length: 8192", 8192, null],
    [
      "ckks: { ring_degree: 5000 }",
      8192,
      "ckks.ring_degree 5000 is rounded up to 8192: ring degrees are 1024, 2048, 4096, 8192, 16384.",
    ],
    ["ckks: { ring_degree: 8192, modulus_bits: 200, scale_bits: 40 }", 8192, null],
  ])("takes a ring degree, rounded up and said so: %s", (text, degree, note) => {
    const { ring, notes } = terms(text)
    expect(ring?.degree).toBe(degree)
    expect(notes).toEqual(note === null ? [] : [note])
  })

  it("maps a chain of primes in the manner of SEAL, or says why not", () => {
    const { ring, notes } = terms("ckks: { ring_degree: 8192, coeff_mod_bit_sizes: [60, 40, 40, 60] }")
    expect(ring).toEqual({ degree: 8192, modulus_bits: 140, scale_bits: 40 })
    expect(notes).toMatchInlineSnapshot(`
      [
        "ckks.coeff_mod_bit_sizes [60, 40, 40, 60] is taken as a modulus of at least 140 bits and a scale of at least 40: the last prime switches keys in SEAL, and sums switch none; the primes themselves have 26 to 30 bits here.",
      ]
    `)
    expect(errorOf("ckks: { ring_degree: 4096, coeff_mod_bit_sizes: [60, 40, 40, 60] }")).toBe(
      "config/invalid: ckks: a modulus of 140 bits is not safe at ring degree 4096, which allows 106 for 128 bits of security.",
    )
    expect(errorOf("ckks: { coeff_mod_bit_sizes: [60, 40, 30, 60] }")).toContain("have 40, 30 bits")
    expect(errorOf("ckks: { coeff_mod_bit_sizes: [60, 60, 60] }")).toContain(
      "a scale of 60 bits is more than 56",
    )
    expect(errorOf("ckks: { modulus_bits: 90, coeff_mod_bit_sizes: [60, 40, 60] }")).toContain("already says")
  })

  it.each([
    [
      "key_length: 20000",
      "config/invalid: key_length: a ring degree of 20000 is more than 16384, the largest there is.",
    ],
    [
      "key_length: 4096\nckks: { ring_degree: 8192 }",
      "config/invalid: key_length asks for a ring degree of 4096 and ckks.ring_degree for 8192.",
    ],
    ["encryption_scheme: BFV\nckks: { scale_bits: 40 }", "config/invalid: ckks: the scheme is BFV."],
    [
      "ckks: { scale_bits: 57 }",
      "config/invalid: ckks.scale_bits: 57 is more than 56, up to which sums are decoded exactly.",
    ],
    [
      "ckks: { modulus_bits: 500 }",
      "config/invalid: ckks: a modulus of 500 bits is not safe at ring degree 16384, which allows 430 for 128 bits of security.",
    ],
    [
      "encryption_scheme: PAILLIER\nkey_length: 1024",
      "config/invalid: key_length: a PAILLIER modulus of 1024 bits is not safe; 2048 is the least.",
    ],
    [
      "encryption_scheme: PAILLIER\nkey_length: 2048",
      "config/not-available: encryption_scheme: studies cannot be protected by PAILLIER yet.",
    ],
    [
      "encryption_scheme: PAILLIER",
      "config/not-available: encryption_scheme: studies cannot be protected by PAILLIER yet.",
    ],
  ])("refuses what cannot be: %s", (text, message) => {
    expect(errorOf(text)).toBe(message)
  })
})

const features = HEART_FEATURES.map(({ name }) => name)
const file = studyFileSchema.parse({
  name: "heart",
  nonce: "07".repeat(32),
  model: { kind: "logistic-regression", features },
  training: { fine_tune_steps: 5 },
  server: {},
  data: null,
  rounds: 10,
  protection: "shamir",
  participants: [
    { name: "leader", role: "leader" },
    { name: "fog", role: "fog", parent: "leader" },
    ...["a", "b", "c", "d"].map((name) => ({ name, role: "facility" as const, parent: "fog" })),
  ],
})

describe("a study file with a privacy configuration", () => {
  it("trains with its noise and under its encryption", () => {
    const study = studyOf(withPrivacyTerms(file, terms(EXAMPLE_CONFIG)))
    if (!isPrivate(study)) throw new Error("The study was to be private.")
    expect(study).toMatchObject({
      protection: "ckks",
      ring: { degree: 4096 },
      privacy: { epsilon: 1, delta: 1e-5, maxGradNorm: 1, sampleRate: 0.1, metrics: "none" },
      training: { steps: 20, fineTuneSteps: 0 },
      quantisation: { weights: "equal" },
    })
    // a floor of 1.1 would cost far more than epsilon 1 in these rounds, so the noise is calibrated
    expect(study.privacy.noiseMultiplier).toBeGreaterThan(1.1)
    expect(epsilonAfter(study, study.rounds)).toBeLessThanOrEqual(1)
  })

  it("keeps what a file with noise says beside it", () => {
    const noisy = {
      ...withPrivacyTerms(file, terms("{}")),
      training: { ...file.training, steps: 3, fine_tune_steps: 0 },
    }
    const own = {
      ...noisy,
      privacy: noisy.privacy && { ...noisy.privacy, sample_rate: 0.02, metrics: "exact" as const },
    }
    const study = studyOf(withPrivacyTerms(own, terms("epsilon: 3\nmax_grad_norm: 2")))
    expect(study).toMatchObject({
      training: { steps: 3 },
      privacy: { epsilon: 3, maxGradNorm: 2, sampleRate: 0.02, metrics: "exact" },
    })
    expect(studyOf(withPrivacyTerms(own, terms("differential_privacy: false"))).privacy).toBeNull()
  })
})

describe("a study started with a privacy configuration", () => {
  const random = insecureSeededRandom("configured")
  const first = testStudy(4, {
    model: { features },
    rounds: 10,
    name: "heart",
    training: { fineTuneSteps: 5 },
  })
  const started = (text: string, studies: readonly Study[] = [first]) =>
    configuredStudy(read(text), studies, 4, random)

  it("is the first one with its noise and encryption, and says which noise won", () => {
    const made = started(EXAMPLE_CONFIG)
    if ("missing" in made || !isPrivate(made.study)) throw new Error("The study was to be private.")
    const { study, noise } = made
    expect(checkStudy(study, 4)).toBeUndefined()
    expect(study).toMatchObject({ name: "heart-configured-2", protection: "ckks", ring: { degree: 4096 } })
    expect(study.insecureSeed).toBeNull()
    expect(noise).toEqual({ from: "calibrated", floor: 1.1, calibrated: study.privacy.noiseMultiplier })
    expect(epsilonAfter(study, 10)).toBeLessThanOrEqual(1)
    expect(epsilonAfter(study, 10)).toBeGreaterThan(0.99)
  })

  it("has the floor where that is more, and leaves noise alone where nothing is calibrated", () => {
    const floor = started("epsilon: 1\nnoise_multiplier: 9")
    expect(floor).toMatchObject({
      noise: { from: "floor", floor: 9 },
      study: { privacy: { noiseMultiplier: 9 } },
    })
    const given = started("epsilon: 1\nnoise_multiplier: 4\ncalibrate: false")
    expect(given).toMatchObject({ noise: { from: "given" }, study: { privacy: { noiseMultiplier: 4 } } })
    if ("missing" in given || !isPrivate(given.study)) throw new Error("The study was to be private.")
    expect(epsilonAfter(given.study, 4)).toBeLessThanOrEqual(1)
    expect(epsilonAfter(given.study, 10)).toBeGreaterThan(1)
  })

  it("is refused where not one round fits", () => {
    const made = started("epsilon: 1\nnoise_multiplier: 1.1\ncalibrate: false")
    if ("missing" in made) throw new Error(made.missing)
    expect(() => checkStudy(made.study, 4)).toThrow("One round of 20 steps costs epsilon")
  })

  it("names the part that is missing", () => {
    expect(started(EXAMPLE_CONFIG, [])).toEqual({ missing: "a study" })
    expect(started(EXAMPLE_CONFIG, [testStudy()])).toHaveProperty("missing")
  })
})
