import { readFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { InferenceClient } from "@consilium/inference-client/client"
import { OwnKeys } from "@consilium/inference-client/keys/own-keys"
import { NodeTransport } from "@consilium/inference-client/node-transport"
import { readPrivateFile, storeError } from "@consilium/node/store/files"
import { ASKER_FILES } from "./asker-files.js"
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
  /** The folder of a key that the server has already. */
  readonly keys?: string
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
export const checkPlace = ({ server, models, tokenFile, ca, keys }: AskingPlace): void => {
  if ((server === undefined) === (models === undefined))
    throw new ConsiliumError("cli/usage", "One of --server and --models is needed.", {
      remedy: "Give --server URL, or --models DIR to start a server process here.",
    })
  if (models !== undefined && [tokenFile, ca, keys].some((one) => one !== undefined))
    throw new ConsiliumError("cli/usage", "--token-file, --ca and --keys are for --server.", {
      remedy: "Leave them out: a server process that is started for this asking needs none of them.",
    })
}

interface Address {
  readonly url: string
  /** The authority to trust, PEM; left out, those that Node trusts. */
  readonly authority?: string | undefined
  readonly token?: string | undefined
  readonly model?: string | undefined
  /** A key that the server has already, as `infer keys` wrote it. */
  readonly keyFile?: Uint8Array | undefined
}

/** How requests travel to a server. */
export const transportTo = ({ authority }: Pick<Address, "authority">): NodeTransport =>
  new NodeTransport(authority === undefined ? {} : { ca: authority })

/** @throws {ConsiliumError} as `InferenceClient.connect` */
export const connectTo = (address: Address): Promise<InferenceClient> => {
  const { url, token, model, keyFile } = address
  return InferenceClient.connect(url, {
    transport: transportTo(address),
    ...(token === undefined ? {} : { token }),
    ...(model === undefined ? {} : { model }),
    ...(keyFile === undefined ? {} : { keys: new OwnKeys({ keyFile }) }),
  })
}

/** @throws {ConsiliumError} "inference/missing-file", "store/failed" */
const keyFileOf = async (folder: string): Promise<Uint8Array> => {
  const path = join(resolve(folder), ASKER_FILES.secret)
  const bytes = await readPrivateFile(path)
  if (bytes !== null) return bytes
  throw new ConsiliumError("inference/missing-file", `${path} is not there.`, {
    remedy: "Give a folder that `infer keys` wrote; plans that take no key need none.",
  })
}

/**
 * Connects to a server, or starts one in a process of its own for as long as the asking lasts.
 * @throws {ConsiliumError} "cli/usage", "cli/process-ended"; as `InferenceClient.connect`
 */
export const beginAsking = async (place: AskingPlace): Promise<Asking> => {
  checkPlace(place)
  const access = await accessOf(place)
  const keyFile = place.keys === undefined ? undefined : await keyFileOf(place.keys)
  const process = place.models === undefined ? null : await ServerProcess.start({ models: place.models })
  const url = place.server ?? (process as ServerProcess).url
  try {
    const client = await connectTo({ url, model: place.model, keyFile, ...access })
    return {
      client,
      url,
      async close() {
        client.close()
        keyFile?.fill(0)
        await process?.close()
      },
    }
  } catch (error) {
    keyFile?.fill(0)
    await process?.close()
    throw error
  }
}
