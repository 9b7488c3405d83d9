import type { ServerResponse } from "node:http"
import { encode, u32 } from "@consilium/base/encoding"
import type { ConsiliumError } from "@consilium/base/errors"
import { InferenceClient } from "@consilium/inference-client/client"
import { NodeTransport } from "@consilium/inference-client/node-transport"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { certificateFor } from "./certificate.js"
import { json, ModelHost, octets } from "./model-host.js"
import { compiledOf, SOMEBODY } from "./models.js"
import { refusalFrom } from "./refusals.js"

const COMPILED = compiledOf("shared")

let host: ModelHost
const closers: (() => void | Promise<void>)[] = []
beforeAll(async () => {
  host = await ModelHost.start("heart", COMPILED)
})
afterAll(() => host.close())
afterEach(async () => {
  host.bend = () => false
  for (const close of closers.splice(0).reverse()) await close()
})

const connected = async (): Promise<InferenceClient> => {
  const client = await InferenceClient.connect(host.address, { model: "heart" })
  closers.push(() => client.close())
  return client
}
/** Bends one route. */
const bend = (end: string, answer: (response: ServerResponse) => void): void => {
  host.bend = (path, response) => {
    if (!path.endsWith(end)) return false
    answer(response)
    return true
  }
}
const connecting = () => InferenceClient.connect(host.address, { model: "heart" })

describe("a plan is refused", () => {
  it("if its bytes are of another plan than it says, with both hashes", async () => {
    const hash = "ab".repeat(32)
    bend("/plan", (response) => json(response, 200, { ...host.planView(), hash }))
    const { code, message } = await refusalFrom(connecting())
    expect(code).toBe("inference/other-plan")
    expect(message).toContain(hash)
    expect(message).toContain(host.planView().hash)
  })
  it("if its parameters are not secure, whatever hash it has", async () => {
    const view = host.planView()
    const plain = Buffer.from(view.bytes, "base64")
    // half the degree with the same primes: more bits of modulus than 128 bits of security allow
    const { degree } = COMPILED.plan
    const at = plain.indexOf(encode(u32, degree))
    expect(at).toBeGreaterThan(0)
    plain.set(encode(u32, degree / 2), at)
    bend("/plan", (response) => json(response, 200, { ...view, bytes: plain.toString("base64") }))
    expect((await refusalFrom(connecting())).code).toBe("lattice/insecure")
  })
  it.each<[string, unknown]>([
    ["no JSON", "<html>"],
    ["a list", []],
    ["null", null],
    ["no bytes", { hash: "ab".repeat(32), reveals: "" }],
    ["no base64", { hash: "ab".repeat(32), reveals: "", bytes: "%%" }],
    ["no plan", { hash: "ab".repeat(32), reveals: "", bytes: "AAAA" }],
    ["a hash in capitals", { hash: "AB".repeat(32), reveals: "", bytes: "" }],
  ])("if the answer holds %s", async (_, body) => {
    bend("/plan", (response) => {
      response.writeHead(200).end(typeof body === "string" ? body : JSON.stringify(body))
    })
    expect((await refusalFrom(connecting())).code).toBe("inference/malformed")
  })
})

describe("an answer is refused", () => {
  it.each<[string, (good: number) => Uint8Array, string]>([
    ["of no bytes", () => new Uint8Array(0), "inference/malformed"],
    ["one byte short", (good) => new Uint8Array(good - 1), "inference/malformed"],
    ["of zeros", (good) => new Uint8Array(good), "inference/malformed"],
    ["one byte long", (good) => new Uint8Array(good + 1), "network/answer-too-large"],
    ["a gigabyte long", () => new Uint8Array(1 << 26), "network/answer-too-large"],
  ])("%s", async (_, made, code) => {
    const client = await connected()
    const { figures } = await client.predict(SOMEBODY)
    bend("/predict", (response) => octets(response, made(figures.bytesDown), {}))
    expect((await refusalFrom(client.predict(SOMEBODY))).code).toBe(code)
  })
  it("that was given to another request", async () => {
    const client = await connected()
    const pieces: Uint8Array[] = []
    host.bend = (path, response) => {
      if (!path.endsWith("/predict")) return false
      const end = response.end.bind(response)
      response.end = ((body: Uint8Array) => {
        pieces.push(body)
        return end(body)
      }) as typeof response.end
      return false
    }
    await client.predict(SOMEBODY)
    bend("/predict", (response) => octets(response, pieces[0] as Uint8Array, {}))
    expect((await refusalFrom(client.predict(SOMEBODY))).code).toBe("inference/bad-answer")
  })
  it("and nothing is wrong with the next", async () => {
    expect((await (await connected()).predict(SOMEBODY)).rounded).toBeGreaterThanOrEqual(0)
  })
})

describe("words of a server", () => {
  const refusing = async (body: string, status = 400): Promise<ConsiliumError> => {
    const client = await connected()
    bend("/predict", (response) => {
      response.writeHead(status, { "content-type": "text/html" }).end(body)
    })
    return refusalFrom(client.predict(SOMEBODY))
  }
  it("are its code, what happened and what to do", async () => {
    const told = { title: "inference/budget-spent", detail: "None are left.", remedy: "Ask the operator." }
    expect(await refusing(JSON.stringify(told), 429)).toMatchObject({
      code: "inference/budget-spent",
      status: 429,
      message: "None are left.",
      remedy: "Ask the operator.",
    })
  })
  it("under a code that is not known are told as a refusal", async () => {
    const { code, message } = await refusing(JSON.stringify({ title: "x/unheard-of", detail: "Odd." }))
    expect([code, message]).toEqual(["network/refused", "The server answered with status 400: Odd."])
  })
  it("cannot name what every object has as a code", async () => {
    for (const title of ["constructor", "__proto__", "toString", 5, null, {}])
      expect((await refusing(JSON.stringify({ title }))).code).toBe("network/refused")
  })
  it("are one line of text, of bounded length, and no markup is made of them", async () => {
    const detail = `<b>a</b>\n\u001b[31mb\u202e${"x".repeat(5000)}`
    const { message } = await refusing(JSON.stringify({ title: "api/failed", detail }))
    expect(message.startsWith("<b>a</b> [31mb x")).toBe(true)
    expect(message.length).toBeLessThanOrEqual(1000)
  })
  it("that are none are left out", async () => {
    for (const body of ["", "<html><script>", "[]", "null", '{"detail":{}}', "\uFFFD"])
      expect((await refusing(body, 502)).message).toBe("The server answered with status 502.")
  })
  it("never hold the patient, the token or the request", async () => {
    const client = await InferenceClient.connect(host.address, { model: "heart", token: "canary-token" })
    closers.push(() => client.close())
    bend("/predict", (response) => {
      response.writeHead(400).end()
    })
    const told: string[] = []
    const tell = (error: ConsiliumError) => told.push(`${error}${error.stack}${JSON.stringify(error)}`)
    tell(await refusalFrom(client.predict({ ...SOMEBODY, chol: 987.125 })))
    tell(await refusalFrom(client.predict({ ...SOMEBODY, chol: 98_712.5 })))
    tell(await refusalFrom(client.predict({ ...SOMEBODY, sex: "canary-sex" })))
    expect(told.join()).not.toMatch(/987|canary/)
  })
})

describe("a client", () => {
  it("closed, refuses at once and says so to those who wait", async () => {
    const client = await InferenceClient.connect(host.address, { model: "heart" })
    bend("/predict", () => undefined)
    const waiting = refusalFrom(client.predict(SOMEBODY))
    await expect.poll(() => host.asked.at(-1)).toBe("POST /v1/models/heart/predict")
    client.close()
    expect((await waiting).code).toBe("inference/client-closed")
    expect((await refusalFrom(client.predict(SOMEBODY))).code).toBe("inference/client-closed")
  })
  it("stops many requests when one fails or a signal is given", async () => {
    const client = await connected()
    const most = client.plan.patients
    const patients = Array.from({ length: 5 * most }, () => SOMEBODY)
    bend("/predict", (response) => {
      response.writeHead(500).end()
    })
    const before = host.asked.length
    expect((await refusalFrom(client.predictMany(patients))).code).toBe("network/refused")
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(host.asked.length - before).toBeLessThanOrEqual(4)
    bend("/predict", () => undefined)
    const reason = new Error("no longer wanted")
    const controller = new AbortController()
    const waiting = client.predictMany(patients, { signal: controller.signal })
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
  })
  it("leaves a batch when a signal is given, and has it deleted", async () => {
    const client = await connected()
    const patients = Array.from({ length: 9 * client.plan.patients }, () => SOMEBODY)
    const controller = new AbortController()
    const reason = new Error("no longer wanted")
    host.bend = (path) => {
      if (/batches\/b\d+$/.test(path) && !controller.signal.aborted) controller.abort(reason)
      return false
    }
    await expect(client.predictMany(patients, { signal: controller.signal })).rejects.toBe(reason)
    await expect.poll(() => host.asked.at(-1)).toMatch(/^DELETE /)
  })
  it("tells why a batch failed", async () => {
    const client = await connected()
    const patients = Array.from({ length: 9 * client.plan.patients }, () => SOMEBODY)
    bend("/batches", (response) =>
      json(response, 202, { id: "b", state: "waiting", requests: 9, answered: 0, problem: null }),
    )
    const also = host.bend
    host.bend = (path, response) => {
      if (also(path, response)) return true
      if (!path.endsWith("/batches/b")) return false
      const problem = { title: "inference/overloaded", status: 503, detail: "Full.", remedy: "Wait." }
      json(response, 200, { id: "b", state: "failed", requests: 9, answered: 0, problem })
      return true
    }
    expect(await refusalFrom(client.predictMany(patients))).toMatchObject({
      code: "inference/overloaded",
      message: "Full.",
    })
  })
})

describe("over TLS", () => {
  it("a server is believed if its certificate is from the given authority and for its name", async () => {
    const [own, other] = [await certificateFor("localhost"), await certificateFor("elsewhere.example")]
    const secure = await ModelHost.start("heart", COMPILED, own)
    const misnamed = await ModelHost.start("heart", COMPILED, other)
    closers.push(
      () => secure.close(),
      () => misnamed.close(),
    )
    const over = async (at: ModelHost, ca?: string): Promise<string> => {
      const transport = new NodeTransport(ca === undefined ? {} : { ca })
      const client = await InferenceClient.connect(at.address, { model: "heart", transport, token: "t0ken" })
      const { rounded } = await client.predict(SOMEBODY)
      client.close()
      return typeof rounded
    }
    expect(await over(secure, own.cert)).toBe("number")
    expect(secure.headers.every(({ authorization }) => authorization === "Bearer t0ken")).toBe(true)
    for (const [at, ca] of [
      [secure, undefined],
      [secure, other.cert],
      [misnamed, other.cert],
    ] as const) {
      const { code, remedy } = await refusalFrom(over(at, ca))
      expect([code, remedy]).toEqual(["network/unreachable", expect.stringContaining("certificate")])
    }
    expect(misnamed.asked).toEqual([])
  })
})
