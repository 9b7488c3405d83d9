import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import { distributedEvent } from "@consilium/privacy/distributed"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { describe, expect, it } from "vitest"
import { startLocalState } from "../src/local-state.js"
import { meanUpdate } from "../src/opened-sum.js"
import { epsilonAfter, type PrivateStudy, planNoise, stepEvent } from "../src/privacy-plan.js"
import { clipToNorm, roundToGrid, squaredNormBound } from "../src/quantise.js"
import { checkStudy, studyAmong, valueBound } from "../src/study.js"
import {
  hidingParties,
  releasesPerRound,
  shareSigma,
  sumEvent,
  sumSensitivity,
  withNoiseShare,
} from "../src/sum-noise.js"
import { sumNoiseWords } from "../src/sum-words.js"
import { trainRound } from "../src/training.js"
import { codeOf, textOf } from "./errors.js"
import { type StudyChanges, testStudy, toyRecords } from "./members.js"
import { sumStudy, withSumNoise } from "./sum-study.js"

const UNITS = ["patient", "facility"] as const
/** A study of 21 parameters, so that a few draws tell its noise. */
const COLUMNS = 20
const wide = (unit: (typeof UNITS)[number], changes: StudyChanges = {}): PrivateStudy =>
  sumStudy(unit, {
    model: { features: Array.from({ length: COLUMNS }, (_, i) => `x${i}`) },
    privacy: {
      standardise: Array.from({ length: COLUMNS }, () => ({ mean: 0, deviation: 1 })),
    },
    ...changes,
  } as Parameters<typeof sumStudy>[1])

const trained = (study: PrivateStudy, facility: string, rows = 12, patients?: readonly number[]) =>
  trainRound({
    study,
    spec: { round: 1, attempt: 1, model: new Uint8Array(32) },
    parameters: new Float64Array(study.model.features.length + 1),
    examples: toyRecords(facility, study.model.features.length, rows),
    patients: patients ?? Array.from({ length: rows }, (_, row) => row),
    local: startLocalState(),
    secret: insecureSeededSecret(facility, "sum-noise"),
  }).values

/** The sum of squares of what several facilities' shares add up to, and how many numbers that is. */
const squaresOfSums = (study: PrivateStudy, parties: number, draws: number): readonly [number, number] => {
  const dimension = study.model.features.length + 1
  let squares = 0
  for (let draw = 0; draw < draws; draw++) {
    const sum = new Float64Array(dimension)
    for (let party = 0; party < parties; party++)
      withNoiseShare(new Int32Array(dimension), study, insecureSeededRandom(draw, String(party))).forEach(
        (value, i) => {
          sum[i] = (sum[i] as number) + value
        },
      )
    for (const value of sum) squares += value * value
  }
  return [squares, draws * dimension]
}

// chi-square of 4,200 degrees of freedom: within 12 % but for fewer than one build in a million, by the normal limit
const WITHIN = 0.12

describe("[S26] the noise on an opened sum", () => {
  it.each(UNITS)(
    "of a smallest cohort has the accounted variance after its colluders took theirs off, unit %s",
    (unit) => {
      const study = wide(unit)
      const sigma = study.privacy.noiseMultiplier * sumSensitivity(study)
      const { minCohort, colluders } = study.cohort
      expect([minCohort, colluders, hidingParties(study)]).toEqual([3, 1, 2])
      const [squares, count] = squaresOfSums(study, minCohort - colluders, 200)
      expect(Math.abs(squares / count / sigma ** 2 - 1)).toBeLessThan(WITHIN)
      const [all, same] = squaresOfSums(study, minCohort, 200)
      expect(Math.abs(all / same / sigma ** 2 - 1.5)).toBeLessThan(1.5 * WITHIN)
    },
  )

  it.each(UNITS)("is in what a facility sends, one share of it, unit %s", (unit) => {
    const study = wide(unit)
    // a study of next to no noise; its rounding differs by less than a thousandth of the noise's variance
    const quiet = { ...study, privacy: { ...study.privacy, noiseMultiplier: 1e-6 } }
    let squares = 0
    for (let i = 0; i < 200; i++) {
      const data = trained(quiet, `facility-${i}`)
      trained(study, `facility-${i}`).forEach((value, j) => {
        squares += (value - (data[j] as number)) ** 2
      })
    }
    expect(Math.abs(squares / (200 * (COLUMNS + 1)) / shareSigma(study) ** 2 - 1)).toBeLessThan(WITHIN)
  })

  it.each(UNITS)("is what is charged: the distributed event, once a round, unit %s", (unit) => {
    const study = wide(unit)
    const sensitivity = sumSensitivity(study)
    const event = distributedEvent({
      clip: sensitivity,
      granularity: 1,
      whole: true,
      localSigma: shareSigma(study),
      parties: 2,
      dimension: COLUMNS + 1,
      beta: 0,
    })
    expect(stepEvent(study)).toEqual(event)
    expect(event.sigma / event.l2Sensitivity / study.privacy.noiseMultiplier).toBeCloseTo(1, 9)
    expect(releasesPerRound(study)).toBe(1)
    const spent = new RdpAccountant().compose(event, 7).getEpsilon(study.privacy.delta)
    expect(epsilonAfter(study, 7)).toBe(spent)
    // more local steps cost nothing more where the whole update is one release
    const longer = { ...study, training: { ...study.training, steps: 9 } }
    if (unit === "facility") expect(epsilonAfter(longer, 7)).toBe(spent)
  })

  it("of a small share of a grid step is charged as less than a discrete Gaussian", () => {
    const coarse = sumStudy("patient", {
      privacy: { noiseMultiplier: 0.25, epsilon: 1e9 },
      quantisation: { fractionBits: 1, clipNorm: 1 },
    })
    const event = sumEvent(coarse)
    expect(event.type).toBe("discrete-gaussian-vector")
    if (event.type !== "discrete-gaussian-vector") return
    expect(event.sigma / event.l2Sensitivity).toBeLessThan(0.242)
  })

  it("covers what one patient, or one facility, moves", () => {
    const patient = wide("patient")
    // one patient of many far-out rows, whose label changes: added on one side and removed on the other
    const quiet = { ...patient, privacy: { ...patient.privacy, noiseMultiplier: 1e-4 } }
    const rows = (label: number) => ({
      rows: 30,
      columns: COLUMNS,
      features: new Float64Array(30 * COLUMNS).fill(30),
      labels: new Uint8Array(30).fill(label),
    })
    const values = (label: number) =>
      trainRound({
        study: quiet,
        spec: { round: 1, attempt: 1, model: new Uint8Array(32) },
        parameters: new Float64Array(COLUMNS + 1),
        examples: rows(label),
        patients: new Array(30).fill(4),
        local: startLocalState(),
        secret: insecureSeededSecret("one", "patient"),
      }).values
    const most = sumSensitivity(quiet)
    const [one, other] = [values(0), values(1)]
    const apart = Math.hypot(...one.map((value, i) => value - (other[i] as number)))
    expect(apart).toBeLessThanOrEqual(2 * most)
    expect(apart).toBeGreaterThan(1.98 * most)

    const facility = wide("facility")
    const { clipNorm, fractionBits } = facility.quantisation
    const bound = squaredNormBound(clipNorm, fractionBits, COLUMNS + 1)
    expect(sumSensitivity(facility)).toBeGreaterThanOrEqual(2 * Math.sqrt(bound))
    expect(sumSensitivity(facility) / (2 * Math.sqrt(bound))).toBeCloseTo(1, 12)
    const random = insecureSeededRandom("rounded")
    for (let i = 0; i < 50; i++) {
      const update = Float64Array.from({ length: COLUMNS + 1 }, () => (random.bytes(1)[0] as number) - 128)
      const rounded = roundToGrid(clipToNorm(update, clipNorm), clipNorm, fractionBits, random)
      expect(2 * Math.hypot(...rounded)).toBeLessThanOrEqual(sumSensitivity(facility))
    }
  })

  it.each(UNITS)("lies with the data within what ranges are made for, unit %s", (unit) => {
    const study = wide(unit)
    for (let i = 0; i < 40; i++)
      for (const value of trained(study, `facility-${i}`))
        expect(Math.abs(value)).toBeLessThan(valueBound(study))
    // the noise alone reaches far beyond the data of a facility's update
    expect(valueBound(study)).toBeGreaterThan(10 * shareSigma(study))
  })

  it("is drawn from the round's secret, for each facility and attempt anew", () => {
    const study = wide("patient")
    expect(trained(study, "a")).toEqual(trained(study, "a"))
    expect(trained(study, "a")).not.toEqual(trained(study, "b"))
  })

  it("depends neither on how many are enrolled nor on the protection", () => {
    const study = wide("patient")
    const among = studyAmong(study, 9) as PrivateStudy
    const values = trained(study, "a")
    expect(trained({ ...study, protection: "masked" }, "a")).toEqual(values)
    expect(shareSigma(among)).toBe(shareSigma(study))
    expect(valueBound(among)).toBe(valueBound(study))
  })
})

describe("a round over patients with the noise on its sum", () => {
  it("sends the clipped gradients' sum down the slope, and the leader's update is one step along their mean", () => {
    const study = sumStudy("patient", {
      privacy: { noiseMultiplier: 1e-6, epsilon: 1e30, maxGradNorm: 100 },
      quantisation: { fractionBits: 14, clipNorm: 1 },
    })
    const values = trained(study, "rows", 12)
    const { features, labels } = toyRecords("rows", 3, 12)
    const expected = [0, 1, 2, 3].map((j) =>
      Array.from(labels, (label, i) => (label - 0.5) * (j < 3 ? (features[3 * i + j] as number) : 1)).reduce(
        (a, b) => a + b,
      ),
    )
    for (const [j, value] of expected.entries())
      expect(Math.abs((values[j] as number) / 2 ** 14 - value)).toBeLessThan(1e-3)
    const mean = meanUpdate(study, Float64Array.from(values), 4)
    for (const [j, value] of expected.entries())
      expect(Math.abs((mean[j] as number) - (0.5 * value) / (4 * 15))).toBeLessThan(1e-4)
  })

  it("[S26] refuses more patients than the sums are made for, whatever rows they have", () => {
    const study = sumStudy("patient")
    const people = (count: number) => Array.from({ length: 80 }, (_, row) => row % count)
    expect(trained(study, "rows", 80, people(40))).toHaveLength(4)
    expect(textOf(() => trained(study, "rows", 80, people(41)))).toMatchInlineSnapshot(`
      "privacy/too-many-patients: This facility trains on more patients than the 40 that the study's sums are made for.
        remedy: Start a study whose privacy.most_patients is at least as many, or let this facility sit out.
        see: docs/reference/errors.md#privacytoo-many-patients"
    `)
    expect(codeOf(() => trained(study, "rows", 12, []))).toBe("learning/bad-examples")
    expect(codeOf(() => trained(study, "rows", 0, []))).toBe("learning/no-examples")
  })
})

describe("calibrated noise on the sum", () => {
  it.each(UNITS)("keeps all planned rounds within epsilon, and a little less would not, unit %s", (unit) => {
    const study = wide(unit, { rounds: 30 })
    const { privacy } = study
    const wanted = {
      epsilon: 1,
      delta: 1e-3,
      maxGradNorm: privacy.maxGradNorm,
      sampleRate: 1,
      dimension: COLUMNS + 1,
      steps: study.rounds * releasesPerRound(study),
      sum: study,
    }
    const { noiseMultiplier, epsilon } = planNoise({ ...wanted, floor: null, calibrate: true })
    expect(epsilon).toBeLessThanOrEqual(1)
    const planned = { ...study, privacy: { ...privacy, noiseMultiplier, delta: 1e-3 } }
    expect(epsilonAfter(planned, 30)).toBe(epsilon)
    const less = { ...study, privacy: { ...privacy, noiseMultiplier: 0.99 * noiseMultiplier, delta: 1e-3 } }
    expect(epsilonAfter(less, 30)).toBeGreaterThan(1)
  })
})

describe("a study whose noise on the sum cannot hold is refused", () => {
  const refusal = (unit: "patient" | "facility", changes: Parameters<typeof withSumNoise>[1]): string =>
    textOf(() => checkStudy(testStudy(4, withSumNoise(unit, changes)), 4))
      .split("\n")
      .slice(0, 2)
      .join("\n")
  it("ones that hold pass", () => {
    for (const unit of UNITS) expect(checkStudy(sumStudy(unit), 4)).toBeUndefined()
  })

  it("noise in a facility's own steps, about the whole facility", () => {
    expect(refusal("facility", { privacy: { noise: "local" } })).toMatchInlineSnapshot(`
      "round/bad-study: Noise in a facility's own steps bounds what one patient does to them, not what the whole facility contributes.
        remedy: Set privacy.noise to sum, or privacy.unit to patient."
    `)
  })
  it("other noise or clipping", () => {
    expect(refusal("patient", { privacy: { mechanism: "laplace" } })).toContain(
      "Noise on the sum is Gaussian",
    )
    const clipping = { type: "per-layer" as const, norms: [1] }
    expect(refusal("facility", { privacy: { clipping } })).toContain("Noise on the sum is Gaussian")
  })
  it("[S26] updates that somebody reads with a share of the noise alone", () => {
    expect(refusal("patient", { protection: "plain", insecureSeed: null })).toMatchInlineSnapshot(`
      "round/bad-study: Under plain each update is read with a share of the noise alone, which is less than its facility is charged for.
        remedy: Choose another protection, or set privacy.noise to local."
    `)
    expect(checkStudy(sumStudy("patient", { protection: "plain", insecureSeed: 1 }), 4)).toBeUndefined()
  })
  it("[S26] shares of which nobody's is to be taken off", () => {
    expect(refusal("patient", { cohort: { colluders: 0 } })).toMatchInlineSnapshot(`
      "round/bad-study: Every facility knows its own share of the noise: whoever takes it off a sum finds less than is charged for.
        remedy: Set cohort.colluders to 1 or more."
    `)
  })
  it("patients drawn at a rate", () => {
    expect(refusal("patient", { privacy: { sampleRate: 0.5 } })).toMatchInlineSnapshot(`
      "round/bad-study: With noise on the sum every patient is in every round: drawing some of them is not accounted for.
        remedy: Set privacy.sample_rate to 1."
    `)
  })
  it("[S26] several local steps over patients", () => {
    expect(refusal("patient", { training: { steps: 2 } })).toMatchInlineSnapshot(`
      "round/bad-study: After 2 local steps a patient has moved more than its own clipped gradient, which is all that noise on the sum over patients covers.
        remedy: Set training.steps to 1 and training.proximal_mu to 0, or privacy.unit to facility."
    `)
    expect(refusal("patient", { training: { steps: 1, proximalMu: 0.1 } })).toContain("proximal_mu to 0")
  })
  it("no declared number of patients", () => {
    expect(refusal("patient", { privacy: { patients: 0 } })).toMatchInlineSnapshot(`
      "round/bad-study: Sums over patients are divided by 0 for each facility and made for at most 40.
        remedy: Set privacy.patients to how many a facility has on average, and privacy.most_patients to no less; both are public."
    `)
    expect(refusal("patient", { privacy: { patients: 41 } })).toContain("made for at most 40")
  })
  it("sums beyond 31 bits, noise included", () => {
    expect(refusal("patient", { privacy: { mostPatients: 1_000_000 } })).toMatchInlineSnapshot(`
      "round/bad-study: 4 facilities of values up to 1025019535, noise included, sum to 4100078140, beyond 31 bits.
        remedy: Lower quantisation.fraction_bits, privacy.most_patients or privacy.max_grad_norm."
    `)
    expect(refusal("facility", { privacy: { noiseMultiplier: 2e5 } })).toContain("beyond 31 bits")
  })
  it("numbers that mean nothing", () => {
    for (const privacy of [
      { noiseMultiplier: 0 },
      { noiseMultiplier: Number.NaN },
      { maxGradNorm: Number.NaN },
    ])
      expect(refusal("patient", { privacy })).toContain("round/bad-study")
  })
})

it("a model card says where the noise is and what it rests on", () => {
  expect(sumNoiseWords(sumStudy("patient"))).toMatchInlineSnapshot(
    `"Noise is on each round's opened sum, once (multiplier 2), and each patient's gradient is clipped to 1: every facility adds a share, and what is promised holds while at most 1 of a sum's facilities work together. Each facility may spend epsilon 8 at delta 0.00001 in this study; what each has spent so far stands below."`,
  )
  expect(sumNoiseWords(sumStudy("facility"))).toContain("each facility's whole update is clipped to 1")
  expect(sumNoiseWords(testStudy())).toBeNull()
})
