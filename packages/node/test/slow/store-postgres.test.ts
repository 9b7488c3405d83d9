import { createRequire } from "node:module"
import { join } from "node:path"
import { isConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { emptyHead, headerHash } from "@consilium/federation/log"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openPostgresStores } from "../../src/store/postgres-stores.js"
import { buildChild, startChild, temporaryFolder } from "../store-children.js"
import { contents, digestOf, events, storeContract } from "../store-contract.js"
import { noPostgres, type PostgresServer, postgresServer } from "../store-postgres.js"

// as the store does: without the pool
const Client = createRequire(import.meta.url)("pg/lib/client.js") as typeof import("pg").Client

const missing = noPostgres()
const digest = digestOf("study")

describe.skipIf(missing !== null)(
  `stores in a PostgreSQL server${missing === null ? "" : ` (skipped: ${missing})`}`,
  () => {
    let server: PostgresServer
    let folder: string
    let remove: () => Promise<void>
    const made = new Set<string>()
    beforeAll(async () => {
      const temporary = await temporaryFolder("postgres")
      folder = temporary.path
      remove = temporary.remove
      server = await postgresServer()
      server.start()
    })
    afterAll(async () => {
      server.stop()
      server.remove()
      await remove()
    })
    const query = async (
      text: string,
      address = server.address,
    ): Promise<readonly Record<string, unknown>[]> => {
      const client = new Client({ connectionString: address })
      await client.connect()
      try {
        return (await client.query(text)).rows
      } finally {
        await client.end()
      }
    }
    /** The address of a database of this name, made if it is not there. */
    const database = async (name: string): Promise<string> => {
      if (!made.has(name)) await query(`create database "${name}"`)
      made.add(name)
      return server.address.replace(/\/postgres$/, `/${name}`)
    }

    describe("by the contract", () => {
      storeContract({ open: async (name) => openPostgresStores(await database(name)), keeps: true })
    })

    it("are held study by study, by the connection that writes them, and say by which process", async () => {
      const script = await buildChild("database", join(folder, "built"))
      const address = await database("held")
      const child = startChild(process.execPath, [script, address])
      await child.line("done")
      const stores = await openPostgresStores(address)
      const refusal = await stores.study(digest).catch((error) => error)
      expect(isConsiliumError(refusal, "store/locked")).toBe(true)
      expect(refusal.message).toMatch(
        new RegExp(
          `^The study ${Buffer.from(digest).toString("hex").slice(0, 16)} is in use by consilium ${child.process.pid} on .*, connected to the database since 20.*Z as process \\d+ of the server\\.$`,
        ),
      )
      const other = await stores.study(digestOf("another"))
      await other.commit({ journal: [utf8("free")], entries: [] })
      await child.kill()
      const acknowledged = child.lines.filter((line) => line.startsWith("done")).length
      // The server notices the end of the connection at once, but not in no time.
      let store = await stores.study(digest).catch(() => null)
      for (let i = 0; store === null && i < 50; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        store = await stores.study(digest).catch(() => null)
      }
      expect(store?.length).toBeGreaterThanOrEqual(acknowledged)
      expect(store?.length).toBeLessThanOrEqual(acknowledged + 1)
      await stores.close()
    })

    it("stop when the server does, and have every acknowledged step when it is back", async () => {
      const address = await database("stopped")
      const stores = await openPostgresStores(address)
      const store = await stores.study(digest)
      const one = events(emptyHead(digest), [utf8("a")])
      await store.commit({ journal: [utf8("1")], entries: one.entries })
      server.stop()
      const next = { journal: [utf8("2")], entries: events(one.head, [utf8("b")]).entries }
      await expect(store.commit(next)).rejects.toMatchObject({ code: "store/failed" })
      server.start()
      await expect(store.commit(next)).rejects.toMatchObject({ code: "store/failed" })
      await stores.close()
      const again = await openPostgresStores(address)
      const reopened = await again.study(digest)
      expect(await contents(reopened)).toEqual({ journal: ["1"], log: ["a"] })
      await reopened.commit(next)
      await again.close()
    })

    it("undo a step for which there is no room, say so, and go on", async () => {
      const address = await database("full")
      const stores = await openPostgresStores(address)
      const store = await stores.study(digest)
      // The server itself answers as it does when its disk is full.
      await query(
        `create function full_disk() returns trigger language plpgsql as $$
           begin if octet_length(new.body) > 1000 then raise exception 'no room' using errcode = '53100'; end if; return new; end $$;
         create trigger full_disk before insert on consilium.events for each row execute function full_disk();`,
        address,
      )
      const start = emptyHead(digest)
      const large = events(start, [utf8("a"), new Uint8Array(2000)])
      await expect(store.commit({ journal: [utf8("1")], entries: large.entries })).rejects.toMatchObject({
        code: "store/full",
      })
      expect(store.length).toBe(0)
      await store.commit({ journal: [utf8("2")], entries: events(start, [utf8("b")]).entries })
      expect(await contents(store)).toEqual({ journal: ["2"], log: ["b"] })
      await stores.close()
    })

    it("find out what somebody changed in the tables", async () => {
      const address = await database("changed")
      const open = async (): Promise<string> => {
        const stores = await openPostgresStores(address)
        try {
          return (await contents(await stores.study(digest))).log.join("")
        } catch (error) {
          return isConsiliumError(error) ? error.code : String(error)
        } finally {
          await stores.close()
        }
      }
      const stores = await openPostgresStores(address)
      const { entries } = events(emptyHead(digest), ["a", "b", "c"].map(utf8))
      await (await stores.study(digest)).commit({ journal: [], entries })
      await stores.close()
      expect(await open()).toBe("abc")
      const hex = (bytes: Uint8Array | undefined): string =>
        `'\\x${Buffer.from(bytes ?? []).toString("hex")}'::bytea`
      for (const [change, undo] of [
        ["set body = 'x' where seq = 2", "set body = 'b' where seq = 2"],
        ["set at = at + 1 where seq = 3", "set at = at - 1 where seq = 3"],
        ["set type = 'other' where seq = 1", "set type = 'event-1' where seq = 1"],
        [
          "set prev_hash = hash where seq = 1",
          `set prev_hash = ${hex(entries[0]?.header.previous)} where seq = 1`,
        ],
        ["set seq = 4 where seq = 2", "set seq = 2 where seq = 4"],
        [
          "set hash = prev_hash where seq = 2",
          `set hash = ${hex(headerHash((entries[1] as (typeof entries)[0]).header))} where seq = 2`,
        ],
      ] as const) {
        await query(`update consilium.events ${change}`, address)
        expect(await open(), change).toBe("store/corrupt")
        await query(`update consilium.events ${undo}`, address)
        expect(await open(), undo).toBe("abc")
      }
    })

    it("record the version of their tables, are made once by many at once, and refuse a later one", async () => {
      const address = await database("versions")
      const opened = await Promise.all(Array.from({ length: 4 }, () => openPostgresStores(address)))
      await Promise.all(opened.map((stores) => stores.close()))
      expect(await query("select version from consilium.schema_versions", address)).toEqual([{ version: 1 }])
      await query("insert into consilium.schema_versions (version) values (2)", address)
      await expect(openPostgresStores(address)).rejects.toMatchObject({ code: "store/newer-version" })
    })

    it("are not opened at an address where no server is", async () => {
      await expect(openPostgresStores("postgres://nobody@127.0.0.1:1/none")).rejects.toMatchObject({
        code: "store/failed",
      })
    })
  },
)
