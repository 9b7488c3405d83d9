import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { decode, list } from "@consilium/base/encoding"
import { type LogEntry, logEntryCodec } from "@consilium/federation/log"
import { withStoredStudy } from "@consilium/node/audit-sources"
import { leaderFileSchema, leaderFileText } from "@consilium/node/config/role-files"
import { readConfig } from "@consilium/node/config/yaml-file"
import { LOOPBACK, reserveAddress } from "@consilium/node/transport/address"
import type { StudyRun } from "./study-run.js"

const TOKEN = "an-auditor-of-this-test"
const STREAM_TIME = 500
const MOST_REPEATS = 100
const PAUSE = 100
const leaderFile = (run: StudyRun): string => join(run.folder, "leader/local/leader.yaml")
const logList = list(logEntryCodec, 1 << 16)

/** What a leader tells to one who may ask for everything. */
export class LeaderApi {
  readonly #run: StudyRun
  readonly #health: string

  private constructor(run: StudyRun, health: string) {
    this.#run = run
    this.#health = health
  }

  /** Lets an auditor in, before the leader starts. */
  static async prepare(run: StudyRun): Promise<LeaderApi> {
    const file = await readConfig(leaderFileSchema, leaderFile(run))
    const reserved = await reserveAddress(LOOPBACK, [0])
    await reserved.close()
    const health = { hosts: [...LOOPBACK], ports: [Number(/\d+$/.exec(reserved.address))] }
    const sha256 = createHash("sha256").update(TOKEN).digest("hex")
    const tokens = [{ name: "auditor", role: "auditor" as const, sha256, expires: null }]
    writeFileSync(leaderFile(run), leaderFileText({ ...file, api: { ...file.api, health, tokens } }))
    return new LeaderApi(run, `http://${reserved.address}`)
  }

  /** Where the API is, once the leader has said so: a round may begin before that. */
  async #base(): Promise<string> {
    await this.#run.said("leader", "the page and the API are at ")
    return /the page and the API are at (\S+)/.exec(this.#run.output("leader", "log"))?.[1] as string
  }

  /** A leader that has too much to do says so, and is asked again. */
  async #answer(url: string): Promise<Response> {
    for (let left = MOST_REPEATS; ; left--) {
      const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })
      if (answer.status !== 503 || left === 0) return answer
      await answer.arrayBuffer()
      await sleep(PAUSE)
    }
  }

  async #get(url: string): Promise<Uint8Array> {
    const answer = await this.#answer(url)
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}.`)
    return new Uint8Array(await answer.arrayBuffer())
  }

  async #study(): Promise<string> {
    const { studies } = JSON.parse(
      Buffer.from(await this.#get(`${await this.#base()}/v1/studies`)).toString(),
    ) as {
      readonly studies: readonly { readonly id: string }[]
    }
    return (studies[0] as { readonly id: string }).id
  }

  /** The leader's whole log so far. */
  async log(): Promise<readonly LogEntry[]> {
    return decode(logList, await this.#get(`${await this.#base()}/v1/studies/${await this.#study()}/log`))
  }

  /** What every address that can be read answers, by the address. */
  async answers(models: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>> {
    const study = `/v1/studies/${await this.#study()}`
    const paths = [
      "/v1/studies",
      study,
      `${study}/events?limit=1000`,
      `${study}/log`,
      `${study}/models`,
      ...models.map((hash) => `${study}/models/${hash}`),
      "/openapi.json",
    ]
    const answers = new Map<string, Uint8Array>()
    for (const path of paths) answers.set(path, await this.#get(`${await this.#base()}${path}`))
    for (const path of ["/healthz", "/readyz", "/metrics"])
      answers.set(path, await this.#get(`${this.#health}${path}`))
    answers.set("/v1/events", await this.#stream())
    return answers
  }

  /** The events that the stream sends at once to one who has seen none. */
  async #stream(): Promise<Uint8Array> {
    const stop = new AbortController()
    const answer = await fetch(`${await this.#base()}/v1/events`, { signal: stop.signal })
    const chunks: Uint8Array[] = []
    const reading = (async () => {
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) chunks.push(chunk)
    })().catch(() => undefined)
    await Promise.race([reading, sleep(STREAM_TIME)])
    stop.abort()
    await reading
    return new Uint8Array(Buffer.concat(chunks))
  }
}

/** The log of a leader that is not running, from its folder. */
export const storedLog = (folder: string): Promise<readonly LogEntry[]> =>
  withStoredStudy(join(folder, "local/leader.yaml"), null, async ({ store }) => {
    const entries: LogEntry[] = []
    for await (const entry of store.entries()) entries.push(entry)
    return entries
  })
