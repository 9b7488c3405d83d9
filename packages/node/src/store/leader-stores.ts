import { join } from "node:path"
import { openPgliteStores } from "./pglite-stores.js"
import { openPostgresStores } from "./postgres-stores.js"
import { openSegmentStores } from "./segment-stores.js"
import type { Stores } from "./study-store.js"

/** A leader's stores: PostgreSQL where DATABASE_URL names one, else what its configuration says, in its data folder. */
export const openLeaderStores = (
  dataFolder: string,
  kind: "pglite" | "segments",
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Stores> => {
  const { DATABASE_URL: address } = environment
  if (address !== undefined && address !== "") return openPostgresStores(address)
  return kind === "pglite"
    ? openPgliteStores(join(dataFolder, "db"))
    : openSegmentStores(join(dataFolder, "studies"))
}
