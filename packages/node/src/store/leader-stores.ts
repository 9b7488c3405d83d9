import { join } from "node:path"
import { openSegmentStores } from "./segment-stores.js"
import type { Stores } from "./study-store.js"

/** A leader's stores: PostgreSQL where DATABASE_URL names one, else what its configuration says, in its data folder. */
export const openLeaderStores = async (
  dataFolder: string,
  kind: "pglite" | "segments",
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Stores> => {
  const { DATABASE_URL: address } = environment
  if (address !== undefined && address !== "")
    return (await import("./postgres-stores.js")).openPostgresStores(address)
  if (kind === "segments") return openSegmentStores(join(dataFolder, "studies"))
  return (await import("./pglite-stores.js")).openPgliteStores(join(dataFolder, "db"))
}
