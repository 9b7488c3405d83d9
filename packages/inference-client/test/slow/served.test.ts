import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { extname, join } from "node:path"
import { createInterface } from "node:readline"
import { digestHex, sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import type { Patient } from "@consilium/inference/schema/patient"
import { type ClientOptions, InferenceClient } from "@consilium/inference-client/client"
import { NodeTransport } from "@consilium/inference-client/node-transport"
import { writeCompiledFolder } from "@consilium/node/inference/model-folder"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { browserMissing, inChromium, whyMissing } from "../../../../test/browser.js"
import { buildProgram, PROGRAM } from "../../../../test/security/study-run.js"
import { ROOT } from "../../../../test/source-tree.js"
import { HEART, randomPatient, testRandom } from "../../../inference/test/heart.js"
import { certificateFor } from "../certificate.js"
import { compiledOf, KINDS, plainOf } from "../models.js"

/* The client against a server process, over TLS and from a page in a browser. */

const TOKEN = "clinician-token-of-a-test"
const random = testRandom("patients")
const PATIENTS: readonly Patient[] = Array.from({ length: 4 }, () => randomPatient(random))

let folder = ""
const processes: ChildProcess[] = []

/** Starts a server process on any port; resolves to its address. */
const serving = async (...args: readonly string[]): Promise<string> => {
  const given = [
    "infer",
    "serve",
    "--models",
    join(folder, "models"),
    "--port",
    "0",
    "--with-parent",
    ...args,
  ]
  const child = spawn(process.execPath, [PROGRAM, ...given], { stdio: ["pipe", "pipe", "pipe"] })
  processes.push(child)
  let said = ""
  child.stderr.on("data", (piece) => {
    said += piece
  })
  const failed = once(child, "exit").then(() => {
    throw new Error(`the server ended: ${said}`)
  })
  failed.catch(() => undefined)
  const [address] = await Promise.race([once(createInterface(child.stdout), "line"), failed])
  return address as string
}

beforeAll(async () => {
  await buildProgram()
  folder = mkdtempSync(join(tmpdir(), "consilium-served-"))
  for (const kind of KINDS)
    await writeCompiledFolder(join(folder, "models", kind), compiledOf(kind, "1", kind))
})
afterAll(async () => {
  for (const child of processes) {
    const ended = child.exitCode === null ? once(child, "exit") : null
    child.stdin?.end()
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
})

describe("over TLS with a token", () => {
  let address = ""
  let ca = ""
  beforeAll(async () => {
    const { cert, key } = await certificateFor("localhost")
    ca = cert
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")]
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key, { mode: 0o600 })
    const tokens = join(folder, "tokens.yaml")
    const hash = digestHex(sha256(utf8(TOKEN)))
    writeFileSync(
      tokens,
      `- { name: ward, role: clinician, sha256: "${hash}", expires: null }\n- { name: reader, role: reader, sha256: "${digestHex(sha256(utf8("reader-token")))}", expires: null }\n`,
    )
    const state = join(folder, "state-tls")
    const told = await serving(
      ...["--tls-key", keyFile, "--tls-cert", certFile, "--tokens", tokens, "--state", state],
    )
    address = told.replace("127.0.0.1", "localhost")
  })
  const connected = (model: string, options: ClientOptions = {}) =>
    InferenceClient.connect(address, {
      model,
      token: TOKEN,
      transport: new NodeTransport({ ca }),
      ...options,
    })

  it("lists its models", async () => {
    const models = await InferenceClient.models(address, {
      token: TOKEN,
      transport: new NodeTransport({ ca }),
    })
    const shown = models.map(({ id, offered, weights, keyBytes }) => [
      id,
      offered,
      weights,
      keyBytes !== null,
    ])
    expect(shown).toEqual([
      ["kept", true, "kept", true],
      ["network", true, "shared", false],
      ["rotated", true, "shared", true],
      ["shared", true, "shared", false],
    ])
  })
  it.each(KINDS)("predicts what the model itself says, %s", async (kind) => {
    const client = await connected(kind)
    await client.prepare()
    for (const patient of PATIENTS) {
      const { logit } = await client.predict(patient)
      expect(Math.abs(logit - plainOf(kind, patient))).toBeLessThan(client.plan.errorBound)
    }
    const { predictions } = await client.predictMany(PATIENTS)
    predictions.forEach(({ logit }, i) => {
      expect(Math.abs(logit - plainOf(kind, PATIENTS[i] as Patient))).toBeLessThan(client.plan.errorBound)
    })
    client.close()
  })
  it("answers a batch of thousands", async () => {
    const client = await connected("shared")
    const patients = Array.from({ length: 20 * client.plan.patients + 7 }, () => randomPatient(random))
    const { predictions, exchanges } = await client.predictMany(patients)
    expect(exchanges.map(({ requests }) => requests)).toEqual([21])
    predictions.forEach(({ logit }, i) => {
      expect(Math.abs(logit - plainOf("shared", patients[i] as Patient))).toBeLessThan(client.plan.errorBound)
    })
    client.close()
  })
  it("refuses who has no right, with its own words", async () => {
    await expect(connected("shared", { token: "some-other-token" })).rejects.toMatchObject({
      code: "api/unauthenticated",
    })
    await expect(connected("shared", { token: "reader-token" })).rejects.toMatchObject({
      code: "api/forbidden",
    })
    await expect(connected("unheard-of")).rejects.toMatchObject({ code: "inference/no-model" })
  })
  it("counts the answers of a kept model, over all of an asker's clients", async () => {
    const client = await connected("kept")
    await expect(
      (async () => {
        for (let i = 0; i < 20; i++) await client.predict(PATIENTS[0] as Patient)
      })(),
    ).rejects.toMatchObject({ code: "inference/budget-spent" })
    client.close()
  })
  it("is asked on while a model is compiled anew", async () => {
    const client = await connected("shared")
    await client.predict(PATIENTS[0] as Patient)
    // more versions than the server keeps beside the present one
    for (let version = 2; version <= 8; version++) {
      await writeCompiledFolder(
        join(folder, "models", "shared"),
        compiledOf("shared", String(version), "shared"),
      )
      await expect
        .poll(
          async () => {
            const transport = new NodeTransport({ ca })
            const models = await InferenceClient.models(address, { token: TOKEN, transport })
            return models.find(({ id }) => id === "shared")?.version
          },
          { timeout: 10_000 },
        )
        .toBe(String(version))
    }
    const { logit } = await client.predict(PATIENTS[1] as Patient)
    expect(client.plan.version).toBe("8")
    expect(Math.abs(logit - plainOf("shared", PATIENTS[1] as Patient))).toBeLessThan(client.plan.errorBound)
    client.close()
  })
})

describe("the example page in Chromium", () => {
  const BUNDLE = "packages/inference-client/dist/bundle"
  const EXAMPLE = "examples/inference-client"
  const FILES: Readonly<Record<string, string>> = {
    "/": `${EXAMPLE}/index.html`,
    "/page.mjs": `${EXAMPLE}/page.mjs`,
    "/page.css": `${EXAMPLE}/page.css`,
    "/consilium-inference.js": `${BUNDLE}/consilium-inference.js`,
    "/consilium-inference-worker.js": `${BUNDLE}/consilium-inference-worker.js`,
  }
  const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".css": "text/css" }
  const page = createServer(({ url }, response) => {
    const file = FILES[url ?? ""]
    if (file === undefined) response.writeHead(404).end()
    else {
      const type = TYPES[extname(file)] ?? "text/javascript"
      response.writeHead(200, { "content-type": type }).end(readFileSync(join(ROOT, file)))
    }
  })
  let origin = ""
  beforeAll(async () => {
    page.listen(0, "127.0.0.1")
    await once(page, "listening")
    origin = `http://127.0.0.1:${(page.address() as AddressInfo).port}`
  })
  afterAll(() => {
    page.close()
  })

  it.skipIf(browserMissing)(`asks each kind of model with keys in a worker${whyMissing}`, async () => {
    const address = await serving("--allow-origin", origin, "--state", join(folder, "state-page"))
    const patient = PATIENTS[2] as Patient
    await inChromium(async (browser) => {
      const tab = await browser.newPage()
      const complaints: string[] = []
      tab.on("console", (message) => {
        if (message.type() === "error") complaints.push(message.text())
      })
      tab.on("pageerror", (error) => complaints.push(error.message))
      await tab.goto(origin)
      for (const kind of KINDS) {
        await tab.fill("[name=address]", address)
        await tab.fill("[name=model]", kind)
        await tab.click("#server button")
        await tab.locator("#said", { hasText: `Connected to "${kind}"` }).waitFor()
        await tab.locator("#server button:enabled").waitFor()
        for (const field of HEART.fields) {
          const at = `#patient [name="${field.name}"]`
          const value = patient[field.name]
          if (field.type === "boolean") await tab.setChecked(at, value as boolean)
          else if (field.type === "category") await tab.selectOption(at, value as string)
          else await tab.fill(at, String(value))
        }
        await tab.click("#patient button")
        await tab.locator("#answer:not([hidden])").waitFor()
        const shown = await tab.textContent("#probability")
        const probability = 1 / (1 + Math.exp(-plainOf(kind, patient)))
        expect(Math.abs(Number(shown?.replace("Probability ", "")) - probability)).toBeLessThan(0.006)
        expect(tab.workers().length).toBeGreaterThanOrEqual(1)
      }
      expect(complaints).toEqual([])
    })
  })
  it.skipIf(browserMissing)(`is told what to do where its origin is not allowed${whyMissing}`, async () => {
    const address = await serving("--state", join(folder, "state-closed"))
    await inChromium(async (browser) => {
      const tab = await browser.newPage()
      await tab.goto(origin)
      await tab.fill("[name=address]", address)
      await tab.fill("[name=model]", "shared")
      await tab.click("#server button")
      await tab.locator("#said.failed").waitFor()
      expect(await tab.textContent("#said")).toMatch(/gave no answer.+allows pages of this origin/)
    })
  })
})
