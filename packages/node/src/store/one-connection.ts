import { Kysely, type KyselyConfig, PostgresDialect } from "kysely"
import type { StoreTables } from "./sql-schema.js"

/** What answers statements in PostgreSQL's dialect: a client of a server, or the embedded database. */
export interface SqlConnection {
  query(text: string, parameters: readonly unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

type Pool = Exclude<ConstructorParameters<typeof PostgresDialect>[0]["pool"], () => unknown>

/**
 * Kysely over one connection, which whoever asks for it has alone: a statement never slips into the transaction of
 * somebody else. All tables are those of the schema `consilium`.
 */
export const overOneConnection = (connection: SqlConnection): Kysely<StoreTables> => {
  let free: Promise<void> = Promise.resolve()
  const pool = {
    async connect() {
      let release = (): void => {}
      const mine = free
      free = new Promise((resolve) => {
        release = resolve
      })
      await mine
      return {
        query: async (text: string, parameters: readonly unknown[]) => ({
          command: "SELECT",
          rowCount: 0,
          rows: (await connection.query(text, parameters)).rows,
        }),
        release,
      }
    },
    async end() {},
  } as unknown as Pool
  const config: KyselyConfig = { dialect: new PostgresDialect({ pool }) }
  return new Kysely<StoreTables>(config).withSchema("consilium")
}
