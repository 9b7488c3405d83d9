import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { describe, expect, it } from "vitest"
import { LogAudit } from "../src/audit.js"
import { headerHash, type LogEntry } from "../src/log.js"
import {
  type CosignedHead,
  envelopeCodec,
  finalHeadDigest,
  type MessageOf,
  messageCodec,
  pack,
} from "../src/messages.js"
import { type Roster, signRoster } from "../src/roster.js"
import { encodeStudy, studyDigest } from "../src/study.js"
import { codeOf, errorOf } from "./errors.js"
import { altered, type Event, eventsOf, placeOf, rewritten, said } from "./forged-log.js"
import { runStudy } from "./harness.js"
import {
  authorityKey,
  changedRoster,
  directoryOf,
  flipped,
  keysFor,
  rosterOf,
  signed,
  suite,
  testStudy,
} from "./members.js"
import { audited, calm, keptHeads } from "./scenes.js"

const THREE_ROUNDS = { protection: "plain", rounds: 3 } as const
const study = testStudy(4, THREE_ROUNDS)
const first = rosterOf(study, 4, 2)
const second = changedRoster(first, { leave: ["clinic-2"], join: { "clinic-5": "fog-1" } })
/** A study whose second round begins with another roster. */
const outcome = runStudy({ study: THREE_ROUNDS, rosters: [{ during: 1, signed: signed(second, study) }] })
const { log } = outcome
const events = eventsOf(log)
const heads = keptHeads(outcome)
const at = (type: string, nth = 1): number => placeOf(log, type, nth)
const eventAt = (place: number): Event => events[place] as Event
const withHeads =
  (entries: readonly LogEntry[], given: readonly CosignedHead[] = heads) =>
  () =>
    audited(outcome, entries, given)

/** What is said of a log that is not true; the number is that of its first event that is not. */
const refusedAt = (
  entries: readonly LogEntry[],
  place: number,
  given: readonly CosignedHead[] = [],
): string => {
  const error = errorOf(withHeads(entries, given))
  expect(error.message).toMatch(new RegExp(`^(Event|The body of event) ${place + 1}\\b`))
  return `${error.code}: ${error.message}`
}

describe("a log with a change of the roster", () => {
  it("is accepted, with the heads that all facilities kept, also of the one that left", () => {
    const audit = audited(outcome, log, heads)
    expect(audit).toMatchObject({ events: log.length, certifiedRounds: 3, ended: true, heads: 4 })
    expect(audit.directory.roster.version).toBe(2)
    expect(audit.cosigned?.signed.type).toBe("final")
    expect(new Set(heads.map(({ roster }) => toHex(roster))).size).toBe(2)
  })

  const place = at("roster")
  const roster = (bytes: Uint8Array): Event => ({
    ...eventAt(place),
    body: encode(messageCodec, { type: "roster", signed: bytes }),
  })
  const changing = (change: Partial<Roster>): Event => roster(signed({ ...second, ...change }, study))

  it.each([
    [
      "is not signed by the authority",
      roster(signRoster(second, encodeStudy(study), keysFor("leader").sign)),
    ],
    ["is of another study", changing({ study: new Uint8Array(32) })],
    ["has no higher version", changing({ version: 1 })],
    [
      "changes a key",
      changing({
        participants: second.participants.map((p) =>
          p.name === "clinic-3" ? { ...p, signingKey: keysFor("mallory").signingKey } : p,
        ),
      }),
    ],
  ] as const)("that %s is refused there", (_, event) => {
    expect(refusedAt(altered(outcome, place, event), place)).toMatch(/^audit\/failed: .*identity\/bad-roster/)
  })

  it("with which the study cannot go on is refused there", () => {
    const few = roster(signed(changedRoster(first, { leave: ["clinic-1", "clinic-2"] }), study))
    expect(refusedAt(altered(outcome, place, few), place)).toMatchInlineSnapshot(
      `"audit/failed: Event 19 of the log: round/bad-study: 2 facilities cannot form a cohort of 3."`,
    )
  })

  it("in the middle of a round, after the last, or after the end is refused there", () => {
    const other = "the roster is changed at another time than before a round"
    for (const wrong of [at("announce") + 1, at("propose", 2), at("certificate"), at("closed")])
      expect(refusedAt(altered(outcome, wrong, eventAt(place)), wrong)).toContain(other)
    for (const end of [at("finish"), at("finish") + 1])
      expect(refusedAt(altered(outcome, end, eventAt(place)), end)).toContain(other)
    expect(refusedAt(altered(outcome, log.length, eventAt(place)), log.length)).toContain(
      "a roster comes after the end of the study",
    )
  })

  it("that does not take effect, or takes effect without being logged, is refused at the announcement", () => {
    const announce = said<"announce">(eventAt(at("announce", 2)), (m) => ({
      ...m,
      spec: { ...m.spec, roster: outcome.directory.digest },
    }))
    expect(refusedAt(altered(outcome, place, eventAt(place), announce), place + 1)).toMatchInlineSnapshot(
      `"audit/failed: Event 20 of the log: a round is announced among another roster than number 2."`,
    )
    const skipped = altered(outcome, place, eventAt(at("announce", 2)))
    expect(refusedAt(skipped, place)).toMatchInlineSnapshot(
      `"audit/failed: Event 19 of the log: a round is announced among another roster than number 1."`,
    )
  })

  it("knows nobody who has left", () => {
    const late = events.findIndex(
      ({ type, actor }) => type === "signature" && outcome.nameOf(actor) === "clinic-2",
    )
    const then = at("propose", 2) + 1
    expect(refusedAt(altered(outcome, then, eventAt(late)), then)).toMatch(/identity\/unknown-participant/)
  })

  it("and its beginning is refused with the roster of its end", () => {
    const { directory } = outcome.leader.progress
    const audit = () => {
      const other = new LogAudit({ suite, study, directory, authorityKey })
      for (const entry of log) other.next(entry)
    }
    expect(errorOf(audit).message).toBe(
      "Event 1 of the log: a round is announced among another roster than number 2.",
    )
    const foreign = directoryOf(testStudy(4, { rounds: 9 }), 4, 2)
    expect(codeOf(() => new LogAudit({ suite, study, directory: foreign, authorityKey }))).toBe(
      "identity/bad-roster",
    )
  })
})

describe("rounds out of turn", () => {
  it.each([
    ["a later round", { round: 3, attempt: 1 }],
    ["the same round again", { round: 1, attempt: 1 }],
    ["another attempt at a closed round", { round: 1, attempt: 2 }],
    ["a second attempt at a new round", { round: 2, attempt: 2 }],
  ])("%s", (_, change) => {
    const place = at("announce", 2)
    const event = said<"announce">(eventAt(place), (m) => ({ ...m, spec: { ...m.spec, ...change } }))
    expect(refusedAt(altered(outcome, place, event), place)).toMatch(/is announced out of turn/)
  })

  it("a round more than the study has", () => {
    const place = at("finish")
    const { accepted } = decode(messageCodec, eventAt(place - 1).body) as MessageOf<"closed">
    const { digest } = outcome.leader.progress.directory
    const event = said<"announce">(eventAt(at("announce", 3)), (m) => ({
      ...m,
      spec: { ...m.spec, round: 4, roster: digest, model: accepted },
    }))
    expect(refusedAt(altered(outcome, place, event), place)).toMatch(/round 4, attempt 1 is announced out of/)
  })

  it("a second announcement in one attempt", () => {
    const place = at("propose")
    expect(refusedAt(altered(outcome, place, eventAt(at("announce"))), place)).toMatch(/out of turn/)
  })

  it("an end before the last round", () => {
    const place = at("announce", 3)
    expect(refusedAt(altered(outcome, place, eventAt(at("finish"))), place)).toMatch(
      /finished before its 3 rounds are closed/,
    )
  })

  it("a round closed, a model shown, or void said, without or after an opened sum", () => {
    const place = at("sum-opened")
    expect(refusedAt(altered(outcome, place, eventAt(at("closed"))), place)).toMatch(/without an opened sum/)
    expect(refusedAt(altered(outcome, place, eventAt(at("candidate"))), place)).toMatch(
      /without an opened sum/,
    )
    const voided = said<"candidate">(eventAt(at("candidate")), ({ spec }) => ({
      type: "void",
      spec,
      reason: "",
    }))
    expect(refusedAt(altered(outcome, place + 1, { ...voided, type: "void" }), place + 1)).toMatch(
      /whose sum was opened/,
    )
  })
})

describe("the end of a log", () => {
  const place = at("ended")
  const ended = (head: (honest: CosignedHead) => CosignedHead | null): Event =>
    said<"ended">(eventAt(place), (m) => ({ ...m, head: head(m.head as CosignedHead) }))

  it("with another head than was signed, too few signatures, or without the head that was signed, is refused", () => {
    const cases: readonly (readonly [(honest: CosignedHead) => CosignedHead | null, RegExp])[] = [
      [() => null, /the final head that 4 facilities signed is left out/],
      [(head) => ({ ...head, seq: head.seq - 1 }), /another head than the facilities were shown/],
      [(head) => ({ ...head, hash: new Uint8Array(32) }), /another head than the facilities were shown/],
      [(head) => ({ ...head, signatures: head.signatures.slice(2) }), /2 valid signatures/],
      [(head) => ({ ...head, roster: outcome.directory.digest }), /another roster/],
      [() => heads.find(({ signed: { type } }) => type === "certificate") ?? null, /another head/],
    ]
    for (const [change, reason] of cases)
      expect(refusedAt(altered(outcome, place, ended(change)), place)).toMatch(reason)
  })

  it("with a final report whose signature is not of its facility, or of another head, is refused", () => {
    const report = at("final-report")
    const reporting = (seq: number, hash: Uint8Array, by = "clinic-1"): Event => {
      const { id } = outcome.directory.named(by)
      const { sign } = keysFor(by)
      const message: MessageOf<"final-report"> = {
        type: "final-report",
        global: null,
        personal: null,
        subgroups: null,
        head: sign(finalHeadDigest(studyDigest(study), seq, hash)),
      }
      const envelope = pack(studyDigest(study), id, outcome.directory.leader.id, message, sign)
      return { type: "final-report", actor: id, body: encode(envelopeCodec, envelope) }
    }
    const before = log[at("finish") - 1] as LogEntry
    const right = reporting(before.header.seq, headerHash(before.header))
    expect(audited(outcome, altered(outcome, report, right)).ended).toBe(false)
    for (const wrong of [
      reporting(before.header.seq - 1, headerHash(before.header)),
      reporting(before.header.seq, new Uint8Array(32)),
    ])
      expect(refusedAt(altered(outcome, report, wrong), report)).toMatch(
        /signature of clinic-1 over the final head/,
      )
    const byFog = reporting(before.header.seq, headerHash(before.header), "fog-1")
    expect(refusedAt(altered(outcome, report, byFog), report)).toMatch(
      /signature of fog-1 over the final head/,
    )
    const early = at("propose")
    expect(refusedAt(altered(outcome, early, right), early)).toMatch(/over the final head is not valid/)
  })

  it("with a final head that is not the log's is refused where it was shown", () => {
    const shown = at("finish")
    const event = said<"finish">(eventAt(shown), (m) => ({ ...m, head: { ...m.head, seq: m.head.seq - 1 } }))
    expect(refusedAt(altered(outcome, shown, event), shown)).toMatch(/of another log/)
  })

  it("is followed by nothing of the leader's", () => {
    const after = altered(outcome, log.length, eventAt(at("finish")))
    expect(refusedAt(after, log.length)).toMatch(/comes after the end of the study/)
    const note = { type: "dropped:report", actor: outcome.directory.leader.id, body: new Uint8Array(32) }
    expect(audited(outcome, altered(outcome, log.length, note)).events).toBe(log.length + 1)
  })

  it("of a message that was sent to somebody else, or in another study, is refused", () => {
    const place = at("region")
    const { id } = outcome.directory.named("fog-1")
    const { sign } = keysFor("fog-1")
    const traffic = { update: 0, relayed: 0, opening: 0, metadata: 0 }
    const made = (digest: Uint8Array, to: Uint8Array): Event => ({
      type: "traffic",
      actor: id,
      body: encode(
        envelopeCodec,
        pack(digest, id, to, { type: "traffic", round: 1, received: traffic }, sign),
      ),
    })
    const { leader } = outcome.directory
    expect(audited(outcome, altered(outcome, place, made(studyDigest(study), leader.id))).ended).toBe(false)
    for (const event of [made(new Uint8Array(32), leader.id), made(studyDigest(study), id)])
      expect(refusedAt(altered(outcome, place, event), place)).toMatch(/was not sent to this study's leader/)
  })
})

describe("[S12] a log that was cut", () => {
  it("anywhere before the last head that a facility kept: the first missing event is named", () => {
    const last = Math.max(...heads.map(({ seq }) => seq))
    for (let length = 0; length < log.length; length++) {
      const cut = log.slice(0, length)
      // what a log says of itself alone does not show it
      expect(audited(outcome, cut).events).toBe(length)
      if (length >= last) {
        expect(withHeads(cut)().events).toBe(length)
        continue
      }
      // before the change of the roster, a head signed after it cannot be checked, but an earlier one can
      const error = errorOf(withHeads(cut))
      const among = length > at("roster") ? outcome.leader.progress.directory : outcome.directory
      const known = heads.filter(({ seq, roster }) => seq > length && toHex(roster) === toHex(among.digest))
      expect([length, error.code]).toEqual([length, known.length > 0 ? "audit/truncated" : "audit/bad-head"])
      if (known.length > 0)
        expect(error.message).toMatch(
          new RegExp(
            `^Event ${length + 1} of the log is missing: the log ends at event ${length}, and \\d facilities signed event \\d+\\.$`,
          ),
        )
    }
  })
})

describe("a log without the roster that a head is signed among", () => {
  const among = (digest: Uint8Array) => heads.filter(({ roster }) => toHex(roster) === toHex(digest))
  const late = among(outcome.leader.progress.directory.digest)
  const beside = (entries: readonly LogEntry[], rosters: readonly Uint8Array[]) => () => {
    const { directory } = outcome
    const audit = new LogAudit({ suite, study, directory, authorityKey, heads: late, rosters })
    for (const entry of entries) audit.next(entry)
    return audit.finish()
  }
  const cut = log.slice(0, at("roster"))

  it("was cut, if the roster is given with the heads; without it nothing can be said", () => {
    expect(codeOf(beside(cut, []))).toBe("audit/bad-head")
    expect(codeOf(beside(cut, [signed(second, study)]))).toBe("audit/truncated")
    const forged = late.map((head) => ({ ...head, hash: new Uint8Array(32) }))
    const { directory } = outcome
    const audit = new LogAudit({
      suite,
      study,
      directory,
      authorityKey,
      heads: forged,
      rosters: [signed(second, study)],
    })
    expect(codeOf(() => audit.finish())).toBe("audit/bad-head")
  })

  it("was written anew, if it goes on", () => {
    const last = Math.min(...late.map(({ seq }) => seq))
    const note = { type: "dropped:report", actor: outcome.directory.leader.id, body: new Uint8Array(32) }
    const longer = altered(outcome, cut.length, ...new Array<Event>(last - cut.length).fill(note))
    expect(codeOf(beside(longer, []))).toBe("audit/bad-head")
    expect(codeOf(beside(longer, [signed(second, study)]))).toBe("audit/rewritten")
  })

  it("takes no roster but the authority's", () => {
    const foreign = signRoster(second, encodeStudy(study), keysFor("leader").sign)
    expect(codeOf(beside(log, [foreign]))).toBe("identity/bad-roster")
  })
})

describe("[S12] a log that its leader wrote anew, hashes, heads and its own signatures and all", () => {
  const certificates = heads.filter(({ signed: { type } }) => type === "certificate")
  const earliest = Math.min(...certificates.map(({ seq }) => seq))

  it("up to the first certificate holds by itself, and does not beside a kept head", () => {
    // without a message that it had logged, or with another time: nothing that facilities signed is in it yet
    const variants = [
      rewritten(study, events.slice(0, at("propose"))),
      rewritten(study, [...events.slice(0, earliest - 1), { ...eventAt(0), type: "dropped:submit" }]),
    ]
    for (const variant of variants) {
      expect(audited(outcome, variant).events).toBe(variant.length)
      const error = errorOf(withHeads(variant))
      expect(error.code).toBe("audit/rewritten")
      expect(error.message).toMatch(
        new RegExp(`^Event ${earliest} of the log is not the one that \\d facilities signed`),
      )
    }
  })

  it("from the start, in another history: named at the first kept head", () => {
    // the same study, leader and facilities, whose random choices were others
    const other = runStudy({ study: THREE_ROUNDS, seed: 2 })
    expect(audited(other).events).toBe(other.log.length)
    expect(codeOf(() => audited(other, other.log, certificates))).toBe("audit/rewritten")
  })

  it("at its very end: what is not under a kept head is not shown by it, and the next head shows it", () => {
    const third = heads.filter(({ signed: { type } }) => type === "certificate").sort((a, b) => b.seq - a.seq)
    const kept = third.filter(({ seq }) => seq < (third[0] as CosignedHead).seq)
    const tail = { type: "dropped:report", actor: outcome.directory.leader.id, body: new Uint8Array(32) }
    const changed = altered(outcome, (third[0] as CosignedHead).seq - 1, tail)
    expect(withHeads(changed, kept)().heads).toBeGreaterThan(0)
    expect(refusedAt(changed, changed.length - 1, third)).toMatch(/^audit\/rewritten/)
  })
})

describe("a head that is given", () => {
  const [head] = heads as readonly [CosignedHead]
  const last = heads.at(-1) as CosignedHead
  it("and does not hold is not held against the log", () => {
    const [some] = head.signatures as readonly [CosignedHead["signatures"][number]]
    const wrong: readonly CosignedHead[] = [
      { ...head, signatures: head.signatures.slice(0, 2) },
      { ...head, signatures: head.signatures.map((s) => ({ ...s, signature: some.signature })) },
      { ...head, hash: new Uint8Array(32) },
      // the number is signed too
      { ...head, seq: head.seq - 1 },
      { ...head, seq: head.seq + 1 },
      { ...head, seq: log.length + 5 },
      { ...last, seq: log.length + 5 },
      { ...head, signed: { type: "final" } },
      { ...head, roster: new Uint8Array(32) },
      { ...head, signatures: head.signatures.map((s) => ({ ...s, signature: flipped(s.signature, 3) })) },
    ]
    for (const one of wrong) {
      const error = errorOf(withHeads(log, [one]))
      expect(error.code).toBe("audit/bad-head")
      expect(error.message).toMatch(new RegExp(`event ${one.seq}\\b`))
    }
  })

  it("counts once, however many facilities kept it", () => {
    expect(withHeads(log, [...heads, ...heads])().heads).toBe(4)
    expect(withHeads(log, [])().heads).toBe(0)
  })

  it("of another study is none of this one's", () => {
    const other = calm({ study: { protection: "plain", rounds: 1 } })
    expect(codeOf(withHeads(log, keptHeads(other)))).toBe("audit/bad-head")
  })
})
