import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { DemoReport } from "../../apps/cli/src/demo/report.js"
import { demoReport } from "../security/demo-run.js"
import { buildProgram } from "../security/study-run.js"

const ROUNDS = 3
const SWITCHES = ["--seed", "11", "--rounds", String(ROUNDS)]

let few: DemoReport
let many: DemoReport
let shared: DemoReport

beforeAll(async () => {
  await buildProgram()
  few = await demoReport("--protection", "plain", "--fogs", "1", "--facilities", "3", ...SWITCHES)
  many = await demoReport("--protection", "plain", "--fogs", "1", "--facilities", "12", ...SWITCHES)
  shared = await demoReport("--protection", "shamir", "--fogs", "2", "--facilities", "6", ...SWITCHES)
})

const perRound = (
  report: DemoReport,
  pick: (round: DemoReport["rounds"][number]) => number,
): readonly number[] => report.rounds.map(pick)

afterAll(() => {
  for (const [name, report] of Object.entries({ few, many, shared }))
    if (report !== undefined)
      console.log(name, report.seconds, ...report.rounds.map(({ bytes }) => JSON.stringify(bytes)))
})

describe("what fogs add does not reach the leader apart", () => {
  it("the leader gets as many bytes of updates from twelve facilities as from three", () => {
    expect(few.rounds.map(({ participants }) => participants.length)).toEqual(Array(ROUNDS).fill(3))
    expect(many.rounds.map(({ participants }) => participants.length)).toEqual(Array(ROUNDS).fill(12))
    const leaderIn = perRound(few, ({ bytes }) => bytes.leaderIn)
    // one sum of 13 weights, a bias and the record count, 4 bytes each
    expect(leaderIn).toEqual(Array(ROUNDS).fill(4 * 15))
    expect(perRound(many, ({ bytes }) => bytes.leaderIn)).toEqual(leaderIn)
    expect(perRound(many, ({ bytes }) => bytes.leader.update)).toEqual(leaderIn)
  })

  it("the fog gets four times as many", () => {
    const fogIn = perRound(few, ({ bytes }) => bytes.fogIn)
    expect(fogIn).toEqual(Array(ROUNDS).fill(3 * 4 * 15))
    expect(perRound(many, ({ bytes }) => bytes.fogIn)).toEqual(fogIn.map((bytes) => 4 * bytes))
  })
})

describe("[S2] with shamir", () => {
  it("no update reaches fog or leader, protected or not; what is relayed, opened and around it is shown apart", () => {
    for (const { bytes } of shared.rounds) {
      expect([bytes.leader.update, bytes.fogs.update, bytes.fogIn]).toEqual([0, 0, 0])
      // a share: 15 values and 2 masks of 8 bytes, sealed (48); 6 facilities send one to each of 5 others
      const share = 8 * (15 + 2) + 48
      expect(bytes.fogs.relayed).toBe(6 * 5 * share)
      // with 3 facilities below each fog, each sends 3 of its 5 shares into the other region
      expect(bytes.leader.relayed).toBe(6 * 3 * share)
      // an answer: 15 values, and the tag of its seal
      expect(bytes.leader.opening).toBe(6 * (8 * 15 + 16))
      expect(bytes.leaderIn).toBe(bytes.leader.opening)
      expect(bytes.leader.metadata).toBeGreaterThan(0)
      const { update, relayed, opening, metadata } = bytes.fogs
      expect(metadata).toBeGreaterThan(0)
      expect(bytes.facilityUp).toBe(update + relayed + opening + metadata)
    }
  })
})
