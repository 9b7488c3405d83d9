import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { emptyHead, headerHash, type LogEntry, nextHeader } from "@consilium/federation/log"
import { cosignedHeadCodec } from "@consilium/federation/messages"
import { participantId, type Roster } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { type Outcome, runStudy } from "../../federation/test/harness.js"
import {
  authorityKey,
  changedRoster,
  keysFor,
  rosterOf,
  signed,
  testStudy,
} from "../../federation/test/members.js"
import { makeKits } from "../src/identity/kit.js"
import { openPgliteStores } from "../src/store/pglite-stores.js"
import { openSegmentStores } from "../src/store/segment-stores.js"

const CHANGES = { protection: "plain", rounds: 2, name: "audited" } as const
export const auditedStudy: Study = testStudy(4, CHANGES)
export const firstRoster: Roster = rosterOf(auditedStudy, 4, 2)
const secondRoster = signed(changedRoster(firstRoster, { leave: ["clinic-2"] }), auditedStudy)

/** A study of two rounds, one facility of which leaves after the first. */
export const auditedOutcome: Outcome = runStudy({
  study: CHANGES,
  rosters: [{ during: 1, signed: secondRoster }],
})

/** Folders of a leader and of facilities, as their roles leave them behind. */
export const layOut = async (folder: string, names: readonly string[]): Promise<void> => {
  await makeKits({
    folder,
    study: "audited",
    authority: {
      name: "authority",
      url: "https://authority.example:8440",
      caFingerprint: new Uint8Array(32),
      signingKey: authorityKey,
      sign: keysFor("authority").sign,
    },
    participants: names.map((name) => ({
      name,
      role: name === "leader" ? "leader" : "facility",
      parent: name === "leader" ? null : "fog-1",
      local: "",
    })),
    expires: 4_000_000_000_000,
  })
}

export const configOf = (folder: string, name: string): string =>
  join(folder, name, "local", name === "leader" ? "leader.yaml" : "facility.yaml")

/** Keeps a leader's log of a study. */
export const keepLog = async (
  folder: string,
  kind: "pglite" | "segments",
  {
    study,
    roster,
    log,
  }: { readonly study: Study; readonly roster: Roster; readonly log: readonly LogEntry[] },
): Promise<void> => {
  const data = join(folder, "leader", "data")
  await writeFile(configOf(folder, "leader"), `store: ${kind}\n`)
  const digest = studyDigest(study)
  await keepRoster(data, study, roster)
  const stores =
    kind === "pglite"
      ? await openPgliteStores(join(data, "db"))
      : await openSegmentStores(join(data, "studies"))
  const store = await stores.study(digest)
  await store.commit({ journal: [], entries: log })
  await stores.close()
}

const keepRoster = async (data: string, study: Study, roster: Roster): Promise<void> => {
  const path = join(data, "studies", toHex(studyDigest(study)).slice(0, 16))
  await mkdir(path, { recursive: true, mode: 0o700 })
  await writeFile(join(path, "roster.signed"), signed(roster, study))
}

/** Keeps what a facility logs itself: the heads that it holds, among other events. */
export const keepHeads = async (folder: string, name: string): Promise<void> => {
  const data = join(folder, name, "data")
  const digest = studyDigest(auditedStudy)
  await keepRoster(data, auditedStudy, firstRoster)
  const bodies = (auditedOutcome.cosigned.get(name) ?? []).map((head) => encode(cosignedHeadCodec, head))
  let head = emptyHead(digest)
  const entries = [
    { type: "update-submitted", body: new Uint8Array(3) },
    ...bodies.map((body) => ({ type: "cosigned-head", body })),
  ].map(({ type, body }) => {
    const next = nextHeader(head, { at: 1, actor: participantId(name), type, body })
    head = next.head
    return { header: next.header, body, signature: keysFor(name).sign(headerHash(next.header)) }
  })
  const stores = await openSegmentStores(join(data, "studies"))
  await (await stores.study(digest)).commit({ journal: [], entries })
  await stores.close()
}
