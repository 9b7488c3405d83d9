import { concatBytes } from "@consilium/base/bytes"
import { type RandomSource, uniformBelow, uniformUnit } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { startCursor } from "@consilium/learning/batches"
import type { Examples } from "@consilium/learning/data"
import { gradient } from "@consilium/learning/logistic"
import { initialNetwork } from "@consilium/learning/network/network"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { trainLocally } from "@consilium/learning/train"
import { attackAuc } from "@consilium/privacy/audit/auc"
import { describe, expect, it } from "vitest"
import { canaryScores, tossCoins, withCanaries } from "../src/attacks/canaries.js"
import { invertDense, invertLinear, nearestError, worstError } from "../src/attacks/inversion.js"
import { alignments, familiarity } from "../src/attacks/membership.js"
import { asIntegers, learnKinds, likeness } from "../src/attacks/message-bytes.js"
import type { Protection } from "../src/study.js"
import { runStudy } from "./harness.js"

const numbers = (count: number, random: RandomSource, scale = 1): Float64Array =>
  Float64Array.from({ length: count }, () => scale * (2 * uniformUnit(random) - 1))
const made = (rows: number, columns: number, random: RandomSource): Examples => ({
  rows,
  columns,
  features: numbers(rows * columns, random, 3),
  labels: Uint8Array.from({ length: rows }, (_, i) => i % 2),
})

describe("inversion", () => {
  it.each([1, 7])("finds the record that %d local steps were trained on, to the last digits", (steps) => {
    const random = insecureSeededRandom(1, "inversion", String(steps))
    const examples = made(1, 13, random)
    const start = numbers(14, random, 0.2)
    const { parameters } = trainLocally({
      architecture: { kind: "logistic-regression", inputs: 13 },
      parameters: start,
      examples,
      steps,
      batchSize: 1,
      learningRate: 0.3,
      cursor: startCursor(),
      random,
    })
    const update = parameters.map((value, j) => value - (start[j] as number))
    expect(worstError(invertLinear(update) as Float64Array, examples.features)).toBeLessThan(1e-10)
  })

  it("finds the mixture of several records, and nothing where the bias did not move", () => {
    const update = Float64Array.of(1 * 0.5 + 3 * 0.25, 0.75)
    expect([...(invertLinear(update) as Float64Array)]).toEqual([(1 * 0.5 + 3 * 0.25) / 0.75])
    expect(invertLinear([1, 2, 0])).toBeNull()
    expect(nearestError([], [1])).toBe(Infinity)
  })

  it("finds pictures through the first layer of a network: one always, of a batch some", () => {
    const random = insecureSeededRandom(2, "pictures")
    const layer = { inputs: 64, outputs: 40 }
    const network = initialNetwork(
      {
        input: [64],
        layers: [{ kind: "dense", outputs: 40 }, { kind: "relu" }, { kind: "dense", outputs: 1 }],
        loss: "sigmoid-cross-entropy",
      },
      random,
    )
    const errors = (rows: number): readonly number[] => {
      const inputs = Float32Array.from({ length: rows * 64 }, () => 2 * uniformUnit(random) - 1)
      const targets = Float32Array.from({ length: rows }, (_, i) => i % 2)
      const trainer = new NetworkTrainer({
        network,
        examples: { rows, inputs, targets },
        batchSize: rows,
        optimiser: { kind: "sgd" },
        schedule: { kind: "constant", rate: 0.1 },
      })
      trainer.accumulate(Uint32Array.from({ length: rows }, (_, i) => i))
      const records = invertDense(trainer.gradientSum(), layer).map(({ record }) => record)
      return Array.from({ length: rows }, (_, i) =>
        nearestError(records, inputs.subarray(i * 64, (i + 1) * 64)),
      )
    }
    expect(Math.max(...errors(1))).toBeLessThan(1e-3)
    const some = errors(4).filter((error) => error < 1e-3).length
    expect(some).toBeGreaterThanOrEqual(1)
    expect(() => invertDense(new Float64Array(10), layer)).toThrow("2600")
  })
})

describe("membership", () => {
  const examples: Examples = {
    rows: 2,
    columns: 2,
    features: Float64Array.of(3, 4, -4, 3),
    labels: Uint8Array.of(1, 1),
  }
  it("a model knows what it predicts well; an update goes the way of who made it", () => {
    const [known, strange] = familiarity(Float64Array.of(1, 1, 0), examples)
    expect(known).toBeGreaterThan(strange as number)
    const slope = new Float64Array(3)
    gradient(new Float64Array(3), examples, Uint32Array.of(0), slope)
    const update = slope.map((value) => -value)
    const [member, other] = alignments(update, new Float64Array(3), examples)
    expect(member).toBeCloseTo(Math.hypot(...slope), 12)
    expect(other).toBeLessThan(member as number)
  })
})

describe("canaries", () => {
  it("have a feature each, beside the rows that are there, and are scored by it", () => {
    const background = made(3, 2, insecureSeededRandom(3, "canaries"))
    const canaries = { background, count: 3, size: 10 }
    const examples = withCanaries(canaries, [true, false, true])
    expect([examples.rows, examples.columns]).toEqual([5, 5])
    expect([...examples.features.subarray(0, 5)]).toEqual([...background.features.subarray(0, 2), 0, 0, 0])
    expect([...examples.features.subarray(15)]).toEqual([0, 0, 10, 0, 0, 0, 0, 0, 0, 10])
    expect([...examples.labels]).toEqual([0, 1, 0, 0, 0])
    const slope = new Float64Array(6)
    gradient(new Float64Array(6), examples, Uint32Array.of(0, 1, 2, 3, 4), slope)
    const scores = canaryScores(
      slope.map((value) => -value),
      canaries,
    )
    expect(scores[0]).toBeGreaterThan(0)
    expect(scores[1]).toBeCloseTo(0, 12)
    expect(scores[2]).toBeGreaterThan(0)
    const coins = tossCoins(1000, insecureSeededRandom(4, "coins")).filter(Boolean).length
    expect(coins).toBeGreaterThan(430)
    expect(coins).toBeLessThan(570)
  })
})

describe("what the bytes of messages tell", () => {
  const random = insecureSeededRandom(5, "bytes")
  const vector = Int32Array.from({ length: 40 }, () => uniformBelow(random, 2000) - 1000)
  const bytesOf = (values: Int32Array) => new Uint8Array(values.slice().buffer)

  it("likeness finds numbers behind any header, and none in noise", () => {
    const message = concatBytes(Uint8Array.of(1, 2, 3), bytesOf(vector))
    expect(likeness(message, vector)).toBeCloseTo(1, 9)
    expect(likeness(random.bytes(400), vector)).toBeLessThan(0.8)
    expect(likeness(new Uint8Array(3), vector)).toBe(-1)
    expect(asIntegers(message, 40).some((read) => worstError(read, vector) === 0)).toBe(true)
  })

  it("what tells two kinds apart is learned from examples: a byte, or the length", () => {
    const message = (kind: boolean) => {
      const bytes = random.bytes(64)
      bytes[17] = kind ? 255 : 0
      return { kind, message: bytes }
    }
    const learned = learnKinds(Array.from({ length: 60 }, (_, i) => message(i % 2 === 0)))
    expect(learned(message(true).message)).toBeGreaterThan(learned(message(false).message))
    const byLength = learnKinds([
      { kind: true, message: new Uint8Array(9) },
      { kind: false, message: new Uint8Array(5) },
    ])
    expect(byLength(new Uint8Array(9))).toBeGreaterThan(byLength(new Uint8Array(5)))
  })
})

/**
 * A whole study, and whoever adds its updates: for every message of a facility, how much it looks like the update of that
 * facility, and how much like another's, which is as large.
 */
const seenBy = (role: "leader" | "fog", protection: Protection) => {
  const random = insecureSeededRandom(6, "own-updates", protection)
  const features = Array.from({ length: 30 }, (_, j) => `x${j}`)
  const updates = new Map<string, Int32Array>()
  const heard: { readonly sender: string; readonly bytes: Uint8Array }[] = []
  runStudy({
    facilities: 5,
    ...(role === "leader" ? { fogs: 0 } : {}),
    study: {
      protection,
      rounds: 2,
      model: { features },
      quantisation: { weights: "equal", largestWeight: 1 },
    },
    records: () => {
      const rows = made(12, 30, random)
      return { train: rows, holdOut: rows }
    },
    train: ({ facility, spec }) => {
      const values = Int32Array.from({ length: 31 }, () => uniformBelow(random, 9001) - 4500)
      updates.set(`${facility} ${spec.round}`, values)
      return { values }
    },
    wire: ({ message, to, sender }, bytes) => {
      const here = role === "leader" ? to === "leader" : to.startsWith("fog")
      if (here && message.type === "update") heard.push({ sender, bytes: message.payload })
      if (here && message.type === "share") heard.push({ sender, bytes: message.sealed })
      return bytes
    },
  })
  const own: number[] = []
  const others: number[] = []
  // the first of them: dealt shares are many
  for (const { sender, bytes } of heard.slice(0, 30))
    for (const [name, values] of updates) {
      const best = likeness(bytes, values)
      if (name.startsWith(`${sender} `)) own.push(best)
      else others.push(best)
    }
  return { messages: heard.length, own, others }
}

describe("what is heard of one facility's update in a whole study", () => {
  it("[S25] under plain, who adds it reads it: the attack works", () => {
    const { messages, own, others } = seenBy("fog", "plain")
    expect(messages).toBeGreaterThanOrEqual(10)
    // each message holds the update of one round out of two
    expect(own.filter((score) => score > 0.999).length).toBeGreaterThanOrEqual(messages)
    expect(others.filter((score) => score > 0.999)).toEqual([])
  })

  // seeded: the same every time
  it.each(["shamir", "masked", "ckks", "bfv"] as const)(
    "[S25] under %s, the leader hears nothing that looks more like it than like another's",
    (protection) => {
      const { messages, own, others } = seenBy("leader", protection)
      expect(messages).toBeGreaterThanOrEqual(10)
      const { interval } = attackAuc(own, others, 0.999)
      expect(interval.low).toBeLessThan(0.5)
      expect(interval.high).toBeGreaterThan(0.5)
      expect(Math.max(...own)).toBeLessThan(0.95)
    },
  )
})
