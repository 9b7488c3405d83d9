import { toHex } from "@consilium/base/bytes"
import { auditLeaderLog } from "@consilium/federation/audit"
import type { LogEntry } from "@consilium/federation/log"
import { pack } from "@consilium/federation/messages"
import { type Study, studyDigest } from "@consilium/federation/study"
import type { LabelledRows } from "@consilium/records/rows"
import { describe, expect, it } from "vitest"
import { keysFor, participant, testPolicy, testStudy, toyRecords } from "../../federation/test/members.js"
import { nodeSuite } from "../src/identity/suite.js"
import { type InProcessRun, type Place, runInProcess } from "../src/in-process/federation.js"
import { RememberedChecks } from "../src/in-process/remembered-checks.js"
import { nodeChecks } from "../src/roles/checks.js"

const FACILITIES = ["clinic-1", "clinic-2", "clinic-3", "clinic-4"]

const placesOf = (fogs: number): readonly Place[] => [
  { name: "leader", role: "leader", parent: null },
  ...Array.from({ length: fogs }, (_, i): Place => ({ name: `fog-${i + 1}`, role: "fog", parent: "leader" })),
  ...FACILITIES.map(
    (name, i): Place => ({
      name,
      role: "facility",
      parent: fogs === 0 ? "leader" : `fog-${(i % fogs) + 1}`,
    }),
  ),
]

const rowsOf = (study: Study, name: string, rows: number): LabelledRows => ({
  ...toyRecords(name, study.model.features.length, rows),
  names: study.model.features,
  patients: Uint32Array.from({ length: rows }, (_, row) => row),
})

const facilitiesOf = (study: Study) =>
  new Map(
    FACILITIES.map((name) => {
      const sides = { train: rowsOf(study, name, 20), holdOut: rowsOf(study, `${name} later`, 10) }
      const records = {
        ...sides,
        independent: sides,
        preparation: "declared" as const,
        warnings: [],
        form: null,
      }
      return [name, { records, policy: testPolicy() }] as const
    }),
  )

const run = (
  study: Study,
  fogs: number,
  options: Partial<Parameters<typeof runInProcess>[0]> = {},
): Promise<InProcessRun> =>
  runInProcess({
    study,
    places: placesOf(fogs),
    facilities: facilitiesOf(study),
    narrate: () => undefined,
    stop: new AbortController().signal,
    ...options,
  })

const entriesOf = async ({ log }: InProcessRun): Promise<readonly LogEntry[]> => {
  const entries: LogEntry[] = []
  for await (const entry of log.entries()) entries.push(entry)
  return entries
}

describe("a federation in one process", () => {
  it("comes to one model under every protection, with fogs and without, and its log holds", async () => {
    const hashes = new Set<string>()
    for (const [protection, fogs] of [
      ["plain", 2],
      ["shamir", 2],
      ["shamir", 0],
      ["masked", 2],
      ["masked", 0],
      ["ckks", 0],
    ] as const) {
      const study = testStudy(FACILITIES.length, { protection })
      const done = await run(study, fogs)
      const { outcome, directory, authorityKey } = done
      expect(outcome).toMatchObject({ complete: true, reason: null, study: "test" })
      expect(outcome.rounds.map(({ participants }) => participants)).toEqual([FACILITIES, FACILITIES])
      expect(outcome.facilities.every(({ global }) => global !== null)).toBe(true)
      const entries = await entriesOf(done)
      expect(entries).toHaveLength(done.log.length)
      const audit = await auditLeaderLog({ suite: nodeSuite, study, directory, authorityKey }, entries)
      expect([toHex(audit.model), audit.certifiedRounds, audit.ended]).toEqual([outcome.modelHash, 2, true])
      hashes.add(outcome.modelHash)
    }
    expect(hashes.size).toBe(1)
  })

  it("counts what crosses each edge, parcels as they would travel", async () => {
    const { traffic, outcome } = await run(testStudy(FACILITIES.length), 2)
    expect(traffic.map(({ child, parent }) => `${child} ${parent}`).sort()).toEqual([
      "clinic-1 fog-1",
      "clinic-2 fog-2",
      "clinic-3 fog-1",
      "clinic-4 fog-2",
      "fog-1 leader",
      "fog-2 leader",
    ])
    const bodies = outcome.rounds.reduce(
      (sum, { bytes: { leader } }) => sum + leader.relayed + leader.opening + leader.metadata,
      0,
    )
    const parcels = traffic.reduce((sum, { parent, up }) => sum + (parent === "leader" ? up : 0), 0)
    // around each message there are names, a signature and lengths
    expect(parcels).toBeGreaterThan(bodies)
    expect(parcels).toBeLessThan(3 * bodies)
    for (const { up, down } of traffic) expect(Math.min(up, down)).toBeGreaterThan(1000)
  })

  it("gives the same whether checks are remembered or made each time", async () => {
    const study = testStudy(FACILITIES.length)
    const remembered = new RememberedChecks()
    const [once, always] = await Promise.all([
      run(study, 1, { checks: remembered }),
      run(study, 1, { checks: nodeChecks }),
    ])
    expect(once.outcome.modelHash).toBe(always.outcome.modelHash)
    const types = async (of: InProcessRun) => (await entriesOf(of)).map(({ header }) => header.type).sort()
    expect(await types(once)).toEqual(await types(always))
    expect(remembered.counts.verified).toBeGreaterThan(2 * remembered.counts.verifiedAnew)
    expect(remembered.counts.read).toBeGreaterThan(2 * remembered.counts.readAnew)
  })

  it("ends in good order when it is told to stop", async () => {
    const stop = new AbortController()
    const study = testStudy(FACILITIES.length, { rounds: 1000 })
    const { outcome } = await run(study, 1, {
      stop: stop.signal,
      narrate: (line) => {
        if (line.startsWith("round 2")) stop.abort()
      },
    })
    expect(outcome).toMatchObject({ complete: false, reason: "The leader was stopped." })
    expect(outcome.rounds.length).toBeGreaterThanOrEqual(2)
    expect(outcome.rounds.length).toBeLessThan(1000)
  })

  it("says who has no records, and refuses a tree in which the leader would read updates", async () => {
    const study = testStudy(FACILITIES.length)
    const none = new Map([...facilitiesOf(study)].slice(1))
    await expect(run(study, 1, { facilities: none })).rejects.toThrow("No records are given for clinic-1.")
    const plain = testStudy(FACILITIES.length, { protection: "plain" })
    await expect(run(plain, 0)).rejects.toMatchObject({ code: "round/bad-study" })
  })
})

describe("[S10] remembered checks", () => {
  const study = testStudy(4)
  const [from, other] = [
    participant("clinic-1", "facility", "fog-1"),
    participant("clinic-2", "facility", "fog-1"),
  ]
  const { sign, signingKey } = keysFor("clinic-1")
  const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

  it("hold a signature good for its key and its message, and for no other", () => {
    const { suite } = new RememberedChecks()
    const signature = sign(digest(1))
    for (let again = 0; again < 2; again++) {
      expect(suite.verify(signingKey, digest(1), signature)).toBe(true)
      expect(suite.verify(signingKey, digest(2), signature)).toBe(false)
      expect(suite.verify(other.signingKey, digest(1), signature)).toBe(false)
    }
    const forged = signature.slice()
    forged[5] = (forged[5] as number) ^ 1
    expect(suite.verify(signingKey, digest(1), forged)).toBe(false)
    expect(suite.verify(signingKey, digest(1), signature)).toBe(true)
  })

  it("give out the message of an envelope, and refuse any other under its signature", () => {
    const checks = new RememberedChecks()
    const message = { type: "ended", reason: "so it is", head: null } as const
    const envelope = pack(studyDigest(study), from.id, other.id, message, sign)
    expect(checks.message(from, envelope)).toEqual(message)
    expect(checks.message(from, envelope)).toBe(checks.message(from, envelope))
    const body = envelope.body.slice()
    body[body.length - 2] = (body[body.length - 2] as number) ^ 1
    for (const changed of [
      { ...envelope, body },
      { ...envelope, to: from.id },
      { ...envelope, from: other.id },
      { ...envelope, study: digest(9) },
    ])
      expect(() => checks.message(from, changed)).toThrow(
        expect.objectContaining({ code: "identity/bad-signature" }),
      )
    expect(() => checks.message(other, envelope)).toThrow(
      expect.objectContaining({ code: "identity/bad-signature" }),
    )
    expect(checks.message(from, envelope)).toEqual(message)
  })
})
