import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { insecureSeededRandom } from "@consilium/base/testing"
import type { Study } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { testStudy } from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { LedgerWorld, type WorldOptions } from "./ledger-world.js"

let folder = ""
let worlds = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-rollback-"))
})
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))

const BUDGET = { epsilon: 100, delta: 1e-5 }
/** A private study; the number makes it another one. */
const privateStudy = (number: number, rounds = 2): Study =>
  testStudy(4, {
    ...withPrivacy({ epsilon: 100, metrics: "none" }),
    protection: "plain",
    rounds,
    nonce: new Uint8Array(32).fill(number),
    name: `study ${number}`,
  })
const ALL = ["clinic-1", "clinic-2", "clinic-3", "clinic-4"]
const OTHERS = ALL.slice(1)

const begin = async (options: Partial<WorldOptions> = {}): Promise<LedgerWorld> => {
  const world = new LedgerWorld({
    place: join(folder, String(worlds++)),
    policy: () => ({ privacy: { study: BUDGET, month: BUDGET } }),
    ...options,
  })
  await world.startAll()
  return world
}
const run = async (world: LedgerWorld, study: Study): Promise<void> => {
  await world.add(study)
  await world.until(() => world.isOver(study), `${study.name} is over`)
}

/** Everybody's security events of a code, by who noted them. */
const security = async (world: LedgerWorld, study: Study, code: string): Promise<readonly string[]> => {
  const found: string[] = []
  for (const name of ALL)
    for (const { header, body } of await world.log(name, study))
      if (header.type === `security:${code}`)
        found.push(`${name}: ${new TextDecoder().decode(body).replace(/ \(evidence .*/, "")}`)
  return found
}

describe("a facility's ledger over several studies", () => {
  it("is one chain, whatever order they charge in, and the same after a restart", async () => {
    const world = await begin()
    const [one, two] = [privateStudy(1, 3), privateStudy(2, 3)]
    await world.add(one)
    await run(world, two)
    await world.until(() => world.isOver(one))
    await world.stopAll()
    await world.startAll()
    for (const name of ALL) {
      const { ledger } = world.process(name)
      expect(ledger?.problem).toBeNull()
      expect(ledger?.head.seq).toBe(6)
      expect(ledger?.certified).toEqual(ledger?.head)
    }
    expect(world.cohorts(one)).toEqual([ALL, ALL, ALL])
    expect(world.cohorts(two)).toEqual([ALL, ALL, ALL])
    expect(await security(world, one, "privacy/peer-ledger-set-back")).toEqual([])
    await world.stopAll()
  })

  it("[S21] loses no entry and has no fork when its process is killed again and again", async () => {
    // which of its steps a kill comes at, counted over both studies
    const random = insecureSeededRandom("kills")
    let left = 0
    let kill: (() => void) | null = null
    const world = await begin({
      probe: (name) =>
        name !== "clinic-1"
          ? undefined
          : () => {
              left -= 1
              if (kill === null || left > 0) return undefined
              kill()
              throw new Error("killed")
            },
    })
    const studies = [privateStudy(1, 3), privateStudy(2, 3)]
    for (const study of studies) await world.add(study)
    let kills = 0
    while (!studies.every((study) => world.isOver(study))) {
      let killed = false
      left = 1 + ((random.bytes(1)[0] as number) % 24)
      kill = () => {
        killed = true
      }
      await world.until(() => killed || studies.every((study) => world.isOver(study)))
      kill = null
      if (!killed) break
      kills += 1
      const before = world.process("clinic-1").ledger?.head.seq ?? 0
      await world.stop("clinic-1")
      const { ledger } = await world.start("clinic-1")
      expect(ledger?.problem).toBeNull()
      // the one that was on its way when it was killed may not have been saved
      expect(ledger?.head.seq).toBeGreaterThanOrEqual(before - 1)
    }
    expect(kills).toBeGreaterThanOrEqual(10)
    const { ledger } = world.process("clinic-1")
    const seen = new Map<number, string>()
    for (const study of studies)
      for (const { ledger: head } of await world.submissions("clinic-1", study)) {
        if (head === null) throw new Error("An update names no ledger.")
        expect(seen.get(head.seq) ?? toHex(head.hash)).toBe(toHex(head.hash))
        seen.set(head.seq, toHex(head.hash))
        expect(ledger?.holds(head)).toBe(true)
      }
    expect(seen.size).toBeGreaterThanOrEqual(4)
    expect(ledger?.month().updates).toBe(ledger?.head.seq)
    await world.stopAll()
  })
})

describe("a ledger that was set back", () => {
  /** Two studies, with a copy of clinic-1's folder from between them. */
  const twoStudies = async (options: Partial<WorldOptions> = {}): Promise<LedgerWorld> => {
    const world = await begin(options)
    await run(world, privateStudy(1))
    await world.stop("clinic-1")
    await world.backUp("clinic-1", "older")
    await world.start("clinic-1")
    await run(world, privateStudy(2))
    await world.stop("clinic-1")
    return world
  }
  const third = privateStudy(3)

  it("[S21] an older data folder spends nothing: the others hold what it lacks, and the study goes on", async () => {
    const world = await twoStudies()
    await world.restore("clinic-1", "older")
    const { ledger, lines } = await world.start("clinic-1")
    await run(world, third)
    expect(world.cohorts(third)).toEqual([OTHERS, OTHERS])
    const [refusal] = await world.refusals(third)
    expect(refusal).toMatchInlineSnapshot(`
      {
        "by": "clinic-1",
        "code": "privacy/ledger-rolled-back",
        "reason": "The others hold entry 4 of this facility's privacy ledger, which ends here at entry 2: its data folder is not the newest, and spending is forgotten. It spends no more until the newest is back or the ledger is started anew.",
      }
    `)
    expect(ledger?.head.seq).toBe(2)
    expect(world.machineOf("clinic-1", third).state.memory.charges).toBe(0)
    expect(lines.join("\n")).toContain("privacy/ledger-rolled-back")
    const own = (await world.log("clinic-1", third)).map(({ header }) => header.type)
    expect(own).toContain("training-failed")
    await world.stopAll()
  })

  it("[S21] a deleted ledger spends nothing, also when it is started again and again", async () => {
    const world = await twoStudies()
    await world.deleteStudies("clinic-1")
    await world.start("clinic-1")
    await world.add(third)
    await world.until(() => world.process("clinic-1").ledger?.problem !== null)
    await world.stop("clinic-1")
    const { ledger } = await world.start("clinic-1")
    // it remembers what it was shown, before anybody shows it again
    expect(ledger?.problem?.code).toBe("privacy/ledger-rolled-back")
    await world.until(() => world.isOver(third))
    expect(world.cohorts(third)).toEqual([OTHERS, OTHERS])
    await world.stopAll()
  })

  it("[S21] a ledger with a hole spends nothing, whatever the leader says", async () => {
    const world = await twoStudies({ lie: () => [] })
    await world.deleteStudy("clinic-1", privateStudy(1))
    const { ledger } = await world.start("clinic-1")
    expect(ledger?.problem?.reason).toMatchInlineSnapshot(
      `"Entry 1 of this facility's privacy ledger is missing or altered, so what it spent is forgotten. It spends no more until the newest data folder is back or the ledger is started anew."`,
    )
    await run(world, third)
    expect(world.cohorts(third)).toEqual([OTHERS, OTHERS])
    await world.stopAll()
  })

  it("[S21] nothing is spent before the leader has answered", async () => {
    let answers = true
    const world = await twoStudies({ answers: () => answers })
    answers = false
    await world.start("clinic-1")
    const quick = { ...third, deadlines: { collect: 500, answer: 500 } }
    await run(world, quick)
    expect(world.leaderOf(quick).state.phase).toBe("aborted")
    for (const name of ALL) expect(world.machineOf(name, quick).state.memory.trained).toBeNull()
    expect(world.process("clinic-1").ledger?.head.seq).toBe(4)
    await world.stopAll()
  })

  it("[S21] where the leader hides what it knows, the other facilities sign no list with it", async () => {
    const world = await twoStudies({ lie: () => [] })
    await world.restore("clinic-1", "older")
    await world.start("clinic-1")
    await run(world, third)
    expect(world.cohorts(third)).toEqual([])
    expect(world.leaderOf(third).state.phase).toBe("aborted")
    const noted = await security(world, third, "privacy/peer-ledger-set-back")
    expect(new Set(noted.map((line) => line.slice(0, 8)))).toEqual(new Set(OTHERS))
    expect(noted[0]?.slice(10)).toMatchInlineSnapshot(
      `"The privacy ledger of clinic-1 was set back: entry 3 was seen before, up to entry 4. What it spent before may be forgotten, so no list with it is signed."`,
    )
    await world.stopAll()
  })

  it("[S21] forged evidence is not believed, and holds nobody up", async () => {
    const world = await twoStudies({
      lie: (_facility, known) =>
        known.map(({ roster, submission: signed, certificate }) => {
          const { submission, signature } = signed
          const ledger = { seq: 99, hash: new Uint8Array(32).fill(9) }
          return { roster, submission: { submission: { ...submission, ledger }, signature }, certificate }
        }),
    })
    await world.start("clinic-1")
    await run(world, third)
    expect(world.cohorts(third)).toEqual([ALL, ALL])
    const noted = await security(world, third, "privacy/forged-evidence")
    expect(noted).toHaveLength(4)
    expect(noted[0]).toMatchInlineSnapshot(
      `"clinic-1: What is shown of this facility's privacy ledger is not signed by this facility."`,
    )
    await world.stopAll()
  })

  it("[S21] begins anew only by a person's word, with the whole month spent", async () => {
    let now = Date.UTC(2026, 10, 30)
    const world = await twoStudies({ now: () => now })
    await world.restore("clinic-1", "older")
    const { ledger } = await world.start("clinic-1")
    await run(world, third)
    expect(world.cohorts(third)).toEqual([OTHERS, OTHERS])
    await world.beginAnew("clinic-1", third)
    expect(ledger?.problem).toBeNull()
    expect(ledger?.head.seq).toBe(5)
    expect(ledger?.month()).toMatchObject({ month: "2026-11", epsilon: BUDGET.epsilon })
    await expect(world.beginAnew("clinic-1", third)).rejects.toMatchObject({ code: "privacy/ledger-whole" })

    const fourth = privateStudy(4)
    await run(world, fourth)
    expect(world.cohorts(fourth)).toEqual([OTHERS, OTHERS])
    const [refusal] = await world.refusals(fourth)
    expect(refusal).toMatchInlineSnapshot(`
      {
        "by": "clinic-1",
        "code": "policy/privacy-month",
        "reason": "This facility's privacy ledger was started anew in 2026-11; what it had spent before is unknown, so its whole budget of epsilon 100.00 (delta 0.00001) for the month counts as spent.",
      }
    `)

    now = Date.UTC(2026, 11, 1)
    await world.stop("clinic-1")
    await world.start("clinic-1")
    const fifth = privateStudy(5)
    await run(world, fifth)
    expect(world.cohorts(fifth)).toEqual([ALL, ALL])
    expect(await security(world, fifth, "privacy/peer-ledger-set-back")).toEqual([])
    expect(world.process("clinic-1").ledger?.head.seq).toBe(7)
    await world.stopAll()
  })
})
