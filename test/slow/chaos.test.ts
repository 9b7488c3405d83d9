import { insecureSeededRandom } from "@consilium/base/testing"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ChaosStudy, type Ended } from "../chaos/chaos-study.js"
import { buildProgram } from "../security/study-run.js"

/** Random kills; more on demand. */
const RANDOM = Number(process.env.CONSILIUM_CHAOS_POINTS ?? 40)
const KILLS_PER_STUDY = 40
/** Studies that may be needed until every point was hit: a point that comes once in a study can be hit once in it. */
const MOST_STUDIES = 20

/** What depends on the order in which messages happen to come is no point to insist on. */
const IS_CHANCE = /log:(dropped|security|message-dropped)/

/** Some of these points, spread over all of them. */
const spread = (points: readonly string[], most: number): readonly string[] =>
  points.filter((_, i) => i % Math.ceil(points.length / most) === 0)

const open: ChaosStudy[] = []
const study = async (
  protection: "shamir" | "plain" = "shamir",
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
}

beforeAll(async () => {
  if (process.env.NOBUILD === undefined) await buildProgram()
}, 300_000)

afterAll(async () => {
  for (const made of open) await made.close()
})

describe("a study whose participants are killed", () => {
  it("ends with the same model, wherever the leader, the fog or a facility is killed", async () => {
    const undisturbed = await (await study()).undisturbed()
    const points = [...new Set(undisturbed.seen)].filter((point) => !IS_CHANCE.test(point)).sort()
    const hit = new Set<string>()
    let kills = 0
    for (let studies = 0; studies < MOST_STUDIES && hit.size < points.length; studies++) {
      const wanted = points.filter((point) => !hit.has(point))
      const ended = await (await study()).killedAt(spread(wanted, KILLS_PER_STUDY))
      console.log(
        `study ${studies + 1}: ${ended.kills} kills, ${ended.seconds.toFixed(1)} s, ${hit.size + ended.hits.length} of ${points.length} points`,
      )
      same(ended, undisturbed)
      for (const point of ended.hits) hit.add(point)
      kills += ended.kills
    }
    console.log(
      `undisturbed ${undisturbed.seconds.toFixed(1)} s; ${hit.size} of ${points.length} points in ${kills} kills:\n${points.join("\n")}`,
    )
    expect(points.filter((point) => !hit.has(point))).toEqual([])
    expect(points.length).toBeGreaterThan(60)
  }, 480_000)

  it(
    `ends with the same model after ${RANDOM} kills at random moments`,
    async () => {
      const undisturbed = await (await study()).undisturbed()
      const random = insecureSeededRandom("chaos")
      for (let left = RANDOM; left > 0; left -= KILLS_PER_STUDY) {
        const kills = Array.from({ length: Math.min(left, KILLS_PER_STUDY) }, () => ({
          wait: 50 + 4 * (random.bytes(1)[0] as number),
          who: random.bytes(1)[0] as number,
        }))
        const store = left > RANDOM - KILLS_PER_STUDY ? "pglite" : "segments"
        same(await (await study("shamir", store)).killedAfter(kills), undisturbed)
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
