import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { concatBytes, fromHex } from "@consilium/base/bytes"
import { Asker } from "@consilium/inference/client/asker"
import { afterEach, expect, it } from "vitest"
import { randomPatient, testRandom } from "../../inference/test/heart.js"
import type { InferenceRules } from "../src/inference/inference-service.js"
import type { ServedModel } from "../src/inference/model-shelf.js"
import { heartModel, heartNetwork, serveModelsInTest, type TestInference } from "./inference-server.js"

const random = testRandom("inference-room")
let server: TestInference
afterEach(() => server.close())

const begin = async (model: ServedModel, rules: Partial<InferenceRules> = {}) => {
  server = await serveModelsInTest({ model }, { rules })
  const { service } = server
  return { service, asker: new Asker(model.plan), version: service.shelf.current("model") }
}
const repeated = (bytes: Uint8Array, times: number): Uint8Array =>
  concatBytes(...Array.from({ length: times }, () => bytes))

it("batches that are deleted before their turn are let go of, however many there were", async () => {
  setFlagsFromString("--expose-gc")
  const collect = runInNewContext("gc") as () => void
  const { service, asker } = await begin(heartNetwork())
  const { bytes } = asker.ask([randomPatient(random)])
  const first = await service.addBatch("ward", "model", repeated(bytes, 180))
  collect()
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 20; i++) {
    const { id } = await service.addBatch("ward", "model", repeated(bytes, 12))
    service.removeBatch("ward", "model", id)
  }
  collect()
  // twenty batches of 8 MB each were added and deleted while the first had its turn
  expect(service.batch("ward", "model", first.id).state).toBe("running")
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60 << 20)
  service.removeBatch("ward", "model", first.id)
  expect(service.room.taken).toBe(0)
})

it("an asker leaves room for others, whatever it leaves lying about, and all of it after ten minutes", async () => {
  const model = heartModel()
  const { requestBytes, answerBytes } = new Asker(model.plan).prepared
  const each = requestBytes + answerBytes
  const { service, asker } = await begin(model, { roomBytes: 20 * each })
  const { bytes } = asker.ask([randomPatient(random)])
  const { id } = await service.addBatch("ward", "model", repeated(bytes, 14))
  await expect(service.addBatch("ward", "model", repeated(bytes, 2))).rejects.toMatchObject({
    code: "inference/overloaded",
    headers: { "retry-after": "2" },
  })
  await service.addBatch("other", "model", repeated(bytes, 6))
  expect(service.room.taken).toBe(20 * each)
  expect(() => service.hold("third", 1)).toThrow(/are free for this asker/)
  await expect.poll(() => service.batch("ward", "model", id).state).toBe("done")
  server.clock.ms += 10 * 60 * 1000
  await expect.poll(() => service.room.taken).toBe(20 * each)
  service.hold("third", 8 * each)()
  expect(service.room.taken).toBe(0)
})

it("[S31] a batch that there is no room for costs nothing of a budget", async () => {
  const { service, asker, version } = await begin(heartModel("1", "kept"), { roomBytes: 200_000 })
  const { nonce } = service.keys.nonce("ward", version)
  const key = asker.newKey(fromHex(nonce))
  await service.keys.upload("ward", version, key.upload)
  const { bytes } = asker.ask([randomPatient(random)], { key })
  await expect(service.addBatch("ward", "model", repeated(bytes, 3))).rejects.toMatchObject({
    code: "inference/overloaded",
  })
  expect([service.given("ward", "model"), service.room.taken]).toEqual([0, 0])
})
