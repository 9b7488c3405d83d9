import { initialModel, modelFile } from "@consilium/federation/model"
import type { Study } from "@consilium/federation/study"
import { Asker } from "@consilium/inference/client/asker"
import { plainLogit } from "@consilium/inference/model/model"
import { trainedNetwork } from "@consilium/inference/model/trained-network"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { decodeNetworkModel } from "@consilium/learning/network/network-file"
import { CARDIOVASCULAR_FEATURES } from "@consilium/records/cardiovascular/features"
import { HEART_FEATURES } from "@consilium/records/heart-schema"
import { describe, expect, it } from "vitest"
import { testStudy } from "../../federation/test/members.js"
import { somePrivacy } from "../../federation/test/private-study.js"
import { extremePatient, randomPatient, testRandom } from "../../inference/test/heart.js"
import { studyModelOf, studyModelSchema } from "../src/config/study-model.js"
import { declaredConstants } from "../src/config/table-form.js"
import { compiledStudyModel } from "../src/inference/study-model.js"

const names = (features: readonly { readonly name: string }[]): readonly string[] =>
  features.map(({ name }) => name)

const RULES = { weights: "shared", largestEpsilon: 10 } as const

/** A private study of a built-in table, as its file would give it. */
const studyOn = (features: readonly string[], schema: string | null): Study => {
  const declared = declaredConstants(features, schema)
  const standardise = features.map((name) => {
    const { mean, deviation } = declared.find(({ feature }) => feature === name) as (typeof declared)[number]
    return { mean, deviation }
  })
  const study = testStudy(4, {
    model: { kind: "logistic-regression", features },
    privacy: somePrivacy({ standardise }),
  })
  return schema === null
    ? study
    : { ...study, data: { schema, schemaDigest: new Uint8Array(32), missing: "drop", constants: [] } }
}
const weightsOf = (study: Study): Float64Array =>
  Float64Array.from({ length: study.model.features.length + 1 }, (_, i) => Math.fround(Math.sin(7 * i) / 2))

describe("the model of a finished study", () => {
  it.each([
    ["heart", names(HEART_FEATURES), null],
    ["cardiovascular", names(CARDIOVASCULAR_FEATURES), "cardiovascular"],
  ] as const)("of the %s table answers encrypted patients as it does plainly", (_, features, schema) => {
    const study = studyOn(features, schema)
    const parameters = weightsOf(study)
    const compiled = compiledStudyModel(study, modelFile(study, parameters, 3), 3, RULES)
    expect(compiled.plan.version).toMatch(/^round-3-[0-9a-f]{8}$/)
    expect(compiled.plan.marks).toEqual(["insecure-seed", "synthetic-data"])
    expect(compiled.plan.schema.fields.every(({ label }) => label !== undefined)).toBe(true)
    const asker = new Asker(compiled.plan)
    const server = new ModelServer(compiled)
    const reader = new PatientReader(compiled.plan.schema)
    const random = testRandom("study-model")
    const patients = [
      extremePatient(0, compiled.plan.schema),
      extremePatient(-1, compiled.plan.schema),
      ...Array.from({ length: 4 }, () => randomPatient(random, compiled.plan.schema)),
    ]
    const { standardise = [] } = study.privacy ?? {}
    const question = asker.ask(patients)
    const answers = question.open(server.answer(question.bytes))
    patients.forEach((patient, i) => {
      const plain = plainLogit(
        {
          kind: "linear",
          weights: [...parameters.subarray(0, -1)],
          bias: parameters.at(-1) as number,
        },
        {
          source: "declared",
          means: standardise.map(({ mean }) => mean),
          deviations: standardise.map(({ deviation }) => deviation),
        },
        reader.columns(patient),
      )
      expect(Math.abs((answers[i]?.logit as number) - plain)).toBeLessThanOrEqual(compiled.plan.errorBound)
    })
  })

  it("may be a network with squares, trained among facilities", () => {
    const features = names(HEART_FEATURES)
    const base = studyOn(features, null)
    const study: Study = {
      ...base,
      model: studyModelOf(
        studyModelSchema.parse({ kind: "network", features: [...features], layers: "mlp-square" }),
      ),
    }
    const file = modelFile(study, initialModel(study), 2)
    const compiled = compiledStudyModel(study, file, 2, RULES)
    expect(compiled.plan.packing).toBe("slots-by-patient")
    const random = testRandom("study-network")
    const patients = [
      extremePatient(-1, compiled.plan.schema),
      ...Array.from({ length: 3 }, () => randomPatient(random, compiled.plan.schema)),
    ]
    const question = new Asker(compiled.plan).ask(patients)
    const answers = question.open(new ModelServer(compiled).answer(question.bytes))
    const reader = new PatientReader(compiled.plan.schema)
    const { standardise = [] } = study.privacy ?? {}
    const network = decodeNetworkModel(file).network
    patients.forEach((patient, i) => {
      const plain = plainLogit(
        trainedNetwork(network.description, network.parameters),
        {
          source: "declared",
          means: standardise.map(({ mean }) => mean),
          deviations: standardise.map(({ deviation }) => deviation),
        },
        reader.columns(patient),
      )
      expect(Math.abs((answers[i]?.logit as number) - plain)).toBeLessThanOrEqual(compiled.plan.errorBound)
    })
    const relu = {
      ...study,
      model: studyModelOf(
        studyModelSchema.parse({ kind: "network", features: [...features], layers: "mlp-small" }),
      ),
    }
    expect(() => compiledStudyModel(relu, modelFile(relu, initialModel(relu), 2), 2, RULES)).toThrow(/relu/)
  })

  it("is not compiled beside a leader's rounds where that would take seconds", () => {
    const features = names(HEART_FEATURES)
    const layers = [{ kind: "dense", outputs: 512 }, { kind: "square" }, { kind: "dense", outputs: 1 }]
    const study: Study = {
      ...studyOn(features, null),
      model: studyModelOf(studyModelSchema.parse({ kind: "network", features: [...features], layers })),
    }
    expect(() => compiledStudyModel(study, modelFile(study, initialModel(study), 1), 1, RULES)).toThrow(
      expect.objectContaining({
        code: "inference/not-offered",
        remedy: expect.stringContaining("compile it by hand"),
      }),
    )
  })

  it("[S33] without differential privacy is not offered, and it says why", () => {
    const study: Study = { ...studyOn(names(HEART_FEATURES), null), privacy: null }
    expect(() => compiledStudyModel(study, modelFile(study, weightsOf(study), 1), 1, RULES)).toThrow(
      expect.objectContaining({
        code: "inference/not-offered",
        message: expect.stringContaining("without differential privacy"),
        remedy: expect.stringContaining("declared constants"),
      }),
    )
  })

  it("[S33] whose noise follows from a public seed is not offered, unless no row is a patient", () => {
    const seeded = { ...studyOn(names(HEART_FEATURES), null), insecureSeed: 1 }
    const compiled = (study: Study) =>
      compiledStudyModel(study, modelFile(study, weightsOf(study), 1), 1, RULES)
    expect(() => compiled({ ...seeded, syntheticData: false })).toThrow(
      expect.objectContaining({
        code: "inference/not-offered",
        message: expect.stringContaining("follows from a public seed"),
      }),
    )
    expect(compiled({ ...seeded, syntheticData: true }).plan.marks).toContain("insecure-seed")
    expect(compiled({ ...seeded, insecureSeed: null, syntheticData: false }).plan.marks).toEqual([])
  })

  it("[S33] with a larger privacy budget than the leader lets be known is not offered", () => {
    const study = studyOn(names(HEART_FEATURES), null)
    const { epsilon } = study.privacy as NonNullable<Study["privacy"]>
    const file = modelFile(study, weightsOf(study), 1)
    const offered = (largestEpsilon: number) =>
      compiledStudyModel(study, file, 1, { weights: "shared", largestEpsilon })
    expect(offered(epsilon).plan.weights).toBe("shared")
    expect(() => offered(epsilon / 2)).toThrow(
      expect.objectContaining({
        code: "inference/not-offered",
        message: `Its privacy budget is epsilon ${epsilon}; this leader offers models of at most ${epsilon / 2}.`,
        remedy: expect.stringContaining("inference.largest_epsilon"),
      }),
    )
  })

  it("whose features' units the leader does not know is not offered", () => {
    const study = testStudy(4, { privacy: somePrivacy() })
    const parameters = new Float64Array(study.model.features.length + 1)
    expect(() => compiledStudyModel(study, modelFile(study, parameters, 1), 1, RULES)).toThrow(
      expect.objectContaining({
        code: "inference/not-offered",
        message: expect.stringContaining("does not know units"),
      }),
    )
  })
})
