import { fromHex, toHex } from "@consilium/base/bytes"
import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { plainLogit } from "@consilium/inference/model/model"
import { planFromBytes } from "@consilium/inference/plan/plan"
import { PatientReader } from "@consilium/inference/schema/patient"
import { afterAll, beforeAll, expect, it } from "vitest"
import { denseNetwork, HEART, HEART_SCALING, randomPatient, testRandom } from "../../inference/test/heart.js"
import { servedModelsSchema } from "../src/inference/inference-schemas.js"
import { planViewSchema } from "../src/inference/plan-view.js"
import { serveModelsInTest, type TestInference } from "./inference-server.js"

const square = { kind: "square" } as const
const network = denseNetwork(testRandom("served"), [13, 4, 3, 1], [square, square], 0.3)
const model = compile(network, HEART, { model: "deep", version: "1", scaling: HEART_SCALING })
const random = testRandom("asked")
const AT = "/v1/models/deep"

let server: TestInference
beforeAll(async () => {
  server = await serveModelsInTest({ deep: model })
})
afterAll(async () => {
  await server.close()
  expect(server.troubles).toEqual([])
})

const post = (path: string, body: Uint8Array, as = "clinician") =>
  server.ask({ method: "POST", path: `${AT}/${path}`, body, as })

it("a network with several layers answers in a thread, under keys of megabytes that an asker uploaded", async () => {
  const { models } = servedModelsSchema.parse((await server.ask({ path: "/v1/models" })).json())
  const view = planViewSchema.parse((await server.ask({ path: `${AT}/plan`, as: "clinician" })).json())
  const asker = new Asker(planFromBytes(new Uint8Array(Buffer.from(view.bytes, "base64"))))
  const { keyBytes, plan } = asker.prepared
  expect(view.packing).toBe("slots-by-feature")
  expect([models[0]?.weights, models[0]?.keyBytes, view.keyBytes]).toEqual(["shared", keyBytes, keyBytes])
  expect(keyBytes).toBeGreaterThan(2 ** 20)

  const { nonce } = (
    await server.ask({ method: "POST", path: `${AT}/keys/nonce`, as: "clinician" })
  ).json() as {
    readonly nonce: string
  }
  const key = asker.newKey(fromHex(nonce), random)
  // beyond the head, the nonce and the first limb of a row: what only a look at every number finds
  const beyond = await post("keys", key.upload.slice().fill(255, keyBytes - 4096))
  expect([beyond.status, (beyond.json() as { readonly title: string }).title]).toEqual([
    400,
    "lattice/malformed",
  ])
  const cut = await post("keys", key.upload.subarray(1))
  expect([cut.status, (cut.json() as { readonly title: string }).title]).toEqual([400, "inference/malformed"])
  const uploads = await Promise.all([post("keys", key.upload), post("keys", key.upload)])
  const [uploaded, twice] = uploads.sort((a, b) => a.status - b.status) as typeof uploads
  expect([uploaded.status, uploaded.json()]).toEqual([201, { key: toHex(key.id) }])
  expect((twice.json() as { readonly title: string }).title).toBe("inference/key-replayed")

  const patients = Array.from({ length: plan.patients }, () => randomPatient(random))
  const question = asker.ask(patients, { key, random })
  for (let times = 0; times < 2; times++) {
    const answer = await post("predict", question.bytes)
    expect(answer.status).toBe(200)
    question.open(new Uint8Array(answer.body)).forEach(({ logit }, p) => {
      const columns = new PatientReader(HEART).columns(patients[p] as (typeof patients)[number])
      expect(Math.abs(logit - plainLogit(network, HEART_SCALING, columns))).toBeLessThanOrEqual(
        plan.errorBound,
      )
    })
  }
  const stranger = await post("predict", question.bytes, "other")
  expect((stranger.json() as { readonly title: string }).title).toBe("inference/unknown-key")
})
