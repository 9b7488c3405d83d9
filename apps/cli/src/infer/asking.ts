import { readFile } from "node:fs/promises"
import { resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { InferenceClient } from "@consilium/inference-client/client"
import { NodeTransport } from "@consilium/inference-client/node-transport"
import { storeError } from "@consilium/node/store/files"
import { ServerProcess } from "./server-process.js"

/** Where a model is asked, as the command line says it. */
export interface AskingPlace {
  /** Its id at the server; may be left out where the server offers one. */
  readonly model?: string
  readonly server?: string
  /** Compiled models, for a server process of one's own. */
  readonly models?: string
  readonly tokenFile?: string
  /** Certificates of the authority that the server's is from, a PEM file. */
  readonly ca?: string
}

/** A client; the server process that was started for it, if one was, ends with it. */
export interface Asking {
  readonly client: InferenceClient
  readonly url: string
  close(): Promise<void>
}

const textOf = (path: string): Promise<string> =>
  readFile(resolve(path), "utf8").catch((error) => {
    throw storeError(error, `read ${path}`)
  })

/** What a connection needs of the files that are named. */
export const accessOf = async ({ tokenFile, ca }: Pick<AskingPlace, "tokenFile" | "ca">) => ({
  ...(tokenFile === undefined ? {} : { token: (await textOf(tokenFile)).trim() }),
  ...(ca === undefined ? {} : { authority: await textOf(ca) }),
})

/** @throws {ConsiliumError} "cli/usage" unless one of the two is given, and files and tokens with a server only */
export const checkPlace = ({ server, models, tokenFile, ca }: AskingPlace): void => {
  if ((server === undefined) === (models === undefined))
    throw new ConsiliumError("cli/usage", "One of --server and --models is needed.", {
      remedy: "Give --server URL, or --models DIR to start a server process here.",
    })
  if (models !== undefined && (tokenFile !== undefined || ca !== undefined))
    throw new ConsiliumError("cli/usage", "--token-file and --ca are for --server.", {
      remedy: "Leave them out: a server on this machine needs neither.",
    })
}

interface Address {
  readonly url: string
  /** The authority to trust, PEM; left out, those that Node trusts. */
  readonly authority?: string | undefined
  readonly token?: string | undefined
  readonly model?: string | undefined
}

/** @throws {ConsiliumError} as `InferenceClient.connect` */
export const connectTo = ({ url, authority, token, model }: Address): Promise<InferenceClient> =>
  InferenceClient.connect(url, {
    transport: new NodeTransport(authority === undefined ? {} : { ca: authority }),
    ...(token === undefined ? {} : { token }),
    ...(model === undefined ? {} : { model }),
  })

/**
 * Connects to a server, or starts one in a process of its own for as long as the asking lasts.
 * @throws {ConsiliumError} "cli/usage", "cli/process-ended"; as `InferenceClient.connect`
 */
export const beginAsking = async (place: AskingPlace): Promise<Asking> => {
  checkPlace(place)
  const access = await accessOf(place)
  const process = place.models === undefined ? null : await ServerProcess.start({ models: place.models })
  const url = place.server ?? (process as ServerProcess).url
  try {
    const client = await connectTo({ url, model: place.model, ...access })
    return {
      client,
      url,
      async close() {
        client.close()
        await process?.close()
      },
    }
  } catch (error) {
    await process?.close()
    throw error
  }
}
