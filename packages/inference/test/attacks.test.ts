import { Asker } from "@consilium/inference/client/asker"
import { AskerKey } from "@consilium/inference/client/asker-key"
import { patientEncoding } from "@consilium/inference/client/encoding"
import { compile } from "@consilium/inference/compile/compile"
import type { IntegerLinear } from "@consilium/inference/model/integer-model"
import type { ModelLayer, TrainedModel } from "@consilium/inference/model/model"
import { firstColumn, logitPlace, weightPlace } from "@consilium/inference/plan/places"
import { answerScale, type InferencePlan, type WeightsMode } from "@consilium/inference/plan/plan"
import { columnsOf } from "@consilium/inference/schema/fields"
import { PatientReader } from "@consilium/inference/schema/patient"
import { mostAnswers, spendAnswers } from "@consilium/inference/server/answer-budget"
import { ModelServer } from "@consilium/inference/server/model-server"
import { answerFromBytes } from "@consilium/inference/wire/answer"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { requestFromBytes, requestToBytes } from "@consilium/inference/wire/request"
import { residuesOf } from "@consilium/lattice/ring/crt"
import { inverseModulo, multiplyModulo } from "@consilium/lattice/ring/modular"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import type { Seed } from "@consilium/lattice/ring/seeds"
import { encryptWithSecret, phase } from "@consilium/lattice/rlwe/encryption"
import { RlweSecret } from "@consilium/lattice/rlwe/keys"
import { describe, expect, it } from "vitest"
import { denseNetwork, HEART, HEART_LINEAR, HEART_SCALING, randomPatient, testRandom } from "./heart.js"

/* An asker that looks at more of an answer than it should. It holds its own secret key, and all that travels. */

type Dense = Extract<ModelLayer, { kind: "dense" }>

const NONCE = new Uint8Array(32).fill(3)

/** A server and an asker of one plan; `answerPrimes` lets answers keep all primes, which helps the attacker. */
const attacker = (weights: WeightsMode, allPrimes: boolean) => {
  const random = testRandom(`attack ${weights}`)
  const compiled = compile(HEART_LINEAR, HEART, {
    model: "heart",
    version: "1",
    scaling: HEART_SCALING,
    weights,
  })
  const plan: InferencePlan = allPrimes
    ? { ...compiled.plan, answerPrimes: compiled.plan.primes.length }
    : compiled.plan
  const prepared = new PreparedPlan(plan)
  const { parameters, answerRing } = prepared
  const server = new ModelServer({ ...compiled, plan })
  const key = weights === "kept" ? AskerKey.generate(prepared, NONCE, random) : null
  const secret = key?.secret ?? RlweSecret.generate(parameters, random)
  const given = key === null ? {} : { key: server.readKey(NONCE, key.upload) }
  /** Sends any polynomial, and gives the request's c_1 and the answer's two parts. */
  const send = (message: Evaluations, patients = 1) => {
    const { parts, seed } = encryptWithSecret(secret, message, random)
    const ciphertexts = [{ c0: parts[0] as Evaluations, seed: seed as Seed }]
    const bytes = requestToBytes(prepared, { patients, keyId: key?.id ?? null, ciphertexts })
    const answer = answerFromBytes(prepared, server.answer(bytes, { ...given, random }))
    return { c1: parts[1] as Evaluations, parts: answer.parts }
  }
  /** All coefficients of a decrypted answer, in logits. */
  const open = (parts: readonly Evaluations[]): readonly number[] => {
    const opened = phase(secret, { parameters, parts, limbs: plan.answerPrimes })
    return answerRing.toBigInts(answerRing.inverse(opened)).map((x) => Number(x) / answerScale(plan))
  }
  const integers = compiled.integers as IntegerLinear
  const weightScale = 2 ** (plan.answerBits - plan.inputBits)
  const trueWeights = Array.from(integers.weights, (w) => w / weightScale)
  const trueBias = Number(integers.bias) / 2 ** plan.answerBits
  return { plan, prepared, send, open, random, integers, trueWeights, trueBias }
}

const COLUMNS = HEART.columns.length

/** Coefficients of c_1' / c_1 modulo the first prime, centred. */
const quotient = ({ prepared, send, random }: ReturnType<typeof attacker>): readonly number[] => {
  const ring = prepared.parameters.ringOf(1)
  const q = ring.primes[0] as number
  const [message] = patientEncoding(prepared).encode([new PatientReader(HEART).units(randomPatient(random))])
  const { c1, parts } = send(message as Evaluations)
  const ratio = ring.zeroEvaluations()
  for (let i = 0; i < ratio.length; i++)
    ratio[i] = multiplyModulo(parts[1]?.[i] as number, inverseModulo(c1[i] as number, q), q)
  return Array.from(ring.inverse(ratio), (x) => (x > q / 2 ? x - q : x))
}

describe("dividing the answer's c1 by the request's", () => {
  it("gives every weight of a model whose weights are shared, from one answer", () => {
    const own = attacker("shared", true)
    const found = quotient(own)
    expect(own.integers.weights.map((_, j) => found[weightPlace(j, COLUMNS)] as number)).toEqual(
      own.integers.weights,
    )
  })

  it("[S31] gives uniform numbers where weights are kept, even with all primes", () => {
    const own = attacker("kept", true)
    const found = quotient(own)
    const q = own.plan.primes[0] as number
    const hits = Array.from(own.integers.weights).filter(
      (w, j) => ((found[weightPlace(j, COLUMNS)] as number) - w) % q === 0,
    )
    expect(hits).toEqual([])
    // half of N fair coins, six deviations: a false alarm in 10^9
    const inner = found.filter((x) => Math.abs(x) < q / 4).length
    expect(Math.abs(inner - found.length / 2)).toBeLessThan(3 * Math.sqrt(found.length))
  })
})

/** The weights of columns d - 1, ..., 1 from the coefficients before the logit, which are sums of some products each. */
const partialSums = ({ prepared, send, open, random }: ReturnType<typeof attacker>): readonly number[] => {
  const units = new PatientReader(HEART).units(randomPatient(random))
  const [message] = patientEncoding(prepared).encode([units])
  const opened = open(send(message as Evaluations).parts)
  const found: number[] = []
  for (let t = 0; t < COLUMNS - 1; t++) {
    let rest = opened[t] as number
    for (let place = 0; place < t; place++) rest -= (found[place] as number) * (units[t - place] as number)
    found.push(rest / (units[0] as number))
  }
  return found
}

describe("reading the coefficients beside the logit", () => {
  const distances = (own: ReturnType<typeof attacker>) =>
    partialSums(own).map((w, place) => Math.abs(w - (own.trueWeights[COLUMNS - 1 - place] as number)))

  it("gives all weights but one from one answer where weights are shared", () => {
    expect(Math.max(...distances(attacker("shared", true)))).toBeLessThan(0.1)
  })
  it.each([false, true])("[S31] gives nothing where weights are kept (all primes: %s)", (allPrimes) => {
    const own = attacker("kept", allPrimes)
    const half =
      own.plan.primes.slice(0, own.plan.answerPrimes).reduce((p, q) => p * q, 0.5) / answerScale(own.plan)
    const found = distances(own)
    expect(found.filter((distance) => distance < half / 1000)).toEqual([])
  })
})

describe("the flooding at the logit", () => {
  it("is 2^40 times the bound of what else is there, and is there", () => {
    const own = attacker("kept", true)
    const { plan, integers, random } = own
    const noise = 21 * integers.weights.reduce((sum, w) => sum + Math.abs(w), 0)
    expect(2 ** (plan.floodBits as number)).toBeGreaterThanOrEqual(2 ** 40 * noise)
    const units = new PatientReader(HEART).units(randomPatient(random))
    const exact = units.reduce((sum, u, j) => sum + u * (own.trueWeights[j] as number), own.trueBias)
    const [message] = patientEncoding(own.prepared).encode([units])
    const unit = 2 ** plan.answerBits / 2 ** (plan.floodBits as number)
    const draws = Array.from(
      { length: 24 },
      () =>
        ((own.open(own.send(message as Evaluations).parts)[logitPlace(0, COLUMNS)] as number) - exact) * unit,
    )
    expect(Math.max(...draws.map(Math.abs))).toBeLessThanOrEqual(1.01)
    // uniform on [-1, 1]: all 24 within a half has a chance of 2^-24
    expect(Math.max(...draws.map(Math.abs))).toBeGreaterThan(0.5)
  })
})

describe("an asker that encrypts what is no patient", () => {
  it("reads the kept weights one by one, finer than any patient could: only the budget of answers stands in its way", () => {
    const own = attacker("kept", false)
    const { plan, prepared } = own
    const { ring, degree } = prepared.parameters
    const read = (column: number | null, times: number): number => {
      const values = new Int32Array(degree)
      if (column !== null) values[firstColumn(0, COLUMNS) + column] = times
      const factors = residuesOf(ring.primes, 1n << BigInt(plan.inputBits))
      const message = ring.forward(ring.combine({ lanes: [{ values, factors }] }))
      return own.open(own.send(message).parts)[logitPlace(0, COLUMNS)] as number
    }
    const bias = read(null, 0)
    expect(Math.abs(bias - own.trueBias)).toBeLessThan(plan.errorBound)
    const times = 8
    own.trueWeights.forEach((weight, j) => {
      expect(Math.abs((read(j, times) - bias) / times - weight)).toBeLessThan((2 * plan.errorBound) / times)
    })
  })

  it("[S31] has one answer too few in its budget", () => {
    const { plan } = attacker("kept", false)
    let budget = { allowed: mostAnswers(plan), spent: 0 }
    for (let i = 0; i < COLUMNS; i++) budget = spendAnswers(budget, 1)
    expect(() => spendAnswers(budget, 1)).toThrowError(
      expect.objectContaining({ code: "inference/budget-spent" }),
    )
  })
})

describe("an asker of a network whose features lie in slots", () => {
  it("reads what squares are made of from one request about points of its choice", () => {
    const random = testRandom("points")
    const columns = 3
    const fields = Array.from({ length: columns }, (_, i) => ({
      name: `f${i}`,
      type: "number" as const,
      unit: "",
      range: [-1, 1] as const,
    }))
    const schema = { fields, columns: columnsOf(fields) }
    const model = denseNetwork(random, [columns, 2, 1], [{ kind: "square" }], 1)
    const options = { model: "n", version: "1", packing: "slots-by-feature", largestError: 1e-4 } as const
    const compiled = compile(model, schema, options)
    const asker = new Asker(compiled.plan)
    const key = asker.newKey(NONCE, random)
    const server = new ModelServer(compiled)
    const at = (...ones: readonly number[]) =>
      Object.fromEntries(fields.map(({ name }, i) => [name, ones.includes(i) ? 1 : 0]))
    const pairs = [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const
    const points = [at(), at(0), at(1), at(2), ...pairs.map(([i, j]) => at(i, j))]
    const question = asker.ask(points, { key, random })
    const answer = server.answer(question.bytes, { key: server.readKey(NONCE, key.upload) })
    const [none, ...rest] = question.open(answer).map(({ logit }) => logit) as [number, ...number[]]
    const [first, , last] = (model as Extract<TrainedModel, { kind: "network" }>).layers as [
      Dense,
      unknown,
      Dense,
    ]
    pairs.forEach(([i, j], p) => {
      const read = (rest[columns + p] as number) - (rest[i] as number) - (rest[j] as number) + none
      const product = first.weights.reduce(
        (sum, row, o) => sum + 2 * (last.weights[0]?.[o] as number) * (row[i] as number) * (row[j] as number),
        0,
      )
      expect(Math.abs(product)).toBeGreaterThan(20 * compiled.plan.errorBound)
      expect(Math.abs(read - product)).toBeLessThanOrEqual(4 * compiled.plan.errorBound)
    })
  })

  it("does not have the weights by dividing an answer's second half by the request's", () => {
    const random = testRandom("divided")
    const model = denseNetwork(random, [13, 4, 1], [{ kind: "square" }], 0.2)
    const compiled = compile(model, HEART, { model: "n", version: "1", packing: "slots-by-feature" })
    const asker = new Asker(compiled.plan)
    const { prepared } = asker
    const key = asker.newKey(NONCE, random)
    const server = new ModelServer(compiled)
    const question = asker.ask([randomPatient(random)], { key, random })
    const answer = server.answer(question.bytes, { key: server.readKey(NONCE, key.upload) })
    const ring = prepared.parameters.ringOf(1)
    const q = ring.primes[0] as number
    const [request] = requestFromBytes(prepared, question.bytes).ciphertexts
    const c1 = ring.uniform(request?.seed as Seed)
    const second = answerFromBytes(prepared, answer).parts[1] as Evaluations
    const ratio = ring.zeroEvaluations()
    for (let i = 0; i < ratio.length; i++)
      ratio[i] = multiplyModulo(second[i] as number, inverseModulo(c1[i] as number, q), q)
    // weights would be small coefficients; of uniform ones so many are within q / 4 as of fair coins show heads, six deviations
    const inner = ring.inverse(ratio).filter((x) => Math.min(x, q - x) < q / 4).length
    expect(Math.abs(inner - ratio.length / 2)).toBeLessThan(3 * Math.sqrt(ratio.length))
  })
})
