import { equalBytes, toHex } from "@consilium/base/bytes"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { certificateDigest, type Proposal, specDigest } from "../src/messages.js"
import { difference } from "../src/redo.js"
import { HostileLeader, type Move } from "./hostile-leader.js"

const KINDS: readonly { readonly arbitrary: fc.Arbitrary<Move["kind"]>; readonly weight: number }[] = [
  { arbitrary: fc.constant("onwards"), weight: 26 },
  ...(
    [
      "announce",
      "trained",
      "shares",
      "lock",
      "openings",
      "propose",
      "certificate",
      "candidate",
      "void",
      "closed",
      "again",
      "impostor",
      "roster",
    ] as const
  ).map((kind) => ({ arbitrary: fc.constant(kind), weight: kind === "again" ? 4 : 2 })),
  { arbitrary: fc.constantFrom("finish", "ended"), weight: 1 },
] as const
const moves: fc.Arbitrary<readonly Move[]> = fc.array(
  fc.record({
    kind: fc.oneof(...KINDS),
    // mostly everybody or all but one, so that attempts get somewhere
    mask: fc.oneof(
      { arbitrary: fc.constantFrom(31, 15, 29, 23), weight: 3 },
      { arbitrary: fc.nat(31), weight: 1 },
    ),
    a: fc.nat(59),
    b: fc.oneof({ arbitrary: fc.constant(1), weight: 2 }, { arbitrary: fc.nat(59), weight: 1 }),
  }),
  { minLength: 10, maxLength: 70 },
)

const attemptOf = (proposal: Proposal): string => toHex(specDigest(proposal.spec))
const cohortOf = (proposal: Proposal): readonly Uint8Array[] =>
  proposal.cohort.map((member) => member.facility)
const grouped = <T>(items: readonly T[], key: (item: T) => string): readonly (readonly T[])[] => [
  ...items
    .reduce((map, item) => map.set(key(item), [...(map.get(key(item)) ?? []), item]), new Map<string, T[]>())
    .values(),
]
const distinct = <T>(items: readonly T[], key: (item: T) => string): number => new Set(items.map(key)).size

/** What a facility never does, whatever its leader does. */
const holds = (leader: HostileLeader): void => {
  const { out, study, context, directory } = leader
  const k = study.cohort.minCohort
  const mine = (proposal: Proposal) =>
    proposal.cohort.find((member) => equalBytes(member.facility, context.me.id))

  for (const partials of grouped(out.partials, ({ proposal }) => attemptOf(proposal)))
    expect([distinct(partials, (p) => toHex(p.sealed)), "partial openings in one attempt"]).toEqual([
      1,
      "partial openings in one attempt",
    ])
  for (const { proposal, valid } of out.partials) {
    expect([valid, "a partial opening is for a certified list"]).toEqual([
      true,
      "a partial opening is for a certified list",
    ])
    expect(proposal.cohort.length).toBeGreaterThanOrEqual(k)
    const digest = certificateDigest(proposal)
    expect(out.signatures.some((signed) => equalBytes(signed.digest, digest))).toBe(true)
    const verdict = out.verdicts.findLast((v) => toHex(v.spec) === attemptOf(proposal))
    const good = new Set(verdict?.good.map(toHex))
    expect(cohortOf(proposal).filter((id) => !good.has(toHex(id)))).toEqual([])
  }

  for (const signatures of grouped(out.signatures, ({ proposal }) => attemptOf(proposal)))
    expect([distinct(signatures, (s) => toHex(s.digest)), "lists signed in one attempt"]).toEqual([
      1,
      "lists signed in one attempt",
    ])
  for (const { proposal } of out.signatures) {
    expect(proposal.cohort.length).toBeGreaterThanOrEqual(k)
    const own = mine(proposal)
    if (!own) continue
    const submitted = out.submissions.some(
      ({ spec, digest }) => toHex(specDigest(spec)) === attemptOf(proposal) && equalBytes(digest, own.digest),
    )
    expect([submitted, "its own update is the one it sent"]).toEqual([
      true,
      "its own update is the one it sent",
    ])
  }
  for (const [i, { proposal }] of out.signatures.entries()) {
    const last = out.signatures[i - 1]?.proposal
    if (last) expect([leader.before(last.head, proposal.head), "one log"]).toEqual([true, "one log"])
  }

  for (const ofModel of grouped(out.signatures, ({ proposal }) => toHex(proposal.spec.model))) {
    const different = [
      ...new Map(ofModel.map(({ proposal }) => [cohortOf(proposal).map(toHex).join(), proposal])).values(),
    ]
    expect(different.length).toBeLessThanOrEqual(2)
    const [a, b] = different
    if (a && b) expect(difference(cohortOf(a), cohortOf(b))).toBeGreaterThanOrEqual(k)
    const protectedAs = ofModel.flatMap(({ proposal }) => {
      const own = mine(proposal)
      return own
        ? out.submissions.filter(({ digest }) => equalBytes(digest, own.digest)).map(({ values }) => values)
        : []
    })
    expect([new Set(protectedAs).size <= 1, "one vector of integers for one model"]).toEqual([
      true,
      "one vector of integers for one model",
    ])
  }

  for (const openings of grouped(out.openings, ({ message }) => toHex(message.spec))) {
    expect([
      distinct(openings, ({ message }) => toHex(message.challenge)),
      "challenges in one attempt",
    ]).toEqual([1, "challenges in one attempt"])
    expect(distinct(openings, ({ message }) => toHex(message.opening.opening))).toBe(1)
  }
  for (const [i, { directory: next, phase }] of out.rosters.entries()) {
    const before = out.rosters[i - 1]?.directory ?? directory
    expect(next.roster.version).toBeGreaterThan(before.roster.version)
    expect([phase, "a roster changes between rounds"]).toEqual(["idle", "a roster changes between rounds"])
    expect(next.find(directory.named("clinic-2").id)).toEqual(directory.named("clinic-2"))
  }
  for (const { spec, roster } of out.submissions) expect(toHex(spec.roster)).toBe(toHex(roster))
  expect([out.afterLeaving, "nothing is said after leaving"]).toEqual([0, "nothing is said after leaving"])
  for (const { head, valid } of out.finals) {
    expect([valid, "a final head is signed as shown"]).toEqual([true, "a final head is signed as shown"])
    const last = out.signatures.at(-1)?.proposal
    if (last) expect([leader.before(last.head, head), "one log"]).toEqual([true, "one log"])
  }

  expect(out.measured.length).toBe(new Set(out.measured).size)
  expect(out.finished).toBeLessThanOrEqual(1)
  for (const { round, attempt } of out.trainings) {
    expect(round).toBeLessThanOrEqual(study.rounds)
    expect(attempt).toBeLessThanOrEqual(study.attempts)
  }
}

describe.each(["plain", "shamir"] as const)("a facility under a hostile leader, %s", (protection) => {
  const reached = new Set<string>()

  it("keeps to the rules, and its step never throws", () => {
    fc.assert(
      fc.property(moves, (list) => {
        const leader = new HostileLeader(protection)
        for (const move of list) {
          leader.do(move)
          reached.add(leader.state.phase)
        }
        if (leader.out.rosters.length > 0) reached.add("roster")
        if (leader.out.rosters.some(({ directory }) => directory.find(leader.context.me.id) === undefined))
          reached.add("left")
        const { rosters, signatures } = leader.out
        if (
          signatures.some(({ proposal }) =>
            rosters.some((r) => equalBytes(proposal.spec.roster, r.directory.digest)),
          )
        )
          reached.add("signed among a later roster")
        if (leader.out.finals.length > 0) reached.add("final head")
        if (leader.out.partials.length > 0) reached.add("partial")
        if (new Set(leader.out.signatures.map(({ proposal }) => attemptOf(proposal))).size > 1)
          reached.add("several lists")
        if (
          grouped(leader.out.signatures, ({ proposal }) => toHex(proposal.spec.model)).some(
            (all) => distinct(all, ({ proposal }) => cohortOf(proposal).map(toHex).join()) > 1,
          )
        )
          reached.add("two cohorts for one model")
        holds(leader)
      }),
      { numRuns: protection === "plain" ? 150 : 90, seed: 1 },
    )
  })

  it("and the moves lead everywhere", () => {
    const everywhere = [
      "idle",
      "training",
      "submitted",
      "signed",
      "opened",
      "ended",
      "several lists",
      "roster",
      "left",
    ].concat("signed among a later roster", "final head")
    const dealt = ["locked", "checked", "partial"]
    for (const place of protection === "plain" ? everywhere : [...everywhere, ...dealt])
      expect(reached).toContain(place)
  })
})
