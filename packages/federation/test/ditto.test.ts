import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { insecureSeededSecret } from "@consilium/base/testing"
import type { Examples } from "@consilium/learning/data"
import { gradient, meanLoss } from "@consilium/learning/logistic"
import { describe, expect, it } from "vitest"
import { type LocalState, localStateCodec, startLocalState } from "../src/local-state.js"
import { initialModel } from "../src/model.js"
import { encodeBase } from "../src/round-base.js"
import { checkStudy, type Study, strategyName, trainingDigest } from "../src/study.js"
import { personalModel, trainRound } from "../src/training.js"
import { type Outcome, runStudy } from "./harness.js"
import { type StudyChanges, testStudy, toyRecords } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { audited, models } from "./scenes.js"

const ditto = { lambda: 0.5, steps: 12, learningRate: 0.2 }
const run = (training: StudyChanges["training"], changes: StudyChanges = {}): Outcome =>
  runStudy({ study: { rounds: 3, protection: "plain", ...changes, training: { ...training } } })

const finals = ({ leader }: Outcome) => {
  if (leader.phase !== "closed") throw new Error(`The study ended in phase ${leader.phase}.`)
  return [...leader.finals.values()]
}

describe("Ditto", () => {
  const outcome = run({ ditto })

  it("leaves the common model as averaging makes it, to the last bit of every round", () => {
    expect(models(outcome)).toEqual(models(run({})))
    expect(models(run({ ditto: { ...ditto, lambda: 2, steps: 3 } }))).toEqual(models(outcome))
    audited(outcome)
  })

  it("reports how each facility's own model does, which is another one than the common", () => {
    for (const { global, personal } of finals(outcome)) {
      expect(personal?.rows).toBe(global?.rows)
      expect(personal?.logLoss).not.toBe(global?.logLoss)
    }
    for (const { personal } of finals(run({}))) expect(personal).toBeNull()
  })

  it("[S28] no message carries a facility's own model, nor is there one more", () => {
    const kinds = ({ said }: Outcome): readonly string[] =>
      said.map(({ by, to, message }) => `${by} ${to} ${message.type}`)
    const plain = run({})
    expect(kinds(outcome)).toEqual(kinds(plain))
    const carriers = new Set(outcome.said.filter(({ message }) => "model" in message).map(({ by }) => by))
    expect([...carriers]).toEqual(["leader"])
  })

  it("goes with control variates, whose common model is then theirs", () => {
    const both = run({ ditto, correction: "scaffold" })
    expect(models(both)).toEqual(models(run({ correction: "scaffold" })))
    expect(strategyName(both.study)).toBe("scaffold")
    for (const { personal } of finals(both)) expect(personal).not.toBeNull()
  })
})

describe("a facility's own model", () => {
  const table = toyRecords("clinic-1", 3, 20)
  /** Every batch is the whole table. */
  const study = (changes: Partial<typeof ditto> = {}): Study =>
    testStudy(4, { rounds: 3, training: { batchSize: 20, ditto: { ...ditto, ...changes } } })
  const globals = [0, 1, 2].map((i) => initialModel(study()).map((w, j) => w + 0.3 * i * (j + 1)))
  const rounds = (of: Study, examples: Examples): readonly LocalState[] => {
    let local = startLocalState()
    return globals.map((parameters, i) => {
      local = trainRound({
        study: of,
        spec: { round: i + 1, attempt: 1, model: new Uint8Array(32).fill(i) },
        parameters,
        examples,
        local,
        secret: insecureSeededSecret(i, "round"),
      }).local
      return local
    })
  }

  it("follows the algorithm: steps along its own gradient and a pull towards each round's global model", () => {
    const all = Uint8Array.from(table.labels, (_, row) => row)
    let v = [...(globals[0] as Float64Array)]
    const found = rounds(study(), table)
    for (const [i, w] of globals.entries()) {
      for (let step = 0; step < ditto.steps; step++) {
        const slope = new Float64Array(4)
        gradient(Float64Array.from(v), table, Uint32Array.from(all), slope)
        v = v.map(
          (value, j) =>
            value - ditto.learningRate * ((slope[j] as number) + ditto.lambda * (value - (w[j] as number))),
        )
      }
      for (const [j, value] of (found[i]?.personal?.parameters ?? []).entries())
        expect(Math.abs(value - (v[j] as number))).toBeLessThan(1e-12)
    }
  })

  it("without a pull learns from its own rows alone; a strong pull keeps it at the global model", () => {
    const last = (lambda: number, learningRate: number): Float64Array =>
      rounds(study({ lambda, learningRate, steps: 300 }), table).at(-1)?.personal?.parameters as Float64Array
    const w = globals[2] as Float64Array
    const away = (v: Float64Array): number => Math.hypot(...v.map((value, j) => value - (w[j] as number)))
    expect(away(last(50, 0.02))).toBeLessThan(0.05)
    expect(away(last(0, 0.2))).toBeGreaterThan(1)
    expect(meanLoss(last(0, 0.2), table)).toBeLessThan(meanLoss(w, table))
  })

  it("is saved with the rest of what training leaves here, and read back the same", () => {
    const [first] = rounds(study(), table) as [LocalState]
    expect(decode(localStateCodec, encode(localStateCodec, first))).toEqual(first)
  })

  it("is what a facility has at the end; without one, or before the first round, there is nothing", () => {
    const local = rounds(study(), table).at(-1) as LocalState
    const work = {
      study: study(),
      spec: { round: 3, attempt: 1, model: new Uint8Array(32) },
      parameters: globals[2] as Float64Array,
      examples: table,
      local,
      secret: insecureSeededSecret(1, "end"),
    }
    expect(personalModel(work)).toBe(local.personal?.parameters)
    expect(personalModel({ ...work, local: startLocalState() })).toBeNull()
  })
})

describe("studies with local strategies", () => {
  const refused = (changes: StudyChanges): string => {
    try {
      checkStudy(testStudy(4, changes), 4)
      return "accepted"
    } catch (error) {
      return (error as Error).message
    }
  }
  const network: StudyChanges["model"] = {
    kind: "network",
    features: ["a", "b", "c"],
    images: null,
    description: {
      input: [3],
      layers: [{ kind: "dense", outputs: 1 }],
      loss: "sigmoid-cross-entropy",
    },
  } as never

  it.each([
    ["ditto with fine-tuning", { training: { ditto, fineTuneSteps: 1 } }, /a facility reports one/],
    ["ditto without steps", { training: { ditto: { ...ditto, steps: 0 } } }, /does not learn/],
    ["ditto at no rate", { training: { ditto: { ...ditto, learningRate: 0 } } }, /does not learn/],
    ["a pull past the model", { training: { ditto: { ...ditto, lambda: 5.1 } } }, /steps past the model/],
    ["a pull away from it", { training: { ditto: { ...ditto, lambda: -1 } } }, /steps past the model/],
    ["ditto on a network", { model: network, training: { ditto } }, /no pull towards another model/],
    [
      "scaffold on a network",
      { model: network, training: { correction: "scaffold" } },
      /no control variates/,
    ],
  ] as const)("%s is refused", (_, changes, reason) => {
    expect(refused(changes as StudyChanges)).toMatch(reason)
  })

  it("[S28] personal models are refused with differential privacy, and control variates with noise on the sum", () => {
    const { training, ...rest } = withPrivacy()
    expect(refused({ ...rest, training: { ...training, ditto } })).toMatch(/would tell of the patients/)
    expect(refused({ ...rest, training: { ...training, correction: "scaffold" } })).toBe("accepted")
    const onSum = withPrivacy({ noise: "sum", patients: 20, mostPatients: 40 })
    expect(refused({ ...onSum, training: { ...training, correction: "scaffold" } })).toMatch(
      /beyond what the clip bounds/,
    )
  })

  it("ditto alone is its name, and the streams are those of averaging", () => {
    const averaging = testStudy(4)
    const personal = testStudy(4, { training: { ditto } })
    expect(strategyName(personal)).toBe("ditto")
    expect(toHex(trainingDigest(personal))).toBe(toHex(trainingDigest(averaging)))
    expect(encodeBase(personal, { parameters: initialModel(personal), control: null }, 0).length).toBe(
      encodeBase(averaging, { parameters: initialModel(averaging), control: null }, 0).length,
    )
  })
})
