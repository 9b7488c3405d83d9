import { ConsiliumError } from "@consilium/base/errors"
import { Asker } from "@consilium/inference/client/asker"
import { type CompiledModel, compile } from "@consilium/inference/compile/compile"
import { columnsOf, type InputField } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"
import { InferenceClient } from "@consilium/inference-client/client"
import type { ExchangeFigures } from "@consilium/inference-client/figures"
import { OwnKeys } from "@consilium/inference-client/keys/own-keys"
import { afterEach, describe, expect, it } from "vitest"
import { HEART } from "../../inference/test/heart.js"
import { json, ModelHost, problem } from "./model-host.js"
import { compiledOf, KINDS, type Kind, plainOf, SOMEBODY, somePatients } from "./models.js"
import { refusalFrom } from "./refusals.js"

const NONCE = new Uint8Array(32).fill(8)
const COMPILED: Readonly<Record<Kind, CompiledModel>> = {
  shared: compiledOf("shared"),
  kept: compiledOf("kept"),
  network: compiledOf("network"),
  rotated: compiledOf("rotated"),
}

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
const hosting = async (compiled: CompiledModel): Promise<ModelHost> => {
  const host = await ModelHost.start("heart", compiled)
  closers.push(() => host.close())
  return host
}
const connected = async (
  host: ModelHost,
  options: Parameters<typeof InferenceClient.connect>[1] = {},
): Promise<InferenceClient> => {
  const client = await InferenceClient.connect(host.address, { model: "heart", ...options })
  closers.push(() => client.close())
  return client
}
const codeOf = async (work: Promise<unknown>): Promise<string> => (await refusalFrom(work)).code
const asked = (host: ModelHost, what: string): number =>
  host.asked.filter((line) => line.endsWith(what)).length

/** How far a logit is from the one of the model itself, in bounds of its plan. */
const errorOf = (kind: Kind, patient: Patient, logit: number): number =>
  Math.abs(logit - plainOf(kind, patient)) / COMPILED[kind].plan.errorBound

describe.each(KINDS)("a client of a model, %s", (name) => {
  const compiled = COMPILED[name]

  it("predicts, and tells what it cost", async () => {
    const host = await hosting(compiled)
    const client = await connected(host)
    const { probability, logit, rounded, figures } = await client.predict(SOMEBODY)
    expect(errorOf(name, SOMEBODY, logit)).toBeLessThan(1)
    expect(probability).toBeGreaterThan(0)
    expect(rounded).toBe(Math.round(probability * 1000) / 1000)
    expect(figures.bytesUp).toBe(host.bodies.at(-1)?.length)
    expect(figures.serverMs).toBeGreaterThan(0)
    for (const ms of [figures.encryptMs, figures.roundTripMs, figures.openMs]) expect(ms).toBeGreaterThan(0)
  })
  it("refuses a patient before anything is sent, a key included", async () => {
    const host = await hosting(compiled)
    const client = await connected(host)
    const before = host.asked.length
    expect(await codeOf(client.predict({ ...SOMEBODY, age: -1 }))).toBe("inference/bad-patient")
    expect(host.asked).toHaveLength(before)
  })
  it("prepared, makes nothing but the request", async () => {
    const host = await hosting(compiled)
    const client = await connected(host)
    await client.prepare({ blanks: 2 })
    const before = host.asked.length
    await client.predict(SOMEBODY)
    expect(host.asked.slice(before)).toEqual(["POST /v1/models/heart/predict"])
  })
  it("predicts for many in few requests, in order", async () => {
    const host = await hosting(compiled)
    const client = await connected(host)
    const patients = somePatients("many", 3)
    const told: number[] = []
    const { predictions, exchanges } = await client.predictMany(patients, {
      onProgress: (done) => told.push(done),
    })
    predictions.forEach(({ logit }, i) => {
      expect(errorOf(name, patients[i] as Patient, logit)).toBeLessThan(1)
    })
    expect([exchanges.length, told]).toEqual([1, [3]])
  })
})

describe("many patients", () => {
  it("go as a few requests, each as large as the plan takes", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    const most = client.plan.patients
    const patients = somePatients("several", 2 * most + 5)
    const { predictions, exchanges } = await client.predictMany(patients)
    expect(predictions).toHaveLength(patients.length)
    expect(exchanges.map((figures) => figures.patients).sort((a, b) => a - b)).toEqual([5, most, most])
    expect(asked(host, "/predict")).toBe(3)
  })
  it("go as a batch when they are more, and the batch is deleted", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    const most = client.plan.patients
    const patients = somePatients("batch", 9 * most + 1)
    const figures: ExchangeFigures[] = []
    const { predictions } = await client.predictMany(patients, {
      onProgress: (_, __, exchange) => figures.push(exchange),
    })
    expect(predictions).toHaveLength(patients.length)
    expect(figures.map(({ requests, serverMs }) => [requests, serverMs])).toEqual([[10, null]])
    expect(asked(host, "/predict")).toBe(0)
    await expect.poll(() => host.asked.at(-1)).toBe("DELETE /v1/models/heart/batches/b0")
    predictions.forEach(({ logit }, i) => {
      expect(errorOf("shared", patients[i] as Patient, logit)).toBeLessThan(1)
    })
  })
  it("are all checked before anything is sent, and the place of a bad one is told", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    const before = host.asked.length
    await expect(client.predictMany([SOMEBODY, { ...SOMEBODY, chol: 98_765 }])).rejects.toThrow(
      /^Patient 2 of 2: "chol" is outside 0 to 1000 mg\/dl\.$/,
    )
    expect(host.asked).toHaveLength(before)
  })
  it("of none are none", async () => {
    const client = await connected(await hosting(COMPILED.shared))
    expect(await client.predictMany([])).toEqual({ predictions: [], exchanges: [] })
  })
})

describe("after a hot swap", () => {
  it("the client takes the new version and asks again", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    await client.prepare()
    const first = client.planHash
    host.swap(compiledOf("shared", "2"))
    const { logit } = await client.predict(SOMEBODY)
    expect(Number.isFinite(logit)).toBe(true)
    expect([client.plan.version, client.planHash === first]).toEqual(["2", false])
    expect(asked(host, "/plan")).toBe(2)
  })
  it("all who are under way wait for one refresh", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    host.swap(compiledOf("shared", "2"))
    const answers = await Promise.all(Array.from({ length: 6 }, () => client.predict(SOMEBODY)))
    expect(answers).toHaveLength(6)
    expect(asked(host, "/plan")).toBe(2)
  })
  it("many patients are divided as the new version takes them", async () => {
    const host = await hosting(COMPILED.network)
    const client = await connected(host)
    host.swap(COMPILED.shared)
    const patients = somePatients("other size", COMPILED.shared.plan.patients + 3)
    expect((await client.predictMany(patients)).predictions).toHaveLength(patients.length)
  })
  it("a plan that keeps weights gets a new key", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    host.swap(COMPILED.kept)
    await client.predict(SOMEBODY)
    expect(asked(host, "/keys")).toBe(1)
  })
  it("a version that asks otherwise is refused, with the fields that differ", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    const fields: readonly InputField[] = [
      ...HEART.fields.filter(({ name }) => name !== "ca" && name !== "chol"),
      { name: "chol", type: "number", unit: "mmol/l", range: [0, 30] },
      { name: "smoker", type: "boolean" },
    ]
    const schema = { fields, columns: columnsOf(fields) }
    const model = { kind: "linear", weights: fields.map(() => 0.1), bias: 0 } as const
    host.swap(compile(model, schema, { model: "heart", version: "2" }))
    await expect(client.predict(SOMEBODY)).rejects.toMatchObject({
      code: "inference/other-questions",
      message:
        'Version 2 of "heart" asks otherwise than 1: "chol" is now a number of mmol/l, and was a number of mg/dl; "ca" is gone; "smoker" is new.',
    })
  })
  it("a pinned plan is not left", async () => {
    const host = await hosting(COMPILED.shared)
    const { plan: hash } = (await InferenceClient.models(host.address))[0] as { plan: string }
    const client = await connected(host, { plan: hash })
    host.swap(compiledOf("shared", "2"))
    expect(await codeOf(client.predict(SOMEBODY))).toBe("inference/other-plan")
    expect(await codeOf(InferenceClient.connect(host.address, { model: "heart", plan: hash }))).toBe(
      "inference/other-plan",
    )
  })
  it("a server that goes on refusing is asked once more, not for ever", async () => {
    const host = await hosting(COMPILED.shared)
    const client = await connected(host)
    host.bend = (path, response) => {
      if (!path.endsWith("/predict")) return false
      problem(response, new ConsiliumError("inference/other-plan", "Another plan."))
      return true
    }
    expect(await codeOf(client.predict(SOMEBODY))).toBe("inference/other-plan")
    expect(asked(host, "/predict")).toBe(2)
  })
})

describe("keys", () => {
  it("are uploaded once, for all who ask at the same time", async () => {
    const host = await hosting(COMPILED.kept)
    const client = await connected(host)
    await Promise.all(Array.from({ length: 4 }, () => client.predict(SOMEBODY)))
    expect([asked(host, "/keys/nonce"), asked(host, "/keys")]).toEqual([1, 1])
  })
  it("are made anew once the server knows them no more, with blanks under the new one", async () => {
    const host = await hosting(COMPILED.kept)
    const client = await connected(host)
    await client.prepare({ blanks: 3 })
    host.forgetKeys()
    await Promise.all(Array.from({ length: 4 }, () => client.predict(SOMEBODY)))
    expect(asked(host, "/keys")).toBe(2)
    expect((await client.predict(SOMEBODY)).logit).toBeLessThan(Number.POSITIVE_INFINITY)
  })
  it("that were uploaded before are taken from their file, for their own plan only", async () => {
    const host = await hosting(COMPILED.kept)
    const asker = new Asker(COMPILED.kept.plan)
    const key = asker.newKey(NONCE)
    host.bring(NONCE, key.upload)
    const keyFile = key.toBytes(asker.prepared)
    const client = await connected(host, { keys: new OwnKeys({ keyFile }) })
    const { logit } = await client.predict(SOMEBODY)
    expect(errorOf("kept", SOMEBODY, logit)).toBeLessThan(1)
    expect([asked(host, "/keys/nonce"), asked(host, "/keys")]).toEqual([0, 0])
    host.swap(compiledOf("kept", "2"))
    await expect(client.predict(SOMEBODY)).rejects.toMatchObject({
      code: "inference/other-plan",
      remedy: expect.stringContaining("Make a key for this plan"),
    })
  })
  it("that the server takes for another are refused", async () => {
    const host = await hosting(COMPILED.kept)
    const client = await connected(host)
    host.bend = (path, response) => {
      if (!path.endsWith("/keys")) return false
      json(response, 201, { key: "ab".repeat(32) })
      return true
    }
    expect(await codeOf(client.predict(SOMEBODY))).toBe("inference/unknown-key")
    host.bend = () => false
    expect((await client.predict(SOMEBODY)).logit).toBeLessThan(Number.POSITIVE_INFINITY)
  })
})

describe("a list of models", () => {
  it("names each, and one that stands alone need not be named", async () => {
    const host = await hosting(COMPILED.shared)
    const models = await InferenceClient.models(host.address)
    expect(models.map(({ id, kind, patients }) => [id, kind, patients])).toEqual([["heart", "linear", 157]])
    const client = await InferenceClient.connect(host.address)
    closers.push(() => client.close())
    expect([client.model, client.plan.model]).toEqual(["heart", "heart"])
  })
  it("of several asks for a name", async () => {
    const host = await hosting(COMPILED.shared)
    host.bend = (path, response) => {
      if (path !== "/v1/models") return false
      const one = {
        ...{ offered: true, why: null, version: "1", plan: null, kind: null, weights: null, packing: null },
        ...{ patients: null, requestBytes: null, answerBytes: null, keyBytes: null, marks: [] },
        ...{ source: { study: null, round: null }, since: "2026-01-01T00:00:00.000Z" },
      }
      json(response, 200, {
        models: [
          { id: "a", ...one },
          { id: "b", ...one },
        ],
      })
      return true
    }
    await expect(InferenceClient.connect(host.address)).rejects.toThrow("several models: a, b.")
  })
})
