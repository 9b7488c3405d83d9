import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Digest } from "@consilium/base/hash"
import { emptyHead, headerHash, type LogEntry, type LogHead, type LogHeader } from "@consilium/federation/log"
import { type Kysely, sql } from "kysely"
import { isNoRoom } from "./files.js"
import type { StoreTables } from "./sql-schema.js"
import { headAfter, sha256, takeRecords, takeStep } from "./step-check.js"
import { type ClosableStudy, replaced } from "./study-map.js"
import type { StoreStep } from "./study-store.js"
import { Turns } from "./turns.js"

type Database = Kysely<StoreTables>

/** Most rows, and about the most bytes, that one statement carries. */
const MOST_ROWS = 256
const MOST_BYTES = 2 ** 22

export interface SqlStudyOptions {
  /** Gives the study free again when the store is closed. */
  readonly release?: () => Promise<void>
  /** Throws "store/full" if there is no room for a step of so many bytes. */
  readonly makeRoom?: (bytes: number) => Promise<void>
}

/**
 * The store of a study in a database. The caller holds the study for as long as the connection lives, and every
 * statement goes through that one connection, so a lost connection stops the store and nobody else writes meanwhile.
 *
 * A checkpoint deletes the journal's rows, but a database keeps their bytes until the space is used again: what makes
 * them unreadable is that their sealing key is erased (`journal-box.ts`).
 */
export class SqlStudy implements ClosableStudy {
  readonly #db: Database
  readonly #study: Uint8Array
  readonly #options: SqlStudyOptions
  readonly #turns = new Turns()
  #head: LogHead
  /** Positions of the journal's records: first, and one after the last. */
  #first: number
  #next: number

  private constructor(
    db: Database,
    study: Uint8Array,
    options: SqlStudyOptions,
    head: LogHead,
    first: number,
    next: number,
  ) {
    this.#db = db
    this.#study = study
    this.#options = options
    this.#head = head
    this.#first = first
    this.#next = next
  }

  /**
   * @throws {ConsiliumError} "store/corrupt" if events are missing or do not follow each other
   */
  static async open(db: Database, study: Uint8Array, options: SqlStudyOptions = {}): Promise<SqlStudy> {
    try {
      const start = emptyHead(study as Digest)
      const chain = db
        .selectFrom("events")
        .where("study", "=", study)
        .select(["seq", "prev_hash", "hash"])
        .select(sql<Uint8Array | null>`lag(hash) over (order by seq)`.as("before"))
        .select(sql<string>`row_number() over (order by seq)`.as("place"))
        .as("chain")
      const broken = await db
        .selectFrom(chain)
        .where(sql<boolean>`place <> seq or prev_hash <> coalesce(before, ${sql.val(start.hash)})`)
        .select((eb) => eb.fn.min("seq").as("seq"))
        .executeTakeFirst()
      if (broken?.seq != null)
        throw new ConsiliumError(
          "store/corrupt",
          `Event ${broken.seq} of study ${toHex(study).slice(0, 16)} in the database does not follow the one before.`,
        )
      const last = await db
        .selectFrom("events")
        .where("study", "=", study)
        .select(["seq", "hash"])
        .orderBy("seq", "desc")
        .limit(1)
        .executeTakeFirst()
      const head =
        last === undefined ? start : { seq: Number(last.seq), hash: new Uint8Array(last.hash) as Digest }
      const journal = await db
        .selectFrom("journal")
        .where("study", "=", study)
        .select((eb) => [eb.fn.min("position").as("first"), eb.fn.max("position").as("last")])
        .executeTakeFirst()
      const first = Number(journal?.first ?? 0)
      const next = journal?.last == null ? 0 : Number(journal.last) + 1
      return new SqlStudy(db, study, options, head, first, next)
    } catch (error) {
      await options.release?.()
      throw sqlError(error, "open the study in the database")
    }
  }

  get length(): number {
    return this.#head.seq
  }

  async commit(step: StoreStep): Promise<void> {
    const taken = takeStep(step)
    await this.#turns.run(async () => {
      const head = headAfter(this.#head, taken)
      if (taken.journal.length === 0 && taken.entries.length === 0) return
      await this.#options.makeRoom?.(sizeOf(taken.journal) + sizeOf(taken.encoded))
      await this.#transaction(async (db) => {
        await insertJournal(db, this.#study, this.#next, taken.journal)
        await insertEvents(db, this.#study, taken.entries)
      })
      this.#head = head
      this.#next += taken.journal.length
    })
  }

  async checkpoint(journal: readonly Uint8Array[]): Promise<void> {
    const records = takeRecords(journal)
    await this.#turns.run(async () => {
      // Positions go on, so that a reader of the old records notices.
      const first = this.#next
      await this.#options.makeRoom?.(sizeOf(records))
      await this.#transaction(async (db) => {
        await db.deleteFrom("journal").where("study", "=", this.#study).execute()
        await insertJournal(db, this.#study, first, records)
      })
      this.#first = first
      this.#next = first + records.length
      // An embedded database has no process that does this in the background. If it fails, the checkpoint stands, and
      // the next one frees the space.
      await sql`vacuum consilium.journal`.execute(this.#db).catch(() => undefined)
    })
  }

  journal(): AsyncIterable<Uint8Array> {
    return this.#readJournal(this.#first, this.#next)
  }

  entries(after = 0): AsyncIterable<LogEntry> {
    return this.#readEntries(after, this.#head.seq)
  }

  async close(): Promise<void> {
    await this.#turns.close()
    await this.#options.release?.()
  }

  async *#readJournal(first: number, next: number): AsyncGenerator<Uint8Array, void, void> {
    for (let at = first; at < next; ) {
      const rows = await this.#read(async () => {
        const of = this.#db.selectFrom("journal").where("study", "=", this.#study)
        const sizes = await of
          .where("position", ">=", at)
          .where("position", "<", next)
          .select([sql<string>`position`.as("place"), sql<string>`octet_length(body)`.as("bytes")])
          .orderBy("position")
          .limit(MOST_ROWS)
          .execute()
        return of
          .where("position", ">=", at)
          .where("position", "<", at + pageOf(sizes))
          .select("body")
          .orderBy("position")
          .execute()
      })
      if (this.#first !== first || rows.length === 0) throw replaced()
      at += rows.length
      for (const { body } of rows) yield new Uint8Array(body)
    }
  }

  async *#readEntries(after: number, upTo: number): AsyncGenerator<LogEntry, void, void> {
    for (let at = after; at < upTo; ) {
      const rows = await this.#read(async () => {
        const of = this.#db.selectFrom("events").where("study", "=", this.#study)
        const sizes = await of
          .where("seq", ">", at)
          .where("seq", "<=", upTo)
          .select([sql<string>`seq`.as("place"), sql<string>`octet_length(body)`.as("bytes")])
          .orderBy("seq")
          .limit(MOST_ROWS)
          .execute()
        return of
          .where("seq", ">", at)
          .where("seq", "<=", at + pageOf(sizes))
          .selectAll()
          .orderBy("seq")
          .execute()
      })
      const [row] = rows
      if (row === undefined || Number(row.seq) !== at + 1)
        throw new ConsiliumError("store/corrupt", `Event ${at + 1} is missing from the database.`)
      at += rows.length
      for (const one of rows) yield entryOf(one)
    }
  }

  #read<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      try {
        return await work()
      } catch (error) {
        throw sqlError(error, "read the study from the database")
      }
    })
  }

  async #transaction(work: (db: Database) => Promise<void>): Promise<void> {
    try {
      await this.#db.transaction().execute(work)
    } catch (error) {
      const failed = sqlError(error, "write to the database")
      // Without room the database has undone everything; after any other failure it may have kept it.
      throw failed.code === "store/full" ? failed : this.#turns.stop(failed)
    }
  }
}

/** How many of some rows to read at once: one at least, and not much more than `MOST_BYTES`. */
const pageOf = (rows: readonly { readonly bytes: string }[]): number => {
  let bytes = 0
  let count = 0
  for (const row of rows) {
    bytes += Number(row.bytes)
    if (count > 0 && bytes > MOST_BYTES) break
    count++
  }
  return Math.max(1, count)
}

const sizeOf = (records: readonly Uint8Array[]): number =>
  records.reduce((sum, record) => sum + record.length, 0)

/** Rows in groups that one statement can carry. */
const groups = <T>(rows: readonly T[], bytesOf: (row: T) => number): T[][] => {
  const out: T[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const row of rows) {
    bytes += bytesOf(row)
    const last = out.at(-1)
    if (last === undefined || bytes > MOST_BYTES || last.length === MOST_ROWS) {
      out.push([row])
      bytes = bytesOf(row)
    } else last.push(row)
  }
  return out
}

const insertJournal = async (
  db: Database,
  study: Uint8Array,
  first: number,
  records: readonly Uint8Array[],
): Promise<void> => {
  const rows = records.map((body, i) => ({ study, position: first + i, body }))
  for (const group of groups(rows, ({ body }) => body.length))
    await db.insertInto("journal").values(group).execute()
}

const insertEvents = async (db: Database, study: Uint8Array, entries: readonly LogEntry[]): Promise<void> => {
  const rows = entries.map(({ header, body, signature }) => ({
    study,
    seq: header.seq,
    prev_hash: header.previous,
    hash: headerHash(header),
    at: header.at,
    actor: header.actor,
    type: header.type,
    body,
    signature,
  }))
  for (const group of groups(rows, ({ body }) => body.length))
    await db.insertInto("events").values(group).execute()
}

interface EventRow {
  readonly seq: string | number | bigint
  readonly prev_hash: Uint8Array
  readonly hash: Uint8Array
  readonly at: string | number | bigint
  readonly actor: Uint8Array
  readonly type: string
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

/** The entry of a row, checked against its hash. */
const entryOf = (row: EventRow): LogEntry => {
  const body = new Uint8Array(row.body)
  const header: LogHeader = {
    seq: Number(row.seq),
    previous: new Uint8Array(row.prev_hash),
    at: Number(row.at),
    actor: new Uint8Array(row.actor),
    type: row.type,
    bodyHash: sha256(body),
  }
  if (!equalBytes(headerHash(header), row.hash))
    throw new ConsiliumError("store/corrupt", `Event ${header.seq} in the database does not have its hash.`)
  return { header, body, signature: new Uint8Array(row.signature) }
}

/** Class 53 of the SQL standard's states as PostgreSQL uses it: 53100 is a full disk. */
const DISK_FULL = "53100"

/** A database's error as "store/full" or "store/failed"; errors of the project stay as they are. */
export const sqlError = (error: unknown, action: string): ConsiliumError => {
  if (error instanceof ConsiliumError) return error
  const code = (error as { code?: unknown } | null)?.code
  if (code === DISK_FULL || isNoRoom(error))
    return new ConsiliumError("store/full", `There is no room to ${action}.`, { cause: error })
  return new ConsiliumError("store/failed", `Could not ${action} (${String(code ?? "connection lost")}).`, {
    cause: error,
  })
}
