import { type ChildProcess, spawn } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ConsiliumError } from "@consilium/base/errors"
import type { ThrowAwayCertificate } from "./throw-away-certificate.js"

const ENTRY = fileURLToPath(new URL("../process.js", import.meta.url))
const PATIENCE_MS = 30_000
const LAST_WORDS_MS = 5_000

export interface ServerProcessOptions {
  /** A compiled folder, or a folder of such. */
  readonly models: string
  /** Without one it speaks HTTP, to this machine alone. */
  readonly certificate?: ThrowAwayCertificate
  /** Answers of one model that an asker may have; the server's own rule, unless told. */
  readonly answers?: number
  readonly requestsPerSecond?: number
  /** The built program, where this file is not built. */
  readonly program?: string
}

interface Ended {
  readonly code: number | null
}

/** A real `infer serve` in a process of its own, which ends with this one however that ends. */
export class ServerProcess {
  readonly url: string
  /** The authority to trust, PEM; none without TLS. */
  readonly ca: string | undefined
  readonly #child: ChildProcess
  readonly #ended: Promise<Ended>
  readonly #folder: string
  readonly #log: string[]

  private constructor(
    url: string,
    ca: string | undefined,
    child: ChildProcess,
    ended: Promise<Ended>,
    folder: string,
    log: string[],
  ) {
    this.url = url
    this.ca = ca
    this.#child = child
    this.#ended = ended
    this.#folder = folder
    this.#log = log
  }

  get pid(): number {
    return this.#child.pid as number
  }
  /** What it has told on standard error so far. */
  get log(): string {
    return this.#log.join("")
  }

  /**
   * Starts a server at any free port. Budgets and keys of askers are forgotten with it.
   * @throws {ConsiliumError} "cli/process-ended" with its last words if it does not get as far as listening
   */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const folder = await mkdtemp(join(tmpdir(), "consilium-models-"))
    const { certificate } = options
    try {
      const args = await wordsOf(options, folder)
      const child = spawn(process.execPath, [options.program ?? ENTRY, ...args], {
        stdio: ["pipe", "pipe", "pipe"],
      })
      child.stdin.on("error", () => undefined)
      const log: string[] = []
      child.stderr.on("data", (chunk: Buffer) => log.push(chunk.toString("utf8")))
      const ended = new Promise<Ended>((resolve) => {
        child.once("error", () => resolve({ code: null }))
        child.once("close", (code) => resolve({ code }))
      })
      try {
        const url = await addressOf(child, ended, log)
        return new ServerProcess(url, certificate?.ca, child, ended, folder, log)
      } catch (error) {
        child.kill("SIGKILL")
        throw error
      }
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Ends it in good order, or not. */
  async close(): Promise<void> {
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), LAST_WORDS_MS)
    await this.#ended
    clearTimeout(timer)
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const wordsOf = async (
  { models, certificate, answers, requestsPerSecond }: ServerProcessOptions,
  folder: string,
): Promise<readonly string[]> => {
  const words = ["infer", "serve", "--models", models, "--state", join(folder, "asking"), "--port", "0"]
  words.push("--with-parent", "--format", "json")
  if (certificate !== undefined) {
    const [key, cert] = [join(folder, "tls.key"), join(folder, "tls.pem")]
    await writeFile(key, certificate.key, { mode: 0o600 })
    await writeFile(cert, certificate.cert)
    words.push("--tls-key", key, "--tls-cert", cert)
  }
  if (answers !== undefined) words.push("--answers", String(answers))
  if (requestsPerSecond !== undefined) words.push("--requests-per-second", String(requestsPerSecond))
  return words
}

const addressOf = async (child: ChildProcess, ended: Promise<Ended>, log: string[]): Promise<string> => {
  let timer: NodeJS.Timeout | undefined
  const said = new Promise<string>((resolve) => {
    let text = ""
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8")
      if (text.includes("\n")) resolve(text)
    })
  })
  const failed = (what: string): ConsiliumError =>
    new ConsiliumError("cli/process-ended", `The server ${what}:\n${lastWords(log)}`, {
      remedy: "See what it says; `consilium infer serve` starts the same server by hand.",
    })
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(failed(`was not ready within ${PATIENCE_MS} ms`)), PATIENCE_MS)
  })
  const gone = ended.then(({ code }) => {
    throw failed(`ended with ${code ?? "a signal"}`)
  })
  try {
    return (JSON.parse(await Promise.race([said, late, gone])) as { readonly url: string }).url
  } finally {
    clearTimeout(timer)
    gone.catch(() => undefined)
  }
}

const lastWords = (log: readonly string[]): string =>
  log
    .join("")
    .trimEnd()
    .split("\n")
    .slice(-4)
    .map((line) => `    ${line}`)
    .join("\n")
