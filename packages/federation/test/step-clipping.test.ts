import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import type { Examples } from "@consilium/learning/data"
import { DpOptimizer } from "@consilium/privacy/dp-optimizer"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import type { DpEvent } from "@consilium/privacy/events"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { describe, expect, it } from "vitest"
import { afterCharged, type LocalState, localStateCodec, startLocalState } from "../src/local-state.js"
import {
  type Clipping,
  epsilonAfter,
  isPrivate,
  type PrivateStudy,
  planNoise,
  type StudyPrivacy,
  stepEvent,
} from "../src/privacy-plan.js"
import { stepParameters } from "../src/step-release.js"
import { clippingWords, mechanismWords } from "../src/step-words.js"
import { checkStudy, decodeStudy, encodeStudy, studyDigest, trainingDigest } from "../src/study.js"
import { trainRound } from "../src/training.js"
import { textOf } from "./errors.js"
import { runStudy } from "./harness.js"
import { facilityNames, testStudy, toyRecords } from "./members.js"
import { somePrivacy, withPrivacy } from "./private-study.js"
import { audited, models } from "./scenes.js"

const LAYERS: Clipping = { type: "per-layer", norms: [0.8, 0.6] }
const ADAPTIVE: Clipping = {
  type: "adaptive",
  targetQuantile: 0.5,
  learningRate: 0.4,
  countSigma: 2,
  minimum: 0.05,
  maximum: 8,
}
const KINDS: readonly (readonly [string, Partial<StudyPrivacy>])[] = [
  ["layer by layer", { clipping: LAYERS }],
  ["adaptively", { clipping: ADAPTIVE }],
  ["in L1, with Laplace noise", { mechanism: "laplace" }],
]
const privateStudy = (privacy: Partial<StudyPrivacy>): PrivateStudy => {
  const study = testStudy(4, withPrivacy(privacy))
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}

describe.each(KINDS)("a study that clips %s", (_, privacy) => {
  const study = privateStudy(privacy)

  it("can be signed, read back, and has digests of its own", () => {
    expect(checkStudy(study, 4)).toBeUndefined()
    expect(decodeStudy(encodeStudy(study))).toEqual(study)
    const flat = privateStudy({})
    for (const digest of [studyDigest, trainingDigest])
      expect(toHex(digest(study))).not.toBe(toHex(digest(flat)))
  })

  it("is charged what the training's own optimiser charges", () => {
    const accountant = new RdpAccountant()
    const optimizer = new DpOptimizer({
      ...stepParameters(study.privacy, 4),
      sampleRate: study.privacy.sampleRate,
      datasetSize: 50,
      learningRate: 0.5,
      random: insecureSeededRandom("event"),
      accountant,
    })
    expect(stepEvent(study)).toEqual(optimizer.event)
    const spent = accountant.compose(optimizer.event, 8).getEpsilon(1e-5)
    expect(epsilonAfter(study, 2) / spent).toBeCloseTo(1, 12)
  })

  it("has its noise calibrated at the price it is charged", () => {
    const { mechanism } = study.privacy
    const wanted = { delta: 1e-5, maxGradNorm: 1, sampleRate: 0.3, dimension: 4, steps: 8, mechanism }
    const planned = planNoise({ ...wanted, epsilon: 6, floor: null, calibrate: true })
    const made = privateStudy({ ...privacy, noiseMultiplier: planned.noiseMultiplier })
    expect(epsilonAfter(made, 2) / planned.epsilon).toBeCloseTo(1, 6)
    expect(epsilonAfter(made, 2)).toBeLessThanOrEqual(6 * (1 + 1e-12))
    expect(epsilonAfter(made, 2)).toBeGreaterThan(5.9)
  })

  it("closes its rounds with the same models under every protection, and its audit holds", () => {
    const run = runStudy({ study: withPrivacy(privacy), seed: 3 })
    expect(run.leader.phase).toBe("closed")
    expect(run.security).toEqual([])
    const { certifiedRounds, model } = audited(run, run.log)
    expect([certifiedRounds, toHex(model)]).toEqual([2, models(run).at(-1)])
    for (const protection of ["plain", "shamir", "masked", "bfv"] as const)
      expect(models(runStudy({ study: { ...withPrivacy(privacy), protection }, seed: 3 }))).toEqual(
        models(run),
      )
    expect(models(runStudy({ study: withPrivacy(privacy), seed: 4 }))).not.toEqual(models(run))
    expect(models(runStudy({ study: withPrivacy(), seed: 3 }))).not.toEqual(models(run))
  })

  it("[S20] charges every facility for each update by that event", () => {
    const run = runStudy({ study: { ...withPrivacy(privacy), protection: "plain" }, seed: 3 })
    const made = run.study
    if (!isPrivate(made)) throw new Error("The study was to be private.")
    for (const name of facilityNames(4)) {
      const charges = run.charges.get(name) ?? []
      expect(charges).toHaveLength(2)
      let accountant = new RdpAccountant()
      for (const { event, steps, epsilon } of charges) {
        expect(decode(dpEventCodec, event)).toEqual(stepEvent(made))
        expect(steps).toBe(4)
        accountant = accountant.compose(decode(dpEventCodec, event), steps)
        expect(epsilon / accountant.getEpsilon(1e-5)).toBeCloseTo(1, 12)
      }
    }
  })
})

describe("what clipping costs", () => {
  const cost = (privacy: Partial<StudyPrivacy>) => epsilonAfter(privateStudy(privacy), 2)
  it("nothing beside noise of the same multiplier: layers, and a norm that adapts, count and all", () => {
    for (const clipping of [LAYERS, ADAPTIVE, { ...ADAPTIVE, countSigma: 0.8 }])
      expect(cost({ clipping }) / cost({})).toBeCloseTo(1, 9)
  })
  it("with Laplace noise and no sampling, epsilon is the steps over the multiplier, whatever delta is", () => {
    const laplace = { mechanism: "laplace", sampleRate: 1, noiseMultiplier: 20 } as const
    for (const delta of [1e-5, 1e-12])
      expect(cost({ ...laplace, delta })).toBeLessThanOrEqual((8 / 20) * (1 + 1e-9))
    expect(cost({ ...laplace, delta: 1e-300 })).toBeCloseTo(8 / 20, 3)
  })
})

const COLUMNS = 12
const BASE = new Uint8Array(32)
const wide = (privacy: Partial<StudyPrivacy>, steps = 1, learningRate = 0.5): PrivateStudy => {
  const standardise = Array.from({ length: COLUMNS }, () => ({ mean: 0, deviation: 1 }))
  return testStudy(4, {
    model: { features: standardise.map((_, i) => `x${i}`) },
    privacy: somePrivacy({ standardise, ...privacy }),
    quantisation: { weights: "equal", largestWeight: 1 },
    training: { steps, learningRate },
  }) as PrivateStudy
}
const train = (
  study: PrivateStudy,
  examples: Examples,
  local: LocalState,
  round = 1,
  patients: readonly number[] = Array.from({ length: examples.rows }, (_, row) => row),
) =>
  trainRound({
    study,
    spec: { round, attempt: 1, model: BASE },
    parameters: new Float64Array(COLUMNS + 1),
    examples,
    patients,
    local,
    secret: insecureSeededSecret(round, "clipping"),
  })

describe("the clip norm that a facility carries from round to round", () => {
  const study = wide({ clipping: ADAPTIVE, sampleRate: 0.5 }, 3)
  const records = toyRecords("rows", COLUMNS, 40)
  const rounds = (count: number, between: (local: LocalState) => LocalState) => {
    let local = startLocalState()
    return Array.from({ length: count }, (_, i) => {
      const trained = train(study, records, local, i + 1)
      local = between(afterCharged(trained.local, BASE))
      return trained
    })
  }

  it("moves in every step, within its limits, and is kept with what was trained", () => {
    const all = rounds(6, (local) => local)
    const norms = all.map(({ local }) => local.nextClipNorms?.norms[0] as number)
    expect(new Set(norms).size).toBe(6)
    for (const norm of norms) {
      expect(norm).toBeGreaterThanOrEqual(0.05)
      expect(norm).toBeLessThanOrEqual(8)
    }
    expect(all.every(({ local }) => local.nextClipNorms?.norms.length === 1)).toBe(true)
  })

  it("[S20] is forgotten with an update that is never charged: no later one is clipped to what nothing paid for", () => {
    const [unpaid] = rounds(1, (local) => local)
    const after = train(study, records, unpaid?.local ?? startLocalState(), 2)
    expect(after.values).toEqual(train(study, records, startLocalState(), 2).values)
    const other = new Uint8Array(32).fill(1)
    expect(afterCharged(after.local, other)).toBe(after.local)
  })

  it("comes back from storage to the same integers; without it they are others", () => {
    const straight = rounds(4, (local) => local).map(({ values }) => [...values])
    const stored = rounds(4, (local) => decode(localStateCodec, encode(localStateCodec, local)))
    expect(stored.map(({ values }) => [...values])).toEqual(straight)
    const forgotten = rounds(4, (local) => ({ ...local, clipNorms: [] })).map(({ values }) => [...values])
    expect(forgotten[0]).toEqual(straight[0])
    expect(forgotten[1]).not.toEqual(straight[1])
  })

  it("is none where clipping does not adapt", () => {
    for (const privacy of [{}, { clipping: LAYERS }, { mechanism: "laplace" }] as const)
      expect(train(wide(privacy), records, startLocalState()).local.nextClipNorms).toBeNull()
  })

  it("grows until nobody is clipped if the quantile is high, and stays within its limits with nobody in any sample", () => {
    const high = wide(
      { clipping: { ...ADAPTIVE, targetQuantile: 0.97 }, sampleRate: 1, maxGradNorm: 0.06 },
      60,
    )
    const norm = train(high, records, startLocalState()).local.nextClipNorms?.norms[0]
    expect(norm).toBeGreaterThan(0.5)
    const nobody = wide({ clipping: ADAPTIVE, sampleRate: 1e-6 }, 60, 1e-6)
    const { values, local } = train(nobody, records, startLocalState())
    expect(local.nextClipNorms?.norms[0]).toBeGreaterThanOrEqual(0.05)
    expect(local.nextClipNorms?.norms[0]).toBeLessThanOrEqual(8)
    expect(values).toHaveLength(COLUMNS + 1)
  })
})

describe("[S20] one patient of many far-out rows moves a step no further than a patient may", () => {
  const people = 10
  const patients = Array.from({ length: 59 }, (_, row) => Math.min(row, people - 1))
  const rows = (label: number): Examples => ({
    rows: 59,
    columns: COLUMNS,
    features: Float64Array.from({ length: 59 * COLUMNS }, (_, at) => (at < 9 * COLUMNS ? 0.1 : 30)),
    labels: Uint8Array.from({ length: 59 }, (_, row) => (row < 9 ? row % 2 : label)),
  })
  const moved = (privacy: Partial<StudyPrivacy>): readonly number[] => {
    const study = wide({ sampleRate: 1, noiseMultiplier: 1e-3, epsilon: 1e12, ...privacy })
    const values = [1, 0].map((label) => train(study, rows(label), startLocalState(), 1, patients).values)
    const perStep = people / 0.5 / 2 ** 14
    return Array.from(values[0] as Int32Array, (v, i) => (v - (values[1]?.[i] as number)) * perStep)
  }
  it("layer by layer", () => {
    const [weights, bias] = [
      moved({ clipping: LAYERS }).slice(0, COLUMNS),
      moved({ clipping: LAYERS }).at(-1),
    ]
    expect(Math.hypot(...weights) / (2 * 0.8)).toBeCloseTo(1, 1)
    expect(Math.abs(bias as number) / (2 * 0.6)).toBeCloseTo(1, 1)
    expect(Math.hypot(...weights)).toBeLessThan(1.02 * 2 * 0.8)
    expect(Math.abs(bias as number)).toBeLessThan(1.02 * 2 * 0.6)
  })
  it("with an adapted norm", () => {
    const norm = Math.hypot(...moved({ clipping: ADAPTIVE, maxGradNorm: 0.3 }))
    expect(norm).toBeLessThan(1.02 * 2 * 0.3)
    expect(norm).toBeGreaterThan(0.95 * 2 * 0.3)
  })
  it("in L1", () => {
    const norm = moved({ mechanism: "laplace" }).reduce((sum, v) => sum + Math.abs(v), 0)
    expect(norm).toBeLessThan(1.03 * 2)
    expect(norm).toBeGreaterThan(0.95 * 2)
  })
})

it("noise of a round is that of its event, whatever clips and whatever the norm has become", () => {
  // nobody joins a step, so what comes out is noise; 400 numbers: the variance lies within 40 % but for one build in a million
  const nobody: Examples = {
    rows: 20,
    columns: COLUMNS,
    features: new Float64Array(20 * COLUMNS),
    labels: new Uint8Array(20),
  }
  const variance = (event: DpEvent, step: number): number => {
    if (event.type !== "poisson-sampled") throw new Error("no sample")
    const { event: inner } = event
    if (inner.type === "discrete-laplace") return 2 * (inner.scale * step) ** 2
    if (inner.type === "discrete-gaussian-vector") return (inner.sigma * step) ** 2
    throw new Error(inner.type)
  }
  for (const [privacy, norm] of [
    [{ clipping: LAYERS }, 1],
    [{ clipping: ADAPTIVE }, 1],
    [{ clipping: ADAPTIVE }, 4],
    [{ mechanism: "laplace" }, 1],
  ] as const) {
    const study = wide({ ...privacy, sampleRate: 1e-3, noiseMultiplier: 2 }, 1, 1e-4)
    const adapts = "clipping" in privacy && privacy.clipping.type === "adaptive"
    const local = { ...startLocalState(), clipNorms: adapts ? [norm] : [] }
    const optimizer = new DpOptimizer({
      ...stepParameters(study.privacy, COLUMNS + 1),
      ...(adapts ? { clipNorm: norm } : {}),
      sampleRate: 1e-3,
      datasetSize: 20,
      learningRate: 1e-4,
      random: insecureSeededRandom("step"),
      accountant: new RdpAccountant(),
    })
    const factor = 1e-4 / (1e-3 * 20)
    const expected = variance(stepEvent(study), optimizer.grid.step) * factor ** 2
    let squares = 0
    for (let seed = 1; seed <= 40; seed++)
      for (const value of train(study, nobody, local, seed).values) squares += (value / 2 ** 14) ** 2
    expect(squares / (40 * (COLUMNS + 1)) / expected).toBeGreaterThan(0.6)
    expect(squares / (40 * (COLUMNS + 1)) / expected).toBeLessThan(1.4)
  }
})

describe("clipping that cannot work is refused", () => {
  const refusal = (privacy: Partial<StudyPrivacy>): string => {
    const study = testStudy(4, withPrivacy(privacy))
    const [first = "", second = ""] = textOf(() => checkStudy(study, 4)).split("\n")
    return `${first}\n${second}`
  }
  it("layers that the model does not have", () => {
    expect(refusal({ clipping: { type: "per-layer", norms: [1] } })).toMatchInlineSnapshot(`
      "round/bad-study: 1 norm is declared for the 2 layers of a logistic regression, its weights and its bias.
        remedy: Set privacy.clipping.norms to one norm for the weights and one for the bias."
    `)
    expect(refusal({ clipping: { type: "per-layer", norms: [0.5, 0.5, 0.7] } })).toContain("3 norms are")
    expect(refusal({ clipping: { type: "per-layer", norms: [1, 0] } })).toMatchInlineSnapshot(`
      "round/bad-study: Layers cannot be clipped to norms of 1 and 0.
        remedy: Set privacy.clipping.norms near 1."
    `)
  })
  it("layers that are not what the whole gradient is clipped to", () => {
    expect(refusal({ clipping: { type: "per-layer", norms: [0.8, 0.7] } })).toMatchInlineSnapshot(`
      "round/bad-study: Layers with norms of 0.8 and 0.7 have one of 1.0630146 together, and privacy.max_grad_norm is 1.
        remedy: Set privacy.max_grad_norm to 1.0630146, or choose norms whose squares add up to its square."
    `)
    const rounded: Clipping = { type: "per-layer", norms: [0.4472136, 0.8944272] }
    expect(checkStudy(privateStudy({ clipping: rounded }), 4)).toBeUndefined()
  })
  it("a count that costs all there is", () => {
    expect(refusal({ clipping: { ...ADAPTIVE, countSigma: 0.75 } })).toMatchInlineSnapshot(`
      "round/bad-study: A count with noise of 0.75 costs as much as a noise multiplier of 1.5 allows in all, or more.
        remedy: Set privacy.clipping.count_sigma above 0.7500, half the noise multiplier; a twentieth of the patients of a step is usual."
    `)
    expect(refusal({ clipping: { ...ADAPTIVE, countSigma: Number.NaN } })).toContain("round/bad-study")
    expect(checkStudy(privateStudy({ clipping: { ...ADAPTIVE, countSigma: 0.76 } }), 4)).toBeUndefined()
  })
  it("a rule that leads nowhere", () => {
    expect(refusal({ clipping: { ...ADAPTIVE, targetQuantile: 1 } })).toMatchInlineSnapshot(`
      "round/bad-study: A clip norm cannot follow the quantile 1 at a learning rate of 0.4.
        remedy: Set privacy.clipping.target_quantile between 0 and 1, and privacy.clipping.learning_rate to 10 or less; 0.5 and 0.2 are usual."
    `)
    expect(refusal({ clipping: { ...ADAPTIVE, minimum: 9 } })).toMatchInlineSnapshot(`
      "round/bad-study: A clip norm cannot stay between 9 and 8.
        remedy: Set privacy.clipping.minimum and maximum to norms from 0.000001 to 1000000, the smaller one first."
    `)
    expect(refusal({ clipping: ADAPTIVE, maxGradNorm: 9 })).toMatchInlineSnapshot(`
      "round/bad-study: The first clip norm, privacy.max_grad_norm 9, lies outside 0.05 to 8.
        remedy: Set privacy.max_grad_norm between privacy.clipping.minimum and maximum."
    `)
    for (const change of [
      { learningRate: 0 },
      { learningRate: 11 },
      { learningRate: Number.NaN },
      { minimum: 0 },
      { maximum: Number.POSITIVE_INFINITY },
    ])
      expect(refusal({ clipping: { ...ADAPTIVE, ...change } })).toContain("round/bad-study")
  })
  it("Laplace noise that is not clipped as a whole", () => {
    expect(refusal({ mechanism: "laplace", clipping: LAYERS })).toMatchInlineSnapshot(`
      "round/bad-study: Laplace noise goes with gradients that are clipped as a whole, in L1 norm.
        remedy: Set privacy.clipping to flat, or privacy.mechanism to gaussian."
    `)
    expect(refusal({ mechanism: "laplace", clipping: ADAPTIVE })).toContain("round/bad-study")
  })
})

it("is told in words", () => {
  const words = (privacy: Partial<StudyPrivacy>) =>
    `${mechanismWords(somePrivacy(privacy))}; clips ${clippingWords(somePrivacy(privacy))}`
  expect([{}, ...KINDS.map(([, privacy]) => privacy)].map(words)).toMatchInlineSnapshot(`
    [
      "Gaussian; clips each patient's gradient at norm 1",
      "Gaussian; clips each patient's gradient layer by layer: the weights at norm 0.8, the bias at norm 0.6",
      "Gaussian; clips each patient's gradient at a norm that follows the quantile 0.5 of theirs: 1 at first, 0.05 to 8 later, by a noisy count (deviation 2) that is part of every step",
      "Laplace; clips each patient's gradient at L1 norm 1",
    ]
  `)
})
