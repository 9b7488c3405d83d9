import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import http from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { systemRandom } from "@consilium/base/random"
import { Asker } from "@consilium/inference/client/asker"
import type { CompiledModel } from "@consilium/inference/compile/compile"
import { planFromBytes } from "@consilium/inference/plan/plan"
import { writeCompiledFolder } from "@consilium/node/inference/model-folder"
import { afterAll, beforeAll, expect, it } from "vitest"
import { randomPatient } from "../../packages/inference/test/heart.js"
import { heartModel, heartNetwork } from "../../packages/node/test/inference-server.js"
import { STACK } from "../failures/answers.js"
import { buildProgram, PROGRAM } from "../security/study-run.js"

// A server of models hears a minute of honest and hostile requests at once, while one of its models is replaced again and again.

/** A minute, unless a run is short of time. */
const LOAD_MS = 1000 * Number(process.env.CONSILIUM_LOAD_SECONDS ?? 60)
const SWAP_MS = 4_000
/** The process may grow by this much after its first seconds, and be this large, in megabytes. */
const GROWTH = 160
const LARGEST = 600
const WARM_MS = 12_000

interface Reply {
  readonly status: number
  readonly body: Buffer
}
interface Tally {
  readonly what: string
  readonly honest: boolean
  granted: number
  refused: number
  closed: number
}

const TOKEN = "token-of-somebody-who-means-ill"
const folder = mkdtempSync(join(tmpdir(), "inference-load-"))
const models = join(folder, "models")
let server: ChildProcess
let port = 0
let over = false
const tallies: Tally[] = []
const faults = new Set<string>()
/** Connections of honest askers; hostile ones, who leave theirs in the middle of a body, take a new one each. */
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })

const send = (
  method: string,
  path: string,
  body?: Uint8Array,
  headers: http.OutgoingHttpHeaders = {},
  connections: http.Agent | false = agent,
): Promise<Reply | null> =>
  new Promise((resolve) => {
    const options = { host: "127.0.0.1", port, method, path, agent: connections, headers }
    const request = http.request(options, (response) => {
      const parts: Buffer[] = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", () => resolve(null))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }))
    })
    request.on("error", () => resolve(null))
    request.end(body)
  })
const post = (path: string, body?: Uint8Array, connections?: false): Promise<Reply | null> => {
  const headers = {
    ...(body && { "content-type": "application/octet-stream", "content-length": body.length }),
    // what is hostile comes from another asker, whose limits are its own
    ...(connections === false && { authorization: `Bearer ${TOKEN}` }),
  }
  return send("POST", `/v1/models/${path}`, body, headers, connections)
}

/** Asks for something again and again until the load is over. */
const lane = async (
  what: string,
  honest: boolean,
  pauseMs: number,
  act: () => Promise<Reply | null>,
): Promise<void> => {
  const tally: Tally = { what, honest, granted: 0, refused: 0, closed: 0 }
  tallies.push(tally)
  while (!over) {
    const reply = await act()
    if (reply === null) tally.closed += 1
    else if (reply.status < 400) tally.granted += 1
    else {
      tally.refused += 1
      const text = reply.body.toString("utf8")
      if (reply.status >= 500 && reply.status !== 503) faults.add(`${what}: ${reply.status} ${text}`)
      if (STACK.test(text) || !text.includes("remedy")) faults.add(`${what}: ${text}`)
      if (honest) faults.add(`${what} was refused: ${text}`)
    }
    await sleep(pauseMs)
  }
}

const random = systemRandom
const patients = (count: number) => Array.from({ length: count }, () => randomPatient(random))
const askerOf = async (id: string): Promise<Asker> => {
  const reply = await send("GET", `/v1/models/${id}/plan`)
  const { bytes } = JSON.parse((reply as Reply).body.toString("utf8"))
  return new Asker(planFromBytes(new Uint8Array(Buffer.from(bytes, "base64"))))
}
const memory = (): number =>
  Number(execFileSync("ps", ["-o", "rss=", "-p", String(server.pid)], { encoding: "utf8" })) / 1024

/** Declares a body and sends a part of it, then nothing, or goes away. */
const half = (bytes: Uint8Array, away: boolean): Promise<null> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.on("error", () => undefined)
    socket.once("close", () => resolve(null))
    socket.write(
      `POST /v1/models/network/predict HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${bytes.length}\r\n\r\n`,
    )
    socket.write(bytes.subarray(0, bytes.length >> 1))
    setTimeout(() => socket.destroy(), away ? 5 : 3000)
  })

beforeAll(async () => {
  await buildProgram()
  await writeCompiledFolder(join(models, "a"), heartModel("0") as CompiledModel)
  const network = heartNetwork() as CompiledModel
  await writeCompiledFolder(join(models, "b"), { ...network, plan: { ...network.plan, model: "network" } })
  const kept = heartModel("1", "kept") as CompiledModel
  await writeCompiledFolder(join(models, "c"), { ...kept, plan: { ...kept.plan, model: "kept" } })
  writeFileSync(
    join(folder, "tokens.yaml"),
    `- { name: ill, role: clinician, sha256: ${toHex(sha256(utf8(TOKEN)))}, expires: null }\n`,
  )
  const log = openSync(join(folder, "log"), "a")
  server = spawn(
    process.execPath,
    [
      ...[PROGRAM, "infer", "serve", "--models", models, "--port", "0", "--format", "json", "--with-parent"],
      ...[
        "--requests-per-second",
        "1000000",
        "--answers",
        "1000000000",
        "--tokens",
        join(folder, "tokens.yaml"),
      ],
    ],
    { stdio: ["pipe", "pipe", log] },
  )
  const line = await new Promise<string>((resolve) =>
    server.stdout?.once("data", (data: Buffer) => resolve(data.toString("utf8"))),
  )
  port = JSON.parse(line).port
}, 300_000)
afterAll(async () => {
  agent.destroy()
  server?.kill("SIGKILL")
  await sleep(100)
  rmSync(folder, { recursive: true, force: true })
})

it("[S18] a minute, or as long as is asked, of honest and hostile load leaves a server of models as it was, and every honest question is answered", async () => {
  const network = await askerOf("network")
  const kept = await askerOf("kept")
  const large = network.ask(patients(100)).bytes
  const { bytes: stale } = (await askerOf("heart")).ask(patients(1))
  const open = (question: { open(answer: Uint8Array): readonly unknown[] }, reply: Reply | null) => {
    if (reply?.status === 200) expect(question.open(new Uint8Array(reply.body)).length).toBeGreaterThan(0)
    return reply
  }
  const { nonce } = JSON.parse(((await post("kept/keys/nonce")) as Reply).body.toString("utf8"))
  const key = kept.newKey(new Uint8Array(Buffer.from(nonce, "hex")))
  expect((await post("kept/keys", key.upload))?.status).toBe(201)

  const batch = async (): Promise<Reply | null> => {
    const questions = Array.from({ length: 3 }, () => network.ask(patients(5)))
    const added = await post("network/batches", Buffer.concat(questions.map(({ bytes }) => bytes)))
    if (added?.status !== 202) return added
    const path = `/v1/models/network/batches/${JSON.parse(added.body.toString("utf8")).id}`
    for (;;) {
      const view = (await send("GET", path)) as Reply
      const { state } = JSON.parse(view.body.toString("utf8"))
      if (state === "done") break
      if (state === "failed") faults.add(`a batch failed: ${view.body}`)
      await sleep(20)
    }
    const answers = (await send("GET", `${path}/answers`)) as Reply
    const { answerBytes } = network.prepared
    for (const [i, question] of questions.entries())
      expect(
        question.open(new Uint8Array(answers.body.subarray(i * answerBytes, (i + 1) * answerBytes))),
      ).toHaveLength(5)
    return send("DELETE", path)
  }
  let swaps = 0
  const swapping = async (): Promise<void> => {
    while (!over) {
      swaps += 1
      await writeCompiledFolder(join(models, "a"), heartModel(String(swaps)) as CompiledModel)
      await sleep(SWAP_MS)
    }
  }
  const askHeart = async (): Promise<Reply | null> => {
    const question = (await askerOf("heart")).ask(patients(1))
    return open(question, await post("heart/predict", question.bytes))
  }
  const junk = (length: number): Uint8Array => {
    const bytes = random.bytes(length)
    bytes.set(network.ask(patients(1)).bytes.subarray(0, 40))
    return bytes
  }
  const began = Date.now()
  const lanes = [
    lane("one patient, a linear model that is replaced meanwhile", true, 2, askHeart),
    lane("one patient, a linear model that is replaced meanwhile", true, 2, askHeart),
    lane("100 patients, a network", true, 20, async () => {
      const question = network.ask(patients(100))
      return open(question, await post("network/predict", question.bytes))
    }),
    lane("one patient, kept weights", true, 10, async () => {
      const question = kept.ask(patients(1), { key })
      return open(question, await post("kept/predict", question.bytes))
    }),
    lane("a batch that is fetched and deleted", true, 100, batch),
    lane("a batch that nobody fetches", false, 200, () => post("network/batches", large, false)),
    lane("a plan that was replaced long ago", false, 20, () => post("heart/predict", stale, false)),
    lane("a request of another length", false, 10, () => post("network/predict", large.slice(0, -1), false)),
    lane("a request of 2 GB, it says", false, 10, () =>
      send("POST", "/v1/models/network/predict", undefined, { "content-length": 2 ** 31 }, false),
    ),
    lane("a batch of 65 MB", false, 2000, () => post("network/batches", new Uint8Array(65 << 20), false)),
    lane("random bytes behind an honest head", false, 30, () =>
      post("network/predict", junk(network.prepared.requestBytes), false),
    ),
    lane("random bytes", false, 10, () => post("heart/predict", random.bytes(stale.length), false)),
    lane("nonces without keys", false, 5, () => post("kept/keys/nonce", undefined, false)),
    lane("a key again", false, 20, () => post("kept/keys", key.upload, false)),
    lane("a model that is not there", false, 10, () => post("nothing/predict", stale, false)),
    lane("half a body, then silence", false, 0, () => half(large, false)),
    lane("half a body, then away", false, 10, () => half(large, true)),
  ]
  const swaps60 = swapping()
  await sleep(WARM_MS)
  const before = memory()
  await sleep(LOAD_MS - (Date.now() - began))
  const after = memory()
  over = true
  await Promise.all([...lanes, swaps60])
  console.log(
    [
      `${((Date.now() - began) / 1000).toFixed(0)} s of load, ${swaps} versions, ${before.toFixed(0)} MB after ${WARM_MS / 1000} s, ${after.toFixed(0)} MB at the end`,
      `${"".padEnd(58)} granted refused closed`,
      ...tallies.map(
        ({ what, granted, refused, closed }) =>
          `${what.padEnd(58)} ${String(granted).padStart(7)} ${String(refused).padStart(7)} ${String(closed).padStart(6)}`,
      ),
    ].join("\n"),
  )
  expect([...faults]).toEqual([])
  for (const { what, honest, granted, refused, closed } of tallies) {
    expect(granted + refused + closed, what).toBeGreaterThan(LOAD_MS / 6000)
    if (honest) expect([refused, closed], what).toEqual([0, 0])
  }
  expect(after - before).toBeLessThan(GROWTH)
  expect(after).toBeLessThan(LARGEST)
  expect(readFileSync(join(folder, "log"), "utf8")).not.toMatch(STACK)
  const ended = new Promise((resolve) => server.once("exit", resolve))
  server.kill("SIGTERM")
  expect(await ended).toBe(0)
}, 180_000)
