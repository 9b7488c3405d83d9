import { access, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventsOf, placeOf, rewritten } from "../../federation/test/forged-log.js"
import { runStudy } from "../../federation/test/harness.js"
import { authorityKey, rosterOf, testStudy } from "../../federation/test/members.js"
import { exportHeads, exportLog } from "../src/audit-export.js"
import { auditFile } from "../src/audit-file.js"
import { auditFolder } from "../src/audit-folder.js"
import { lockFolder } from "../src/store/lock.js"
import {
  auditedOutcome,
  auditedStudy,
  configOf,
  firstRoster,
  keepHeads,
  keepLog,
  layOut,
} from "./audit-study.js"
import { temporaryFolder } from "./store-children.js"

const { log } = auditedOutcome
const whole = { study: auditedStudy, roster: firstRoster, log }
const authority = toHex(authorityKey)

let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("audit")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

/** A new folder of participants. */
const scene = async (name: string, ...names: readonly string[]): Promise<string> => {
  const folder = join(root, name)
  await layOut(folder, ["leader", ...names])
  for (const facility of names) {
    await writeFile(configOf(folder, facility), "records: {}\n")
    await keepHeads(folder, facility)
  }
  return folder
}
const errorOf = async (call: Promise<unknown>): Promise<ConsiliumError> => {
  try {
    await call
  } catch (error) {
    if (error instanceof ConsiliumError) return error
    throw error
  }
  throw new Error("The call was to end in an error, and did not.")
}

describe("a leader's folder", () => {
  let folder: string
  beforeAll(async () => {
    folder = await scene("whole", "clinic-1", "clinic-2")
    await keepLog(folder, "segments", whole)
  })
  const leader = (): string => configOf(folder, "leader")
  const to = (name: string): string => join(folder, name)

  it("is audited, alone and beside what facilities kept", async () => {
    const report = await auditFolder(leader())
    expect(report).toEqual({
      study: "audited",
      events: log.length,
      certifiedRounds: 2,
      logHead: toHex(auditedOutcome.leader.progress.log.hash),
      modelHash: toHex(auditedOutcome.leader.progress.closed.at(-1)?.model as Uint8Array),
      roster: 2,
      facilities: 3,
      ended: true,
      stopped: null,
      cosignedEvent: placeOf(log, "finish"),
      openedSums: 2,
      headsCompared: 0,
      bundle: null,
    })
    const heads = [configOf(folder, "clinic-1"), configOf(folder, "clinic-2")]
    expect(await auditFolder(leader(), { heads })).toEqual({ ...report, headsCompared: 3 })
  })

  it("gives one file, which a stranger verifies with the authority's key alone", async () => {
    const file = to("study.log")
    const made = await exportLog(leader(), file, { heads: [configOf(folder, "clinic-2")] })
    const bytes = await readFile(file)
    expect(made).toEqual({
      study: "audited",
      file,
      events: log.length,
      heads: 2,
      bytes: bytes.length,
      bundle: bytes.subarray(-32).toString("hex"),
      authority,
    })
    const report = await auditFile(file, { authority })
    expect(report).toEqual({ ...(await auditFolder(leader())), headsCompared: 2, bundle: made.bundle })
    // the key as people write it
    const grouped = authority.toUpperCase().replace(/(.{4})(?=.)/g, "$1 ")
    expect(await auditFile(file, { authority: grouped })).toEqual(report)
    expect((await readdir(folder)).filter((name) => name.includes(".part"))).toEqual([])
  })

  it("is not read while the leader runs: its holder is named", async () => {
    const lock = await lockFolder(join(folder, "leader", "data"))
    try {
      for (const call of [() => auditFolder(leader()), () => exportLog(leader(), to("busy.log"))]) {
        const error = await errorOf(call())
        expect(error.code).toBe("store/locked")
        expect(error.message).toContain(String(process.pid))
      }
      expect(await access(to("busy.log")).catch(() => "none")).toBe("none")
    } finally {
      await lock.close()
    }
  })
})

describe("heads that facilities kept", () => {
  it("are exported, and show a log that was cut or written anew, folder or file", async () => {
    const folder = await scene("heads", "clinic-1", "clinic-2", "clinic-3")
    const files = await Promise.all(
      ["clinic-1", "clinic-2", "clinic-3"].map(async (name) => {
        const file = join(folder, `${name}.heads`)
        const report = await exportHeads(configOf(folder, name), file)
        expect(report).toMatchObject({ study: "audited", heads: name === "clinic-2" ? 1 : 3 })
        return file
      }),
    )
    const cut = log.slice(0, placeOf(log, "certificate"))
    await keepLog(folder, "segments", { ...whole, log: cut })
    const leader = configOf(folder, "leader")
    expect(await auditFolder(leader)).toMatchObject({ ended: false, certifiedRounds: 0, cosignedEvent: null })
    const short = await errorOf(auditFolder(leader, { heads: files }))
    // the only head under the roster that the log still has lies on it
    expect([short.code, short.message]).toEqual([
      "audit/bad-head",
      expect.stringContaining(`event ${cut.length}`),
    ])
    const bundle = join(folder, "cut.log")
    await exportLog(leader, bundle)
    expect(await auditFile(bundle, { authority })).toMatchObject({ events: cut.length })
    expect((await errorOf(auditFile(bundle, { authority, heads: files }))).code).toBe("audit/bad-head")

    const anew = await scene("anew")
    const events = eventsOf(log).slice(0, placeOf(log, "propose"))
    await keepLog(anew, "segments", { ...whole, log: rewritten(auditedStudy, events) })
    const other = configOf(anew, "leader")
    expect(await auditFolder(other)).toMatchObject({ events: events.length })
    const error = await errorOf(auditFolder(other, { heads: files.slice(0, 1) }))
    expect(error.code).toBe("audit/rewritten")
    expect(error.message).toMatch(new RegExp(`^Event ${events.length} of the log is not the one`))
    const shorter = await scene("shorter")
    await keepLog(shorter, "segments", { ...whole, log: log.slice(0, 1) })
    const truncated = await errorOf(auditFolder(configOf(shorter, "leader"), { heads: files.slice(1, 2) }))
    expect([truncated.code, truncated.message.slice(0, 29)]).toEqual([
      "audit/truncated",
      "Event 2 of the log is missing",
    ])
  })

  it("of another study, or no heads at all, are refused", async () => {
    const folder = await scene("strange", "clinic-1")
    await keepLog(folder, "segments", whole)
    const leader = configOf(folder, "leader")
    const junk = join(folder, "junk.heads")
    await writeFile(junk, "no heads")
    expect((await errorOf(auditFolder(leader, { heads: [junk] }))).code).toBe("audit/bad-head")
    expect((await errorOf(auditFolder(leader, { heads: [join(folder, "none")] }))).code).toBe("audit/no-file")
    const study = testStudy(4, { protection: "plain", rounds: 1, name: "other" })
    const elsewhere = await scene("elsewhere")
    const roster = rosterOf(study, 4, 2)
    const outcome = runStudy({ study: { protection: "plain", rounds: 1, name: "other" } })
    await keepLog(elsewhere, "segments", { study, roster, log: outcome.log })
    const file = join(folder, "clinic-1.heads")
    await exportHeads(configOf(folder, "clinic-1"), file)
    const error = await errorOf(auditFolder(configOf(elsewhere, "leader"), { heads: [file] }))
    expect([error.code, error.message]).toEqual([
      "audit/bad-head",
      `The heads in ${file} are of another study.`,
    ])
  })
})

describe("a folder with several studies, or none", () => {
  it("wants to know which, by name or digest", async () => {
    const folder = await scene("several")
    const leader = configOf(folder, "leader")
    await writeFile(leader, "store: segments\n")
    expect((await errorOf(auditFolder(leader))).message).toMatch(/^There is no study in /)
    await keepLog(folder, "segments", whole)
    const changes = { protection: "plain", rounds: 1, name: "second" } as const
    const study = testStudy(4, changes)
    await keepLog(folder, "segments", {
      study,
      roster: rosterOf(study, 4, 2),
      log: runStudy({ study: changes }).log,
    })
    const error = await errorOf(auditFolder(leader))
    expect(error.code).toBe("audit/no-study")
    expect(error.message).toMatch(/(audited \([0-9a-f]{16}\)|second \([0-9a-f]{16}\)), (audited|second) /)
    expect((await errorOf(auditFolder(leader, { study: "third" }))).code).toBe("audit/no-study")
    expect(await auditFolder(leader, { study: "second" })).toMatchObject({
      study: "second",
      certifiedRounds: 1,
    })
    const id = toHex(firstRoster.study).slice(0, 12)
    expect(await auditFolder(leader, { study: id })).toMatchObject({ study: "audited" })
  })
})

describe("an exported file", () => {
  it("that is damaged, cut, missing, or of another authority is refused by name", async () => {
    const folder = await scene("damaged")
    await keepLog(folder, "segments", whole)
    const file = join(folder, "study.log")
    await exportLog(configOf(folder, "leader"), file)
    const bytes = new Uint8Array(await readFile(file))
    const changed = bytes.slice()
    changed[bytes.length - 40] = (changed[bytes.length - 40] as number) ^ 1
    await writeFile(file, changed)
    expect((await errorOf(auditFile(file, { authority }))).message).toBe(
      `Event ${log.length} of the bundle was changed.`,
    )
    await writeFile(file, bytes.subarray(0, bytes.length - 33))
    expect((await errorOf(auditFile(file, { authority }))).code).toBe("audit/truncated")
    await writeFile(file, bytes)
    const other = toHex(new Uint8Array(32).fill(9))
    expect((await errorOf(auditFile(file, { authority: other }))).code).toBe("identity/bad-roster")
    expect((await errorOf(auditFile(file, { authority: "5f3c" }))).code).toBe("audit/bad-authority")
    expect((await errorOf(auditFile(join(folder, "none"), { authority }))).code).toBe("audit/no-file")
  })
})
