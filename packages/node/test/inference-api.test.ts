import { toHex } from "@consilium/base/bytes"
import { Asker } from "@consilium/inference/client/asker"
import { plainLogit } from "@consilium/inference/model/model"
import { planFromBytes, planHash } from "@consilium/inference/plan/plan"
import { PatientReader } from "@consilium/inference/schema/patient"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  extremePatient,
  HEART,
  HEART_LINEAR,
  HEART_SCALING,
  randomPatient,
  squareNetwork,
  testRandom,
} from "../../inference/test/heart.js"
import { problemSchema } from "../src/api/schemas.js"
import { batchSchema, contextSchema, servedModelsSchema } from "../src/inference/inference-schemas.js"
import { BY_HAND } from "../src/inference/model-shelf.js"
import type { PlanView } from "../src/inference/plan-view.js"
import { planViewSchema } from "../src/inference/plan-view.js"
import {
  type Answer,
  heartModel,
  heartNetwork,
  serveModelsInTest,
  type TestInference,
} from "./inference-server.js"

const random = testRandom("inference-api")
const patients = (count: number) => Array.from({ length: count }, () => randomPatient(random))
const reader = new PatientReader(HEART)
const refused = ({ status, body }: Answer): string => {
  const problem = problemSchema.parse(JSON.parse(body.toString("utf8")))
  expect(problem.status).toBe(status)
  expect(problem.remedy).not.toBe("")
  return `${status} ${problem.title}`
}
/** What an asker knows of a model: its plan, fetched and checked. */
const askerOf = async (server: TestInference, id: string): Promise<Asker> => {
  const view: PlanView = planViewSchema.parse(
    (await server.ask({ path: `/v1/models/${id}/plan`, as: "clinician" })).json(),
  )
  const plan = planFromBytes(new Uint8Array(Buffer.from(view.bytes, "base64")))
  expect(toHex(planHash(plan))).toBe(view.hash)
  return new Asker(plan)
}
const waitForBatch = async (server: TestInference, path: string, as = "clinician") => {
  for (;;) {
    const view = batchSchema.parse((await server.ask({ path, as })).json())
    if (view.state === "done" || view.state === "failed") return view
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe("a server of models", () => {
  let server: TestInference
  const network = heartNetwork()
  beforeAll(async () => {
    server = await serveModelsInTest({ heart: heartModel(), "heart-network": network })
  })
  afterAll(async () => {
    await server.close()
    expect(server.troubles).toEqual([])
  })

  it("lists its models", async () => {
    const { models } = servedModelsSchema.parse((await server.ask({ path: "/v1/models" })).json())
    expect(
      models.map(({ id, offered, kind, weights, keyBytes, answersLeft }) => [
        id,
        offered,
        kind,
        weights,
        keyBytes,
        answersLeft,
      ]),
    ).toEqual([
      ["heart", true, "linear", "shared", null, null],
      ["heart-network", true, "network", "shared", null, null],
    ])
  })

  it.each(["heart", "heart-network"])("answers encrypted patients as %s does plainly", async (id) => {
    const asker = await askerOf(server, id)
    const asked = [...patients(3), extremePatient(0), extremePatient(8191)]
    const question = asker.ask(asked)
    const answer = await server.ask({
      method: "POST",
      path: `/v1/models/${id}/predict`,
      body: question.bytes,
      as: "clinician",
    })
    expect(answer.status).toBe(200)
    expect(answer.headers["content-type"]).toBe("application/octet-stream")
    expect(answer.headers["server-timing"]).toMatch(/^evaluate;dur=\d+\.\d{3}$/)
    const model =
      id === "heart" ? HEART_LINEAR : squareNetwork(testRandom("network"), HEART.columns.length, 16)
    const found = question.open(new Uint8Array(answer.body))
    asked.forEach((patient, i) => {
      const plain = plainLogit(model, HEART_SCALING, reader.columns(patient))
      expect(Math.abs((found[i]?.logit as number) - plain)).toBeLessThanOrEqual(
        asker.prepared.plan.errorBound,
      )
    })
  })

  it("tells its context, and refuses another with both hashes", async () => {
    const { plan } = contextSchema.parse((await server.ask({ path: "/context?model=heart" })).json())
    expect((await server.ask({ path: `/context?model=heart&plan=${plan}` })).status).toBe(200)
    const other = plan.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))
    const answer = await server.ask({ path: `/context?model=heart&plan=${other}` })
    expect(refused(answer)).toBe("409 inference/other-plan")
    expect(answer.body.toString()).toContain(plan)
    expect(answer.body.toString()).toContain(other)
    expect(refused(await server.ask({ path: "/context" }))).toBe("404 inference/no-model")
  })

  it("[S19] lets those ask who have the right, and nobody else", async () => {
    const at = (as: string) => server.ask({ path: "/v1/models", as })
    for (const role of ["clinician", "operator", "owner"]) expect((await at(role)).status).toBe(200)
    for (const role of ["reader", "auditor"]) expect(refused(await at(role))).toBe("403 api/forbidden")
    expect(refused(await at("stranger"))).toBe("401 api/unauthenticated")
    const proxied = { "x-forwarded-for": "203.0.113.9" }
    expect(refused(await server.ask({ path: "/v1/models", headers: proxied }))).toBe(
      "401 api/unauthenticated",
    )
  })

  it("[S18] refuses what is no request before it reads it, with a code", async () => {
    const asker = await askerOf(server, "heart")
    const { bytes } = asker.ask(patients(1))
    const post = async (body: Uint8Array, more: object = {}) =>
      refused(
        await server.ask({
          method: "POST",
          path: "/v1/models/heart/predict",
          body,
          as: "clinician",
          ...more,
        }),
      )
    expect(await post(bytes.slice(1))).toBe("400 inference/malformed")
    expect(await post(new Uint8Array(0))).toBe("400 inference/malformed")
    expect(await post(new Uint8Array(1 << 20))).toBe("400 inference/malformed")
    expect(await post(bytes, { chunked: true })).toBe("400 api/malformed")
    expect(await post(bytes, { headers: { "content-encoding": "gzip" } })).toBe("415 api/unsupported-type")
    expect(await post(bytes, { path: "/v1/models/none/predict" })).toBe("404 inference/no-model")
    expect(await post(bytes, { path: "/v1/models/HEART/predict" })).toBe("400 api/malformed")
    expect(await post(bytes, { path: "/v1/models/heart/predict?patient=1" })).toBe("400 api/malformed")
    expect(await post(bytes, { method: "PUT" })).toBe("405 api/wrong-method")
    const kinds = [0, 1, 2].map((at) => bytes.with(at, 255))
    for (const wrong of kinds) expect(await post(wrong)).toBe("400 inference/malformed")
    expect(await post(bytes.with(10, (bytes[10] as number) ^ 1))).toBe("409 inference/other-plan")
    expect(await post(bytes.with(4, 1))).toBe("422 inference/too-many")
    expect(await post(bytes.with(7, 0))).toBe("422 inference/too-many")
    expect(await post(bytes.fill(255, 100, 2000))).toBe("400 lattice/malformed")
  })

  it("[S19] refuses pages of other origins", async () => {
    const headers = { origin: "https://elsewhere.example.org" }
    expect(refused(await server.ask({ path: "/v1/models", headers }))).toBe("403 api/foreign-origin")
    const preflight = await server.ask({ method: "OPTIONS", path: "/v1/models", headers })
    expect(preflight.headers["access-control-allow-origin"]).toBeUndefined()
  })

  it("answers batches in the order of their requests, to their asker alone", async () => {
    const asker = await askerOf(server, "heart-network")
    const asked = Array.from({ length: 3 }, () => patients(2))
    const questions = asked.map((some) => asker.ask(some))
    const added = await server.ask({
      method: "POST",
      path: "/v1/models/heart-network/batches",
      body: Buffer.concat(questions.map(({ bytes }) => bytes)),
      as: "clinician",
    })
    expect(added.status).toBe(202)
    const { id } = batchSchema.parse(added.json())
    const path = `/v1/models/heart-network/batches/${id}`
    expect(added.headers.location).toBe(path)
    expect(refused(await server.ask({ path, as: "other" }))).toBe("404 inference/no-batch")
    expect(refused(await server.ask({ path: path.replace("-network", ""), as: "clinician" }))).toBe(
      "404 inference/no-batch",
    )
    expect((await waitForBatch(server, path)).state).toBe("done")
    const answers = new Uint8Array((await server.ask({ path: `${path}/answers`, as: "clinician" })).body)
    const { answerBytes, plan } = asker.prepared
    expect(answers.length).toBe(3 * answerBytes)
    const model = squareNetwork(testRandom("network"), HEART.columns.length, 16)
    questions.forEach((question, i) => {
      const found = question.open(answers.slice(i * answerBytes, (i + 1) * answerBytes))
      found.forEach(({ logit }, p) => {
        const plain = plainLogit(model, HEART_SCALING, reader.columns(asked[i]?.[p] as never))
        expect(Math.abs(logit - plain)).toBeLessThanOrEqual(plan.errorBound)
      })
    })
    expect((await server.ask({ method: "DELETE", path, as: "clinician" })).status).toBe(204)
    expect(refused(await server.ask({ path, as: "clinician" }))).toBe("404 inference/no-batch")
  })

  it("tells what was wrong with a batch", async () => {
    const asker = await askerOf(server, "heart")
    const good = asker.ask(patients(1)).bytes
    const post = (body: Uint8Array) =>
      server.ask({ method: "POST", path: "/v1/models/heart/batches", body, as: "clinician" })
    expect(refused(await post(good.slice(0, -1)))).toBe("400 inference/malformed")
    expect(refused(await post(Buffer.concat([good, good.with(7, 0)])))).toBe("422 inference/too-many")
    const { id } = batchSchema.parse(
      (await post(Buffer.concat([good, good.slice().fill(255, 100, 2000)]))).json(),
    )
    const path = `/v1/models/heart/batches/${id}`
    const view = await waitForBatch(server, path)
    expect([view.state, view.problem?.title]).toEqual(["failed", "lattice/malformed"])
    expect(refused(await server.ask({ path: `${path}/answers`, as: "clinician" }))).toBe(
      "409 inference/batch-not-done",
    )
  })

  it("describes itself", async () => {
    const description = (await server.ask({ path: "/openapi.json" })).json() as {
      openapi: string
      paths: Record<string, object>
    }
    expect(description.openapi).toBe("3.1.0")
    expect(Object.keys(description.paths)).toContain("/v1/models/{id}/predict")
    expect(refused(await server.ask({ path: "/v1/studies" }))).toBe("404 api/not-found")
  })
})

describe("a model that is replaced", () => {
  it("is answered under both plans for ten minutes, then under the new one alone", async () => {
    const server = await serveModelsInTest({ heart: heartModel("1") })
    try {
      const before = await askerOf(server, "heart")
      const early = before.ask(patients(1))
      const second = heartModel("2", "shared", {
        ...HEART_LINEAR,
        kind: "linear",
        bias: 3,
      } as typeof HEART_LINEAR)
      server.service.shelf.offer("heart", second, BY_HAND)
      const post = (body: Uint8Array) =>
        server.ask({ method: "POST", path: "/v1/models/heart/predict", body, as: "clinician" })
      const late = (await askerOf(server, "heart")).ask(patients(1))
      for (const question of [early, late]) {
        const { status, body } = await post(question.bytes)
        expect(status).toBe(200)
        expect(question.open(new Uint8Array(body))).toHaveLength(1)
      }
      server.clock.ms += 10 * 60_000
      const stale = await post(before.ask(patients(1)).bytes)
      expect(refused(stale)).toBe("409 inference/other-plan")
      const named = stale.body.toString()
      for (const { plan } of [before.prepared, (await askerOf(server, "heart")).prepared])
        expect(named).toContain(toHex(planHash(plan)))
      server.service.shelf.refuse("heart", "It was withdrawn.", BY_HAND)
      expect(refused(await post(late.bytes))).toBe("409 inference/not-offered")
      const { models } = servedModelsSchema.parse((await server.ask({ path: "/v1/models" })).json())
      expect(models[0]).toMatchObject({ offered: false, why: "It was withdrawn.", plan: null })
    } finally {
      await server.close()
    }
  })
})

describe("a model whose weights are kept", () => {
  it("[S31] answers with an uploaded key as often as the budget allows, over restarts", async () => {
    let server = await serveModelsInTest({ heart: heartModel("1", "kept") })
    try {
      const post = (path: string, body: Uint8Array | undefined, as = "clinician") =>
        server.ask({ method: "POST", path: `/v1/models/heart/${path}`, ...(body && { body }), as })
      const asker = await askerOf(server, "heart")
      const { nonce } = (await post("keys/nonce", undefined)).json() as { nonce: string }
      const key = asker.newKey(new Uint8Array(Buffer.from(nonce, "hex")))
      expect(refused(await post("predict", asker.ask(patients(1), { key }).bytes))).toBe(
        "409 inference/unknown-key",
      )
      expect(refused(await post("keys", key.upload, "other"))).toBe("409 inference/key-replayed")
      const uploaded = await post("keys", key.upload)
      expect([uploaded.status, uploaded.json()]).toEqual([201, { key: toHex(key.id) }])
      expect(refused(await post("keys", key.upload))).toBe("409 inference/key-replayed")
      expect(refused(await post("keys", key.upload.slice(1)))).toBe("400 inference/malformed")
      const ask = async (count: number, as = "clinician") => {
        const question = asker.ask(patients(count), { key })
        const answer = await post("predict", question.bytes, as)
        return answer.status === 200 ? question.open(new Uint8Array(answer.body)).length : refused(answer)
      }
      expect(await ask(2)).toBe(2)
      expect(await ask(1, "other")).toBe("409 inference/unknown-key")
      server = await server.restart()
      const left = async () =>
        servedModelsSchema.parse((await server.ask({ path: "/v1/models", as: "clinician" })).json()).models[0]
          ?.answersLeft
      expect(await left()).toBe(11)
      expect(await ask(10)).toBe(10)
      expect(await ask(2)).toBe("403 inference/budget-spent")
      expect(await ask(1)).toBe(1)
      expect(await ask(1)).toBe("403 inference/budget-spent")
      expect(await left()).toBe(0)
      server = await server.restart()
      expect(await ask(1)).toBe("403 inference/budget-spent")
      // a new version of the model gives no new answers: old and new weights are close
      server.service.shelf.offer("heart", heartModel("2", "kept"), BY_HAND)
      expect(await left()).toBe(0)
    } finally {
      await server.close()
    }
  })

  it("takes whole batches from the budget, or nothing", async () => {
    const server = await serveModelsInTest({ heart: heartModel("1", "kept") })
    try {
      const asker = await askerOf(server, "heart")
      const post = (path: string, body?: Uint8Array) =>
        server.ask({
          method: "POST",
          path: `/v1/models/heart/${path}`,
          ...(body && { body }),
          as: "clinician",
        })
      const { nonce } = (await post("keys/nonce")).json() as { nonce: string }
      const key = asker.newKey(new Uint8Array(Buffer.from(nonce, "hex")))
      await post("keys", key.upload)
      const batch = (count: number) =>
        Buffer.concat(Array.from({ length: count }, () => asker.ask(patients(5), { key }).bytes))
      expect(refused(await post("batches", batch(3)))).toBe("403 inference/budget-spent")
      expect(server.service.given("token clinician", "heart")).toBe(0)
      expect((await post("batches", batch(2))).status).toBe(202)
      expect(server.service.given("token clinician", "heart")).toBe(10)
    } finally {
      await server.close()
    }
  })

  it("takes no keys where the plan needs none", async () => {
    const server = await serveModelsInTest({ heart: heartModel() })
    try {
      const nonce = { method: "POST", path: "/v1/models/heart/keys/nonce", as: "clinician" }
      expect(refused(await server.ask(nonce))).toBe("400 inference/malformed")
      const upload = { ...nonce, path: "/v1/models/heart/keys", body: new Uint8Array(40_040) }
      expect(refused(await server.ask(upload))).toBe("400 inference/malformed")
    } finally {
      await server.close()
    }
  })
})

describe("limits", () => {
  it("holds no more bytes than it was told, and says when to come again", async () => {
    const heart = heartModel()
    const server = await serveModelsInTest({ heart }, { rules: { roomBytes: 20_000 } })
    try {
      const asker = await askerOf(server, "heart")
      const { bytes } = asker.ask(patients(1))
      const post = { method: "POST", path: "/v1/models/heart/predict", body: bytes, as: "clinician" }
      const free = server.service.room.take("other", 10_000)
      const answer = await server.ask(post)
      expect(refused(answer)).toBe("503 inference/overloaded")
      expect(answer.headers["retry-after"]).toBe("2")
      free()
      expect((await server.ask(post)).status).toBe(200)
      await expect.poll(() => server.service.room.taken).toBe(0)
    } finally {
      await server.close()
    }
  })

  it("lets each asker ask so often and no more", async () => {
    const server = await serveModelsInTest({ heart: heartModel() }, { rate: { burst: 2, perSecond: 1 } })
    try {
      const asker = await askerOf(server, "heart")
      const post = async (as: string) => {
        const body = asker.ask(patients(1)).bytes
        return server.ask({ method: "POST", path: "/v1/models/heart/predict", body, as })
      }
      for (let i = 0; i < 2; i++) expect((await post("clinician")).status).toBe(200)
      const answer = await post("clinician")
      expect(refused(answer)).toBe("429 api/too-many-requests")
      expect(answer.headers["retry-after"]).toBe("1")
      expect((await post("other")).status).toBe(200)
      server.clock.ms += 1000
      expect((await post("clinician")).status).toBe(200)
    } finally {
      await server.close()
    }
  })

  it("pages of configured origins may ask, and read the answer", async () => {
    const origin = "https://ward.example.org"
    const server = await serveModelsInTest({ heart: heartModel() }, { origins: [origin] })
    try {
      const preflight = await server.ask({
        method: "OPTIONS",
        path: "/v1/models/heart/predict",
        headers: { origin, "access-control-request-method": "POST" },
      })
      expect(preflight.status).toBe(204)
      expect(preflight.headers["access-control-allow-origin"]).toBe(origin)
      expect(preflight.headers["access-control-allow-headers"]).toContain("authorization")
      const asker = await askerOf(server, "heart")
      const answer = await server.ask({
        method: "POST",
        path: "/v1/models/heart/predict",
        body: asker.ask(patients(1)).bytes,
        as: "clinician",
        headers: { origin },
      })
      expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([200, origin])
      const other = await server.ask({ path: "/v1/models", headers: { origin: `${origin}.evil.example` } })
      expect(refused(other)).toBe("403 api/foreign-origin")
    } finally {
      await server.close()
    }
  })
})
