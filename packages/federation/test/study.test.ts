import { toHex } from "@consilium/base/bytes"
import { describe, expect, it } from "vitest"
import type { StudyData } from "../src/data-plan.js"
import type { Subgroup } from "../src/reporting.js"
import {
  checkStudy,
  decodeStudy,
  defaultCohort,
  encodeStudy,
  MAX_VALUES,
  parameterCount,
  quorum,
  type Study,
  strategyName,
  studyDigest,
  trainingDigest,
  valueBound,
  valueCount,
  withstands,
} from "../src/study.js"
import { codeOf, textOf } from "./errors.js"
import { type StudyChanges, testStudy } from "./members.js"
import { withPrivacy } from "./private-study.js"

const refusal = (changes: StudyChanges, facilities = 4): string =>
  textOf(() => checkStudy(testStudy(4, changes), facilities))
const PREPARED: StudyData = {
  schema: "cardiovascular",
  schemaDigest: new Uint8Array(32).fill(5),
  missing: "impute",
  constants: [{ type: "number", column: "a", value: 1 }],
}
const accepted = (changes: StudyChanges, facilities = 4): void =>
  expect(checkStudy(testStudy(facilities, changes), facilities)).toBeUndefined()

describe("a study that cannot work is refused with the inequality that fails", () => {
  it("the protocol is another version's", () => {
    expect(refusal({ protocol: 2 })).toMatchInlineSnapshot(`
      "round/bad-study: The study speaks protocol 2, this program 1.
        remedy: Run the same version everywhere.
        see: docs/reference/errors.md#roundbad-study"
    `)
  })

  it("fewer facilities than a cohort", () => {
    expect(refusal({ cohort: { minCohort: 5 } })).toMatchInlineSnapshot(`
      "round/bad-study: 4 facilities cannot form a cohort of 5.
        remedy: Enrol more facilities; a sum over fewer would show single updates.
        see: docs/reference/errors.md#roundbad-study"
    `)
  })

  it("a cohort of two", () => {
    expect(refusal({ cohort: { minCohort: 2 } })).toMatchInlineSnapshot(`
      "round/bad-study: A cohort of 2 lets one facility read another's update.
        remedy: Set cohort.minCohort to 3 or more.
        see: docs/reference/errors.md#roundbad-study"
    `)
  })

  it("a threshold of one, or of more than there are", () => {
    expect(refusal({ cohort: { threshold: 1 } })).toMatchInlineSnapshot(`
      "round/bad-study: The threshold 1 does not lie in 2 to 4.
        remedy: Set cohort.threshold between 2 and the number of facilities.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(refusal({ cohort: { threshold: 5 } })).toMatchInlineSnapshot(`
      "round/bad-study: The threshold 5 does not lie in 2 to 4.
        remedy: Set cohort.threshold between 2 and the number of facilities.
        see: docs/reference/errors.md#roundbad-study"
    `)
    accepted({ cohort: { threshold: 4 } })
  })

  it("more colluders than n, t and k withstand", () => {
    expect(refusal({ cohort: { colluders: 2, threshold: 4 } })).toMatchInlineSnapshot(`
      "round/bad-study: n = 4, t = 4, k = 3 allow c <= min(t - 1, k - 2, 2t - n - 1) = 1; the study declares c = 2.
        remedy: Raise cohort.threshold or cohort.minCohort, or enrol other numbers.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(refusal({ cohort: { colluders: 0, threshold: 2 } })).toMatchInlineSnapshot(`
      "round/bad-study: n = 4, t = 2, k = 3 allow c <= min(t - 1, k - 2, 2t - n - 1) = -1; the study declares c = 0.
        remedy: Raise cohort.threshold or cohort.minCohort, or enrol other numbers.
        see: docs/reference/errors.md#roundbad-study"
    `)
    accepted({ cohort: { colluders: 2, threshold: 4, minCohort: 4 } })
  })

  it("no round or no attempt", () => {
    expect(refusal({ rounds: 0 })).toMatchInlineSnapshot(`
      "round/bad-study: A study has at least one round and one attempt.
        remedy: Set rounds and attempts to 1 or more.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(codeOf(() => checkStudy(testStudy(4, { attempts: 0 }), 4))).toBe("round/bad-study")
  })

  it("a model of no feature, or of too many", () => {
    expect(refusal({ model: { features: [] } })).toMatchInlineSnapshot(`
      "round/bad-study: A model of 1 parameters is outside 2 to 1048575.
        remedy: Use a smaller model.
        see: docs/reference/errors.md#roundbad-study"
    `)
    const features = Array.from({ length: MAX_VALUES - 1 }, (_, i) => String(i))
    expect(refusal({ model: { features } })).toMatchInlineSnapshot(`
      "round/bad-study: A model of 1048576 parameters is outside 2 to 1048575.
        remedy: Use a smaller model.
        see: docs/reference/errors.md#roundbad-study"
    `)
    accepted({ model: { features: features.slice(1) } })
  })

  it("a feature named twice", () => {
    expect(refusal({ model: { features: ["age", "sex", "age"] } })).toMatchInlineSnapshot(`
      "round/bad-study: The model names a feature twice.
        remedy: Name every feature once.
        see: docs/reference/errors.md#roundbad-study"
    `)
  })

  it("training without steps, batch or rate", () => {
    expect(refusal({ training: { steps: 0 } })).toMatchInlineSnapshot(`
      "round/bad-study: Training needs steps, a batch size and a learning rate above 0.
        remedy: Set training.steps, training.batchSize and training.learningRate.
        see: docs/reference/errors.md#roundbad-study"
    `)
    for (const training of [{ batchSize: 0 }, { learningRate: 0 }, { learningRate: -1 }])
      expect(codeOf(() => checkStudy(testStudy(4, { training }), 4))).toBe("round/bad-study")
  })

  it("fine-tuning without a rate", () => {
    expect(refusal({ training: { fineTuneSteps: 1, fineTuneLearningRate: 0 } })).toMatchInlineSnapshot(`
      "round/bad-study: Fine-tuning needs a learning rate above 0.
        remedy: Set training.fineTuneLearningRate.
        see: docs/reference/errors.md#roundbad-study"
    `)
    accepted({ training: { fineTuneSteps: 0, fineTuneLearningRate: 0 } })
  })

  it("a proximal term that pushes away, or steps past the model it draws towards", () => {
    expect(refusal({ training: { proximalMu: 10.5 } })).toMatchInlineSnapshot(`
      "round/bad-study: A proximal mu of 10.5 at the learning rate 0.1 steps past the model it draws towards.
        remedy: Set training.proximal_mu to 0 or more, and to at most 1 / training.learning_rate.
        see: docs/reference/errors.md#roundbad-study"
    `)
    for (const proximalMu of [-0.01, Number.NaN, Number.POSITIVE_INFINITY])
      expect(codeOf(() => checkStudy(testStudy(4, { training: { proximalMu } }), 4))).toBe("round/bad-study")
    accepted({ training: { proximalMu: 10 } })
    accepted({ training: { proximalMu: 0 } })
  })

  it("groups of patients that cannot be told apart, or not without giving others away", () => {
    const grouped = (...subgroups: readonly Partial<Subgroup>[]): StudyChanges => ({
      reporting: { subgroups: subgroups.map((one) => ({ feature: "a", cuts: [], names: [], ...one })) },
    })
    expect(refusal(grouped({ feature: "income" }))).toMatchInlineSnapshot(`
      "round/bad-study: Patients are to be told apart by income, which is no feature of the model.
        remedy: Name a feature of the model in reporting.subgroups.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(refusal(grouped({ cuts: [50] }, { cuts: [51] }))).toMatchInlineSnapshot(`
      "round/bad-study: Patients are told apart by one feature twice: two sets of cuts could be subtracted from each other.
        remedy: Name every feature once in reporting.subgroups, with all its cuts.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(refusal(grouped({ cuts: [50, 50] }))).toMatchInlineSnapshot(`
      "round/bad-study: The cuts of a do not rise.
        remedy: List the cuts of each grouping from the smallest to the largest, each once.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(refusal(grouped({ cuts: [50, 65], names: ["young", "old"] }))).toMatchInlineSnapshot(`
      "round/bad-study: 2 names are given for the 3 groups of a, or one name twice.
        remedy: Give each group a name of its own, or leave the names out.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(refusal({ ...grouped({}), validation: "off" })).toMatchInlineSnapshot(`
      "round/bad-study: Subgroups are declared in a study whose facilities report no figures.
        remedy: Set validation to report, or leave reporting.subgroups out.
        see: docs/reference/errors.md#roundbad-study"
    `)
    for (const subgroup of [
      { cuts: [65, 50] },
      { cuts: [Number.NaN] },
      { names: ["no"] },
      { names: ["no", "no"] },
      { names: ["no", ""] },
    ])
      expect(codeOf(() => checkStudy(testStudy(4, grouped(subgroup)), 4))).toBe("round/bad-study")
    accepted(grouped({ cuts: [50, 65], names: ["young", "middle", "old"] }, { feature: "b" }))
    accepted(grouped({ names: ["female", "male"] }))
  })

  it("a grid on which the clip norm does not fit", () => {
    expect(refusal({ quantisation: { fractionBits: 15 } })).toMatchInlineSnapshot(`
      "round/bad-study: A clip norm of 1 at 15 fraction bits exceeds 32767.
        remedy: Lower quantisation.fractionBits or quantisation.clipNorm.
        see: docs/reference/errors.md#roundbad-study"
    `)
    for (const quantisation of [
      { clipNorm: 0 },
      { clipNorm: -1 },
      { fractionBits: 0 },
      { clipNorm: 1e-9, fractionBits: 31 },
    ])
      expect(codeOf(() => checkStudy(testStudy(4, { quantisation }), 4))).toBe("round/bad-study")
    accepted({ quantisation: { clipNorm: 32767 / 2 ** 14 } })
  })

  it("weights that contradict each other", () => {
    expect(refusal({ quantisation: { weights: "equal", largestWeight: 2 } })).toMatchInlineSnapshot(`
      "round/bad-study: The largest weight is 1 or more, and 1 where weights are equal.
        remedy: Set quantisation.largestWeight.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(codeOf(() => checkStudy(testStudy(4, { quantisation: { largestWeight: 0 } }), 4))).toBe(
      "round/bad-study",
    )
  })

  it("a sum beyond 31 bits", () => {
    expect(refusal({ quantisation: { largestWeight: 16385 } })).toMatchInlineSnapshot(`
      "round/bad-study: 4 facilities of weight up to 16385 sum to 2147549180, beyond 31 bits.
        remedy: Lower quantisation.largestWeight.
        see: docs/reference/errors.md#roundbad-study"
    `)
    accepted({ quantisation: { largestWeight: 16384 } })
  })
})

describe("the numbers of a study", () => {
  it("has one value for each feature and the bias, and one for an exact weight", () => {
    expect(parameterCount(testStudy())).toBe(4)
    expect(valueCount(testStudy())).toBe(5)
    expect(valueCount(testStudy(4, { quantisation: { weights: "equal", largestWeight: 1 } }))).toBe(4)
    expect(valueBound(testStudy())).toBe(32767 * 64)
  })

  it("two quorums share more facilities than collude, and one fewer would not do", () => {
    for (let facilities = 3; facilities <= 40; facilities++)
      for (let colluders = 0; colluders < facilities; colluders++) {
        const q = quorum(testStudy(4, { cohort: { colluders } }), facilities)
        expect(2 * q - facilities).toBeGreaterThan(colluders)
        expect(2 * (q - 1) - facilities).toBeLessThanOrEqual(colluders)
      }
  })

  it("withstands what the smallest of its three terms allows", () => {
    expect(withstands(10, { minCohort: 10, threshold: 10 })).toBe(8) // k - 2
    expect(withstands(10, { minCohort: 12, threshold: 10 })).toBe(9) // t - 1
    expect(withstands(10, { minCohort: 10, threshold: 7 })).toBe(3) // 2 t - n - 1
  })

  it("a study that names no cohort rule withstands one colluder, with the smallest threshold that does", () => {
    for (let facilities = 3; facilities <= 40; facilities++) {
      const cohort = defaultCohort(facilities)
      expect(withstands(facilities, cohort)).toBe(1)
      expect(withstands(facilities, { ...cohort, threshold: cohort.threshold - 1 })).toBeLessThan(1)
      accepted({}, facilities)
    }
  })
})

describe("a preparation of tables that cannot work is refused", () => {
  const refusedData = (changes: Partial<StudyData>): string => refusal({ data: { ...PREPARED, ...changes } })

  it("without a schema", () => {
    expect(refusedData({ schema: "" })).toMatchInlineSnapshot(`
      "round/bad-study: The study names no schema for its tables.
        remedy: Set data.schema to the schema that facilities read their files under.
        see: docs/reference/errors.md#roundbad-study"
    `)
  })
  it("constants for rows that are left out", () => {
    expect(refusedData({ missing: "drop" })).toMatchInlineSnapshot(`
      "round/bad-study: 1 constants are declared for missing values, but rows that lack one are left out.
        remedy: Remove data.constants, or set data.missing to impute or indicator.
        see: docs/reference/errors.md#roundbad-study"
    `)
  })
  it("two constants for a column", () => {
    expect(
      refusedData({ constants: [...PREPARED.constants, { type: "code", column: "a", code: "x" }] }),
    ).toMatchInlineSnapshot(`
      "round/bad-study: Two constants are declared for the column a.
        remedy: Declare one constant for every column that may be missing.
        see: docs/reference/errors.md#roundbad-study"
    `)
  })
  it("and what can work is not", () => {
    accepted({ data: PREPARED })
    accepted({ data: { ...PREPARED, missing: "indicator" } })
    accepted({ data: { ...PREPARED, missing: "drop", constants: [] } })
  })
})

describe("the digests of a study", () => {
  const base = testStudy()
  const changed: readonly (readonly [string, StudyChanges, boolean])[] = [
    ["nonce", { nonce: new Uint8Array(32) }, true],
    ["features", { model: { features: ["a", "b", "d"] } }, true],
    ["steps", { training: { steps: 7 } }, true],
    ["strategy", { server: { strategy: "fedyogi" } }, true],
    ["server momentum", { server: { beta1: 0.8 } }, true],
    ["proximal term", { training: { proximalMu: 0.01 } }, true],
    ["list of groups", { reporting: { subgroups: [{ feature: "a", cuts: [50], names: [] }] } }, false],
    ["clip norm", { quantisation: { clipNorm: 0.5 } }, true],
    ["smallest cohort", { cohort: { minCohort: 4 } }, true],
    ["preparation", { data: PREPARED }, true],
    ["constant", { data: { ...PREPARED, constants: [{ type: "number", column: "a", value: 2 }] } }, true],
    ["protection", { protection: "plain" }, false],
    ["deadline", { deadlines: { answer: 1 } }, false],
    ["rounds", { rounds: 9 }, false],
    ["name", { name: "other" }, false],
  ]

  it.each(changed)("another %s is another study", (_, changes) => {
    expect(toHex(studyDigest(testStudy(4, changes)))).not.toBe(toHex(studyDigest(base)))
  })

  it.each(changed)(
    "another %s changes the random streams of training, or leaves them: as it should",
    (_, changes, differs) => {
      expect(toHex(trainingDigest(testStudy(4, changes))) !== toHex(trainingDigest(base))).toBe(differs)
    },
  )

  it("a study that uses no new rule keeps the digest of its training, and so its random streams and its model", () => {
    expect(toHex(trainingDigest(testStudy()))).toMatchInlineSnapshot(
      `"6b07427f662ecbd0ee98203c7aac1792821e600cb742232bf214e908ee6bf510"`,
    )
    expect(toHex(trainingDigest(testStudy(4, { server: { strategy: "fedyogi" } })))).toMatchInlineSnapshot(
      `"90add20ca3c5b86e6436bd53d3e0d292766c25d4a865f376148f39ab7efb51d5"`,
    )
    expect(toHex(trainingDigest(testStudy(4, withPrivacy())))).toMatchInlineSnapshot(
      `"b0b8e358a40e3272604090a2248a93af04950cff521fda15aaa853df660ddcc8"`,
    )
  })

  it("another mu is another digest of training, with privacy too", () => {
    const digests = [0, 0.01, 0.02].flatMap((proximalMu) => [
      trainingDigest(testStudy(4, { training: { proximalMu } })),
      trainingDigest(testStudy(4, { ...withPrivacy(), training: { proximalMu } })),
    ])
    expect(new Set(digests.map(toHex)).size).toBe(6)
  })

  it("averaging with a proximal term is called FedProx; every other strategy by its server's rule", () => {
    const named = (strategy: Study["server"]["strategy"], proximalMu: number): string =>
      strategyName(testStudy(4, { server: { strategy }, training: { proximalMu } }))
    expect([named("fedavg", 0), named("fedavg", 0.01)]).toEqual(["fedavg", "fedprox"])
    expect([named("fedavgm", 0), named("fedadam", 0.01)]).toEqual(["fedavgm", "fedadam"])
  })

  it("a study is read back as it was written", () => {
    const study: Study = testStudy(4, { insecureSeed: null, data: PREPARED })
    expect(decodeStudy(encodeStudy(study))).toEqual(study)
    expect(codeOf(() => decodeStudy(encodeStudy(study).slice(1)))).toMatch(/^encoding\//)
  })
})
