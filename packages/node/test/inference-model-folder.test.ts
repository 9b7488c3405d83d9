import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { type CompiledModel, compile } from "@consilium/inference/compile/compile"
import type { TrainedModel } from "@consilium/inference/model/model"
import { planFromBytes, planHash } from "@consilium/inference/plan/plan"
import { ModelServer } from "@consilium/inference/server/model-server"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { inputSchemaOf } from "@consilium/node/inference/input-schema"
import {
  readCompiledFolder,
  readCompiledPlan,
  writeCompiledFolder,
} from "@consilium/node/inference/model-folder"
import { planView, planViewSchema } from "@consilium/node/inference/plan-view"
import { HEART_FEATURES, UCI_HEART_SCHEMA } from "@consilium/records/heart-schema"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const SCHEMA = inputSchemaOf(UCI_HEART_SCHEMA, HEART_FEATURES)
const LINEAR: TrainedModel = {
  kind: "linear",
  weights: SCHEMA.columns.map((_, i) => 0.01 * (i + 1)),
  bias: -0.5,
}
const NETWORK: TrainedModel = {
  kind: "network",
  layers: [
    {
      kind: "dense",
      weights: [0, 1].map((k) => SCHEMA.columns.map((_, i) => 1e-4 * (i + k))),
      biases: [0, 0.1],
    },
    { kind: "square" },
    { kind: "dense", weights: [[0.3, -0.2]], biases: [0.1] },
  ],
}
const isotonic = {
  type: "isotonic" as const,
  thresholds: Float64Array.of(0),
  probabilities: Float64Array.of(0.2, 0.8),
}
const PLANS: readonly (readonly [string, CompiledModel])[] = [
  ["linear, shared", compile(LINEAR, SCHEMA, { model: "heart", version: "1", calibration: isotonic })],
  ["linear, kept", compile(LINEAR, SCHEMA, { model: "heart", version: "1", weights: "kept" })],
  ["network", compile(NETWORK, SCHEMA, { model: "heart", version: "1" })],
]
const [[, SHARED], [, KEPT]] = PLANS as readonly [(typeof PLANS)[0], (typeof PLANS)[0]]

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-compiled-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const written = async (name: string, compiled: CompiledModel): Promise<string> => {
  const path = join(folder, name)
  await writeCompiledFolder(path, compiled)
  return path
}
const hashOf = ({ plan }: CompiledModel): string => toHex(planHash(plan))

describe("a compiled folder", () => {
  it.each(PLANS)("%s: gives back what a server needs", async (name, compiled) => {
    const path = await written(name, compiled)
    const served = await readCompiledFolder(path)
    expect(served).toEqual({ plan: compiled.plan, integers: compiled.integers })
    expect(toHex(new ModelServer(served).prepared.hash)).toBe(hashOf(compiled))
    expect(await readCompiledPlan(path)).toEqual(compiled.plan)
    expect((await readdir(path)).sort()).toEqual(["plan.bin", "plan.json", "proof.json", "server-model.bin"])
  })

  it("the model and its proof are for their owner alone", async () => {
    const path = await written("modes", SHARED)
    for (const name of ["server-model.bin", "proof.json"])
      expect((await stat(join(path, name))).mode & 0o777).toBe(0o600)
    const proof = JSON.parse(await readFile(join(path, "proof.json"), "utf8"))
    expect(proof).toMatchObject({ plan: hashOf(SHARED), layers: [{ layer: "Layer 1 (linear)" }] })
    expect(BigInt(proof.layers[0].largest)).toBe(SHARED.proof[0]?.largest)
    await chmod(join(path, "server-model.bin"), 0o644)
    await expect(readCompiledFolder(path)).rejects.toMatchObject({ code: "store/open-permissions" })
  })

  it("is written over an older one", async () => {
    await written("twice", SHARED)
    const path = await written("twice", KEPT)
    expect((await readCompiledFolder(path)).plan.weights).toBe("kept")
    expect(await readdir(path)).toHaveLength(4)
  })

  it("the public half suffices for askers", async () => {
    const path = await written("public", SHARED)
    for (const name of ["server-model.bin", "proof.json", "plan.json"]) await rm(join(path, name))
    expect(await readCompiledPlan(path)).toEqual(SHARED.plan)
    await expect(readCompiledFolder(path)).rejects.toMatchObject({
      code: "inference/missing-file",
      message: `${join(path, "server-model.bin")} is not there.`,
    })
  })

  it("names what is missing", async () => {
    const path = join(folder, "nowhere")
    for (const read of [readCompiledFolder, readCompiledPlan])
      await expect(read(path)).rejects.toMatchObject({
        code: "inference/missing-file",
        message: `${join(path, "plan.bin")} is not there.`,
      })
  })

  it("refuses files of two compilations, with both hashes", async () => {
    const [shared, kept] = [await written("shared", SHARED), await written("kept", KEPT)]
    await copyFile(join(kept, "server-model.bin"), join(shared, "server-model.bin"))
    await expect(readCompiledFolder(shared)).rejects.toMatchObject({
      code: "inference/other-plan",
      message: `A server's model is for plan ${hashOf(KEPT)}; the plan here is ${hashOf(SHARED)}.`,
    })
    await copyFile(join(kept, "plan.json"), join(shared, "plan.json"))
    await expect(readCompiledPlan(shared)).rejects.toMatchObject({
      code: "inference/other-plan",
      message: `${join(shared, "plan.json")} tells of plan ${hashOf(KEPT)}; plan.bin is plan ${hashOf(SHARED)}.`,
    })
  })

  it("refuses files that are none", async () => {
    const path = await written("broken", SHARED)
    await writeFile(join(path, "plan.json"), "{")
    await expect(readCompiledPlan(path)).rejects.toMatchObject({ code: "inference/bad-file" })
    await writeFile(join(path, "plan.json"), "{}")
    await expect(readCompiledPlan(path)).rejects.toMatchObject({ code: "inference/bad-file" })
    await writeFile(join(path, "plan.bin"), "nothing")
    await expect(readCompiledPlan(path)).rejects.toMatchObject({ code: "inference/malformed" })
  })

  it("cannot be written where a file stands", async () => {
    await writeFile(join(folder, "file"), "")
    await expect(writeCompiledFolder(join(folder, "file"), SHARED)).rejects.toMatchObject({
      code: "store/failed",
    })
  })
})

describe("a plan in plain JSON", () => {
  it.each(PLANS)("%s: has the form that it is declared with, and holds the plan", (_, { plan }) => {
    const view = JSON.parse(JSON.stringify(planView(new PreparedPlan(plan))))
    expect(planViewSchema.parse(view)).toEqual(view)
    expect(planFromBytes(Buffer.from(view.bytes, "base64"))).toEqual(plan)
    expect(view.keyBytes === null).toBe(plan.weights === "shared")
  })

  it("says what answers tell of the model", () => {
    expect(PLANS.map(([, { plan }]) => planView(new PreparedPlan(plan)).reveals)).toMatchInlineSnapshot(`
      [
        "The model is not hidden from askers: every weight of the model can be computed from one answer. Serve only models that are released or trained under differential privacy. Of the patients the server learns how many there are and when somebody asks, nothing else.",
        "An honest asker learns its logits, to within 0.0009765625, and nothing else of the weights; 14 exact answers together determine them. Whoever encrypts what is no patient can read weights out of answers: askers are bound by budgets, rate limits and contracts. Of the patients the server learns how many there are and when somebody asks, nothing else.",
        "The model is not hidden from askers: the sum of squares that the model is can be computed from one answer. Serve only models that are released or trained under differential privacy. Of the patients the server learns how many there are and when somebody asks, nothing else.",
      ]
    `)
  })
})
