import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { Asker } from "@consilium/inference/client/asker"
import { Blank } from "@consilium/inference/client/blank"
import { compile } from "@consilium/inference/compile/compile"
import { ModelServer } from "@consilium/inference/server/model-server"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HEART, HEART_LINEAR, HEART_SCALING, randomPatient, squareNetwork, testRandom } from "./heart.js"

const NONCE = new Uint8Array(32).fill(5)
const NAMED = { model: "heart", version: "1", scaling: HEART_SCALING }
const COMPILED = {
  shared: compile(HEART_LINEAR, HEART, NAMED),
  kept: compile(HEART_LINEAR, HEART, { ...NAMED, weights: "kept" }),
  network: compile(squareNetwork(testRandom("network"), 13, 16, 0.03), HEART, NAMED),
}

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ConsiliumError) return error.code
    throw error
  }
  return "none"
}

describe.each(["shared", "kept", "network"] as const)("a blank of a plan, %s", (name) => {
  const compiled = COMPILED[name]
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const key = asker.prepared.takesKey ? asker.newKey(NONCE, testRandom("key")) : undefined
  const keyed = key === undefined ? {} : { key }
  const given = key === undefined ? {} : { key: server.readKey(NONCE, key.upload) }
  const some = (label: string, count: number) => {
    const random = testRandom(label)
    return Array.from({ length: count }, () => randomPatient(random))
  }

  it("filled, is the request that is made at once of the same randomness", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.string(), (count, label) => {
        const patients = some(label, count)
        const question = asker.ask(patients, { ...keyed, random: testRandom(label) })
        const { blank, open } = asker.blank({ ...keyed, random: testRandom(label) })
        const bytes = asker.fill(blank, patients)
        expect(equalBytes(bytes, question.bytes)).toBe(true)
        const answer = server.answer(bytes, { ...given, random: testRandom("server") })
        expect(open(answer, count)).toEqual(question.open(answer))
      }),
      { numRuns: 6, seed: 7 },
    )
  })
  it("is made without patients, in another place than it is filled", () => {
    const patients = some("elsewhere", 3)
    const { blank, open } = asker.blank(keyed)
    const page = new Asker(compiled.plan)
    const sent = page.fill(new Blank(page.prepared, structuredClone(blank.release())), patients)
    const opened = open(server.answer(sent, given), 3)
    const atOnce = asker.ask(patients, keyed)
    const expected = atOnce.open(server.answer(atOnce.bytes, given))
    opened.forEach(({ logit }, i) => {
      expect(Math.abs(logit - (expected[i]?.logit as number))).toBeLessThan(2 * compiled.plan.errorBound)
    })
  })
  it("is used once: filling it again encrypts nothing", () => {
    const { blank } = asker.blank(keyed)
    asker.fill(blank, some("first", 1))
    expect(codeOf(() => asker.fill(blank, some("second", 1)))).toBe("inference/blank-used")
    expect(codeOf(() => blank.release())).toBe("inference/blank-used")
  })
  it("handed over is used up here", () => {
    const { blank } = asker.blank(keyed)
    blank.release()
    expect(codeOf(() => asker.fill(blank, some("late", 1)))).toBe("inference/blank-used")
  })
  it("erased, is used up and holds nothing", () => {
    const { blank } = asker.blank(keyed)
    const parts = blank.release()
    const again = new Blank(asker.prepared, parts)
    expect(parts.ciphertexts.some(({ c0 }) => c0.some((word) => word !== 0))).toBe(true)
    again.erase()
    expect(parts.ciphertexts.every(({ c0 }) => c0.every((word) => word === 0))).toBe(true)
    expect(codeOf(() => asker.fill(again, some("late", 1)))).toBe("inference/blank-used")
  })
  it("survives a patient who is refused, and too many of them", () => {
    const { blank, open } = asker.blank(keyed)
    const [patient] = some("good", 1) as [ReturnType<typeof randomPatient>]
    expect(codeOf(() => asker.fill(blank, [{ ...patient, age: 999 }]))).toBe("inference/bad-patient")
    expect(codeOf(() => asker.fill(blank, []))).toBe("inference/too-many")
    expect(open(server.answer(asker.fill(blank, [patient]), given), 1)).toHaveLength(1)
  })
  it("leaves nothing of its patients behind when filled", () => {
    const { blank } = asker.blank(keyed)
    const again = new Blank(asker.prepared, blank.release())
    const { ring } = asker.prepared.parameters
    const messages = Array.from({ length: asker.prepared.ciphertexts }, () =>
      ring.uniform(new Uint8Array(32)),
    )
    again.fill(messages, 1)
    expect(messages.every((message) => message.every((word) => word === 0))).toBe(true)
  })
  it("shows nothing of itself in logs", () => {
    const { blank } = asker.blank(keyed)
    expect(JSON.stringify({ blank })).toBe('{"blank":"[blank]"}')
    expect(`${blank}`).toBe("[blank]")
  })
})

it("a blank of another plan is refused", () => {
  const [shared, network] = [new Asker(COMPILED.shared.plan), new Asker(COMPILED.network.plan)]
  const parts = shared.blank().blank.release()
  expect(codeOf(() => new Blank(network.prepared, parts))).toBe("inference/malformed")
})
it("a blank that is not wanted is erased with its key", () => {
  const asker = new Asker(COMPILED.shared.plan)
  const server = new ModelServer(COMPILED.shared)
  const { blank, open, erase } = asker.blank()
  const request = asker.fill(blank, [randomPatient(testRandom("gone"))])
  erase()
  expect(codeOf(() => open(server.answer(request), 1))).toBe("inference/bad-answer")
})
