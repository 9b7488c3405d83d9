import { ConsiliumError } from "@consilium/base/errors"
import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { planFromBytes, planToBytes, type WeightsMode } from "@consilium/inference/plan/plan"
import { spendAnswers } from "@consilium/inference/server/answer-budget"
import { checkOwner, EMPTY_REGISTER, registerKey } from "@consilium/inference/server/key-register"
import { ModelServer } from "@consilium/inference/server/model-server"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HEART, HEART_LINEAR, HEART_SCALING, randomPatient, squareNetwork, testRandom } from "./heart.js"

const NONCE = new Uint8Array(32).fill(9)
const HEAD_BYTES = 40
const SEED_BYTES = 32

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ConsiliumError) return error.code
    throw error
  }
  return "none"
}

const partiesOf = (weights: WeightsMode, version = "1") => {
  const random = testRandom(`hostile ${weights}`)
  const compiled = compile(HEART_LINEAR, HEART, { model: "heart", version, scaling: HEART_SCALING, weights })
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const key = weights === "kept" ? asker.newKey(NONCE, random) : undefined
  const given = key === undefined ? {} : { key: server.readKey(NONCE, key.upload) }
  const question = asker.ask([randomPatient(random)], key === undefined ? { random } : { key, random })
  return { compiled, asker, server, key, given, question, random }
}

/** A copy with some bytes changed. */
const changed = (bytes: Uint8Array, at: number, ...values: readonly number[]): Uint8Array => {
  const out = bytes.slice()
  out.set(values, at)
  return out
}

describe.each(["shared", "kept"] as const)("a server, weights %s, refuses", (weights) => {
  const { server, given, question } = partiesOf(weights)
  const refused = (bytes: Uint8Array) => codeOf(() => server.answer(bytes, given))
  const { bytes } = question

  it("a request for another plan, and names both hashes", () => {
    const other = partiesOf(weights, "2")
    expect(refused(other.question.bytes)).toBe("inference/other-plan")
    expect(() => server.answer(other.question.bytes, given)).toThrow(/[0-9a-f]{64}.+[0-9a-f]{64}/)
  })
  it("bytes of another length, however long, before anything is made", () => {
    for (const length of [0, 1, HEAD_BYTES - 1, HEAD_BYTES, bytes.length - 1])
      expect([length, refused(bytes.subarray(0, length))]).toEqual([length, "inference/malformed"])
    const long = new Uint8Array(bytes.length + 2 ** 22)
    long.set(bytes)
    expect(refused(long)).toBe("inference/malformed")
  })
  it("another kind, version or reserved byte", () => {
    for (const at of [0, 1, 2, 3])
      expect([at, refused(changed(bytes, at, 77))]).toEqual([at, "inference/malformed"])
  })
  it("no patient, one too many, and 2^32 - 1", () => {
    const most = server.prepared.plan.patients
    for (const count of [0, most + 1, 2 ** 32 - 1]) {
      const out = bytes.slice()
      new DataView(out.buffer).setUint32(4, count)
      expect([count, refused(out)]).toEqual([count, "inference/too-many"])
      expect(codeOf(() => server.head(out))).toBe("inference/too-many")
    }
  })
  it("a number that is no residue, in any limb", () => {
    const start = HEAD_BYTES + (weights === "kept" ? 32 : 0)
    const { degree, primes } = server.prepared.plan
    primes.forEach((_, limb) => {
      const at = start + limb * ((26 * degree) / 8)
      expect(refused(changed(bytes, at, 255, 255, 255, 255))).toBe("lattice/malformed")
    })
  })
  it("any other bytes with a typed error, or answers them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(bytes.length), (noise, at) => {
        const out = bytes.slice()
        out.set(noise.subarray(0, out.length - at), at)
        const code = refused(out)
        expect(code === "none" || /^(inference|lattice)\//.test(code)).toBe(true)
        expect(codeOf(() => server.answer(noise, given))).toBe("inference/malformed")
      }),
      { numRuns: 60, seed: 3 },
    )
  })
  it("changes nothing: an honest request is answered after all that", () => {
    expect(question.open(server.answer(bytes, given))).toHaveLength(1)
  })
})

describe("keys of askers", () => {
  const { asker, server, key, given, question, random } = partiesOf("kept")
  const upload = (key as NonNullable<typeof key>).upload

  it("are needed, and must be the ones that requests name", () => {
    expect(codeOf(() => server.answer(question.bytes))).toBe("inference/unknown-key")
    const other = asker.newKey(NONCE, random)
    const wrong = { key: server.readKey(NONCE, other.upload) }
    expect(codeOf(() => server.answer(question.bytes, wrong))).toBe("inference/unknown-key")
    expect(codeOf(() => asker.ask([randomPatient(random)]))).toBe("inference/unknown-key")
  })
  it("are made for one nonce, one plan, and in one form", () => {
    expect(codeOf(() => server.readKey(new Uint8Array(32), upload))).toBe("inference/key-replayed")
    expect(codeOf(() => server.readKey(NONCE, upload.subarray(1)))).toBe("inference/malformed")
    expect(codeOf(() => server.readKey(NONCE, question.bytes))).toBe("inference/malformed")
    expect(codeOf(() => partiesOf("kept", "2").server.readKey(NONCE, upload))).toBe("inference/other-plan")
    const beyond = changed(upload, HEAD_BYTES + 32, 255, 255, 255, 255)
    expect(codeOf(() => server.readKey(NONCE, beyond))).toBe("lattice/malformed")
    expect(codeOf(() => server.readKey(NONCE.subarray(1), upload))).not.toBe("none")
  })
  it("are registered once, for one asker", () => {
    const own = given.key as NonNullable<typeof given.key>
    const register = registerKey(EMPTY_REGISTER, "ward 3", NONCE, own)
    checkOwner(register, "ward 3", own.id)
    expect(codeOf(() => checkOwner(register, "ward 4", own.id))).toBe("inference/unknown-key")
    expect(codeOf(() => checkOwner(EMPTY_REGISTER, "ward 3", own.id))).toBe("inference/unknown-key")
    expect(codeOf(() => registerKey(register, "ward 4", new Uint8Array(32), own))).toBe(
      "inference/key-replayed",
    )
    const other = server.readKey(NONCE, asker.newKey(NONCE, random).upload)
    expect(codeOf(() => registerKey(register, "ward 3", NONCE, other))).toBe("inference/key-replayed")
    expect(EMPTY_REGISTER).toEqual({ owners: {}, usedNonces: [] })
  })
})

describe("budgets", () => {
  it("count answers, not requests, and are not overdrawn", () => {
    const after = spendAnswers({ allowed: 13, spent: 4 }, 9)
    expect(after).toEqual({ allowed: 13, spent: 13 })
    expect(codeOf(() => spendAnswers(after, 1))).toBe("inference/budget-spent")
    expect(codeOf(() => spendAnswers({ allowed: 13, spent: 4 }, 10))).toBe("inference/budget-spent")
    for (const answers of [0, -1, 0.5, Number.NaN])
      expect(codeOf(() => spendAnswers({ allowed: 13, spent: 0 }, answers))).toBe("inference/malformed")
  })
})

describe("an asker refuses", () => {
  const { server, question, compiled, asker, random } = partiesOf("shared")
  const answer = server.answer(question.bytes)

  it("an answer to another request, of another length or plan", () => {
    const other = asker.ask([randomPatient(random)], { random })
    expect(codeOf(() => question.open(server.answer(other.bytes)))).toBe("inference/bad-answer")
    expect(codeOf(() => question.open(answer.subarray(1)))).toBe("inference/malformed")
    expect(codeOf(() => question.open(question.bytes))).toBe("inference/malformed")
    const second = partiesOf("shared", "2")
    expect(codeOf(() => question.open(second.server.answer(second.question.bytes)))).toBe(
      "inference/other-plan",
    )
  })
  it("a logit that the model cannot give", () => {
    const patients = Array.from({ length: compiled.plan.patients }, () => randomPatient(random))
    const full = asker.ask(patients, { random })
    const noise = server.answer(full.bytes)
    const at = HEAD_BYTES + SEED_BYTES
    // zeros are residues, and not the answer; one patient's logit may pass by chance, those of all do not
    noise.fill(0, at, at + 4096)
    expect(codeOf(() => full.open(noise))).toBe("inference/bad-answer")
  })
  it("a plan that is insecure, contradicts itself, or has more than one form", () => {
    const bytes = planToBytes(compiled.plan)
    expect(planFromBytes(bytes)).toEqual(compiled.plan)
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(() => planFromBytes(bytes.subarray(0, length)))).toBe("inference/malformed")
    expect(codeOf(() => planFromBytes(new Uint8Array([...bytes, 0])))).toBe("inference/malformed")
    const { plan } = compiled
    const changes = [
      [{ primes: [...plan.primes, 67_043_329] }, /^lattice\//],
      [{ patients: 158 }, /malformed/],
      [{ patients: 0 }, /malformed/],
      [{ answerPrimes: 3 }, /malformed/],
      [{ weights: "kept" as const }, /malformed/],
      [{ floodBits: 10 }, /malformed/],
      [{ inputBits: 60 }, /malformed/],
      [{ logitBound: 0 }, /malformed/],
      [{ schema: { ...HEART, columns: [{ field: "nothing", equals: null }] } }, /bad-schema/],
    ] as const
    for (const [change, code] of changes)
      expect(codeOf(() => new Asker({ ...plan, ...change }))).toMatch(code)
  })
})

describe("a plan and a model in whole numbers that do not belong together", () => {
  it("are refused", () => {
    const { compiled } = partiesOf("shared")
    const network = compile(squareNetwork(testRandom("n"), 13, 2), HEART, { model: "n", version: "1" })
    expect(codeOf(() => new ModelServer({ ...compiled, integers: network.integers }))).toBe(
      "inference/bad-model",
    )
    const short = { kind: "linear" as const, weights: new Int32Array(12), bias: 0n }
    expect(codeOf(() => new ModelServer({ ...compiled, integers: short }))).toBe("inference/bad-model")
  })
})
