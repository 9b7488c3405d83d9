import { insecureSeededRandom } from "@consilium/base/testing"
import type { Protection } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ChaosStudy, type Ended } from "../chaos/chaos-study.js"
import { buildProgram } from "../security/study-run.js"

/** Random kills; more on demand. */
const RANDOM = Number(process.env.CONSILIUM_CHAOS_POINTS ?? 40)
const KILLS_PER_STUDY = 40
/** Every n-th point is hit: all, or fewer where time is short. */
const EVERY = Number(process.env.CONSILIUM_CHAOS_EVERY ?? 1)
/** Studies that may be needed until every point was hit: a moment that comes once in a study can be hit once in it. */
const MOST_STUDIES = 20

/** What depends on the order in which messages happen to come is no point to insist on. */
const IS_CHANCE = /log:(dropped|security|message-dropped)/

/** A ceremony is a series of messages like a round, and then a test of the keys. */
const OF_A_CEREMONY = [
  "leader/keys/MOMENT/send:announce",
  "facility/keys/MOMENT/log:key-dealt",
  "facility/keys/MOMENT/send:share",
  "facility/keys/MOMENT/send:submit",
  "fog/keys/MOMENT/pass:share",
  "leader/keys/MOMENT/log:submit",
  "leader/keys/MOMENT/send:lock",
  "facility/keys/MOMENT/send:opening",
  "leader/keys/MOMENT/log:opening",
  "leader/keys/MOMENT/send:openings",
  "facility/keys/MOMENT/send:verdict",
  "leader/keys/MOMENT/log:verdict",
  "leader/keys/MOMENT/send:key-test",
  "facility/keys/MOMENT/send:key-tested",
  "leader/keys/MOMENT/log:key-tested",
  "leader/keys/MOMENT/send:propose",
  "facility/keys/MOMENT/send:signature",
  "leader/keys/MOMENT/log:signature",
  "leader/keys/MOMENT/send:certificate",
  "facility/keys/MOMENT/log:epoch-begun",
]
/** And what comes after it, in a round under its keys. */
const UNDER_KEYS = [
  "leader/MOMENT/send:announce",
  "facility/MOMENT/send:update",
  "fog/MOMENT/send:region",
  "leader/MOMENT/send:propose",
  "facility/MOMENT/send:signature",
  "leader/MOMENT/send:certificate",
  "facility/MOMENT/send:partial",
  "leader/MOMENT/log:partial",
  "facility/MOMENT/log:keys-destroyed",
]
const MOMENTS = ["before-save", "after-save", "after-send"]
const NAMED_POINTS = [...OF_A_CEREMONY, ...UNDER_KEYS].flatMap((point) =>
  MOMENTS.map((moment) => point.replace("MOMENT", moment)),
)

/** Some of these points, spread over all of them. */
const spread = (points: readonly string[], most: number): readonly string[] =>
  points.filter((_, i) => i % Math.ceil(points.length / most) === 0)

const open: ChaosStudy[] = []
const study = async (
  protection: Protection,
  store: "segments" | "pglite" = "segments",
): Promise<ChaosStudy> => {
  const made = await ChaosStudy.layOut(protection, store)
  open.push(made)
  return made
}

const same = (ended: Ended, undisturbed: Ended): void => {
  expect(ended.outcome.complete).toBe(true)
  expect(ended.outcome.modelHash).toBe(undisturbed.outcome.modelHash)
  expect(ended.outcome.rounds.map(({ attempt }) => attempt)).toEqual(
    undisturbed.outcome.rounds.map(({ attempt }) => attempt),
  )
  // no round and no key ceremony was begun anew, nobody was suspected, and no key was used for two answers
  expect(ended.record).toEqual(undisturbed.record)
  expect(ended.record.suspicions).toEqual([])
  expect(ended.record.otherAnswers).toEqual([])
}

beforeAll(async () => {
  if (process.env.NOBUILD === undefined) await buildProgram()
}, 300_000)

afterAll(async () => {
  for (const made of open) await made.close()
})

describe("a study whose participants are killed", () => {
  it("ends with the same model, wherever the leader, the fog or a facility is killed", async () => {
    const undisturbed = await (await study("ckks")).undisturbed()
    const points = [...new Set(undisturbed.seen)].filter((point) => !IS_CHANCE.test(point)).sort()
    expect(NAMED_POINTS.filter((point) => !points.includes(point))).toEqual([])
    const aimed = points.filter((_, i) => i % EVERY === 0)
    const hit = new Set<string>()
    let kills = 0
    for (let studies = 0; studies < MOST_STUDIES && hit.size < aimed.length; studies++) {
      const wanted = aimed.filter((point) => !hit.has(point))
      const ended = await (await study("ckks")).killedAt(spread(wanted, KILLS_PER_STUDY))
      for (const point of ended.hits) if (aimed.includes(point)) hit.add(point)
      console.log(
        `study ${studies + 1}: ${ended.kills} kills, ${ended.seconds.toFixed(1)} s, ${hit.size} of ${aimed.length} points`,
      )
      same(ended, undisturbed)
      kills += ended.kills
    }
    console.log(
      `undisturbed ${undisturbed.seconds.toFixed(1)} s; ${hit.size} of ${aimed.length} points in ${kills} kills:\n${points.join("\n")}`,
    )
    expect(aimed.filter((point) => !hit.has(point))).toEqual([])
    // three facilities open the sums of two rounds, and test the keys once
    expect(undisturbed.record.answers).toBe(3 * 2 + 3)
  }, 900_000)

  it("ends with the same model where shares of every update are dealt", async () => {
    const undisturbed = await (await study("shamir")).undisturbed()
    const points = [...new Set(undisturbed.seen)].filter((point) => !IS_CHANCE.test(point)).sort()
    expect(points.length).toBeGreaterThan(60)
    const ended = await (await study("shamir")).killedAt(spread(points, KILLS_PER_STUDY))
    expect(ended.kills).toBeGreaterThan(20)
    same(ended, undisturbed)
  }, 240_000)

  it(
    `ends with the same model after ${RANDOM} kills at random moments`,
    async () => {
      const undisturbed = await (await study("ckks")).undisturbed()
      const random = insecureSeededRandom("chaos")
      for (let left = RANDOM; left > 0; left -= KILLS_PER_STUDY) {
        const kills = Array.from({ length: Math.min(left, KILLS_PER_STUDY) }, () => ({
          wait: 50 + 4 * (random.bytes(1)[0] as number),
          who: random.bytes(1)[0] as number,
        }))
        const store = left > RANDOM - KILLS_PER_STUDY ? "pglite" : "segments"
        same(await (await study("ckks", store)).killedAfter(kills), undisturbed)
      }
    },
    20_000 * RANDOM,
  )

  it("ends with the same model where the fog adds the updates", async () => {
    const undisturbed = await (await study("plain")).undisturbed()
    const points = [...new Set(undisturbed.seen)].filter((point) => /update|region/.test(point))
    expect(points.length).toBeGreaterThan(5)
    same(await (await study("plain")).killedAt(points), undisturbed)
  }, 240_000)
})
