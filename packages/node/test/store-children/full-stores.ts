import { writeSync } from "node:fs"
import { isConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { emptyHead } from "@consilium/federation/log"
import { openSegmentStores } from "../../src/store/segment-stores.js"
import { contents, digestOf, events } from "../store-contract.js"

// Runs out of room in a store whose files may have 60,000 bytes each, and says what happened and what is left.
const folder = process.argv[2] as string
const digest = digestOf("study")
const stores = await openSegmentStores(folder)
const store = await stores.study(digest)
let head = emptyHead(digest)
const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "ok",
    (error) => (isConsiliumError(error) ? error.code : String(error)),
  )
const commit = async (record: string, body: string): Promise<string> => {
  const made = events(head, [utf8(body)])
  const result = await code(store.commit({ journal: [utf8(record)], entries: made.entries }))
  if (result === "ok") head = made.head
  return `${result} ${store.length}`
}
const seen = [
  await commit("j1", "a".repeat(25_000)),
  // The journal has no room for a second one.
  await commit("j2", "b".repeat(40_000)),
  await commit("j3", "c"),
  await code(store.checkpoint([utf8("d".repeat(70_000))])),
  await code(store.checkpoint([utf8("state")])),
  // The journal has room now, but the log has not: the step is taken back out of the journal.
  await commit("j4", "e".repeat(40_000)),
  await commit("j5", "f".repeat(40_000)),
  await commit("j6", "g"),
  await commit("x".repeat(70_000), "h"),
  await commit("j7", "i"),
]
const short = async (from: typeof store): Promise<string> => {
  const { journal, log } = await contents(from)
  return [...journal, "|", ...log.map((body) => `${body[0]}${body.length}`)].join(" ")
}
const live = await short(store)
await stores.close()
const again = await openSegmentStores(folder)
const reopened = await short(await again.study(digest))
await again.close()
writeSync(1, `result ${JSON.stringify({ seen, live, same: live === reopened })}\n`)
