import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { chargeCodec } from "@consilium/federation/charge"
import type { LocalPolicy } from "@consilium/federation/policy"
import { openRoster, participantId } from "@consilium/federation/roster"
import { decodeStudy, studyDigest } from "@consilium/federation/study"
import { z } from "zod"
import { policyOf } from "../config/role-files.js"
import { nodeSuite } from "../identity/suite.js"
import { ledgerPage, ledgerPageSchema, type ShownLedgerEntry } from "../ledger-entries.js"
import type { LedgerStudy } from "../ledger-outlook.js"
import { type LedgerReading, ledgerReading, ledgerReadingSchema } from "../ledger-reading.js"
import type { LedgerReport } from "../ledger-report.js"
import { CHARGED, PrivacyLedger } from "../privacy-ledger.js"
import { ROSTER_FILE, studiesFolder } from "../roles/roster-shelf.js"
import { openSegmentStores } from "../store/segment-stores.js"
import type { StudyStore } from "../store/study-store.js"
import { type Check, notChecked, note, passed } from "./finding.js"
import { placeOf } from "./place.js"
import { askRole } from "./role-status.js"
import { RoleUnderTest, roleFile } from "./role-under-test.js"
import type { StoppedMember } from "./stopped-member.js"

/** A facility's ledger, and whether the facility runs: a stopped one's is read from its folder. */
export type FacilityLedger = LedgerReading & { readonly running: boolean }

/** What a study's log says of its own course. */
const courseOf = async (store: StudyStore): Promise<Pick<LedgerStudy, "state" | "round">> => {
  let state: LedgerStudy["state"] = "stopped"
  let round = 0
  for await (const { header, body } of store.entries()) {
    if (header.type === CHARGED) round = Math.max(round, decode(chargeCodec, body).round)
    if (header.type === "study-finished") state = "over"
  }
  return { state, round }
}

/** A ledger and the studies whose logs it was read from. */
interface Opened {
  readonly name: string
  readonly ledger: PrivacyLedger
  readonly studies: readonly LedgerStudy[]
  readonly policy: LocalPolicy
}

/** Reads the logs of a stopped facility, whose folder is locked. */
const openStopped = async (under: RoleUnderTest, { kit }: StoppedMember): Promise<Opened> => {
  const policy = policyOf(await roleFile(under, "facility"))
  const { month, lifetime = null } = policy.privacy
  const ledger = new PrivacyLedger({ facility: participantId(kit.name), cap: month, lifetime })
  const studies: LedgerStudy[] = []
  const { dataFolder } = await under.place()
  const stores = await openSegmentStores(studiesFolder(dataFolder))
  try {
    for (const folder of await under.studies()) {
      const signed = new Uint8Array(await readFile(join(folder, ROSTER_FILE)))
      const study = decodeStudy(openRoster(nodeSuite, kit.authorityKey, signed).study)
      const digest = studyDigest(study)
      const store = await stores.study(digest)
      await ledger.read(toHex(digest), store)
      studies.push({ study, ...(await courseOf(store)) })
    }
  } finally {
    await stores.close()
  }
  return { name: kit.name, ledger, studies, policy }
}

/** A facility's ledger with a way to its entries; why not, where there is nothing to read now. */
interface Readable {
  readonly found: FacilityLedger
  entries(from: number): Promise<z.output<typeof ledgerPageSchema>>
}

const openLedger = async (under: RoleUnderTest): Promise<Readable | string> => {
  const place = await under.place()
  try {
    return {
      found: { ...(await askRole(place, "ledger", {}, ledgerReadingSchema)), running: true },
      entries: (from) => askRole(place, "ledger-entries", { from }, ledgerPageSchema),
    }
  } catch (error) {
    if (!isConsiliumError(error, "admin/not-running")) throw error
  }
  const member = await under.member()
  if (typeof member === "string") return member
  const { name, ledger, studies, policy } = await openStopped(under, member)
  return {
    found: { ...ledgerReading(name, ledger, studies, policy), running: false },
    entries: async (from) => ledgerPage(ledger, studies, from),
  }
}

const readLedger = async (under: RoleUnderTest): Promise<FacilityLedger | string> => {
  const opened = await openLedger(under)
  return typeof opened === "string" ? opened : opened.found
}

const checkFacility = async (configPath: string): Promise<void> => {
  const { role, name } = await placeOf(configPath)
  if (role !== "facility")
    throw new ConsiliumError("config/invalid", `${configPath} is of the ${role} ${name}.`, {
      remedy: "Give a facility's own facility.yaml: privacy ledgers are a facility's.",
    })
}

const withLedger = async <T>(configPath: string, use: (opened: Readable) => Promise<T>): Promise<T> => {
  await checkFacility(configPath)
  const under = new RoleUnderTest(configPath)
  try {
    const opened = await openLedger(under)
    if (typeof opened === "string") {
      const { state } = await under.folder()
      throw new ConsiliumError(state === "running" ? "store/locked" : "identity/not-enrolled", opened)
    }
    return await use(opened)
  } finally {
    await under.close()
  }
}

/**
 * The privacy ledger of a facility, by its configuration file, whether it runs or not.
 * @throws {ConsiliumError} "config/invalid"; "identity/not-enrolled"; "admin/..."; "store/..."
 */
export const privacyLedgerOf = (configPath: string): Promise<FacilityLedger> =>
  withLedger(configPath, async ({ found }) => found)

/**
 * A facility's ledger with every entry up to the head that it is read at, for a report.
 * @throws {ConsiliumError} as `privacyLedgerOf`
 */
export const privacyLedgerReport = (configPath: string): Promise<LedgerReport> =>
  withLedger(configPath, async ({ found, entries }) => {
    const { running, ...reading } = found
    const all: ShownLedgerEntry[] = []
    for (let more = true; more; ) {
      const page = await entries(all.length)
      all.push(...page.entries)
      more = page.entries.length > 0 && all.length < page.total
    }
    return {
      reading,
      running,
      // what was charged meanwhile is for the next report
      entries: all.filter(({ seq }) => seq <= reading.head.seq),
      writtenAt: new Date().toISOString(),
    }
  })

const begunSchema = ledgerReadingSchema.extend({ beganAt: z.int().min(1) })

/**
 * Starts the ledger of a running facility anew, by a person's word: the whole budget of the month counts as spent.
 * @throws {ConsiliumError} "privacy/ledger-whole" if nothing is missing from it; "admin/not-running"
 */
export const resetPrivacyLedger = async (
  configPath: string,
  decision: { readonly by: string; readonly reason: string },
): Promise<z.output<typeof begunSchema>> => {
  await checkFacility(configPath)
  return askRole(await placeOf(configPath), "ledger-reset", decision, begunSchema)
}

const shown = (epsilon: number | null): string => (epsilon === null ? "without bound" : epsilon.toFixed(2))

/** Whether the ledger is whole, as far as the facility or its folder knows. */
export const ledgerCheck = (under: RoleUnderTest): Check => ({
  id: "privacy-ledger",
  async run() {
    const found = await readLedger(under)
    if (typeof found === "string") return notChecked(found)
    if (found.problem !== null) throw new ConsiliumError("privacy/ledger-rolled-back", found.problem.reason)
    const { head, certified, thisMonth, state } = found
    if (head.seq === 0) return passed("Nothing is charged to the privacy ledger yet.")
    const held = certified === null ? "none of it is certified yet" : `certified up to entry ${certified.seq}`
    const near = found.warnings.map(({ says }) => says)
    const compared =
      state === "compared"
        ? " The leader knows of no more."
        : " It is compared with the leader's before anything is spent."
    const says = `The privacy ledger is one chain of ${head.seq} entries, ${held}; ${thisMonth.month} has spent epsilon ${shown(thisMonth.epsilon)} of ${thisMonth.cap.epsilon.toFixed(2)}.${compared}`
    return near.length === 0
      ? passed(says)
      : note(
          [says, ...near].join(" "),
          "See what was spent on what with privacy ledger; the caps are in facility.yaml.",
        )
  },
})
