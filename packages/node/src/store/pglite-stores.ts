import { fsyncSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { PGlite } from "@electric-sql/pglite"
import { NodeFS } from "@electric-sql/pglite/nodefs"
import { lockFolder } from "./lock.js"
import { overOneConnection, type SqlConnection } from "./one-connection.js"
import { cacheFolder, layDatabaseFolder } from "./pglite-image.js"
import { migrate } from "./sql-schema.js"
import { SqlStudy, sqlError } from "./sql-stores.js"
import { StudyMap } from "./study-map.js"
import type { Stores } from "./study-store.js"

export interface PgliteStoresOptions {
  /** Where the image of an empty database is kept between starts; null keeps none. */
  readonly cache?: string | null
}

/**
 * Stores in an embedded PostgreSQL (PGlite), in a folder that it locks: two processes in one such folder would lose
 * each other's rows without a word.
 */
export const openPgliteStores = async (
  folder: string,
  options: PgliteStoresOptions = {},
): Promise<Stores> => {
  const own = join(folder, "pglite")
  const lock = await lockFolder(own)
  const data = join(own, "data")
  let database: Embedded | null = null
  try {
    await layDatabaseFolder(data, options.cache === undefined ? cacheFolder() : options.cache)
    const embedded = await Embedded.start(data)
    database = embedded
    const db = overOneConnection(embedded)
    await migrate(db)
    return new StudyMap(
      (digest) => SqlStudy.open(db, digest, { makeRoom: (bytes) => refuseIfFull(data, bytes) }),
      async () => {
        await embedded.close()
        await lock.close()
      },
    )
  } catch (error) {
    await database?.close()
    await lock.close()
    throw sqlError(error, `open the database in ${folder}`)
  }
}

/** What has to stay free beside a step: two new WAL segments of 16 MB, and as much again for other files. */
const SPARE_BYTES = 2 ** 26

/**
 * A database that cannot write its WAL stops for good, so room is looked for before a step is begun: its bytes go to
 * WAL and table, with some overhead in both.
 * @throws {ConsiliumError} "store/full"
 */
const refuseIfFull = async (data: string, bytes: number): Promise<void> => {
  const { bavail, bsize } = await statfs(data)
  const needed = 3 * bytes + SPARE_BYTES
  if (bavail * bsize < needed)
    throw new ConsiliumError(
      "store/full",
      `There are ${bavail * bsize} bytes free for the database in ${data}, and a step of ${bytes} needs ${needed}.`,
    )
}

/** What ended the database, if something did. */
interface Ending {
  panic: string | null
  over: boolean
}

/** PGlite in a folder, as one connection. */
class Embedded implements SqlConnection {
  readonly #database: PGlite
  readonly #ending: Ending

  private constructor(database: PGlite, ending: Ending) {
    this.#database = database
    this.#ending = ending
  }

  static async start(data: string): Promise<Embedded> {
    const ending: Ending = { panic: null, over: false }
    const database = await PGlite.create({
      fs: new DurableNodeFs(data, ending),
      startParams: START,
      onStderr: (line) => {
        const at = line.indexOf("PANIC: ")
        if (at >= 0) ending.panic ??= line.slice(at)
        return false
      },
      parsers: { [BYTEA]: (text) => Buffer.from(text.slice(2), "hex") },
      // As they are: the protocol then sends them as bytes, without a detour over text of twice their size.
      serializers: { [BYTEA]: (bytes) => bytes },
    })
    return new Embedded(database, ending)
  }

  async query(text: string, parameters: readonly unknown[]): Promise<{ readonly rows: readonly unknown[] }> {
    if (this.#ending.over) throw ended(this.#ending)
    return this.#database.query(text, [...parameters])
  }

  async close(): Promise<void> {
    if (!this.#ending.over) await this.#database.close()
  }
}

const ended = ({ panic }: Ending): ConsiliumError =>
  new ConsiliumError("store/failed", `The embedded database has ended (${panic ?? "no reason given"}).`, {
    remedy: "Look whether the disk of the data folder is full, then start this process again.",
  })

/** The type number of byte strings in PostgreSQL. */
const BYTEA = 17

/**
 * The parameters that PGlite starts with, but for these: its own list says -F, which is fsync=off; WAL is synced with
 * fsync, because its fdatasync does nothing; and fewer buffers, because what is read here is mostly read once.
 */
const START: string[] = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== "-F"),
  ...[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "wal_sync_method=fsync",
    "shared_buffers=16MB",
    "max_wal_size=64MB",
  ].flatMap((setting) => ["-c", setting]),
]

/** What is used here of PGlite's WebAssembly module. */
interface PgliteModule {
  readonly NODEFS?: { readonly stream_ops: { fsync?: (stream: { readonly nfd: number }) => number } }
  onAbort?: () => void
  stackSave: () => void
  stackRestore: () => void
  _PostgresSendReadyForQueryIfNecessary: () => void
}

/** EIO in WASI's numbering. */
const WASI_EIO = 29

/** PGlite's files in a folder, and what PGlite lacks to keep them well. */
class DurableNodeFs extends NodeFS {
  readonly #ending: Ending

  constructor(folder: string, ending: Ending) {
    super(folder)
    this.#ending = ending
  }

  override async init(...[database, given]: Parameters<NodeFS["init"]>): ReturnType<NodeFS["init"]> {
    const { emscriptenOpts } = await super.init(database, given)
    const prepare = (made: unknown): void => {
      const module = made as PgliteModule
      addFsync(module)
      endOnAbort(module, this.#ending)
    }
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), prepare] } }
  }
}

/** An fsync that reaches the disk: as it comes, PGlite tells the database that everything is synced and does nothing. */
const addFsync = (module: PgliteModule): void => {
  if (module.NODEFS === undefined)
    throw new ConsiliumError("store/failed", "This version of PGlite cannot be made to sync its files.")
  module.NODEFS.stream_ops.fsync = ({ nfd }) => {
    try {
      fsyncSync(nfd)
      return 0
    } catch {
      return WASI_EIO
    }
  }
}

/**
 * A database that cannot write its WAL ends with a PANIC. PGlite would enter its code again and never come back, so
 * from then on the functions that it calls on the way in and on the way out of an error refuse.
 */
const endOnAbort = (module: PgliteModule, ending: Ending): void => {
  module.onAbort = () => {
    ending.over = true
    const refuse = (): never => {
      throw ended(ending)
    }
    module.stackSave = refuse
    module.stackRestore = refuse
    module._PostgresSendReadyForQueryIfNecessary = refuse
  }
}
