import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CompiledModel } from "@consilium/inference/compile/compile"
import type { InferenceClient } from "@consilium/inference-client/client"
import { writeCompiledFolder } from "@consilium/node/inference/model-folder"
import { type AskingPlace, accessOf, connectTo } from "./asking.js"
import { ServerProcess } from "./server-process.js"
import { throwAwayCertificate } from "./throw-away-certificate.js"
import { WireRelay } from "./wire-relay.js"

/** More than one asker who waits for each answer can send. */
const REQUESTS_PER_SECOND = 1_000_000

/** A model that is asked, over which way. */
export interface EvaluationServer {
  readonly client: InferenceClient
  readonly way: "tls" | "recorded" | "elsewhere"
  /** All that crossed between client and server, and what the server told, where that is recorded. */
  recorded(): Uint8Array | null
  close(): Promise<void>
}

interface OwnServer {
  /** A compiled folder or a folder of such; or a model to be served from a temporary one. */
  readonly models: string | CompiledModel
  readonly model?: string | undefined
  /** The budget of answers that the server is started with, where it counts them. */
  readonly answers?: number | undefined
  /** Without TLS, over a relay that keeps what crosses. */
  readonly record: boolean
}

/** A server elsewhere, which keeps its own rules. */
export const askElsewhere = async (
  place: AskingPlace & { readonly server: string },
): Promise<EvaluationServer> => {
  const client = await connectTo({ url: place.server, model: place.model, ...(await accessOf(place)) })
  return { client, way: "elsewhere", recorded: () => null, close: async () => client.close() }
}

/** A real server in a process of its own: over TLS with a certificate for this run, or recorded. */
export const askOwnServer = async ({
  models,
  model,
  answers,
  record,
}: OwnServer): Promise<EvaluationServer> => {
  const closing: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const end of closing.reverse()) await end()
  }
  try {
    const folder = typeof models === "string" ? models : await temporaryFolder(models, closing)
    const server = await ServerProcess.start({
      models: folder,
      requestsPerSecond: REQUESTS_PER_SECOND,
      ...(answers === undefined ? {} : { answers }),
      ...(record ? {} : { certificate: await throwAwayCertificate() }),
    })
    closing.push(() => server.close())
    const relay = record ? await WireRelay.start(server.url) : null
    if (relay !== null) closing.push(() => relay.close())
    const client = await connectTo({ url: relay?.url ?? server.url, authority: server.ca, model })
    closing.push(async () => client.close())
    const recorded = (): Uint8Array | null =>
      relay === null
        ? null
        : new Uint8Array(
            Buffer.concat([relay.record(), Buffer.from(`\n== told by the server ==\n${server.log}`)]),
          )
    return { client, way: record ? "recorded" : "tls", recorded, close }
  } catch (error) {
    await close()
    throw error
  }
}

const temporaryFolder = async (
  compiled: CompiledModel,
  closing: (() => Promise<void>)[],
): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "consilium-compiled-"))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  await writeCompiledFolder(folder, compiled)
  return folder
}
