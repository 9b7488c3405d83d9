import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { decode } from "@consilium/base/encoding"
import { type LogEntry, logEntryCodec } from "@consilium/federation/log"
import { CHAIN_START, readSegment } from "@consilium/node/store/segment-format"

/** The folder of a role's only study. */
export const studyFolder = (dataFolder: string): string => {
  const folder = join(dataFolder, "studies")
  const names = readdirSync(folder)
  if (names.length !== 1) throw new Error(`${folder} holds ${names.length} studies.`)
  return join(folder, names[0] as string)
}

/** The events that a role with segment files has logged on disk so far, whether it runs or not. */
export const roleLog = (dataFolder: string): readonly LogEntry[] => {
  const folder = join(studyFolder(dataFolder), "log")
  const entries: LogEntry[] = []
  let chain: Uint8Array = CHAIN_START
  const files = readdirSync(folder).sort()
  for (const [i, file] of files.entries()) {
    const bytes = new Uint8Array(readFileSync(join(folder, file)))
    const segment = readSegment(bytes, { file, index: i + 1, chain, last: i === files.length - 1 })
    for (const record of segment.transactions.flat()) entries.push(decode(logEntryCodec, record))
    chain = segment.chain
  }
  return entries
}
