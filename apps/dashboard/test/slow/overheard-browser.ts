import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type BrowserContext, chromium, type Page } from "playwright-core"
import { chromiumOptions } from "../../../../test/browser.js"
import type { Hit, Scanner } from "../../../../test/security/scanner.js"

/**
 * Runs in the page before its own scripts: notes every message to and from a worker, with the bytes of its numbers as they lie in
 * memory, and what a page may leave in places that outlive it.
 */
const LISTENER = `(() => {
  const heard = (globalThis.overheardMessages = [])
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  const number = (value) => hex(new Uint8Array(new Float64Array([value]).buffer)) + "|" + String(value)
  const flat = (value) => {
    if (typeof value === "number") return [number(value)]
    if (value === null || typeof value !== "object") return [String(value)]
    if (value instanceof ArrayBuffer) return [hex(new Uint8Array(value))]
    if (ArrayBuffer.isView(value))
      return [hex(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))]
    return Object.entries(value).flatMap(([key, inner]) => [key, ...flat(inner)])
  }
  const Real = globalThis.Worker
  globalThis.Worker = class extends Real {
    constructor(...given) {
      super(...given)
      this.addEventListener("message", ({ data }) => heard.push(...flat(data)))
    }
    postMessage(message, ...rest) {
      heard.push(...flat(message))
      return super.postMessage(message, ...rest)
    }
  }
})()`

/** Everything of a page's that lasts longer than it, as text. */
const LEFT_BEHIND = `(async () => JSON.stringify([
  { ...localStorage }, { ...sessionStorage }, document.cookie, window.name, history.state, location.href,
  performance.getEntries().map(({ name }) => name),
  await Promise.all((await indexedDB.databases()).map(({ name }) => name)),
  "caches" in globalThis ? await caches.keys() : [],
]))()`

export type Place = "requests" | "addresses" | "console" | "worker messages" | "storage" | "browser's folder"

/** A browser with a folder of its own, of which everything is noted that leaves a page. */
export class OverheardBrowser {
  readonly page: Page
  /** Bodies of requests, in their order. */
  readonly bodies: { readonly path: string; readonly bytes: Buffer }[] = []
  readonly #context: BrowserContext
  readonly #folder: string
  readonly #addresses: string[] = []
  readonly #headers: string[] = []
  readonly #console: string[] = []

  private constructor(context: BrowserContext, page: Page, folder: string) {
    this.#context = context
    this.#folder = folder
    this.page = page
    page.on("request", (request) => {
      this.#addresses.push(request.url())
      this.#headers.push(JSON.stringify(request.headers()))
      const bytes = request.postDataBuffer()
      if (bytes !== null) this.bodies.push({ path: new URL(request.url()).pathname, bytes })
    })
    page.on("console", (message) => this.#console.push(message.text()))
    page.on("pageerror", (error) => this.#console.push(String(error.stack)))
  }

  static async launch(): Promise<OverheardBrowser> {
    const folder = mkdtempSync(join(tmpdir(), "overheard-"))
    const context = await chromium.launchPersistentContext(folder, chromiumOptions())
    await context.addInitScript(LISTENER)
    const page = context.pages()[0] ?? (await context.newPage())
    return new OverheardBrowser(context, page, folder)
  }

  /** Ends the browser, and looks for secrets in everything that was noted and in what the browser wrote. */
  async search(scanner: Scanner): Promise<Readonly<Record<Place, readonly Hit[]>>> {
    const messages = await this.page.evaluate<string[]>("globalThis.overheardMessages")
    const storage = await this.page.evaluate<string>(LEFT_BEHIND)
    await this.#context.close()
    // nothing is packed without a header on its way; in the browser's folder it might be
    const scanBytes = (where: string, bytes: Uint8Array): readonly Hit[] => scanner.scan(bytes, where, false)
    const scan = (where: string, text: string): readonly Hit[] =>
      scanBytes(where, new Uint8Array(Buffer.from(text)))
    const inMessages = messages.flatMap((text) => [
      ...scan("message", text),
      ...(/^[0-9a-f]+$/.test(text)
        ? scanBytes("bytes of a message", new Uint8Array(Buffer.from(text, "hex")))
        : []),
    ])
    const inBodies = this.bodies.flatMap(({ path, bytes }) => scanBytes(path, new Uint8Array(bytes)))
    return {
      requests: [...inBodies, ...this.#headers.flatMap((text) => scan("headers", text))],
      addresses: this.#addresses.flatMap((text) => [
        ...scan("address", text),
        ...scan("address", decodeURIComponent(text)),
      ]),
      console: scan("console", this.#console.join("\n")),
      "worker messages": inMessages,
      storage: scan("storage", storage),
      "browser's folder": scanner.scanFolder(this.#folder, "profile"),
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
