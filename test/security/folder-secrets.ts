import { cpSync, lstatSync } from "node:fs"
import { join } from "node:path"
import { studyDigest } from "@consilium/federation/study"
import { openSealed } from "@consilium/node/roles/membership"
import { openJournalBox } from "@consilium/node/store/journal-box"
import { openSegmentStores } from "@consilium/node/store/segment-stores"
import type { StudyRun } from "./study-run.js"

/** Copies a participant's data folder as it is now; the process should stand still. Sockets stay behind. */
export const copyData = (run: StudyRun, name: string, to: string): string => {
  const copy = join(run.folder, to)
  cpSync(join(run.folder, name, "data"), copy, {
    recursive: true,
    filter: (path) => !lstatSync(path).isSocket(),
  })
  return copy
}

export const keyFileOf = (run: StudyRun, name: string): string => join(run.folder, name, "local/storage.key")

/** What somebody who has the storage key can read in the copy of a data folder, by where it was. */
export const readable = async (
  run: StudyRun,
  name: string,
  copy: string,
): Promise<ReadonlyMap<string, Uint8Array>> => {
  const out = new Map<string, Uint8Array>()
  const sealed = await openSealed(copy, { kind: "file", path: keyFileOf(run, name) })
  for (const file of await sealed.names()) out.set(`sealed/${file}`, (await sealed.get(file)) as Uint8Array)
  const stores = await openSegmentStores(join(copy, "studies"))
  try {
    const digest = studyDigest(run.study)
    const store = await stores.study(digest)
    const box = await openJournalBox(sealed, digest)
    let record = 0
    for await (const bytes of store.journal()) out.set(`journal record ${++record}`, box.open(bytes))
  } finally {
    await stores.close()
  }
  return out
}
