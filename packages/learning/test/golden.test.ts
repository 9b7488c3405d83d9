import { once } from "node:events"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { nextBatch, startCursor } from "@consilium/learning/batches"
import type { Kernel } from "@consilium/learning/kernel/kernel"
import { attachReferenceKernel, referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import { attachWasmKernel, newKernelMemory, wasmKernel } from "@consilium/learning/kernel/wasm-kernel"
import { networkShape } from "@consilium/learning/network/description"
import {
  arbitraryExamples,
  floatsHash,
  GOLDEN_CNN,
  GOLDEN_MLP,
  GOLDEN_TRAININGS,
  goldenHash,
} from "@consilium/learning/network/golden"
import { initialNetwork } from "@consilium/learning/network/network"
import { runShard } from "@consilium/learning/network/shard"
import { NetworkTrainer, type TrainerSettings } from "@consilium/learning/network/trainer"
import type { WasmMemory } from "@consilium/learning/platform"
import { publicStream } from "@consilium/learning/public-stream"
import { describe, expect, it } from "vitest"

/**
 * The hashes of the plain JavaScript kernel. A change here changes the result of every training: it is a change of the
 * protocol.
 */
const GOLDEN = {
  lr: "006284f23d24657c7c705401eb719733c4894349715894d7776862cc83736144",
  mlp: "9743a03930d85cb308c6169a80b40bb71058ae31ae7fe1f604ab1152b282f83f",
  cnn: "c623684a64bff8a58d30e63eda19878dcec18c558a0a304114afaa325309fe83",
} as const
const NAMES = ["lr", "mlp", "cnn"] as const

describe.each(NAMES)("the golden training %s", (name) => {
  it("has its hash on the plain JavaScript kernel", () => {
    expect(goldenHash(name, referenceKernel)).toBe(GOLDEN[name])
  })
  it("has the same on the WebAssembly kernel, with a memory of its own and a shared one", () => {
    expect(goldenHash(name)).toBe(GOLDEN[name])
    expect(goldenHash(name, (bytes) => attachWasmKernel(newKernelMemory(bytes, true)))).toBe(GOLDEN[name])
  })
})

it("the networks are the ones that the figures name", () => {
  expect(
    Object.values(GOLDEN_TRAININGS).map(({ description }) => networkShape(description).parameters),
  ).toEqual([65, 6273, 1649])
})

describe("shards", () => {
  const settings = (changes: Partial<TrainerSettings> = {}): TrainerSettings => ({
    network: initialNetwork(GOLDEN_MLP, publicStream("shards", "initial")),
    examples: arbitraryExamples(GOLDEN_MLP, 100, publicStream("shards", "rows")),
    batchSize: 37,
    optimiser: { kind: "momentum", decay: 0.9 },
    schedule: { kind: "constant", rate: 0.05 },
    clipNorm: 0.8,
    ...changes,
  })
  const train = (trainer: NetworkTrainer, run: (trainer: NetworkTrainer) => void): string => {
    let cursor = startCursor()
    const random = publicStream("shards", "batches")
    for (let step = 0; step < 8; step++) {
      const batch = nextBatch(cursor, 100, 37, random)
      cursor = batch.cursor
      trainer.stage(batch.indices)
      run(trainer)
      trainer.combine()
      trainer.apply({ divisor: 37 })
    }
    return floatsHash(trainer.network().parameters)
  }
  const inOrder = (trainer: NetworkTrainer): void => {
    for (let k = 0; k < trainer.plan.shards.length; k++) runShard(trainer.kernel, trainer.plan, k)
  }

  it("give the same bits in any order, each perhaps on another kernel, and run twice", () => {
    const expected = train(new NetworkTrainer(settings()), inOrder)
    expect(
      train(new NetworkTrainer(settings()), ({ kernel, plan }) => {
        for (const k of [2, 0, 3, 3, 1]) runShard(kernel, plan, k)
      }),
    ).toBe(expected)
    let memory: WasmMemory | null = null
    let twin: Kernel | null = null
    const mixed = new NetworkTrainer(
      settings({
        newKernel(bytes) {
          memory = newKernelMemory(bytes, true)
          twin = attachReferenceKernel(memory.buffer)
          return attachWasmKernel(memory)
        },
      }),
    )
    expect(
      train(mixed, ({ kernel, plan }) => {
        for (const k of [0, 2]) runShard(kernel, plan, k)
        for (const k of [1, 3]) runShard(twin as unknown as Kernel, plan, k)
      }),
    ).toBe(expected)
  })

  it("are part of what fixes the bits: another number of them is another sum", () => {
    const hashes = [1, 2, 4, 37, 50].map((shards) => train(new NetworkTrainer(settings({ shards })), inOrder))
    expect(new Set(hashes).size).toBe(3)
    // one row to a shard is one sum over all rows again
    expect(hashes.slice(3)).toEqual([hashes[0], hashes[0]])
  })

  it.each([1, 2, 4])("give the same bits on %i threads that share the memory", async (workers) => {
    const run = async (changes: Partial<TrainerSettings>): Promise<void> => {
      const expected = train(new NetworkTrainer(settings(changes)), inOrder)
      let memory: WasmMemory | null = null
      const trainer = new NetworkTrainer(
        settings({
          ...changes,
          newKernel(bytes) {
            memory = newKernelMemory(bytes, true)
            return attachWasmKernel(memory)
          },
        }),
      )
      const control = new Int32Array(new SharedArrayBuffer(8))
      const threads = Array.from(
        { length: workers },
        (_, index) =>
          new Worker(join(import.meta.dirname, "shard-worker.mjs"), {
            workerData: { memory, settings: trainer.plan.settings, control, index, workers },
            execArgv: [],
          }),
      )
      await Promise.all(threads.map((thread) => once(thread, "message")))
      const found = train(trainer, () => {
        Atomics.store(control, 1, 0)
        Atomics.add(control, 0, 1)
        Atomics.notify(control, 0)
        for (let done = 0; done < workers; done = Atomics.load(control, 1))
          if (Atomics.wait(control, 1, done, 20_000) === "timed-out")
            throw new Error("a thread does not answer")
      })
      Atomics.store(control, 0, -1)
      Atomics.notify(control, 0)
      await Promise.all(threads.map((thread) => once(thread, "exit")))
      expect(found).toBe(expected)
    }
    await run({})
    const cnn = {
      network: initialNetwork(GOLDEN_CNN, publicStream("shards", "initial")),
      examples: arbitraryExamples(GOLDEN_CNN, 100, publicStream("shards", "rows")),
    }
    await run(cnn)
  })
})

it("a kernel with a memory of its own does not see that of another", () => {
  const [one, other] = [wasmKernel(1024), wasmKernel(1024)]
  one.fill(4, 3, 64)
  expect([...other.floats.subarray(16, 20)]).toEqual([0, 0, 0, 0])
})
