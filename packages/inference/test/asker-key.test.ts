import { equalBytes } from "@consilium/base/bytes"
import { isConsiliumError } from "@consilium/base/errors"
import { Asker } from "@consilium/inference/client/asker"
import { AskerKey } from "@consilium/inference/client/asker-key"
import { compile } from "@consilium/inference/compile/compile"
import { plainLogit } from "@consilium/inference/model/model"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { describe, expect, it } from "vitest"
import { denseNetwork, extremePatient, HEART, HEART_LINEAR, HEART_SCALING, testRandom } from "./heart.js"

const NAMED = { model: "heart", version: "1", scaling: HEART_SCALING, weights: "kept" } as const
const NONCE = Uint8Array.from({ length: 32 }, (_, i) => i)
const compiled = compile(HEART_LINEAR, HEART, NAMED)
const asker = new Asker(compiled.plan)
const { prepared } = asker
const key = asker.newKey(NONCE, testRandom("key"))
const other = asker.newKey(NONCE, testRandom("other"))
const file = key.toBytes(prepared)
/** Where the secret's coefficients begin: behind format, hash and length. */
const SECRET_AT = 1 + 32 + 4

const refusal = (bytes: Uint8Array, plan = prepared): string => {
  try {
    AskerKey.restore(plan, bytes)
  } catch (error) {
    if (isConsiliumError(error)) return `${error.code}: ${error.message}`
    throw error
  }
  return "nothing was refused"
}
const altered = (change: (bytes: Uint8Array) => void): string => {
  const bytes = file.slice()
  change(bytes)
  return refusal(bytes)
}

describe("the file of an asker's key", () => {
  it("gives back the key: it opens what was asked before, and asks again", () => {
    const restored = AskerKey.restore(prepared, file)
    expect(restored.id).toEqual(key.id)
    expect(restored.upload).toEqual(key.upload)
    expect(restored.toBytes(prepared)).toEqual(file)
    const server = new ModelServer(compiled)
    const given = { key: server.readKey(NONCE, restored.upload), random: testRandom("server") }
    const question = asker.ask([extremePatient(1)], { key: restored, random: testRandom("ask") })
    const [opened] = question.open(server.answer(question.bytes, given))
    const again = asker.ask([extremePatient(1)], { key, random: testRandom("ask") })
    expect(again.bytes).toEqual(question.bytes)
    const columns = new PatientReader(HEART).columns(extremePatient(1))
    const error = (opened?.logit ?? NaN) - plainLogit(HEART_LINEAR, HEART_SCALING, columns)
    expect(Math.abs(error)).toBeLessThanOrEqual(compiled.plan.errorBound)
  })

  it("is bound to its plan, and says both hashes", () => {
    const newer = new Asker(compile(HEART_LINEAR, HEART, { ...NAMED, version: "2" }).plan).prepared
    expect(refusal(file, newer)).toMatch(
      /^inference\/other-plan: An asker's key is for plan [0-9a-f]{64}; the plan here is [0-9a-f]{64}\.$/,
    )
  })

  it("a secret that is not the upload's is refused, and what is cut, longer or no key", () => {
    const foreign = other.toBytes(prepared)
    expect([
      altered((bytes) => bytes.set(foreign.subarray(0, bytes.length - key.upload.length))),
      altered((bytes) => bytes.set([((bytes[SECRET_AT] as number) + 1) % 3], SECRET_AT)),
      altered((bytes) => bytes.set([3], SECRET_AT)),
      altered((bytes) => bytes.set([2])),
      refusal(file.subarray(0, file.length - 1)),
      refusal(Uint8Array.of(...file, 0)),
      refusal(new Uint8Array(0)),
      refusal(key.upload),
    ]).toMatchInlineSnapshot(`
      [
        "inference/malformed: An asker's key holds a secret and an upload that do not belong together.",
        "inference/malformed: An asker's key holds a secret and an upload that do not belong together.",
        "inference/malformed: An asker's key does not hold 4096 coefficients of a secret.",
        "inference/malformed: An asker's key has format 2; this program reads 1.",
        "inference/malformed: An asker's key is not in the one form that it can have.",
        "inference/malformed: An asker's key is not in the one form that it can have.",
        "inference/malformed: An asker's key is not in the one form that it can have.",
        "inference/malformed: An asker's key is not in the one form that it can have.",
      ]
    `)
  })
})

describe("the file of an asker's keys for evaluating", () => {
  const model = denseNetwork(testRandom("network"), [13, 3, 1], [{ kind: "square" }], 0.2)
  const { plan } = compile(model, HEART, { ...NAMED, weights: "shared", packing: "slots-by-feature" })
  const features = new Asker(plan)
  const own = features.newKey(NONCE, testRandom("own"))
  const foreign = features.newKey(NONCE, testRandom("foreign")).toBytes(features.prepared)
  const kept = own.toBytes(features.prepared)

  it("gives back the key", () => {
    const restored = AskerKey.restore(features.prepared, kept)
    expect(restored.id).toEqual(own.id)
    expect(equalBytes(restored.upload, own.upload)).toBe(true)
    expect(equalBytes(restored.toBytes(features.prepared), kept)).toBe(true)
  })
  it("holds one secret's keys, in every row", () => {
    const refused =
      "inference/malformed: An asker's key holds a secret and an upload that do not belong together."
    const { degree } = features.prepared.parameters
    const mixed = kept.slice()
    mixed.set(foreign.subarray(SECRET_AT, SECRET_AT + degree), SECRET_AT)
    expect(refusal(mixed, features.prepared)).toBe(refused)
    const { length } = kept
    const lastRow = kept.slice()
    const { stages } = features.prepared.program as NonNullable<typeof features.prepared.program>
    const row = stages.at(-1)?.parameters.keyRing.packedLength as number
    lastRow.set(foreign.subarray(length - row), length - row)
    expect(refusal(lastRow, features.prepared)).toBe(refused)
  })
})
