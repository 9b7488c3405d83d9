import { cp, mkdtemp, rename, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Asker } from "@consilium/inference/client/asker"
import type { CompiledModel } from "@consilium/inference/compile/compile"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { HEART_LINEAR, randomPatient, testRandom } from "../../inference/test/heart.js"
import { EvaluationThreads } from "../src/inference/evaluation-threads.js"
import { writeCompiledFolder } from "../src/inference/model-folder.js"
import { ModelFolders } from "../src/inference/model-folders.js"
import { BY_HAND, ModelShelf, modelId, modelIds } from "../src/inference/model-shelf.js"
import { planView } from "../src/inference/plan-view.js"
import { BUILT_THREAD, heartModel, heartNetwork } from "./inference-server.js"

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "models-"))
})
afterEach(() => rm(folder, { recursive: true }))

const compiled = (version: string): CompiledModel => heartModel(version) as CompiledModel

describe("a folder of compiled models", () => {
  it("is followed: what is written anew replaces its model, what is gone ends it", async () => {
    await writeCompiledFolder(join(folder, "a"), compiled("1"))
    const shelf = new ModelShelf()
    const lines: string[] = []
    const folders = await ModelFolders.open({
      folder,
      shelf,
      narrate: (line) => lines.push(line),
      everyMs: 10,
    })
    try {
      const first = shelf.current("heart").plan
      await writeCompiledFolder(join(folder, "a"), compiled("2"))
      await expect.poll(() => shelf.current("heart").served.plan.version).toBe("2")
      expect(shelf.versions("heart").map(({ plan }) => plan)).toContain(first)
      await writeCompiledFolder(join(folder, "b"), heartNetwork() as CompiledModel)
      await expect.poll(() => shelf.entries().map(({ id }) => id)).toEqual(["heart", "heart-network"])
      await cp(join(folder, "a"), join(folder, "c"), { recursive: true })
      await expect.poll(() => lines.join("\n")).toContain("hold models of one name")
      await writeCompiledFolder(join(folder, "a"), compiled("3"))
      await expect.poll(() => shelf.current("heart").served.plan.version).toBe("3")
      // many looks later it was said once
      expect(lines.filter((line) => line.includes("hold models of one name"))).toHaveLength(1)
      await rm(join(folder, "c"), { recursive: true })
      await rename(join(folder, "b"), join(folder, "..", `${folder.split("/").at(-1)}-away`))
      await expect.poll(() => shelf.entries().map(({ id }) => id)).toEqual(["heart"])
    } finally {
      folders.close()
      await rm(`${folder}-away`, { recursive: true, force: true })
    }
  })

  it("without a compiled model is refused with what to do", async () => {
    const opening = ModelFolders.open({ folder, shelf: new ModelShelf(), narrate: () => undefined })
    await expect(opening).rejects.toMatchObject({
      code: "inference/missing-file",
      remedy: expect.stringContaining("infer compile"),
    })
  })
})

describe("the names of models", () => {
  it.each([
    ["heart", "heart"],
    ["Heart Disease (Zürich) 2", "heart-disease-z-rich-2"],
    ["../../etc", "etc"],
    ["___", "model"],
    ["", "model"],
  ])("%j is %j", (name, id) => expect(modelId(name)).toBe(id))

  it("of studies are told apart, by whoever began first, however alike they look", () => {
    const long = "x".repeat(70)
    const names = ["Heart", "heart!", "Heart", "心臓", "腎臓", `${long}a`, `${long}b`]
    const ids = modelIds(names)
    expect(new Set(ids.values()).size).toBe(6)
    expect(ids.get("Heart")).toBe("heart")
    expect(ids.get("heart!")).toMatch(/^heart-[0-9a-f]{8}$/)
    for (const id of ids.values()) expect(id).toMatch(/^[a-z0-9][a-z0-9._-]{0,63}$/)
    // what begins later changes nothing, and a name that is another's id is told apart as well
    const taken = ids.get("heart!") as string
    const more = modelIds([...names, taken])
    for (const [name, id] of ids) expect(more.get(name)).toBe(id)
    expect(more.get(taken)).not.toBe(taken)
  })

  it("that no address can hold are refused", () => {
    expect(() => new ModelShelf().offer("a/b", heartModel(), BY_HAND)).toThrow(/cannot be the name/)
  })
})

it("a plan is put in words when its model is offered, not each time that somebody asks for them", () => {
  const shelf = new ModelShelf()
  const { view, server } = shelf.offer("heart", heartModel(), BY_HAND)
  expect(view).toEqual(planView(server.prepared))
  expect(shelf.current("heart").view).toBe(view)
})

describe("threads that evaluate", () => {
  it("serve askers in turn, and none holds more than a part of the line", async () => {
    const version = new ModelShelf().offer("network", heartNetwork(), BY_HAND)
    const threads = new EvaluationThreads(1, BUILT_THREAD)
    try {
      const random = testRandom("turns")
      const { bytes: request } = new Asker(version.served.plan).ask([randomPatient(random)], { random })
      const order: string[] = []
      const ask = (asker: string): Promise<unknown> =>
        threads.answer(version, { asker, request, key: null }).then(() => order.push(asker))
      // one is worked on, 64 wait
      const asked = Array.from({ length: 65 }, () => ask("greedy"))
      await expect(ask("greedy")).rejects.toMatchObject({
        code: "inference/overloaded",
        headers: { "retry-after": "1" },
      })
      await ask("modest")
      expect(order.length).toBeLessThan(10)
      await Promise.all(asked)
    } finally {
      await threads.close()
    }
  })

  it("give back what came out of order to whom it belongs, and refusals as they are", async () => {
    const shelf = new ModelShelf()
    const version = shelf.offer("heart", heartModel(), BY_HAND)
    const threads = new EvaluationThreads(2, BUILT_THREAD)
    try {
      const asker = new Asker(version.served.plan)
      const patient = {
        age: 50,
        sex: "male",
        cp: "typical",
        trestbps: 120,
        chol: 200,
        fbs: false,
        restecg: "normal",
        thalach: 150,
        exang: false,
        oldpeak: 0,
        slope: "up",
        ca: 0,
        thal: "normal",
      }
      const ages = Array.from({ length: 12 }, (_, i) => 30 + 5 * i)
      const logits = await Promise.all(
        ages.map(async (age, i) => {
          const question = asker.ask([{ ...patient, age }])
          if (i === 5) {
            const broken = question.bytes.slice().fill(255, 100, 2000)
            await expect(
              threads.answer(version, { asker: "ward", request: broken, key: null }),
            ).rejects.toMatchObject({
              code: "lattice/malformed",
            })
          }
          const { answer, ms } = await threads.answer(version, {
            asker: "ward",
            request: question.bytes,
            key: null,
          })
          expect(ms).toBeGreaterThan(0)
          return question.open(answer)[0]?.logit as number
        }),
      )
      const slope = (HEART_LINEAR.kind === "linear" ? (HEART_LINEAR.weights[0] as number) : 0) / 9
      for (const [i, logit] of logits.entries())
        expect(logit).toBeCloseTo((logits[0] as number) + 5 * i * slope, 4)
    } finally {
      await threads.close()
    }
    await expect(
      threads.answer(version, { asker: "ward", request: new Uint8Array(1), key: null }),
    ).rejects.toMatchObject({
      code: "api/not-ready",
    })
  })
})
