import { writeSync } from "node:fs"
import { isConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { emptyHead } from "@consilium/federation/log"
import { openPgliteStores } from "../../src/store/pglite-stores.js"
import { contents, digestOf, events } from "../store-contract.js"

// Fills the small disk of a database with large steps, then tries small ones, and says what came of it.
const [folder, cache] = process.argv.slice(2) as [string, string]
const digest = digestOf("study")
const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "ok",
    (error) => (isConsiliumError(error) ? error.code : String(error)),
  )
const stores = await openPgliteStores(folder, { cache })
const store = await stores.study(digest)
let head = emptyHead(digest)
const commit = async (bytes: number): Promise<string> => {
  const made = events(head, [new Uint8Array(bytes)])
  const result = await code(store.commit({ journal: [utf8("j")], entries: made.entries }))
  if (result === "ok") head = made.head
  return result
}
let large = "ok"
for (let i = 0; i < 30 && large === "ok"; i++) large = await commit(8_000_000)
const small = await commit(1000)
const checkpoint = await code(store.checkpoint([utf8("state")]))
await stores.close()
const again = await openPgliteStores(folder, { cache })
const reopened = await again.study(digest)
const { journal } = await contents(reopened)
writeSync(
  1,
  `result ${JSON.stringify({ large, small, checkpoint, same: reopened.length === head.seq, journal })}\n`,
)
await again.close()
