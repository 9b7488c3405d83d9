import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { emptyHead, type LogHead, verifyLog } from "@consilium/federation/log"
import { openRoster } from "@consilium/federation/roster"
import { decodeStudy, studyDigest } from "@consilium/federation/study"
import { nodeSuite } from "../identity/suite.js"
import { ROSTER_FILE, studiesFolder } from "../roles/roster-shelf.js"
import { openJournalBox } from "../store/journal-box.js"
import { openSegmentStores } from "../store/segment-stores.js"
import type { Stores, StudyStore } from "../store/study-store.js"
import { type Finding, passed } from "./finding.js"
import { type RoleUnderTest, roleFile } from "./role-under-test.js"
import type { StoppedMember } from "./stopped-member.js"

const storesOf = async (under: RoleUnderTest): Promise<Stores> => {
  const { role, dataFolder } = await under.place()
  if (role !== "leader") return openSegmentStores(studiesFolder(dataFolder))
  const { openLeaderStores } = await import("../store/leader-stores.js")
  return openLeaderStores(dataFolder, (await roleFile(under, "leader")).store)
}

/** Opens every study of a stopped participant: chain, bodies and signatures of its log, and the seals of its journal. */
export const checkLogs = async (under: RoleUnderTest, member: StoppedMember): Promise<Finding> => {
  const folders = await under.studies()
  if (folders.length === 0) return passed("It has no study yet.")
  const stores = await storesOf(under)
  let events = 0
  let records = 0
  try {
    for (const folder of folders) {
      const signed = new Uint8Array(await readFile(join(folder, ROSTER_FILE)))
      const digest = studyDigest(decodeStudy(openRoster(nodeSuite, member.kit.authorityKey, signed).study))
      const store = await stores.study(digest)
      let head: LogHead = emptyHead(digest)
      for await (const entry of store.entries())
        head = verifyLog(head, [entry], (message, signature) =>
          nodeSuite.verify(member.keys.signingKey, message, signature),
        )
      if (head.seq !== store.length)
        throw new ConsiliumError("store/corrupt", `${folder} holds ${head.seq} of ${store.length} events.`)
      events += head.seq
      records += await journalRecords(store, member, digest)
    }
  } finally {
    await stores.close()
  }
  return passed(
    `${folders.length === 1 ? "One study" : `${folders.length} studies`}: ${events} events hold by chain and signature, ${records} journal records open.`,
  )
}

const journalRecords = async (
  store: StudyStore,
  { sealed }: StoppedMember,
  digest: Uint8Array,
): Promise<number> => {
  // where there is no key, opening the box would make one
  const hasKey = (await sealed.names()).some((name) => name.startsWith(`journal-key-${toHex(digest)}-`))
  let box: Awaited<ReturnType<typeof openJournalBox>> | null = null
  let records = 0
  for await (const record of store.journal()) {
    if (!hasKey)
      throw new ConsiliumError("store/unsealable", "A study has a journal, but its key is not there.", {
        remedy: "Restore the whole data folder from one backup.",
      })
    box ??= await openJournalBox(sealed, digest as Parameters<typeof openJournalBox>[1])
    box.open(record)
    records += 1
  }
  return records
}
