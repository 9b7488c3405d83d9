import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { gzipSync } from "node:zlib"
import { afterAll, beforeAll, expect, it } from "vitest"
import { ModelHost } from "./model-host.js"
import { compiledOf, SOMEBODY } from "./models.js"

/** JavaScript and WebAssembly of a page and its worker together, compressed. */
const MOST_BYTES = 250_000

const MODULES = ["consilium-inference-worker.js", "consilium-inference.js"]
let folder = ""
const text = (name: string): string => readFileSync(join(folder, name), "utf8")
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bundle-"))
  execFileSync(process.execPath, [fileURLToPath(new URL("../build-bundle.mjs", import.meta.url)), folder], {
    stdio: ["ignore", "ignore", "inherit"],
  })
})
afterAll(() => rmSync(folder, { recursive: true }))

it("is one module for the page and one for its worker, which import nothing", () => {
  expect(readdirSync(folder).sort()).toEqual(MODULES)
  for (const name of MODULES) expect(text(name)).not.toMatch(/\bimport\s*[("'{*]|\bfrom\s*["']|\brequire\(/)
})
it(`is at most ${MOST_BYTES / 1000} kB compressed, WebAssembly included`, () => {
  const sizes = MODULES.map((name) => gzipSync(text(name), { level: 9 }).length)
  const all = sizes.reduce((sum, size) => sum + size, 0)
  console.log(`bundle, gzip: page ${sizes[1]} bytes, worker ${sizes[0]} bytes, ${all} in all`)
  expect(all).toBeLessThanOrEqual(MOST_BYTES)
  for (const name of MODULES) expect(text(name)).toContain("0061736d") // "\0asm" in hexadecimal digits
})
it("names no host but this machine and examples in remedies", () => {
  const hosts = MODULES.flatMap((name) => [
    ...text(name).matchAll(/\b(?:https?|wss?):\/\/([a-z0-9[][^\s/:"'`]*)/gi),
  ])
  const outside = hosts
    .map(([, host = ""]) => host)
    .filter((host) => !/^(localhost|127\.0\.0\.1)$|\.example$/.test(host))
  expect(outside).toEqual([])
})
it("makes no code of text, and writes no markup", () => {
  for (const name of MODULES)
    expect(text(name)).not.toMatch(
      /\beval\s*\(|\bFunction\s*\(|innerHTML|outerHTML|document\.write|insertAdjacent/,
    )
})
it("predicts in Node", async () => {
  const host = await ModelHost.start("heart", compiledOf("shared"))
  const bundle = (await import(
    /* @vite-ignore */ pathToFileURL(join(folder, "consilium-inference.js")).href
  )) as typeof import("@consilium/inference-client/bundle")
  const client = await bundle.InferenceClient.connect(host.address)
  const { rounded } = await client.predict(SOMEBODY)
  client.close()
  await host.close()
  expect(rounded).toBeGreaterThanOrEqual(0)
  expect(rounded).toBeLessThanOrEqual(1)
})
