import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { calibratedProbability } from "@consilium/inference/calibration/calibration"
import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { ModelServer } from "@consilium/inference/server/model-server"
import { FetchTransport } from "@consilium/inference-client/transport/fetch-transport"
import fc from "fast-check"
import { afterEach, describe, expect, it } from "vitest"
import {
  HEART,
  HEART_LINEAR,
  HEART_SCALING,
  randomPatient,
  squareNetwork,
  testRandom,
} from "../../../packages/inference/test/heart.js"
import { glossaryId } from "../src/glossary-id.js"
import { ExchangeLog } from "../src/predict/exchange-log.js"
import { isComparable, plainModelOf } from "../src/predict/plain-model.js"
import { meaningOf, rangeMeaning, rangeText, riskOf, riskText } from "../src/predict/risk.js"
import { histogram, quantile } from "../src/predict/statistics.js"
import {
  incomparableWords,
  keyWords,
  modelMarkWords,
  PREDICTION_GLOSSARY,
  weightsWords,
} from "../src/predict/words.js"

const NAMED = { model: "heart", version: "1", scaling: HEART_SCALING }
const platt = { type: "platt", slope: 0.9, offset: -0.3 } as const
const risk = (rounded: number, low = rounded, high = rounded) => ({ rounded, low, high })

describe("a risk", () => {
  it("is told with the range that computing on encrypted numbers leaves", () => {
    expect(riskText(risk(0.583))).toBe("58.3 %")
    expect(rangeText(risk(0.583, 0.582, 0.584))).toBe("between 58.2 % and 58.4 %")
    expect(rangeMeaning(0.001)).toMatch(/at most 0\.001 of the logit.*does not say how sure the model is/s)
  })

  it("lies in its range, and so does what the model gives in the clear", () => {
    const calibrations = fc.constantFrom(
      null,
      platt,
      { type: "temperature", temperature: 1.7 } as const,
      {
        type: "isotonic",
        thresholds: Float64Array.of(-1, 0.5),
        probabilities: Float64Array.of(0, 0.25, 1),
      } as const,
    )
    const logits = fc.double({ min: -20, max: 20, noNaN: true })
    fc.assert(
      fc.property(
        calibrations,
        logits,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        (calibration, logit, errorBound, part) => {
          const probability = calibratedProbability(calibration, logit)
          const prediction = { logit, probability, rounded: Math.round(probability * 1000) / 1000 }
          const { low, high, rounded } = riskOf({ calibration, errorBound }, prediction)
          expect([low <= rounded, rounded <= high, low >= 0, high <= 1]).toEqual([true, true, true, true])
          const clear = calibratedProbability(calibration, logit + part * errorBound)
          expect(low <= clear && clear <= high).toBe(true)
        },
      ),
    )
  })

  it("is taken at its word only where it was calibrated", () => {
    expect(meaningOf(platt, risk(0.583))).toEqual({
      plain:
        "Of 100 patients with this number, about 58 should be ill, if your patients are like those on whom the numbers were fitted.",
      term: "calibrated on held-out patients by Platt scaling",
    })
    expect(meaningOf(null, risk(0.583)).plain).toMatch(/^A score for ranking, not a true probability/)
  })
})

describe("words", () => {
  it("say loudly what a mark of a model means, and show one that is not known as it is", () => {
    expect(modelMarkWords("synthetic-data").plain).toContain("Do not use it for real ones")
    expect(modelMarkWords("insecure-seed").plain).toContain("do not use it for real patients")
    for (const strange of ["new-mark", "constructor", "__proto__"])
      expect(modelMarkWords(strange)).toEqual({ plain: strange, term: null })
  })

  it("say what shared and kept mean, and where the key is", () => {
    expect(weightsWords({ weights: "shared", packing: "lr-coefficients" })).toContain("every weight")
    expect(weightsWords({ weights: "shared", packing: "slots-by-patient" })).toContain("sum of squares")
    expect(weightsWords({ weights: "kept", packing: "lr-coefficients" })).toContain("honest askers")
    expect(keyWords(false)).toContain("fresh one")
    expect(keyWords(true)).toContain("was sent once")
  })

  it("of the glossary have places of their own", () => {
    const places = PREDICTION_GLOSSARY.map(({ word }) => glossaryId(word))
    expect(new Set(places).size).toBe(places.length)
    for (const word of [
      "Calibration",
      "Error bound",
      "Shared and kept",
      "CKKS",
      "Plan",
      "Degree (N) and modulus (Q)",
    ])
      expect(places).toContain(glossaryId(word))
  })
})

describe("figures", () => {
  it("quantiles are by nearest rank", () => {
    expect([0.5, 0.95, 1, 0].map((share) => quantile([5, 1, 3, 2], share))).toEqual([2, 5, 5, 1])
    expect(quantile([], 0.5)).toBeNull()
  })

  it("every share falls into one bin", () => {
    expect(histogram([0, 0.049, 0.05, 0.5, 1], 20)).toEqual([
      2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ])
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (shares) => {
        expect(histogram(shares, 20).reduce((sum, count) => sum + count, 0)).toBe(shares.length)
      }),
    )
  })
})

describe("plain against encrypted", () => {
  const compiled = compile(HEART_LINEAR, HEART, NAMED)
  const exchange = (count: number, label = "compared") => {
    const random = testRandom(label)
    const asker = new Asker(compiled.plan)
    const patients = Array.from({ length: count }, () => randomPatient(random))
    const question = asker.ask(patients, { random })
    const answer = new ModelServer(compiled).answer(question.bytes)
    return { patients, travelled: { request: question.bytes, answer }, predictions: question.open(answer) }
  }

  it("one answer of a shared linear model gives the model, which agrees to within the proven bound", () => {
    const { patients, travelled, predictions } = exchange(5)
    const model = plainModelOf(compiled.plan, travelled)
    patients.forEach((patient, i) => {
      const difference = Math.abs(model.logit(patient) - (predictions[i]?.logit as number))
      expect(difference).toBeLessThanOrEqual(compiled.plan.errorBound)
      expect(difference).toBeGreaterThan(0)
    })
  })

  it("is refused for an answer that no linear model gives", () => {
    const { travelled } = exchange(1)
    const other = exchange(1, "another").travelled
    expect(() => plainModelOf(compiled.plan, { ...travelled, answer: other.answer })).toThrow(
      "the model's weights do not follow from this answer",
    )
  })

  it("is offered where it can be done and nowhere else, with the reason", () => {
    const kept = compile(HEART_LINEAR, HEART, { ...NAMED, weights: "kept" }).plan
    const network = compile(squareNetwork(testRandom("net"), 13, 4, 0.05), HEART, NAMED).plan
    for (const plan of [compiled.plan, kept, network])
      expect(isComparable(plan)).toBe(incomparableWords(plan) === null)
    expect([compiled.plan, kept, network].map(isComparable)).toEqual([true, false, false])
  })
})

describe("the log of exchanges", () => {
  const [question, answer] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]
  const servers: Server[] = []
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
  })
  /** Asks a server that gives the same answer to everything; without a status it gives none. */
  const asking = async (status: number | null) => {
    const server = createServer((request, response) => {
      request.resume()
      if (status === null) request.socket.destroy()
      else response.writeHead(status, { connection: "close" }).end(answer)
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const log = new ExchangeLog(new FetchTransport())
    const ask = (method: "GET" | "POST", path: string) =>
      log.exchange({
        method,
        url: new URL(`/v1/models/heart/${path}`, base),
        headers: {},
        body: method === "POST" ? question : null,
        mostBytes: 100,
        repeatable: true,
        signal: new AbortController().signal,
      })
    return { log, ask }
  }

  it("tells what went over the wire, newest first, and nothing of what was in it", async () => {
    const { log, ask } = await asking(200)
    let told = 0
    const leave = log.subscribe(() => told++)
    await ask("GET", "plan")
    await ask("POST", "predict")
    leave()
    expect(log.lines()).toMatchObject([
      { number: 2, method: "POST", path: "/v1/models/heart/predict", bytesUp: 3, bytesDown: 2, status: 200 },
      { number: 1, method: "GET", path: "/v1/models/heart/plan", bytesUp: 0, bytesDown: 2, status: 200 },
    ])
    expect([told, log.last]).toEqual([2, { request: question, answer }])
  })

  it("keeps a batch's requests with its answers", async () => {
    const { log, ask } = await asking(200)
    await ask("POST", "batches")
    expect(log.last).toBeNull()
    await ask("GET", "batches/1/answers")
    expect(log.last).toEqual({ request: question, answer })
  })

  it("notes what was refused and what got no answer, and keeps neither", async () => {
    const refusing = await asking(409)
    await refusing.ask("POST", "predict")
    expect([refusing.log.lines()[0]?.status, refusing.log.last]).toEqual([409, null])
    const silent = await asking(null)
    await expect(silent.ask("POST", "predict")).rejects.toMatchObject({ code: "network/unreachable" })
    expect([silent.log.lines()[0]?.status, silent.log.last]).toEqual([null, null])
  })
})
