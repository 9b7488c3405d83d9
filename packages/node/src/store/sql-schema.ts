import { ConsiliumError } from "@consilium/base/errors"
import { type ColumnType, type Kysely, sql } from "kysely"

/** Whole numbers of 64 bits: drivers give them back as text, number or bigint. */
type Int8 = ColumnType<string | number | bigint, number, never>

export interface StoreTables {
  readonly events: {
    readonly study: Uint8Array
    readonly seq: Int8
    readonly prev_hash: Uint8Array
    readonly hash: Uint8Array
    readonly at: Int8
    readonly actor: Uint8Array
    readonly type: string
    readonly body: Uint8Array
    readonly signature: Uint8Array
  }
  readonly journal: {
    readonly study: Uint8Array
    readonly position: Int8
    readonly body: Uint8Array
  }
  readonly schema_versions: { readonly version: number; readonly applied_at: ColumnType<Date, never, never> }
}

type Database = Kysely<StoreTables>

/**
 * The changes of the tables, in order; the number of a change is its place from 1. What is here is never edited: a
 * database that was made by it must be the same as one that is made today.
 */
const CHANGES: readonly ((db: Database) => Promise<void>)[] = [
  async (db) => {
    await db.schema
      .createTable("events")
      .addColumn("study", "bytea", (column) => column.notNull())
      .addColumn("seq", "bigint", (column) => column.notNull())
      .addColumn("prev_hash", "bytea", (column) => column.notNull())
      .addColumn("hash", "bytea", (column) => column.notNull())
      .addColumn("at", "bigint", (column) => column.notNull())
      .addColumn("actor", "bytea", (column) => column.notNull())
      .addColumn("type", "text", (column) => column.notNull())
      .addColumn("body", "bytea", (column) => column.notNull())
      .addColumn("signature", "bytea", (column) => column.notNull())
      .addPrimaryKeyConstraint("events_place", ["study", "seq"])
      .execute()
    await db.schema
      .createTable("journal")
      .addColumn("study", "bytea", (column) => column.notNull())
      .addColumn("position", "bigint", (column) => column.notNull())
      .addColumn("body", "bytea", (column) => column.notNull())
      .addPrimaryKeyConstraint("journal_place", ["study", "position"])
      .execute()
    // Sealed and protected bytes do not get smaller, so compressing them only costs time.
    await sql`alter table consilium.events alter column body set storage external`.execute(db)
    await sql`alter table consilium.journal alter column body set storage external`.execute(db)
  },
]

/** The lock under which tables are made and changed: any number that every version of this project shares. */
const CHANGING = 0x636f6e73

/**
 * Brings the tables of a database to this version, all or nothing.
 * @throws {ConsiliumError} "store/newer-version" if a later version of this project has changed them
 */
export const migrate = async (db: Database): Promise<void> => {
  await db.transaction().execute(async (all) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(CHANGING)})`.execute(all)
    await all.schema.createSchema("consilium").ifNotExists().execute()
    await all.schema
      .createTable("schema_versions")
      .ifNotExists()
      .addColumn("version", "integer", (column) => column.primaryKey())
      .addColumn("applied_at", "timestamptz", (column) => column.notNull().defaultTo(sql`now()`))
      .execute()
    const row = await all
      .selectFrom("schema_versions")
      .select((eb) => eb.fn.max("version").as("version"))
      .executeTakeFirst()
    const present = row?.version ?? 0
    if (present > CHANGES.length)
      throw new ConsiliumError(
        "store/newer-version",
        `The database has version ${present} of the tables; this program knows ${CHANGES.length}.`,
      )
    for (const [i, change] of CHANGES.entries()) {
      if (i < present) continue
      await change(all)
      await all
        .insertInto("schema_versions")
        .values({ version: i + 1 })
        .execute()
    }
  })
}
