import { toHex } from "@consilium/base/bytes"
import type { Protection } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  FACILITIES,
  HELD,
  type HeldPlan,
  type HeldRun,
  layOutHeld,
  PLANTED,
  ROUNDS,
  searchHeld,
} from "../security/held-run.js"
import type { KnownKeys } from "../security/known-keys.js"
import { whyNoMemory } from "../security/process-memory.js"
import type { Hit } from "../security/scanner.js"
import { buildProgram, type StudyRun } from "../security/study-run.js"

const noMemory = await whyNoMemory()
// where the project's own checks run, memory must be readable: there a skipped scan would go unnoticed
const memorySkipped = noMemory !== null && process.env.CI !== "true"
const skipped = memorySkipped ? ` (skipped: ${noMemory})` : ""
const memory = !memorySkipped

/** What is run: the same study under each protection; two regions and a database for the first two, which take longer. */
const PLANS: readonly HeldPlan[] = [
  { protection: "plain", fogs: 2, store: "pglite", memory },
  { protection: "shamir", fogs: 2, store: "pglite", memory },
  { protection: "ckks", fogs: 1, store: "segments", memory },
  { protection: "masked", fogs: 1, store: "segments", memory },
]
const protections = PLANS.map(({ protection }) => protection)

const runs: StudyRun[] = []
const layOut = async (plan: HeldPlan): Promise<StudyRun> => {
  const run = await layOutHeld(plan)
  runs.push(run)
  return run
}

let undisturbed: StudyRun
const scans = new Map<Protection, HeldRun>()
const scanOf = (protection: Protection): HeldRun => scans.get(protection) as HeldRun
const keysOf = (protection: Protection): KnownKeys => scanOf(protection).keys as KnownKeys

beforeAll(async () => {
  await buildProgram()
  undisturbed = await layOut({ ...(PLANS[1] as HeldPlan), store: "segments" })
  undisturbed.startAllBut([])
  await undisturbed.complete()
  for (const plan of PLANS) scans.set(plan.protection, await searchHeld(await layOut(plan), plan))
})
afterAll(async () => {
  await Promise.all(runs.map((run) => run.close()))
  const rows = [...scans].map(([protection, { memory: live, memoryBytes, files, traffic, seconds }]) => {
    const count = (hits: ReadonlyMap<string, readonly Hit[]>): object =>
      Object.fromEntries([...hits].map(([name, found]) => [name, found.length]))
    return `${protection}: memory ${(memoryBytes / 2 ** 20).toFixed(0)} MB ${JSON.stringify(count(live))} files ${JSON.stringify(count(files))} traffic ${traffic.length} seconds ${JSON.stringify(seconds)}`
  })
  console.log(rows.join("\n"))
})

const hitsIn = (places: ReadonlyMap<string, readonly Hit[]>, name: string): readonly Hit[] =>
  places.get(name) as readonly Hit[]
/** Which updates, as "facility round", some hits show. */
const shown = (scan: HeldRun, hits: readonly Hit[]): readonly string[] =>
  scan.updates
    .filter(({ secrets }) => secrets.some(({ name }) => hits.some((hit) => hit.secret === name)))
    .map(({ facility, round }) => `${facility} ${round}`)
    .sort()
const all = (facilities: readonly string[], rounds: readonly number[]): readonly string[] =>
  facilities.flatMap((name) => rounds.map((round) => `${name} ${round}`)).sort()
/** Facilities below a fog. */
const regionOf = ({ run }: HeldRun, fog: string): readonly string[] => {
  const fogs = run.named("fog")
  return run.named("facility").filter((_, i) => fogs[i % fogs.length] === fog)
}
/** Those of them that were not held. */
const sentIn = (scan: HeldRun, fog: string): readonly string[] =>
  regionOf(scan, fog).filter((name) => !HELD.includes(name))

describe("[S2] the updates that the search looks for are the facilities' own", () => {
  it("they lead to the model that the study ends with", () => {
    const { opened, updates } = scanOf("shamir")
    expect(opened).toHaveLength(ROUNDS)
    for (const [i, { values: found }] of opened.entries()) {
      const weighted = updates
        .filter(({ round }) => round === i + 1)
        .map(({ secrets }) => secrets.find(({ name }) => name.endsWith("weighted integers"))?.values ?? [])
      expect(weighted).toHaveLength(FACILITIES)
      const sum = (weighted[0] ?? []).map((_, at) =>
        weighted.reduce((total, values) => total + (values[at] as number), 0),
      )
      expect(found).toEqual(sum)
    }
  })

  it("[S15] a study that was held ends with the model of one that was not, under every protection", async () => {
    const { modelHash, complete } = await undisturbed.outcome()
    expect(complete).toBe(true)
    for (const protection of protections)
      expect([protection, scanOf(protection).modelHash]).toEqual([protection, modelHash])
  })
})

describe("[S2] without protection the search finds every update", () => {
  const FOGS = ["fog-1", "fog-2"]

  it.skipIf(memorySkipped)(`in the memory of the fog that waits${skipped}`, () => {
    const scan = scanOf("plain")
    for (const fog of FOGS) expect(shown(scan, hitsIn(scan.memory, fog))).toEqual(all(sentIn(scan, fog), [1]))
    expect(scan.memory.get("leader")).toEqual([])
    expect(scan.memory.get("authority")).toEqual([])
  })

  it("in the log of its fog, in every round, and not in what the fog seals, nor at the leader", () => {
    const scan = scanOf("plain")
    for (const fog of FOGS) {
      const hits = hitsIn(scan.files, fog)
      expect(shown(scan, hits)).toEqual(all(regionOf(scan, fog), [1, 2]))
      for (const { where } of hits) expect(where).toMatch(/\/studies\/[0-9a-f]{16}\/log\//)
    }
    expect(scan.files.get("leader")).toEqual([])
    expect(scan.files.get("authority")).toEqual([])
  })

  it("in what is sent over TLS before it is encrypted", () => {
    const scan = scanOf("plain")
    expect(shown(scan, scan.traffic)).toEqual(all(scan.run.named("facility"), [1, 2]))
  })
})

describe("[S2] under shamir no update, and no share of one, is found anywhere", () => {
  it.skipIf(memorySkipped)(`in the memory of leader, fogs and authority while they collect${skipped}`, () => {
    for (const name of scanOf("shamir").told)
      expect([name, scanOf("shamir").memory.get(name)]).toEqual([name, []])
  })

  it("in the files of leader, fogs and authority, of any round", () => {
    for (const name of scanOf("shamir").told)
      expect([name, scanOf("shamir").files.get(name)]).toEqual([name, []])
  })

  it("in what they and the facilities send each other", () => {
    expect(scanOf("shamir").traffic).toEqual([])
  })
})

describe.each(["ckks", "masked"] as const)(
  "[S2][S22] under %s no update, no key, no share of one and nothing that keys add up to is found anywhere",
  (protection) => {
    const ciphertextsOf = (names: readonly string[]): readonly string[] =>
      names.flatMap((name) => (keysOf(protection).ciphertexts.get(name) ?? []).map((one) => one.name)).sort()
    /** Ciphertexts may be anywhere: they are the control. */
    const parted = (hits: readonly Hit[]) => {
      const readable = new Set(ciphertextsOf(scanOf(protection).run.named("facility")))
      return {
        ciphertexts: [
          ...new Set(hits.map(({ secret }) => secret).filter((name) => readable.has(name))),
        ].sort(),
        others: hits.filter(({ secret }) => !readable.has(secret)),
      }
    }

    it.skipIf(memorySkipped)(
      `in the memory of leader, fog and authority while they collect, where ciphertexts are${skipped}`,
      () => {
        const scan = scanOf(protection)
        for (const name of scan.told)
          expect([name, parted(hitsIn(scan.memory, name)).others]).toEqual([name, []])
        const waiting = ciphertextsOf(sentIn(scan, "fog-1")).filter((name) => name.endsWith("round 1"))
        expect(parted(hitsIn(scan.memory, "fog-1")).ciphertexts).toEqual(waiting)
      },
    )

    it("in the files of leader, fog and authority, where ciphertexts are", () => {
      const scan = scanOf(protection)
      for (const name of scan.told)
        expect([name, parted(hitsIn(scan.files, name)).others]).toEqual([name, []])
      expect(parted(hitsIn(scan.files, "fog-1")).ciphertexts).toEqual(
        ciphertextsOf(scan.run.named("facility")),
      )
    })

    it("in what they and the facilities send each other, where ciphertexts are", () => {
      const { ciphertexts, others } = parted(scanOf(protection).traffic)
      expect(others).toEqual([])
      expect(ciphertexts).toEqual(ciphertextsOf(scanOf(protection).run.named("facility")))
    })
  },
)

describe("[S22] the keys of a study under ckks", () => {
  it.skipIf(memorySkipped)(
    `are found at their own facility, with the shares it holds, and no other key or share is${skipped}`,
    () => {
      const { own, shares, joint } = keysOf("ckks")
      const found = new Set(hitsIn(scanOf("ckks").memory, PLANTED).map(({ secret }) => secret))
      expect(found).toContain(`key of ${PLANTED}`)
      const held = shares.filter(({ recipient }) => recipient === PLANTED)
      expect(held).toHaveLength(FACILITIES)
      for (const { secrets } of held) expect(found).toContain(secrets[0]?.name)
      const others = [
        ...[...own].filter(([name]) => name !== PLANTED).flatMap(([, secrets]) => secrets),
        // the shares that it dealt were made here
        ...shares
          .filter(({ dealer, recipient }) => dealer !== PLANTED && recipient !== PLANTED)
          .flatMap(({ secrets }) => secrets),
        ...joint,
      ]
      expect(others.filter(({ name }) => found.has(name))).toEqual([])
    },
  )

  it("are not in the files of their own facility, where they lie sealed", () => {
    const { own, shares, joint } = keysOf("ckks")
    const keys = [...[...own.values()].flat(), ...shares.flatMap(({ secrets }) => secrets), ...joint]
    const found = new Set(hitsIn(scanOf("ckks").files, PLANTED).map(({ secret }) => secret))
    expect(keys.filter(({ name }) => found.has(name))).toEqual([])
  })
})

describe.each(protections)("[S1][S2] what can be asked of a study under way, under %s", (protection) => {
  it("tells no update, no key, no share and no patient, at any address of the API or admin socket", () => {
    const { answers, asked } = scanOf(protection)
    expect(answers).toEqual([])
    expect(asked.length).toBeGreaterThan(14)
  })

  it("the search sees into the leader's store: it finds every sum that was opened", () => {
    const { sums, run } = scanOf(protection)
    const { store } = PLANS.find((plan) => plan.protection === protection) as HeldPlan
    expect(new Set(sums.map(({ secret }) => secret)).size).toBe(run.study.rounds)
    for (const { where } of sums)
      expect(where).toMatch(store === "pglite" ? /leader\/data\/db\/pglite\// : /leader\/data\/studies\//)
  })
})

describe.each(protections)("[S13] a facility's own update, under %s", (protection) => {
  it.skipIf(memorySkipped)(`is found in its own memory, and nobody else's is${skipped}`, () => {
    const scan = scanOf(protection)
    expect(shown(scan, hitsIn(scan.memory, PLANTED))).toEqual([`${PLANTED} 1`])
  })

  it("is not in its files", () => {
    const scan = scanOf(protection)
    expect(shown(scan, hitsIn(scan.files, PLANTED))).toEqual([])
  })
})

it.skipIf(memorySkipped)(
  `a share of its own update is found in a facility's memory, and of nobody else's${skipped}`,
  () => {
    const { memory: live, updates } = scanOf("shamir")
    const shares = updates.flatMap((update) => update.shares.map(({ name }) => name))
    const seen = hitsIn(live, PLANTED).filter(({ secret }) => shares.includes(secret))
    // the dealer made all its shares here; those of others lie in its memory sealed only
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.filter(({ secret }) => !secret.startsWith(`round 1, ${PLANTED}: `))).toEqual([])
  },
)

describe.each(protections)("[S1] patients' figures, under %s", (protection) => {
  const found = (hits: readonly Hit[]): readonly string[] =>
    hits.filter(({ secret }) => scanOf(protection).patients.includes(secret)).map(({ secret }) => secret)

  it.skipIf(memorySkipped)(`are in the memory of their own facility, and in no other's${skipped}`, () => {
    const { memory: live, patients, told } = scanOf(protection)
    const own = found(hitsIn(live, PLANTED))
    expect(own).toEqual(expect.arrayContaining(patients.filter((name) => name.endsWith("standardised"))))
    for (const name of told) expect([name, found(hitsIn(live, name))]).toEqual([name, []])
  })

  it("are in the file of their own facility, and in no other's, nor on the way", () => {
    const { files, patients, told, traffic } = scanOf(protection)
    const own = found(hitsIn(files, PLANTED))
    expect(own).toEqual(expect.arrayContaining(patients.filter((name) => name.endsWith("as written"))))
    for (const name of told) expect([name, found(hitsIn(files, name))]).toEqual([name, []])
    expect(found(traffic)).toEqual([])
  })
})

it("all runs were of one study", () => {
  const nonces = [undisturbed, ...[...scans.values()].map(({ run }) => run)].map(({ study }) =>
    toHex(study.nonce),
  )
  expect(new Set(nonces).size).toBe(1)
})
