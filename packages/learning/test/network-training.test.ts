import { adamStep, startAdam } from "@consilium/learning/adam"
import { nextBatch, startCursor } from "@consilium/learning/batches"
import { referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import type { NetworkDescription } from "@consilium/learning/network/description"
import type { NetworkExamples } from "@consilium/learning/network/examples"
import { arbitraryExamples, GOLDEN_LR, GOLDEN_MLP } from "@consilium/learning/network/golden"
import { initialNetwork, type Network } from "@consilium/learning/network/network"
import { ADAM, adamW, type Optimiser } from "@consilium/learning/network/optimiser"
import { networkPredictions } from "@consilium/learning/network/predict"
import { trainNetwork } from "@consilium/learning/network/train-network"
import { NetworkTrainer, type TrainerSettings } from "@consilium/learning/network/trainer"
import { trainLocally } from "@consilium/learning/train"
import { describe, expect, it } from "vitest"
import { differences, referenceLoss } from "./network-reference.js"
import { examplesFor, networkFor, seeded } from "./networks.js"

const CONSTANT = { kind: "constant", rate: 0.05 } as const
const SGD = { kind: "sgd" } as const

const farthest = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  expect(found.length).toBe(expected.length)
  return Array.from(found, (value, i) => Math.abs(value - expected[i]!)).reduce((a, b) => Math.max(a, b), 0)
}
const range = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i)

/** The slope of a network of dense and ReLU layers with one output, in doubles, added up over the rows of a batch. */
const denseSlope = (
  sizes: readonly number[],
  w: Float64Array,
  { inputs, targets }: NetworkExamples,
  batch: Uint32Array,
): Float64Array => {
  const out = new Float64Array(w.length)
  for (const row of batch) {
    const values: number[][] = [[...inputs.subarray(row * sizes[0]!, (row + 1) * sizes[0]!)]]
    const starts: number[] = []
    let at = 0
    for (let l = 0; l + 1 < sizes.length; l++) {
      const [m, n] = [sizes[l]!, sizes[l + 1]!]
      starts.push(at)
      const x = values[l]!
      const y = Array.from({ length: n }, (_, j) => {
        let sum = w[at + m * n + j]!
        for (let i = 0; i < m; i++) sum += x[i]! * w[at + i * n + j]!
        return l + 2 < sizes.length ? Math.max(sum, 0) : sum
      })
      values.push(y)
      at += m * n + n
    }
    let delta = [1 / (1 + Math.exp(-values.at(-1)![0]!)) - targets[row]!]
    for (let l = sizes.length - 2; l >= 0; l--) {
      const [m, n] = [sizes[l]!, sizes[l + 1]!]
      const x = values[l]!
      const start = starts[l]!
      for (let j = 0; j < n; j++) out[start + m * n + j]! += delta[j]!
      for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) out[start + i * n + j]! += x[i]! * delta[j]!
      delta = x.map((value, i) =>
        value > 0 || l === 0 ? delta.reduce((sum, d, j) => sum + d * w[start + i * n + j]!, 0) : 0,
      )
    }
  }
  return out
}

describe("against doubles", () => {
  it("logistic regression stays within 1e-5 of the 64-bit path over 200 steps", () => {
    const examples = arbitraryExamples(GOLDEN_LR, 300, seeded("rows"))
    const network = initialNetwork(GOLDEN_LR, seeded("initial"))
    const run = { steps: 200, batchSize: 32, cursor: startCursor() }
    const found = trainNetwork({
      ...run,
      network,
      examples,
      optimiser: SGD,
      schedule: CONSTANT,
      random: seeded("batches"),
    })
    const expected = trainLocally({
      ...run,
      architecture: { kind: "logistic-regression", inputs: 64 },
      parameters: Float64Array.from(network.parameters),
      examples: {
        rows: 300,
        columns: 64,
        features: Float64Array.from(examples.inputs),
        labels: Uint8Array.from(examples.targets),
      },
      learningRate: CONSTANT.rate,
      random: seeded("batches"),
    })
    expect(found.steps).toBe(200)
    expect([...found.cursor.order]).toEqual([...expected.cursor.order])
    expect(farthest(expected.parameters, network.parameters)).toBeGreaterThan(0.1)
    expect(farthest(found.network.parameters, expected.parameters)).toBeLessThan(1e-5)
  })

  it.each([
    ["sgd", SGD, 0.05],
    ["momentum", { kind: "momentum", decay: 0.9 }, 0.02],
    ["adam", ADAM, 0.001],
    ["adamw", adamW(0.1), 0.001],
  ] as const)(
    "the MLP 64-64-32-1 stays within 1e-5 of doubles over 30 steps: %s",
    (_, optimiser: Optimiser, rate) => {
      const examples = arbitraryExamples(GOLDEN_MLP, 200, seeded("rows"))
      const network = initialNetwork(GOLDEN_MLP, seeded("initial"))
      const found = trainNetwork({
        network,
        examples,
        steps: 30,
        batchSize: 24,
        optimiser,
        schedule: { kind: "constant", rate },
        cursor: startCursor(),
        random: seeded("batches"),
      })
      const w = Float64Array.from(network.parameters)
      const speed = new Float64Array(w.length)
      const adam = startAdam(w.length)
      const random = seeded("batches")
      let cursor = startCursor()
      for (let step = 0; step < 30; step++) {
        const batch = nextBatch(cursor, 200, 24, random)
        cursor = batch.cursor
        const g = denseSlope([64, 64, 32, 1], w, examples, batch.indices).map((x) => x / batch.indices.length)
        if (optimiser.kind === "adam") {
          for (let i = 0; i < w.length; i++) w[i]! -= rate * optimiser.weightDecay * w[i]!
          adamStep(adam, w, g, rate)
        } else
          for (let i = 0; i < w.length; i++) {
            speed[i] = (optimiser.kind === "momentum" ? optimiser.decay * speed[i]! : 0) + g[i]!
            w[i]! -= rate * speed[i]!
          }
      }
      expect(farthest(w, network.parameters)).toBeGreaterThan(0.01)
      expect(farthest(found.network.parameters, w)).toBeLessThan(1e-5)
    },
  )

  it("a small convolutional network stays within 1e-5 of doubles over 6 steps", () => {
    const description: NetworkDescription = {
      input: [6, 6, 1],
      layers: [
        { kind: "conv2d", channels: 4, size: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] },
        { kind: "group-norm", groups: 2 },
        { kind: "relu" },
        { kind: "max-pool", size: [2, 2], stride: [2, 2] },
        { kind: "conv2d", channels: 3, size: [2, 2], stride: [1, 1], padding: [0, 0, 0, 0] },
        { kind: "square" },
        { kind: "flatten" },
        { kind: "dense", outputs: 3 },
      ],
      loss: "softmax-cross-entropy",
    }
    const examples = examplesFor(description, 12, seeded("rows"))
    const network = initialNetwork(description, seeded("initial"), "glorot")
    const trainer = new NetworkTrainer({
      network,
      examples,
      batchSize: 12,
      optimiser: SGD,
      schedule: { kind: "constant", rate: 0.2 },
    })
    let w = Float64Array.from(network.parameters)
    for (let step = 0; step < 6; step++) {
      trainer.step(range(12))
      const slope = differences((at) => {
        let sum = 0
        for (let row = 0; row < 12; row++)
          sum += referenceLoss(
            description,
            at,
            [...examples.inputs.subarray(36 * row, 36 * (row + 1))],
            [examples.targets[row]!],
          )
        return sum / 12
      }, w)
      w = w.map((value, i) => value - 0.2 * slope[i]!)
    }
    expect(farthest(w, network.parameters)).toBeGreaterThan(0.01)
    expect(farthest(trainer.network().parameters, w)).toBeLessThan(1e-5)
  })
})

describe("a trainer", () => {
  const SMALL: NetworkDescription = {
    input: [4],
    layers: [{ kind: "dense", outputs: 3 }, { kind: "relu" }, { kind: "dense", outputs: 1 }],
    loss: "sigmoid-cross-entropy",
  }
  const settings = (changes: Partial<TrainerSettings> = {}): TrainerSettings => ({
    network: networkFor(SMALL, seeded("network")),
    examples: examplesFor(SMALL, 20, seeded("examples")),
    batchSize: 20,
    optimiser: SGD,
    schedule: CONSTANT,
    ...changes,
  })
  const parametersOf = (trainer: NetworkTrainer): number[] => [...trainer.network().parameters]

  it("zero steps give back the parameters, the cursor and no losses, with or without rows", () => {
    for (const rows of [0, 20]) {
      const given = settings({ examples: examplesFor(SMALL, rows, seeded("examples")) })
      const cursor = startCursor()
      const result = trainNetwork({ ...given, steps: 0, cursor, random: seeded("batches") })
      expect(result).toEqual({ network: given.network, cursor, steps: 0, losses: new Float64Array(0) })
    }
  })

  it("steps without rows are refused, and so is an empty batch", () => {
    const none = settings({ examples: examplesFor(SMALL, 0, seeded("examples")) })
    expect(() =>
      trainNetwork({ ...none, steps: 1, cursor: startCursor(), random: seeded("batches") }),
    ).toThrowError("There are 1 steps to take, but no rows.")
    const trainer = new NetworkTrainer(settings())
    expect(() => trainer.step(new Uint32Array(0))).toThrowError(
      "The mean gradient of an empty batch is undefined.",
    )
    expect(trainer.steps).toBe(0)
  })

  it("under differential privacy an empty batch is a step: of noise alone", () => {
    const trainer = new NetworkTrainer(settings({ clipNorm: 1 }))
    const before = parametersOf(trainer)
    expect(trainer.accumulate(new Uint32Array(0))).toBe(0)
    const noise = before.map((_, i) => i - 7)
    trainer.apply({ divisor: 5, noise })
    expect(trainer.steps).toBe(1)
    expect(
      farthest(
        parametersOf(trainer),
        before.map((w, i) => w - (0.05 * (i - 7)) / 5),
      ),
    ).toBeLessThan(1e-6)
    trainer.apply({ divisor: 5 })
    expect(trainer.steps).toBe(2)
  })

  it("one row, one class and a constant column train like any others", () => {
    const { inputs } = settings().examples
    for (const [rows, targets] of [
      [1, [1]],
      [20, Array(20).fill(1)],
    ] as const) {
      const constant = inputs.slice(0, 4 * rows).map((value, i) => (i % 4 === 2 ? 0.5 : value))
      const examples = { rows, inputs: constant, targets: Float32Array.from(targets) }
      const { losses, network } = trainNetwork({
        ...settings({ examples }),
        steps: 300,
        cursor: startCursor(),
        random: seeded("batches"),
      })
      expect(losses.at(-1)).toBeLessThan(0.2 * losses[0]!)
      expect(Math.min(...networkPredictions(network, rows, constant))).toBeGreaterThan(0.8)
    }
  })

  it("a network of one class has nothing to learn and stays as it is", () => {
    const description: NetworkDescription = {
      input: [4],
      layers: [{ kind: "dense", outputs: 1 }],
      loss: "softmax-cross-entropy",
    }
    const network = networkFor(description, seeded("network"))
    const examples = { rows: 3, inputs: new Float32Array(12).fill(0.5), targets: new Float32Array(3) }
    const trainer = new NetworkTrainer(settings({ network, examples }))
    expect(trainer.step(range(3))).toBe(0)
    expect(parametersOf(trainer)).toEqual([...network.parameters])
  })

  it("batches accumulate: two halves are the whole, and each row counts as often as it is named", () => {
    const whole = new NetworkTrainer(settings())
    const halves = new NetworkTrainer(settings())
    whole.accumulate(range(20))
    halves.accumulate(range(20).subarray(0, 10))
    halves.accumulate(range(20).subarray(10))
    expect([whole.gathered, halves.gathered]).toEqual([20, 20])
    expect(farthest(whole.gradientSum(), halves.gradientSum())).toBeLessThan(1e-5)
    whole.apply({ divisor: 20 })
    expect(whole.gathered).toBe(0)
    const twice = new NetworkTrainer(settings())
    twice.accumulate(Uint32Array.of(3, 3))
    const once = new NetworkTrainer(settings())
    once.accumulate(Uint32Array.of(3))
    expect([...twice.gradientSum()]).toEqual([...once.gradientSum()].map((g) => 2 * g))
  })

  it("dropping what was gathered is what a step does at its end", () => {
    const trainer = new NetworkTrainer(settings())
    const fresh = new NetworkTrainer(settings())
    trainer.step(range(5))
    trainer.step(range(20))
    fresh.step(range(5))
    fresh.accumulate(range(20))
    fresh.apply({ divisor: 20 })
    expect(parametersOf(trainer)).toEqual(parametersOf(fresh))
    expect(trainer.steps).toBe(2)
  })

  it("refuses numbers that are not finite before anything is changed", () => {
    const given = settings()
    for (const value of [NaN, Infinity, -Infinity]) {
      const inputs = given.examples.inputs.slice()
      inputs[5] = value
      expect(() => new NetworkTrainer(settings({ examples: { ...given.examples, inputs } }))).toThrowError(
        "An input in column 1 is not a finite number.",
      )
      const targets = given.examples.targets.slice()
      targets[2] = value
      expect(() => new NetworkTrainer(settings({ examples: { ...given.examples, targets } }))).toThrowError(
        "A target is not a finite number.",
      )
      const parameters = given.network.parameters.slice()
      parameters[7] = value
      expect(() => new NetworkTrainer(settings({ network: { ...given.network, parameters } }))).toThrowError(
        "Parameter 7 of 19 is not a finite number.",
      )
      const trainer = new NetworkTrainer(given)
      const before = parametersOf(trainer)
      trainer.accumulate(range(3))
      const noise = new Array(19).fill(0)
      noise[18] = value
      expect(() => trainer.apply({ divisor: 3, noise })).toThrowError("A number of the noise is not finite.")
      expect(parametersOf(trainer)).toEqual(before)
      expect([trainer.steps, trainer.gathered]).toEqual([0, 3])
    }
  })

  it("a gradient that is not finite is an error, and leaves parameters and steps as they were", () => {
    for (const newKernel of [undefined, referenceKernel]) {
      const description: NetworkDescription = { ...SMALL, loss: "squared-error" }
      const network = { ...networkFor(description, seeded("network")), description }
      const examples = examplesFor(description, 20, seeded("examples"))
      examples.targets[4] = 3e38
      const trainer = new NetworkTrainer(
        settings({ network, examples, ...(newKernel === undefined ? {} : { newKernel }) }),
      )
      const before = parametersOf(trainer)
      expect(() => trainer.step(range(20))).toThrowError("A loss or a gradient after 0 steps is not finite.")
      expect(parametersOf(trainer)).toEqual(before)
      expect([trainer.steps, trainer.gathered]).toEqual([0, 0])
      trainer.accumulate(range(3))
      expect(() => trainer.accumulate(range(20))).toThrowError("is not finite")
      expect(trainer.gathered).toBe(0)
      expect(trainer.gradientSum().every((g) => g === 0)).toBe(true)
      // and the next step is as if nothing had happened
      trainer.step(range(4))
      const fresh = new NetworkTrainer(settings({ network, examples }))
      fresh.step(range(4))
      expect(parametersOf(trainer)).toEqual(parametersOf(fresh))
    }
  })

  it("a step that would leave the finite numbers is an error, and leaves parameters, moments and steps", () => {
    const trainer = new NetworkTrainer(
      settings({ optimiser: { kind: "momentum", decay: 0.9 }, schedule: { kind: "constant", rate: 1e30 } }),
    )
    const { floats } = trainer.kernel
    const moments = (): number[] => [...floats.slice(trainer.plan.moments / 4, trainer.plan.moments / 4 + 19)]
    trainer.apply({ divisor: 1, noise: new Array(19).fill(1e-30) })
    const before = parametersOf(trainer)
    const speeds = moments()
    expect(speeds[0]).toBe(Math.fround(1e-30))
    expect(() => trainer.apply({ divisor: 1, noise: new Array(19).fill(1e20) })).toThrowError(
      "A parameter or a moment would leave the finite numbers in step 2.",
    )
    expect(parametersOf(trainer)).toEqual(before)
    expect(moments()).toEqual(speeds)
    expect(trainer.steps).toBe(1)
  })

  it("refuses batches, divisors and noise that do not fit", () => {
    const trainer = new NetworkTrainer(settings())
    expect(() => trainer.accumulate(range(21))).toThrowError("A batch of 21 rows came; 20 are the most.")
    expect(() => trainer.accumulate(Uint32Array.of(20))).toThrowError("A batch names row 20 of 20.")
    expect(() => trainer.apply({ divisor: 0 })).toThrowError("The divisor of a sum of gradients is 0")
    expect(() => trainer.apply({ divisor: 1, noise: [1] })).toThrowError(
      "The network has 19 parameters, the noise 1 numbers.",
    )
    expect(() => trainer.combine()).toThrowError("There is no batch to combine: stage one first.")
    expect(() => new NetworkTrainer(settings({ clipNorm: 0 }))).toThrowError("clipped to is 0")
    expect(() => new NetworkTrainer(settings({ shards: 0 }))).toThrowError("The number of shards is 0")
    expect(() => new NetworkTrainer(settings({ batchSize: 2 ** 40 }))).toThrowError(/Training needs .* bytes/)
    expect(() =>
      trainNetwork({ ...settings({ clipNorm: 1 }), steps: 1, cursor: startCursor(), random: seeded("b") }),
    ).toThrowError("this function adds none")
  })

  it("draws dropout masks only from a stream that it is given", () => {
    const description: NetworkDescription = {
      ...SMALL,
      layers: [{ kind: "dropout", rate: 0.5 }, ...SMALL.layers],
    }
    const network = networkFor(description, seeded("network"))
    expect(() => new NetworkTrainer(settings({ network }))).toThrowError("no stream to draw its masks from")
    const run = (label: string): number[] => {
      const trainer = new NetworkTrainer(settings({ network, dropout: seeded(label) }))
      trainer.step(range(20))
      return parametersOf(trainer)
    }
    expect(run("one")).toEqual(run("one"))
    expect(run("one")).not.toEqual(run("other"))
  })
})

describe("other examples in the place of the first", () => {
  const first = arbitraryExamples(GOLDEN_MLP, 30, seeded("first"))
  const other = arbitraryExamples(GOLDEN_MLP, 30, seeded("other"))
  const network = networkFor(GOLDEN_MLP, seeded("replaced"))
  const trainerOn = (examples: NetworkExamples) =>
    new NetworkTrainer({
      network,
      examples,
      batchSize: 20,
      optimiser: SGD,
      schedule: CONSTANT,
      clipNorm: 0.5,
    })

  it("are trained on as if they had been there from the start, clipped too", () => {
    const trainer = trainerOn(first)
    trainer.replaceExamples(other)
    const expected = trainerOn(other)
    expect(trainer.step(range(20))).toBe(expected.step(range(20)))
    expect(trainer.network()).toEqual(expected.network())
    expect(trainer.network()).not.toEqual(
      (() => {
        const unchanged = trainerOn(first)
        unchanged.step(range(20))
        return unchanged.network()
      })(),
    )
  })

  it("are refused if they are more, fewer or do not fit, and then nothing has changed", () => {
    const trainer = trainerOn(first)
    const bad = expect.objectContaining({ code: "learning/bad-examples" })
    const more = arbitraryExamples(GOLDEN_MLP, 31, seeded("more"))
    expect(() => trainer.replaceExamples(more)).toThrow(bad)
    expect(() => trainer.replaceExamples({ ...other, inputs: other.inputs.map(() => NaN) })).toThrow(bad)
    expect(trainer.step(range(20))).toBe(trainerOn(first).step(range(20)))
  })
})

it("predictions are probabilities that belong to the loss, whatever the number of rows at a time", () => {
  for (const loss of ["sigmoid-cross-entropy", "softmax-cross-entropy", "squared-error"] as const) {
    const description: NetworkDescription = { input: [3], layers: [{ kind: "dense", outputs: 4 }], loss }
    const network: Network = networkFor(description, seeded("network"))
    const { inputs } = examplesFor(description, 600, seeded("rows"))
    const all = networkPredictions(network, 600, inputs)
    expect([...networkPredictions(network, 300, inputs.subarray(900))]).toEqual([...all.subarray(1200)])
    expect([...networkPredictions(network, 600, inputs, referenceKernel)]).toEqual([...all])
    expect(networkPredictions(network, 0, inputs.subarray(0, 0)).length).toBe(0)
    if (loss === "squared-error") continue
    expect(all.every((p) => p > 0 && p < 1)).toBe(true)
    if (loss === "softmax-cross-entropy")
      expect(Math.abs(all[0]! + all[1]! + all[2]! + all[3]! - 1)).toBeLessThan(1e-6)
  }
})
