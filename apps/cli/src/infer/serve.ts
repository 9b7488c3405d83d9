import { once } from "node:events"
import { readFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { API_PORT, tokenRules, tokensSchema } from "@consilium/node/api/ports"
import { PREDICTION_PAGE } from "@consilium/node/api/prediction-page"
import { readConfig } from "@consilium/node/config/yaml-file"
import { askingRate } from "@consilium/node/inference/inference-api"
import { originSchema } from "@consilium/node/inference/inference-file"
import { INFERENCE_RULES } from "@consilium/node/inference/inference-service"
import { serveModels } from "@consilium/node/inference/serve-models"
import { builtPage } from "../commands/built-page.js"
import type { Format } from "../commands/printed.js"
import { endInTime, stopSignal } from "../commands/stopping.js"

export interface ServeArguments {
  readonly models: string
  readonly keys: readonly string[]
  readonly state?: string
  readonly host: string
  readonly port?: number
  readonly tlsKey?: string
  readonly tlsCert?: string
  readonly tokens?: string
  readonly allowOrigin: readonly string[]
  readonly pageServer: readonly string[]
  readonly answers?: number
  readonly requestsPerSecond: number
  readonly threads: number
  readonly withParent?: boolean
  readonly format: Format
}

/** The asker of requests from this machine without a token. */
const LOOPBACK = "loopback"

const tlsOf = async ({ tlsKey, tlsCert }: ServeArguments) => {
  if (tlsKey === undefined && tlsCert === undefined) return null
  if (tlsKey === undefined || tlsCert === undefined)
    throw new ConsiliumError("config/invalid", "--tls-key and --tls-cert go together.")
  const read = (path: string): Promise<string> =>
    readFile(resolve(path), "utf8").catch((cause) => {
      throw new ConsiliumError("config/unreadable", `The file ${path} cannot be read.`, { cause })
    })
  return { key: await read(tlsKey), cert: await read(tlsCert) }
}

/** `DIR` for askers of this machine, `NAME=DIR` for the holder of the token NAME. */
const keysOf = (text: string): { readonly asker: string; readonly folder: string } => {
  const at = text.indexOf("=")
  return at < 0
    ? { asker: LOOPBACK, folder: text }
    : { asker: `token ${text.slice(0, at)}`, folder: text.slice(at + 1) }
}

const originOf = (option: string, text: string): string => {
  const read = originSchema.safeParse(text)
  if (read.success) return read.data
  throw new ConsiliumError("config/invalid", `${option}: ${JSON.stringify(text)} is no origin.`, {
    remedy: "Give scheme, host and port as a browser sends them, such as https://ward.example.org:8443.",
  })
}

/** Serves compiled models until the process is told to end. What it does is told on standard error, its address on standard output. */
export const serve = async (options: ServeArguments): Promise<void> => {
  const stop = stopSignal(options.withParent === true)
  const narrate = (line: string): void => {
    process.stderr.write(`${new Date().toISOString()} models: ${line}\n`)
  }
  const tokens = options.tokens === undefined ? [] : await readConfig(tokensSchema, options.tokens)
  const page = await builtPage()
  const { requestsPerSecond, threads, answers, host, port } = options
  const running = await serveModels({
    models: options.models,
    state: options.state ?? join(options.models, "asking"),
    keys: options.keys.map(keysOf),
    listen: {
      hosts: [host],
      ports: port === undefined ? [API_PORT, 0] : [port],
      tls: await tlsOf(options),
    },
    tokens: tokenRules(tokens),
    page,
    origins: options.allowOrigin.map((text) => originOf("--allow-origin", text)),
    pageServers: options.pageServer.map((text) => originOf("--page-server", text)),
    rate: askingRate(requestsPerSecond),
    rules: { ...INFERENCE_RULES, threads, answersPerAsker: answers ?? null },
    narrate,
  })
  narrate(running.says)
  if (page !== null) narrate(`a page to ask from: ${running.url}${PREDICTION_PAGE}`)
  process.stdout.write(
    options.format === "json"
      ? `${JSON.stringify({ url: running.url, port: running.port })}\n`
      : `${running.url}\n`,
  )
  if (!stop.aborted) await once(stop, "abort")
  endInTime(stop)
  await running.close()
  process.stdin.destroy()
}
