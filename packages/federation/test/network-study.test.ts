import { toHex } from "@consilium/base/bytes"
import { decode, encode, list, oneOf, record, text } from "@consilium/base/encoding"
import { insecureSeededSecret } from "@consilium/base/testing"
import { modelFileVersion } from "@consilium/learning/model-container"
import { decodeNetworkModel } from "@consilium/learning/network/network-file"
import { networkPredictions } from "@consilium/learning/network/predict"
import { describe, expect, it } from "vitest"
import { localStateCodec, startLocalState } from "../src/local-state.js"
import { initialModel, modelFile, modelHashOf, modelParameters, moveModel } from "../src/model.js"
import { DEFAULT_POLICY, refuseStudy } from "../src/policy.js"
import { checkStudy, decodeStudy, encodeStudy, parameterCount, type Study } from "../src/study.js"
import { modelCodec, type StudyNetwork } from "../src/study-model.js"
import { fineTune, measure, trainRound } from "../src/training.js"
import { codeOf } from "./errors.js"
import { type Options, runStudy } from "./harness.js"
import { testPolicy, testStudy } from "./members.js"
import { onImages, TINY_IMAGE_NETWORK, TINY_TABLE_NETWORK, tinyImages } from "./network-studies.js"
import { somePrivacy } from "./private-study.js"
import { audited, keptHeads, models, openedSums, Trainings, trainedSums } from "./scenes.js"

const images = (facility: string) => ({
  train: tinyImages(facility, 10 + 2 * Number(facility.at(-1))),
  holdOut: tinyImages(`${facility}, held out`, 12),
})
const run = (options: Options) => {
  const trainings = new Trainings()
  const outcome = runStudy({ records: images, ...options, train: trainings.listen })
  expect(outcome.leader.phase).toBe("closed")
  expect(openedSums(outcome).map(({ sum }) => sum)).toEqual(trainedSums(outcome, trainings))
  expect(toHex(audited(outcome, outcome.log, keptHeads(outcome)).model)).toBe(models(outcome).at(-1))
  return outcome
}

describe("a study that trains a network", () => {
  it("has the same model under every protection, and its log is replayed to that model", () => {
    const of = (protection: Study["protection"]) =>
      models(run({ study: onImages({ protection }), facilities: 5 }))
    const plain = of("plain")
    expect(new Set(plain).size).toBe(2)
    for (const protection of ["shamir", "ckks", "bfv", "masked"] as const)
      expect(of(protection), protection).toEqual(plain)
  })

  it.each(["sgd", "momentum", "adam"] as const)("trains by %s, on tables as on images", (optimiser) => {
    const training = { optimiser, learningRate: 0.05 }
    const [table, pictures] = [
      models(runStudy({ study: { model: TINY_TABLE_NETWORK, training } })),
      models(run({ study: onImages({ training }) })),
    ]
    expect(new Set([...table, ...pictures]).size).toBe(4)
  })

  it("learns, and says how well: every facility's figures are those of the model in its file", () => {
    const outcome = run({
      study: onImages({ rounds: 6, training: { steps: 20, fineTuneSteps: 3 }, protection: "plain" }),
    })
    if (outcome.leader.phase !== "closed") throw new Error("The study did not close.")
    const file = modelFile(outcome.study, outcome.leader.progress.parameters, 6)
    const { network, inputNames } = decodeNetworkModel(file)
    expect([modelFileVersion(file), inputNames]).toEqual([2, []])
    for (const facility of ["clinic-1", "clinic-2"]) {
      const { holdOut } = images(facility)
      const found = measure(outcome.study, outcome.leader.progress.parameters, holdOut)
      expect(found.auc).toBeGreaterThan(0.9)
      const predictions = networkPredictions(network, holdOut.rows, Float32Array.from(holdOut.features))
      const right = predictions.filter((p, row) => (p >= 0.5 ? 1 : 0) === holdOut.labels[row]).length
      expect(found.accuracy).toBe(right / holdOut.rows)
    }
  })

  it("keeps 32-bit parameters between rounds, so that a file and a memory give the same next round", () => {
    const study = testStudy(4, onImages({ server: { strategy: "fedyogi", learningRate: 0.01 } }))
    const parameters = initialModel(study)
    const update = parameters.map((_, i) => Math.sin(i) / 7)
    const start = { first: new Float64Array(parameters.length), second: new Float64Array(parameters.length) }
    const moved = moveModel(study, start, parameters, update)
    expect(moved.parameters).toEqual(moved.parameters.map(Math.fround))
    expect(moved.state.first).not.toEqual(moved.state.first.map(Math.fround))
    const read = modelParameters(study, modelFile(study, moved.parameters, 1))
    expect(read).toEqual(moved.parameters)
    expect(modelHashOf(study, read)).toEqual(modelHashOf(study, moved.parameters))
    const far = update.map(() => 1e300)
    const average = testStudy(4, onImages())
    const none = { first: new Float64Array(0), second: new Float64Array(0) }
    expect(codeOf(() => moveModel(average, none, parameters, far))).toBe("learning/diverged")
  })

  it("goes on with its batches from round to round, also from what was stored", () => {
    const study = testStudy(4, onImages({ training: { optimiser: "sgd", steps: 3 } }))
    const { train: examples } = images("clinic-1")
    const round = (number: number, parameters: Float64Array, local = startLocalState()) =>
      trainRound({
        study,
        spec: { round: number, attempt: 1, model: new Uint8Array(32) },
        parameters,
        examples,
        local,
        secret: insecureSeededSecret(number, "network"),
      })
    const first = round(1, initialModel(study))
    expect(first.local.cursor.order).toHaveLength(0)
    expect(round(1, initialModel(study)).values).toEqual(first.values)
    const longer = testStudy(4, onImages({ training: { steps: 2 } }))
    const part = trainRound({
      study: longer,
      spec: { round: 1, attempt: 1, model: new Uint8Array(32) },
      parameters: initialModel(longer),
      examples,
      local: startLocalState(),
      secret: insecureSeededSecret(1, "network"),
    })
    expect([part.local.cursor.order.length, part.local.cursor.next]).toEqual([12, 8])
    const stored = decode(localStateCodec, encode(localStateCodec, part.local))
    const second = round(2, initialModel(study), stored)
    expect(second.values).toEqual(round(2, initialModel(study), part.local).values)
    expect(second.values).not.toEqual(round(2, initialModel(study)).values)
  })

  it("fine-tunes a copy, and needs no more than its own rows", () => {
    const study = testStudy(4, onImages({ training: { fineTuneSteps: 5, fineTuneLearningRate: 0.01 } }))
    const { train: examples } = images("clinic-2")
    const parameters = initialModel(study)
    const tuned = fineTune({
      study,
      spec: { round: 2, attempt: 1, model: new Uint8Array(32) },
      parameters,
      examples,
      local: startLocalState(),
      secret: insecureSeededSecret(1, "fine"),
    })
    expect(tuned).not.toEqual(parameters)
    expect(parameters).toEqual(initialModel(study))
  })
})

describe("a study's model, encoded", () => {
  const oldCodec = record({ kind: oneOf("logistic-regression"), features: list(text(64), 4096) })

  it("has the bytes for a logistic regression that it had before there were networks", () => {
    const model = { kind: "logistic-regression", features: ["age", "sex"] } as const
    expect(encode(modelCodec, model)).toEqual(encode(oldCodec, model))
    expect(decode(modelCodec, encode(oldCodec, model))).toEqual(model)
  })

  it.each([["on a table", TINY_TABLE_NETWORK] as const, ["on images", TINY_IMAGE_NETWORK] as const])(
    "comes back as it was: a network %s",
    (_, model) => {
      const study = testStudy(4, { model })
      expect(decodeStudy(encodeStudy(study)).model).toEqual(model)
      expect(parameterCount(study)).toBe(model === TINY_IMAGE_NETWORK ? 29 : 21)
    },
  )

  it("refuses the model of another network, and of a logistic regression", () => {
    const study = testStudy(4, onImages())
    const other = testStudy(4, { model: TINY_TABLE_NETWORK })
    const logistic = testStudy(4)
    const of = (from: Study) => modelFile(from, initialModel(from), 0)
    expect(codeOf(() => modelParameters(study, of(other)))).toBe("round/wrong-model")
    expect(codeOf(() => modelParameters(study, of(logistic)))).toBe("model/unreadable")
    expect(codeOf(() => modelParameters(logistic, of(study)))).toBe("model/unreadable")
  })
})

describe("what a network study may not be", () => {
  const network = (changes: Partial<StudyNetwork>) => ({ model: { ...TINY_IMAGE_NETWORK, ...changes } })
  const pictures = TINY_IMAGE_NETWORK.images as NonNullable<StudyNetwork["images"]>
  const layers = TINY_IMAGE_NETWORK.description.layers

  it.each([
    ["features beside images", network({ features: ["a"] })],
    ["no inputs named", { model: { ...TINY_TABLE_NETWORK, features: ["a", "b"] } }],
    ["pixels of no declared scale", network({ images: { ...pictures, means: [] } })],
    ["a deviation of 0", network({ images: { ...pictures, deviations: [0] } })],
    ["one class twice", network({ images: { ...pictures, classes: ["dark", "dark"] } })],
    ["one class", network({ images: { ...pictures, classes: ["dark"] } })],
    [
      "two outputs",
      network({
        description: {
          ...TINY_IMAGE_NETWORK.description,
          layers: [...layers.slice(0, -1), { kind: "dense", outputs: 2 }],
        },
      }),
    ],
    ["another loss", network({ description: { ...TINY_IMAGE_NETWORK.description, loss: "squared-error" } })],
    ["a proximal term", { model: TINY_IMAGE_NETWORK, training: { proximalMu: 0.1 } }],
    [
      "groups of patients",
      {
        model: TINY_TABLE_NETWORK,
        reporting: { subgroups: [{ feature: "a", cuts: [0], names: [] }] },
      },
    ],
    ["Adam for a logistic regression", { training: { optimiser: "adam" } }],
    [
      "dropout beside noise",
      {
        ...network({
          description: {
            ...TINY_IMAGE_NETWORK.description,
            layers: [...layers.slice(0, -1), { kind: "dropout", rate: 0.5 }, { kind: "dense", outputs: 1 }],
          },
        }),
        privacy: somePrivacy({ standardise: [] }),
        quantisation: { weights: "equal", largestWeight: 1 },
      },
    ],
    [
      "noise of another kind",
      {
        model: TINY_IMAGE_NETWORK,
        privacy: somePrivacy({ standardise: [], mechanism: "laplace" }),
        quantisation: { weights: "equal", largestWeight: 1 },
      },
    ],
  ] as const)("%s", (_, changes) => {
    expect(codeOf(() => checkStudy(testStudy(4, changes as never), 4))).toBe("round/bad-study")
  })

  it("is refused by a facility that trains no networks, or none so large", () => {
    const study = testStudy(4, onImages({ insecureSeed: null }))
    expect(refuseStudy(DEFAULT_POLICY, study)).toBe(null)
    expect(refuseStudy(testPolicy({ modelKinds: ["logistic-regression"] }), study)?.code).toBe("policy/model")
    expect(refuseStudy(testPolicy({ largestModel: 28 }), study)?.code).toBe("policy/model")
  })
})
