import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Directory } from "@consilium/federation/roster"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Options, type Outcome as Run, runStudy } from "../../federation/test/harness.js"
import { toyRecords } from "../../federation/test/members.js"
import { StudyViews } from "../src/api/study-views.js"
import { type ComparedStudy, fromOutcome, fromView } from "../src/compare/compared-study.js"
import { comparisonOf, FIGURES } from "../src/compare/comparison.js"
import { leaderOutcomes, outcomeAt } from "../src/compare/stored-outcome.js"
import { type Outcome, outcomeOf } from "../src/roles/outcome.js"
import { LoggedStudy } from "./api-study.js"
import { layOut } from "./audit-study.js"
import { temporaryFolder } from "./store-children.js"

const outcomeFor = (run: Run): Outcome => {
  const period = { from: 1, directory: run.directory as Directory }
  return outcomeOf(run.study, [period], run.leader, [])
}
const study = (options: Options): Outcome => outcomeFor(runStudy(options))

const SHAPE = { rounds: 2, protection: "plain" } as const
const plain = study({ study: { ...SHAPE, name: "plain one" } })
const adam = study({ study: { ...SHAPE, name: "other server", server: { strategy: "fedadam" } } as never })
/** The same facilities, one of which holds out other rows. */
const moved = study({
  study: { ...SHAPE, name: "moved" },
  records: (facility) => ({
    train: toyRecords(`${facility}/train`, 3, 20),
    holdOut: toyRecords(`${facility}/hold-out`, 3, facility === "clinic-1" ? 13 : 12),
  }),
})
const shared = study({ study: { ...SHAPE, name: "shared", protection: "shamir" } })

let folder = ""
let remove: () => Promise<void> = async () => undefined
const keep = async (at: string, outcome: object): Promise<string> => {
  await mkdir(at, { recursive: true })
  await writeFile(join(at, "outcome.json"), JSON.stringify(outcome))
  return at
}
beforeAll(async () => {
  const made = await temporaryFolder("compare")
  folder = made.path
  remove = made.remove
  await layOut(folder, ["leader", "clinic-1"])
  await writeFile(join(folder, "leader/local/leader.yaml"), "store: segments\n")
  for (const [i, outcome] of [plain, adam, shared].entries())
    await keep(join(folder, "leader/data/studies", outcome.id.slice(0, 16)), { ...outcome, startedAt: i })
})
afterAll(() => remove())

const from = (...outcomes: readonly Outcome[]): readonly ComparedStudy[] =>
  outcomes.map((outcome) => fromOutcome(JSON.parse(JSON.stringify(outcome))))

describe("studies side by side", () => {
  it("differ by what the second has more than the first", () => {
    const { studies, differences, notes } = comparisonOf(from(plain, adam))
    expect(notes).toEqual([])
    expect(studies.map(({ strategy }) => strategy)).toEqual(["fedavg", "fedadam"])
    const [difference] = differences
    expect(difference).toMatchObject({ id: adam.id, sameModel: false, epsilon: null })
    for (const of of FIGURES) {
      const [a, b] = studies.map(({ mean }) => mean[of] as number) as [number, number]
      expect(difference?.mean?.[of]).toBeCloseTo(b - a, 12)
      for (const { facility, comparable, ...figures } of difference?.facilities ?? []) {
        const at = (outcome: Outcome): number =>
          outcome.facilities.find(({ name }) => name === facility)?.global?.[of] as number
        expect([facility, comparable]).toEqual([facility, true])
        expect(figures[of]).toBeCloseTo(at(adam) - at(plain), 12)
      }
    }
  })

  it("with the same model say so, whatever protected its updates", () => {
    // the name is part of what the harness derives its secrets from
    const twin = study({ study: { ...SHAPE, name: "plain one", protection: "shamir" } })
    const { studies, differences, notes } = comparisonOf(from(plain, twin))
    expect(differences[0]?.sameModel).toBe(true)
    expect(twin.id).not.toBe(plain.id)
    expect(comparisonOf(from(plain, shared)).differences[0]?.sameModel).toBe(false)
    expect(studies.map(({ protection }) => protection)).toEqual(["plain", "shamir"])
    expect(differences[0]?.facilityBytes).toBeGreaterThan(1000)
    expect(notes).toEqual([])
  })

  it("are not compared where the hold-outs differ", () => {
    const { differences, notes } = comparisonOf(from(plain, moved))
    expect(notes).toEqual([
      "The hold-outs differ, so that figures of plain one and moved cannot be compared: clinic-1 tests on 12 rows in plain one and tests on 13 rows in moved.",
    ])
    expect(differences[0]?.mean).toBeNull()
    expect(differences[0]?.facilities.map(({ facility, comparable }) => [facility, comparable])).toEqual([
      ["clinic-1", false],
      ["clinic-2", true],
      ["clinic-3", true],
      ["clinic-4", true],
    ])
    expect(differences[0]?.facilities[0]).toMatchObject({ accuracy: null, auc: null })
  })

  it("are not compared where a facility says nothing, or nobody does", () => {
    const silent: Outcome = {
      ...adam,
      facilities: adam.facilities.map((one, i) => (i === 2 ? { ...one, global: null } : one)),
    }
    const { differences, notes } = comparisonOf(from(plain, silent))
    expect(notes).toEqual([
      "The hold-outs differ, so that figures of plain one and other server cannot be compared: clinic-3 tests on 12 rows in plain one and reports nothing in other server.",
    ])
    expect(differences[0]?.mean).toBeNull()
    const mute: Outcome = { ...plain, facilities: plain.facilities.map((one) => ({ ...one, global: null })) }
    const both = comparisonOf(from(mute, mute))
    expect(both.differences[0]?.mean).toBeNull()
    expect(both.notes).toEqual(Array(2).fill("No facility reports figures in plain one."))
  })

  it("warn where privacy may have chosen other patients, and tell the largest epsilon", () => {
    const noisy: Outcome = {
      ...adam,
      privacy: [
        { facility: "clinic-1", epsilon: 0.5, delta: 1e-5 },
        { facility: "clinic-2", epsilon: 0.7, delta: 1e-5 },
      ],
    }
    const { studies, differences, notes } = comparisonOf(from(plain, noisy))
    expect(studies.map(({ epsilon }) => epsilon)).toEqual([null, 0.7])
    expect(differences[0]?.epsilon).toBeNull()
    expect(notes).toEqual([expect.stringContaining("may hold out other patients")])
    expect(comparisonOf(from(noisy, noisy)).differences[0]?.epsilon).toBe(0)
  })

  it("say of a stopped study that its figures are those of its last closed round", () => {
    const run = runStudy({
      study: { ...SHAPE, rounds: 3, name: "stopped" },
      stops: [{ during: 2, after: 15 }],
    })
    const stopped = outcomeFor(run)
    const { studies, notes } = comparisonOf(from(plain, stopped))
    expect(studies[1]).toMatchObject({ state: "aborted", rounds: { closed: 1, planned: 3 } })
    expect(studies[1]?.figures).toHaveLength(4)
    expect(notes).toEqual([
      "stopped is aborted after 1 of 3 rounds (Stopped by R. Person after 1 closed round: the labels of one facility are wrong); its figures are those of its last closed round.",
    ])
  })

  it("are the same from a leader's API as from its folder", async () => {
    const run = runStudy({ study: { ...SHAPE, name: "both ways" } })
    const asked = fromView(await new StudyViews().of(new LoggedStudy(run)))
    const [stored] = from(outcomeFor(run)) as [ComparedStudy]
    expect(asked).toEqual({
      ...stored,
      // what the leader took in is not told, and without noise there is nothing to tell of privacy
      bytes: { facilities: stored.bytes.facilities, leader: null },
      privacy: asked.privacy,
    })
  })
})

describe("outcomes that are compared", () => {
  it("are found by name or id in a leader's data folder, or all of them", async () => {
    const config = join(folder, "leader/local/leader.yaml")
    const names = async (...wanted: readonly string[]) =>
      (await leaderOutcomes(config, wanted)).map((outcome) => outcome.study)
    expect(await names()).toEqual(["plain one", "other server", "shared"])
    expect(await names("shared", plain.id.slice(0, 12))).toEqual(["shared", "plain one"])
    await expect(names("none")).rejects.toMatchObject({ code: "audit/no-study" })
    const facility = join(folder, "clinic-1/local/facility.yaml")
    await writeFile(facility, "data_folder: ../data\n")
    await expect(leaderOutcomes(facility, [])).rejects.toMatchObject({ code: "config/invalid" })
  })

  it("are found in folders of one study, and refused where there are several or none", async () => {
    const one = await keep(join(folder, "kept/leader/data/studies", plain.id.slice(0, 16)), plain)
    for (const path of [one, join(one, "outcome.json"), join(folder, "kept"), join(folder, "kept/leader")])
      expect((await outcomeAt(path)).id).toBe(plain.id)
    for (const path of [join(folder, "leader"), join(folder, "clinic-1"), join(folder, "nothing")])
      await expect(outcomeAt(path)).rejects.toMatchObject({ code: "audit/no-study" })
    const spoiled = await keep(join(folder, "spoiled"), { ...plain, rounds: "none" })
    await expect(outcomeAt(spoiled)).rejects.toMatchObject({ code: "config/invalid" })
    await writeFile(join(spoiled, "outcome.json"), "{")
    await expect(outcomeAt(spoiled)).rejects.toMatchObject({ code: "config/invalid" })
    // what earlier versions did not write is not told
    const { strategy: _s, protection: _p, plannedRounds: _r, ...earlier } = plain
    const old = fromOutcome(await outcomeAt(await keep(join(folder, "old"), earlier)))
    expect(old).toMatchObject({ strategy: null, protection: null, rounds: { closed: 2, planned: null } })
  })
})
