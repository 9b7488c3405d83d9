import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { participantId } from "@consilium/federation/roster"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { z } from "zod"
import { type Options, runStudy } from "../../federation/test/harness.js"
import { adminCommand, startAdmin } from "../src/admin/server.js"
import { applyEntry, startView } from "../src/api/view-fold.js"
import { examine } from "../src/doctor/finding.js"
import { facilityKeysFinding, keysCheck, leaderKeysFinding } from "../src/doctor/key-checks.js"
import { RoleUnderTest } from "../src/doctor/role-under-test.js"
import { facilityKeysOf, type KeyedStudy } from "../src/keys/held-keys.js"
import { type FacilityKeys, type StudyKeys, studyKeysOf } from "../src/keys/key-status.js"
import { lockFolder } from "../src/store/lock.js"
import { LoggedStudy } from "./api-study.js"
import { configOf, layOut } from "./audit-study.js"
import { temporaryFolder } from "./store-children.js"

const DAY = 86_400_000

/** clinic-3 sleeps through the first ceremony and is there for the second. */
const run = () => {
  let asleep = true
  const held = new Map<string, KeyedStudy["machine"]>()
  const options: Options = {
    facilities: 5,
    study: { protection: "ckks", rounds: 2, name: "heart", keys: { openings: 20, days: 30 } },
    speak: (said) => {
      const { by, message } = said
      if (by === "leader" && message.type === "announce" && message.spec.purpose === "update") asleep = false
      return by === "clinic-3" && asleep ? [] : [said]
    },
    corrupt: (facility, step) => {
      const { state } = step
      const { keys } = state.memory
      const name = `${facility}/${state.phase}/${keys?.epoch ?? "none"}`
      if (!held.has(name)) held.set(name, { state, directory: state.memory.directory })
      return step
    },
  }
  return { outcome: runStudy(options), held }
}
const { outcome, held } = run()
const { study } = outcome

/** What the leader says after its log's first events up to one of a type. */
const leaderAt = (type: string, nth = 1): StudyKeys => {
  const ends = outcome.log.flatMap(({ header }, i) => (header.type === type ? [i + 1] : []))
  const log = outcome.log.slice(0, ends.at(nth - 1))
  return studyKeysOf(log.reduce(applyEntry, startView(new LoggedStudy(outcome))).view)
}
const sinceOf = ({ keys }: StudyKeys): number => Date.parse(keys?.since as string)

const facilityAt = (
  name: string,
  changes: Partial<NonNullable<FacilityKeys["studies"][number]["held"]>> = {},
) => {
  const machine = held.get(name)
  if (machine === undefined) throw new Error(`No ${name} among ${[...held.keys()].join(", ")}.`)
  const [facility = ""] = name.split("/")
  const me = { name: facility, id: participantId(facility) }
  const found = facilityKeysOf(me, [{ study, runner: { id: "ab".repeat(32), over: false }, machine }])
  return {
    ...found,
    studies: found.studies.map((one) => ({ ...one, held: one.held && { ...one.held, ...changes } })),
  }
}

describe("a leader's keys", () => {
  it("are well while nobody is left out and the end is far", () => {
    const keys = leaderAt("sum-opened", 2)
    expect(keys.keys?.epoch).toBe(2)
    expect(leaderKeysFinding([keys], sinceOf(keys) + DAY)).toEqual({
      verdict: "passed",
      says: "heart: 5 keys in epoch 2, 19 openings left.",
      remedy: null,
      code: null,
    })
    expect(leaderKeysFinding([leaderAt("announce")], 0).says).toBe("heart: the first keys are to be made.")
    expect(leaderKeysFinding([], 0)).toMatchObject({
      verdict: "passed",
      says: "No study under way has keys.",
    })
    // over: its keys are gone
    expect(leaderKeysFinding([leaderAt("ended")], 1e15).says).toBe("No study under way has keys.")
  })

  it("show who is left out, with what to do", () => {
    const keys = leaderAt("sum-opened")
    const found = leaderKeysFinding([keys], sinceOf(keys))
    expect(found).toMatchObject({
      verdict: "note",
      says: "In the study heart clinic-3 has no key in epoch 1, so no update of it is in a sum.",
      remedy: expect.stringMatching(/^See that it runs and reaches its parent: new keys are made/),
    })
  })

  it("make a problem of a facility that nobody waits for", () => {
    const keys = leaderAt("sum-opened")
    const lost = keys.keys?.leftOut.map((one) => ({ ...one, why: "It dealt a false share.", returns: false }))
    const cheated = { ...keys, keys: keys.keys && { ...keys.keys, leftOut: lost ?? [] } }
    expect(() => leaderKeysFinding([cheated], 0)).toThrow(
      expect.objectContaining({
        code: "keys/left-out",
        message: "In the study heart clinic-3 has no key in epoch 1. It dealt a false share.",
        remedy: expect.stringContaining("consilium keys rotate"),
      }),
    )
  })

  it("show that their end is near: by days, by sums, or passed", () => {
    const keys = leaderAt("sum-opened", 2)
    const since = sinceOf(keys)
    const at = (days: number) => leaderKeysFinding([keys], since + days * DAY)
    expect(at(26.9).verdict).toBe("passed")
    expect(at(27.1)).toMatchObject({
      verdict: "note",
      says: `The keys of epoch 2 of the study heart end at ${keys.keys?.ends}.`,
      remedy: expect.stringMatching(/^Nothing need be done: new keys are made before the next round\./),
    })
    expect(at(31).says).toBe(
      `The keys of epoch 2 of the study heart have been too old since ${keys.keys?.ends}.`,
    )
    const left = (n: number) => ({
      ...keys,
      keys: keys.keys && { ...keys.keys, openings: { used: 20 - n, left: n } },
    })
    expect(leaderKeysFinding([left(3)], since).verdict).toBe("passed")
    expect(leaderKeysFinding([left(1)], since).says).toBe(
      "The keys of epoch 2 of the study heart may open 1 more sum of 20.",
    )
    expect(leaderKeysFinding([left(0)], since).says).toBe(
      "The keys of epoch 2 of the study heart have opened as many sums as they may.",
    )
  })
})

describe("a facility's keys", () => {
  const since = (name: string): number => Date.parse(facilityAt(name).studies[0]?.held?.since as string)

  it("are well with its own key and a share of each", () => {
    const found = facilityKeysFinding(facilityAt("clinic-1/opened/2"), since("clinic-1/opened/2") + DAY)
    expect(found).toMatchObject({
      verdict: "passed",
      says: expect.stringMatching(/^heart: its key and 5 shares in epoch 2, \d+ openings left\.$/),
    })
  })

  it("are missing where it slept through the ceremony, until the next one", () => {
    const [name = ""] = [...held.keys()].filter((one) => one.startsWith("clinic-3/idle/"))
    expect(facilityKeysFinding(facilityAt(name, { lastCeremony: 0 }), 0).verdict).toBe("passed")
    const left = facilityAt(name, { epoch: null, lastCeremony: 1, ceremony: null, own: false })
    expect(facilityKeysFinding(left, 0)).toMatchObject({
      verdict: "note",
      says: "This facility has no key in the study heart: it was not there for the whole ceremony of epoch 1, and no update of its is in a sum.",
      remedy: expect.stringMatching(/^Keep this facility running/),
    })
    expect(facilityKeysFinding(facilityAt(name, { lastCeremony: 1, ceremony: "submitted" }), 0).verdict).toBe(
      "passed",
    )
  })

  it("tell of an own key that is not among the others, of lost shares, and of a near end", () => {
    const name = "clinic-1/opened/2"
    const says = (changes: Parameters<typeof facilityAt>[1], days = 1): string =>
      facilityKeysFinding(facilityAt(name, changes), since(name) + days * DAY).says
    // clinic-3 got the others' shares while nobody heard of it
    const unheard = facilityKeysFinding(facilityAt("clinic-3/idle/1"), since("clinic-3/idle/1"))
    expect(unheard).toMatchObject({
      verdict: "note",
      says: "This facility's key is not among those of epoch 1 of the study heart, so no update of its is in a sum.",
    })
    expect(says({ shares: 4 })).toBe(
      "This facility holds shares of 4 of the 5 keys of the study heart: it trains, but cannot help to open sums that hold the others.",
    )
    expect(says({}, 28)).toMatch(/^The keys of epoch 2 of the study heart end at /)
    expect(says({ openingsLeft: 2 })).toBe(
      "The keys of epoch 2 of the study heart may open 2 more sums of 20.",
    )
  })
})

describe("the check of a role", () => {
  let folder = ""
  let remove: () => Promise<void> = async () => undefined
  beforeAll(async () => {
    const made = await temporaryFolder("doctor-keys")
    folder = made.path
    remove = made.remove
    await layOut(folder, ["leader", "clinic-1"])
    await writeFile(configOf(folder, "leader"), "store: segments\n")
    await writeFile(configOf(folder, "clinic-1"), "records: { format: heart-csv, file: records.csv }\n")
  })
  afterAll(() => remove())

  const checked = async (name: string) => {
    const under = new RoleUnderTest(configOf(folder, name))
    try {
      return (await examine([keysCheck(under, () => 0)]))[0]
    } finally {
      await under.close()
    }
  }
  const whileRunning = async <T>(name: string, answer: object | null, use: () => Promise<T>): Promise<T> => {
    const data = join(folder, name, "data")
    await mkdir(data, { recursive: true, mode: 0o700 })
    const lock = await lockFolder(data)
    const admin =
      answer === null ? null : await startAdmin(data, { keys: adminCommand(z.object({}), () => answer) })
    try {
      return await use()
    } finally {
      await admin?.close()
      await lock.close()
    }
  }

  it("asks it while it runs, and says so where it cannot", async () => {
    expect(await checked("leader")).toMatchObject({ id: "keys", verdict: "not-checked" })
    expect(await whileRunning("clinic-1", null, () => checked("clinic-1"))).toMatchObject({
      verdict: "not-checked",
      says: "It runs, and does not take commands yet.",
    })
    const leader = { studies: [leaderAt("sum-opened")] }
    expect(await whileRunning("leader", leader, () => checked("leader"))).toMatchObject({
      verdict: "note",
      says: expect.stringContaining("clinic-3 has no key in epoch 1"),
    })
    const facility = facilityAt("clinic-1/opened/2")
    expect(await whileRunning("clinic-1", facility, () => checked("clinic-1"))).toMatchObject({
      verdict: "passed",
      says: expect.stringContaining("its key and 5 shares in epoch 2"),
    })
  })
})
