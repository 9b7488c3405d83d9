import { writeSync } from "node:fs"
import { isConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { emptyHead, headerHash } from "@consilium/federation/log"
import { openPgliteStores } from "../../src/store/pglite-stores.js"
import { openPostgresStores } from "../../src/store/postgres-stores.js"
import { digestOf, events } from "../store-contract.js"

// Commits steps to a database until it is killed. The body of event n has 50,000 + n - 1 bytes; its record is "jn".
const [place, cache] = process.argv.slice(2) as [string, string]
const stores = place.startsWith("postgres")
  ? await openPostgresStores(place)
  : await openPgliteStores(place, { cache })
const digest = digestOf("study")
const store = await stores.study(digest)
let head = emptyHead(digest)
for await (const { header } of store.entries()) head = { seq: header.seq, hash: headerHash(header) }
writeSync(1, `ready ${head.seq}\n`)
for (;;) {
  const made = events(head, [new Uint8Array(50_000 + head.seq).fill(97)])
  try {
    await store.commit({ journal: [utf8(`j${made.head.seq}`)], entries: made.entries })
  } catch (error) {
    writeSync(1, `failed ${isConsiliumError(error) ? error.code : ""} ${(error as Error).message}\n`)
    await stores.close()
    break
  }
  head = made.head
  writeSync(1, `done ${head.seq}\n`)
}
