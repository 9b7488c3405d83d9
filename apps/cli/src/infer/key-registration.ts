import { equalBytes, fromHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { AskerKey } from "@consilium/inference/client/asker-key"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import { Connection } from "@consilium/inference-client/server/connection"
import { ModelRoutes } from "@consilium/inference-client/server/routes"
import { type AskingPlace, accessOf, connectTo, transportTo } from "./asking.js"

/** A server that keys for the plan of one of its models are uploaded to. */
export interface KeyRegistration {
  /** Fetched and checked. */
  readonly plan: InferencePlan
  /** A nonce of the server's, for one key. */
  nonce(): Promise<Uint8Array>
  /** @throws {ConsiliumError} "inference/unknown-key" if the server took it for another; what the server refuses */
  upload(key: AskerKey): Promise<void>
  close(): void
}

/** @throws {ConsiliumError} as `InferenceClient.connect` */
export const registerAt = async (
  place: Omit<AskingPlace, "models" | "keys"> & { readonly server: string },
): Promise<KeyRegistration> => {
  const { server: url, model } = place
  const access = await accessOf(place)
  const client = await connectTo({ url, model, ...access })
  const { plan, model: id } = client
  client.close()
  const { token } = access
  const connection = new Connection(url, transportTo(access), token === undefined ? {} : { token })
  const routes = new ModelRoutes(connection, id)
  return {
    plan,
    nonce: async () => fromHex(await routes.nonce(routes.lifetime)),
    async upload(key) {
      const found = await routes.uploadKey(key.upload, routes.lifetime)
      if (!equalBytes(fromHex(found), key.id))
        throw new ConsiliumError("inference/unknown-key", `The server took the key for another, ${found}.`)
    },
    close: () => connection.close(),
  }
}
