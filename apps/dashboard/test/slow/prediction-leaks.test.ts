import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { PatientReader } from "@consilium/inference/schema/patient"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { serveModelsInTest, type TestInference } from "../../../../packages/node/test/inference-server.js"
import { browserMissing, whyMissing } from "../../../../test/browser.js"
import type { LongSecret, Secret } from "../../../../test/security/needles.js"
import { Scanner } from "../../../../test/security/scanner.js"
import { buildPage } from "./browser.js"
import { OverheardBrowser } from "./overheard-browser.js"
import {
  ask,
  fillIn,
  linearModel,
  networkModel,
  patientsCsv,
  QUESTIONS,
  ready,
  SOMEBODY,
} from "./prediction-scene.js"

const READER = new PatientReader(QUESTIONS)

const f64 = (value: number, little: boolean): Uint8Array => {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value, little)
  return new Uint8Array(view.buffer)
}

/** A patient's numbers one by one and several together, as written and as they are encrypted, in every form of the scanner. */
const secretsOf = (): readonly (Secret | LongSecret)[] => {
  const columns = [...READER.columns(SOMEBODY)]
  const units = [...READER.units(SOMEBODY)]
  const together: Secret[] = [
    { name: "columns", values: columns },
    { name: "units", values: units },
    { name: "rounded units", values: units.map((u) => Math.round(u * 2 ** 30)) },
    { name: "scaled units", values: units.map((u) => Math.round(u * 2 ** 26)) },
  ]
  const single = (name: string, value: number): LongSecret[] =>
    [
      ["text", new Uint8Array(Buffer.from(String(value)))] as const,
      ["text, two bytes each", new Uint8Array(Buffer.from(String(value), "utf16le"))] as const,
      ["f64 little-endian", f64(value, true)] as const,
      ["f64 big-endian", f64(value, false)] as const,
    ].map(([form, bytes]) => ({ name, form, bytes, width: bytes.length }))
  const telling = (value: number): boolean => String(value).length >= 8
  return [
    ...together,
    ...QUESTIONS.columns.flatMap(({ field }, j) =>
      [columns[j] as number, units[j] as number].filter(telling).flatMap((value) => single(field, value)),
    ),
  ]
}

/** A page that treats a patient as pages do that encrypt nothing. */
const CARELESS = `
  const patient = ${JSON.stringify(SOMEBODY)}
  const units = new Float64Array(${JSON.stringify([...READER.units(SOMEBODY)])})
  const careless = async () => {
    console.log(JSON.stringify(patient))
    localStorage.setItem("patient", JSON.stringify(patient))
    const worker = new Worker("/worker.js")
    const answered = new Promise((resolve) => worker.addEventListener("message", resolve))
    worker.postMessage({ units })
    await answered
    await fetch("/predict", { method: "POST", body: units })
    await fetch("/predict?age=" + patient.age, { method: "POST", body: JSON.stringify(patient) })
    document.title = "done"
  }
  careless()`
const carelessServer = (): Server =>
  createServer((request, response) => {
    const script = request.url?.endsWith(".js")
    const body =
      request.url === "/careless.js"
        ? CARELESS
        : script
          ? "onmessage = ({ data }) => postMessage(data)"
          : '<!doctype html><script src="/careless.js"></script>'
    response.writeHead(200, {
      "content-type": script ? "text/javascript" : "text/html",
      "cache-control": "no-store",
    })
    request.resume()
    request.on("end", () => response.end(body))
  })

describe.skipIf(browserMissing)(`what leaves the prediction page, in Chromium${whyMissing}`, () => {
  const scanner = new Scanner(secretsOf())
  let built: Awaited<ReturnType<typeof buildPage>>
  const ending: (() => unknown)[] = []
  beforeAll(async () => {
    built = await buildPage()
  })
  afterAll(() => built?.remove())
  afterEach(async () => {
    for (const end of ending.splice(0)) await end()
  })
  const overheard = async (): Promise<OverheardBrowser> => {
    const browser = await OverheardBrowser.launch()
    ending.push(() => browser.remove())
    return browser
  }
  const serve = async (models: Parameters<typeof serveModelsInTest>[0]): Promise<TestInference> => {
    const server = await serveModelsInTest(models, { page: built.folder })
    ending.push(() => server.close())
    return server
  }

  it("a careless page is caught in every place that is looked at", async () => {
    const server = carelessServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    ending.push(() => new Promise((resolve) => server.close(resolve)))
    const browser = await overheard()
    await browser.page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await browser.page.waitForFunction("document.title === 'done'")
    const found = await browser.search(scanner)
    for (const [place, hits] of Object.entries(found)) expect([place, hits.length > 0]).toEqual([place, true])
    expect(found.requests.map(({ secret }) => secret)).toContain("units")
  })

  it.each([
    ["shared", linearModel()],
    ["kept", linearModel("1", null, "kept")],
    ["of a network", networkModel()],
  ] as const)("no number of a patient is anywhere, under a model %s", async (_kind, model) => {
    const { url } = await serve({ heart: model })
    const browser = await overheard()
    const { page, bodies } = browser
    await page.goto(`${url}/predict/`)
    await ready(page)
    // compared with plain computing too, where that is possible
    await page.getByRole("tab", { name: "Analytics" }).click()
    const compare = page.getByLabel("Compare what I ask from now on")
    if ((await compare.count()) > 0) await compare.check()
    await page.getByRole("tab", { name: "Prediction" }).click()
    await fillIn(page, SOMEBODY)
    await ask(page)
    await ask(page)
    const csv = {
      name: "ward.csv",
      mimeType: "text/csv",
      buffer: Buffer.from(patientsCsv([SOMEBODY, SOMEBODY])),
    }
    await page.getByLabel("Table of patients").setInputFiles(csv)
    await page.getByRole("button", { name: "Encrypt and ask about 2 patients" }).click()
    await page.locator("[data-batch]").waitFor()
    for (const name of ["Analytics", "Technical", "Prediction"]) await page.getByRole("tab", { name }).click()

    const requests = bodies.filter(({ path }) => path.endsWith("/predict")).map(({ bytes }) => bytes)
    const { requestBytes } = (await (await fetch(`${url}/v1/models/heart/plan`)).json()) as {
      requestBytes: number
    }
    expect(requests.map(({ length }) => length)).toEqual([requestBytes, requestBytes, requestBytes])
    // one patient twice: nothing is the same but the head, what bytes have in common by chance, and the name of a key
    const [first, second] = requests as [Buffer, Buffer]
    const body = 40 + 32
    const same = first.subarray(body).filter((byte, i) => byte === second[body + i]).length
    const expected = (requestBytes - body) / 256
    // nine deviations: a false alarm in 10^18
    expect(Math.abs(same - expected)).toBeLessThan(9 * Math.sqrt(expected))

    for (const [place, hits] of Object.entries(await browser.search(scanner)))
      expect([place, hits]).toEqual([place, []])
  })
})
