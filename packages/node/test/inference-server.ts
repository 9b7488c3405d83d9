import { mkdtemp, rm } from "node:fs/promises"
import http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compile } from "@consilium/inference/compile/compile"
import type { WeightsMode } from "@consilium/inference/plan/plan"
import { HEART, HEART_LINEAR, HEART_SCALING, squareNetwork, testRandom } from "../../inference/test/heart.js"
import { type ApiRole, apiRoles } from "../src/api/access.js"
import type { InferenceApiOptions } from "../src/inference/inference-api.js"
import { INFERENCE_RULES, type InferenceRules, InferenceService } from "../src/inference/inference-service.js"
import { BY_HAND, type ServedModel } from "../src/inference/model-shelf.js"
import { type RunningInference, startInference } from "../src/inference/start-inference.js"
import { bearer, Clock, tokenRule } from "./api-server.js"

/** The thread's program as it was built: Node.js reads no TypeScript. */
export const BUILT_THREAD = new URL("../dist/inference/evaluation-worker.js", import.meta.url)

export const heartModel = (
  version = "1",
  weights: WeightsMode = "shared",
  bias = HEART_LINEAR,
): ServedModel => compile(bias, HEART, { model: "heart", version, weights, scaling: HEART_SCALING })

export const heartNetwork = (): ServedModel =>
  compile(squareNetwork(testRandom("network"), HEART.columns.length, 16), HEART, {
    model: "heart-network",
    version: "1",
    scaling: HEART_SCALING,
  })

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  json(): never
}

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly body?: Uint8Array
  /** Whose token is sent; nobody's unless told. */
  readonly as?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The body goes in chunks, without a length. */
  readonly chunked?: boolean
}

export interface TestInference extends RunningInference {
  readonly service: InferenceService
  readonly clock: Clock
  readonly troubles: unknown[]
  readonly folder: string
  ask(what: Ask): Promise<Answer>
  /** Ends the server and begins another with the same folder. */
  restart(rules?: Partial<InferenceRules>): Promise<TestInference>
}

export const askAt = (
  url: string,
  { method = "GET", path, body, as, headers, chunked }: Ask,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = http.request(`${url}${path}`, {
      method,
      agent: false,
      headers: {
        ...(as === undefined ? {} : bearer(as)),
        ...(body === undefined || chunked ? {} : { "content-length": String(body.length) }),
        ...(body === undefined ? {} : { "content-type": "application/octet-stream" }),
        ...headers,
      },
    })
    request.on("response", (response) => {
      const parts: Buffer[] = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", reject)
      response.on("end", () => {
        const all = Buffer.concat(parts)
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: all,
          json: () => JSON.parse(all.toString("utf8")) as never,
        })
      })
    })
    request.on("error", reject)
    if (chunked) request.write(body)
    request.end(chunked ? undefined : body)
  })

/** A server of models on a free port of this machine; askers are the holders of tokens, one for each role and "other". */
export const serveModelsInTest = async (
  models: Readonly<Record<string, ServedModel>>,
  {
    rules = {},
    folder,
    ...changes
  }: Partial<InferenceApiOptions> & {
    readonly page?: string | null
    readonly pageServers?: readonly string[]
    readonly rules?: Partial<InferenceRules>
    readonly folder?: string
  } = {},
): Promise<TestInference> => {
  const at = folder ?? (await mkdtemp(join(tmpdir(), "asking-")))
  const clock = new Clock()
  const troubles: unknown[] = []
  const service = await InferenceService.open({
    folder: at,
    rules: { ...INFERENCE_RULES, ...rules },
    now: clock.now,
    threadEntry: BUILT_THREAD,
  })
  for (const [id, model] of Object.entries(models)) service.shelf.offer(id, model, BY_HAND)
  const running = await startInference({
    service,
    tokens: [
      ...apiRoles.map((role) => tokenRule(role, role, null)),
      tokenRule("other", "clinician" satisfies ApiRole, null),
    ],
    origins: [],
    rate: { burst: 10_000, perSecond: 10_000 },
    now: clock.now,
    troubled: (error) => troubles.push(error),
    listen: { hosts: ["127.0.0.1"], ports: [0], tls: null },
    ...changes,
  })
  let ended = false
  const end = async (): Promise<void> => {
    if (ended) return
    ended = true
    await running.close()
    await service.close()
  }
  return {
    ...running,
    service,
    clock,
    troubles,
    folder: at,
    ask: (what) => askAt(running.url, what),
    async restart(other = rules) {
      await end()
      return serveModelsInTest(models, { ...changes, rules: other, folder: at })
    },
    async close() {
      await end()
      if (folder === undefined) await rm(at, { recursive: true })
    },
  }
}
