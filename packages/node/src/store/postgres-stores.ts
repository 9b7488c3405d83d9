import { createRequire } from "node:module"
import { hostname } from "node:os"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sql } from "kysely"
import { overOneConnection } from "./one-connection.js"
import { migrate } from "./sql-schema.js"
import { SqlStudy, sqlError } from "./sql-stores.js"
import { StudyMap } from "./study-map.js"
import type { Stores } from "./study-store.js"

// The client alone: the package's main file also makes a pool class, out of another package that it may get in a form
// it does not expect when a program is started with the resolution condition `import`.
const Client = createRequire(import.meta.url)("pg/lib/client.js") as typeof import("pg").Client

/**
 * Stores in a PostgreSQL database, by its address (`postgres://user@host/database`). Several processes may use one
 * database: each study is held by an advisory lock of the connection that writes it, and ends with it.
 */
export const openPostgresStores = async (address: string): Promise<Stores> => {
  const client = new Client({
    connectionString: address,
    application_name: `consilium ${process.pid} on ${hostname()}`.slice(0, 63),
  })
  // A lost connection is reported here as well as by the next statement, which is where it is handled.
  client.on("error", () => undefined)
  try {
    await client.connect()
    const db = overOneConnection({ query: (text, parameters) => client.query(text, [...parameters]) })
    await sql`set synchronous_commit = on`.execute(db)
    await migrate(db)
    return new StudyMap(
      async (digest) => {
        const key = new DataView(digest.buffer, digest.byteOffset).getBigInt64(0)
        await hold(db, key, toHex(digest).slice(0, 16))
        const release = async (): Promise<void> => {
          await sql`select pg_advisory_unlock(${String(key)}::bigint)`.execute(db).catch(() => undefined)
        }
        return SqlStudy.open(db, digest, { release })
      },
      () => client.end(),
    )
  } catch (error) {
    await client.end().catch(() => undefined)
    throw sqlError(error, "open the database")
  }
}

/** Takes the lock of a study for this connection, or says who has it. */
const hold = async (db: ReturnType<typeof overOneConnection>, key: bigint, study: string): Promise<void> => {
  try {
    const [got] = (
      await sql<{ held: boolean }>`select pg_try_advisory_lock(${String(key)}::bigint) as held`.execute(db)
    ).rows
    if (got?.held === true) return
    const [holder] = (
      await sql<{ name: string; since: Date; pid: number }>`
        select a.application_name as name, a.backend_start as since, a.pid
        from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
          and l.database = (select oid from pg_database where datname = current_database())
          and l.classid::bigint = ${String((key >> 32n) & 0xffffffffn)}::bigint
          and l.objid::bigint = ${String(key & 0xffffffffn)}::bigint`.execute(db)
    ).rows
    throw new ConsiliumError(
      "store/locked",
      holder === undefined
        ? `The study ${study} is in use by a process that has just let it go.`
        : `The study ${study} is in use by ${holder.name || "a process without a name"}, connected to the database since ${holder.since.toISOString()} as process ${holder.pid} of the server.`,
      { remedy: "Stop that process, or wait until its connection ends." },
    )
  } catch (error) {
    throw sqlError(error, "lock the study in the database")
  }
}
