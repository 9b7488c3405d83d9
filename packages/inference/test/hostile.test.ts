import { ConsiliumError } from "@consilium/base/errors"
import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { planFromBytes, planToBytes, type WeightsMode } from "@consilium/inference/plan/plan"
import { columnsOf } from "@consilium/inference/schema/fields"
import { spendAnswers } from "@consilium/inference/server/answer-budget"
import { checkOwner, EMPTY_REGISTER, registerKey } from "@consilium/inference/server/key-register"
import { ModelServer } from "@consilium/inference/server/model-server"
import { stageSwitches } from "@consilium/inference/wire/evaluation-key"
import { nttPrimes } from "@consilium/lattice/ring/primes"
import { groupCount } from "@consilium/lattice/rlwe/switching-key"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  denseNetwork,
  HEART,
  HEART_LINEAR,
  HEART_SCALING,
  randomPatient,
  squareNetwork,
  testRandom,
} from "./heart.js"

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

type Kind = WeightsMode | "features"

const FEATURES = denseNetwork(testRandom("hostile network"), [13, 3, 1], [{ kind: "square" }], 0.2)

const compiledOf = (kind: Kind, version: string) => {
  const options = { model: "heart", version, scaling: HEART_SCALING }
  return kind === "features"
    ? compile(FEATURES, HEART, { ...options, packing: "slots-by-feature" })
    : compile(HEART_LINEAR, HEART, { ...options, weights: kind })
}

const partiesOf = (kind: Kind, version = "1") => {
  const random = testRandom(`hostile ${kind}`)
  const compiled = compiledOf(kind, version)
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const key = asker.prepared.takesKey ? asker.newKey(NONCE, random) : undefined
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

describe.each(["shared", "kept", "features"] as const)("a server, %s, refuses", (weights) => {
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
    const start = HEAD_BYTES + (weights === "shared" ? 0 : 32)
    const { degree, primes } = server.prepared.plan
    primes.forEach((q, limb) => {
      const at = start + limb * (((32 - Math.clz32(q)) * degree) / 8)
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
      { numRuns: weights === "features" ? 15 : 60, seed: 3 },
    )
  })
  it("changes nothing: an honest request is answered after all that", () => {
    expect(question.open(server.answer(bytes, given))).toHaveLength(1)
  })
})

describe.each(["kept", "features"] as const)("keys of askers, %s,", (kind) => {
  const { asker, server, key, given, question, random } = partiesOf(kind)
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
    expect(codeOf(() => partiesOf(kind, "2").server.readKey(NONCE, upload))).toBe("inference/other-plan")
    const beyond = changed(upload, HEAD_BYTES + 32, 255, 255, 255, 255)
    expect(codeOf(() => server.readKey(NONCE, beyond))).toBe("lattice/malformed")
    expect(codeOf(() => server.readKey(NONCE.subarray(1), upload))).not.toBe("none")
    const long = new Uint8Array(upload.length + 2 ** 22)
    long.set(upload)
    expect(codeOf(() => server.readKey(NONCE, long))).toBe("inference/malformed")
    const two = upload.slice()
    new DataView(two.buffer).setUint32(4, 2)
    expect(codeOf(() => server.readKey(NONCE, two))).toBe("inference/malformed")
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

describe("keys for evaluating", () => {
  const { asker, server, key, random } = partiesOf("features")
  const upload = (key as NonNullable<typeof key>).upload

  it("are as long as the plan says, and hold residues only, in every row", () => {
    const { keyBytes, program } = server.prepared
    expect(upload).toHaveLength(keyBytes)
    const rows = (program as NonNullable<typeof program>).stages.flatMap((stage) => {
      const { keyRing } = stage.parameters
      const count = stageSwitches(stage).length * groupCount(stage.parameters)
      return Array.from({ length: count }, () => keyRing.packedLength)
    })
    let at = HEAD_BYTES + 32
    for (const length of rows) {
      expect(codeOf(() => server.readKey(NONCE, changed(upload, at, 255, 255, 255, 255)))).toBe(
        "lattice/malformed",
      )
      at += length
    }
    expect(at).toBe(keyBytes)
  })
  it("that are made up give answers that are not taken for logits", () => {
    const wrong = upload.slice()
    // zeros are residues, and no keys
    wrong.fill(0, HEAD_BYTES + 32)
    const taken = server.readKey(NONCE, wrong)
    const patients = Array.from({ length: server.prepared.plan.patients }, () => randomPatient(random))
    const full = asker.ask(patients, { key: key as NonNullable<typeof key>, random })
    const named = changed(full.bytes, HEAD_BYTES, ...taken.id)
    // one patient's noise may pass for a logit, that of all does not
    expect(codeOf(() => full.open(server.answer(named, { key: taken })))).toBe("inference/bad-answer")
  })
  it("are refused by a plan that takes none", () => {
    const shared = partiesOf("shared")
    expect(shared.server.prepared.keyBytes).toBe(0)
    expect(codeOf(() => shared.server.readKey(NONCE, upload))).toBe("inference/malformed")
    expect(codeOf(() => shared.asker.newKey(NONCE, random))).toBe("inference/malformed")
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

describe("an asker refuses a plan of a server that means ill", () => {
  const { plan } = partiesOf("shared").compiled
  const [first, ...rest] = HEART.fields
  const number = { name: "age", type: "number", unit: "years", range: [0, 120] } as const

  it("whose requests would take hundreds of megabytes", () => {
    const fields = Array.from({ length: 512 }, (_, i) => ({ name: `f${i}`, type: "boolean" as const }))
    const primes = nttPrimes(16384, 26, 16)
    const large = { schema: { fields, columns: columnsOf(fields) }, degree: 16384, primes, answerPrimes: 16 }
    expect(() => new Asker({ ...plan, ...large, packing: "slots-by-patient" })).toThrow(
      /^A plan wants requests of \d+ bytes; there are 67108864 at most\.$/,
    )
  })
  it.each([
    ["turns text round", "\u202e021 ot 0"],
    ["is not seen", "a\u200bge"],
    ["steers a terminal", "\u001b[2J"],
    ["ends a line", "age\nnone"],
    ["is half a character", "\ud800"],
  ])("whose words hold what %s, wherever it stands", (_, text) => {
    expect(first?.name).toBe("age")
    const fields = [
      { ...number, label: text },
      { ...number, unit: text },
      { name: "age", type: "category", categories: [text, "none"].map((name, value) => ({ name, value })) },
    ] as const
    for (const field of fields)
      expect(codeOf(() => new Asker({ ...plan, schema: { ...HEART, fields: [field, ...rest] } }))).toBe(
        "inference/bad-schema",
      )
    const named = [{ ...number, name: text }]
    const schema = { fields: named, columns: columnsOf(named) }
    expect(codeOf(() => new Asker({ ...plan, schema }))).toBe("inference/bad-schema")
    for (const change of [{ model: text }, { version: text }, { marks: [text] }])
      expect(codeOf(() => new Asker({ ...plan, ...change }))).toBe("inference/malformed")
  })
})

describe("an asker refuses a program of layers", () => {
  const { compiled } = partiesOf("features")
  const { plan } = compiled
  const program = plan.program as NonNullable<typeof plan.program>
  const [layer] = program.layers as [(typeof program.layers)[number]]

  it.each([
    ["none", { program: null }],
    ["where there is another packing", { packing: "slots-by-patient" as const }],
    ["without special primes", { program: { ...program, specialPrimes: [] } }],
    ["without layers", { program: { ...program, layers: [] } }],
    ["of no units", { program: { ...program, layers: [{ ...layer, width: 0 }] } }],
    ["of too many units", { program: { ...program, layers: [{ ...layer, width: 5000 }] } }],
    [
      "that gives up no prime",
      { program: { ...program, layers: [{ ...layer, primes: plan.primes.length }] } },
    ],
    [
      "with another scale than its answers",
      { program: { ...program, layers: [{ ...layer, scaleBits: 9 }] } },
    ],
    ["with weights that are kept", { weights: "kept" as const, floodBits: 4 }],
    ["with more patients than fit", { patients: plan.patients + 1 }],
  ])("%s", (_, change) => {
    expect(codeOf(() => new Asker({ ...plan, ...change }))).toBe("inference/malformed")
  })
  it("with more primes than are secure", () => {
    const specialPrimes = nttPrimes(plan.degree, 30, 16).slice(6)
    expect(codeOf(() => new Asker({ ...plan, program: { ...program, specialPrimes } }))).toMatch(/^lattice\//)
  })
  it("whose keys would be larger than any plan's", () => {
    const fields = Array.from({ length: 200 }, (_, i) => ({ name: `f${i}`, type: "boolean" as const }))
    const schema = { fields, columns: columnsOf(fields) }
    const primes = nttPrimes(16384, 30, 14)
    const hidden = { width: 1024, degree: 2 as const, scaleBits: 20 }
    const layers = [11, 9, 7, 5, 3].map((left) => ({ ...hidden, primes: left }))
    const large = {
      ...plan,
      schema,
      degree: 16384,
      primes: primes.slice(0, 13),
      answerPrimes: 3,
      answerBits: 40,
      patients: 1,
      program: { specialPrimes: primes.slice(13), layers },
    }
    expect(() => new Asker(large)).toThrow(/^A plan wants keys of \d+ bytes; there are 67108864 at most\.$/)
  })
  it("cut short, or with an activation of another degree", () => {
    const bytes = planToBytes(plan)
    expect(planFromBytes(bytes)).toEqual(plan)
    for (let length = bytes.length - 40; length < bytes.length; length++)
      expect(codeOf(() => planFromBytes(bytes.subarray(0, length)))).toBe("inference/malformed")
    // the end, the primes and the scale follow the degree
    expect(codeOf(() => planFromBytes(changed(bytes, bytes.length - 4, 4)))).toBe("inference/malformed")
  })
})

describe("a plan and a model in whole numbers that do not belong together", () => {
  it("are refused", () => {
    const { compiled } = partiesOf("shared")
    const network = compile(squareNetwork(testRandom("n"), 13, 2), HEART, { model: "n", version: "1" })
    expect(codeOf(() => new ModelServer({ ...compiled, integers: network.integers }))).toBe(
      "inference/bad-model",
    )
    const features = partiesOf("features").compiled
    const slots = features.integers as Extract<typeof features.integers, { kind: "slots" }>
    const refused = (integers: typeof slots) => codeOf(() => new ModelServer({ ...features, integers }))
    expect(refused({ ...slots, layers: [] })).toBe("inference/bad-model")
    expect(refused({ ...slots, imaginary: [] })).toBe("inference/bad-model")
    expect(refused({ ...slots, layers: slots.layers.map((own) => ({ ...own, slopes: own.biases })) })).toBe(
      "inference/bad-model",
    )
    expect(codeOf(() => new ModelServer({ ...compiled, integers: slots }))).toBe("inference/bad-model")
    const short = { kind: "linear" as const, weights: new Int32Array(12), bias: 0n }
    expect(codeOf(() => new ModelServer({ ...compiled, integers: short }))).toBe("inference/bad-model")
  })
})
