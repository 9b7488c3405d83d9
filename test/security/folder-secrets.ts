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

/** The records of the journal in the copy of a data folder, as they are there. */
export const sealedRecords = async (run: StudyRun, copy: string): Promise<readonly Uint8Array[]> => {
  const stores = await openSegmentStores(join(copy, "studies"))
  try {
    const out: Uint8Array[] = []
    for await (const record of (await stores.study(studyDigest(run.study))).journal()) out.push(record)
    return out
  } finally {
    await stores.close()
  }
}

/** What somebody who has the storage key can read in the copy of a data folder, by where it was. */
export const readable = async (
  run: StudyRun,
  name: string,
  copy: string,
): Promise<ReadonlyMap<string, Uint8Array>> => {
  const out = new Map<string, Uint8Array>()
  const sealed = await openSealed(copy, { kind: "file", path: keyFileOf(run, name) })
  for (const file of await sealed.names()) out.set(`sealed/${file}`, (await sealed.get(file)) as Uint8Array)
  const box = await openJournalBox(sealed, studyDigest(run.study))
  for (const [i, record] of (await sealedRecords(run, copy)).entries())
    out.set(`journal record ${i + 1}`, box.open(record))
  return out
}
