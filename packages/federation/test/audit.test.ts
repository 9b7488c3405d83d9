import { toHex } from "@consilium/base/bytes"
import { decode, encode, f64Array } from "@consilium/base/encoding"
import { describe, expect, it } from "vitest"
import { headerHash, type LogEntry } from "../src/log.js"
import { certificateDigest, envelopeCodec, type Message, type MessageOf, pack } from "../src/messages.js"
import { modelFile } from "../src/model.js"
import { MAX_VALUES, studyDigest } from "../src/study.js"
import { errorOf, textOf } from "./errors.js"
import {
  altered as alteredFor,
  type Event,
  eventsOf,
  placeOf as placeIn,
  rewritten as rewrittenFor,
  said,
} from "./forged-log.js"
import type { Outcome } from "./harness.js"
import { runStudy } from "./harness.js"
import { flipped, keysFor } from "./members.js"
import { audited, calm, insteadOf, models, silentFrom, voids } from "./scenes.js"

const outcome = calm({ study: { protection: "shamir" } })
const { log, study, directory } = outcome
const audit = (entries: readonly LogEntry[]) => audited(outcome, entries)
const leader = keysFor("leader")

const placeOf = (type: string, nth = 1): number => placeIn(log, type, nth)
const rewritten = (list: readonly Event[]): readonly LogEntry[] => rewrittenFor(study, list)
const events = eventsOf(log)

/**
 * The same log with one event changed and the rest brought in line with it as far as a leader alone can: chain, heads in
 * proposals and its own signatures, but not those of facilities.
 */
const forged = (place: number, change: (event: Event) => readonly Event[]): readonly LogEntry[] =>
  rewritten(events.flatMap((event, i) => (i === place ? change(event) : [event])))

describe("an honest log", () => {
  it.each([
    ["shamir", outcome],
    ["plain", calm({ study: { protection: "plain" } })],
    ["with a facility that vanished", runStudy({ speak: silentFrom("clinic-1", "opening") })],
    [
      "with a void attempt",
      (() => {
        let first = true
        const speak = insteadOf("leader", "certificate", (message) => {
          const kept = first
          first = false
          return kept ? [] : [message]
        })
        return runStudy({ study: { rounds: 1 }, speak })
      })(),
    ],
    [
      "of a study that was aborted",
      runStudy({
        study: { attempts: 1 },
        speak: silentFrom("clinic-1", "start"),
        policies: { "clinic-2": { smallestCohort: 9 } },
      }),
    ],
  ] as const)("is accepted: %s", (_, { log: entries, study: s, directory: d, leader: state, ...rest }) => {
    const found = audited({ study: s, directory: d, log: entries })
    const { closed, parameters } = state.progress
    expect(found.events).toBe(entries.length)
    expect(found.certifiedRounds).toBe(closed.length)
    expect(toHex(found.model)).toBe(models({ leader: state } as Outcome).at(-1) ?? toHex(found.model))
    expect(parameters.length).toBe(4)
    expect(voids({ said: rest.said } as Outcome).length).toBe(
      entries.filter(({ header }) => header.type === "void").length,
    )
  })

  it("is accepted up to any point: what was cut off, a later head tells", () => {
    for (const end of [0, 1, placeOf("certificate"), placeOf("sum-opened") + 1])
      expect(audit(log.slice(0, end)).events).toBe(end)
  })

  it("of another study is refused", () => {
    const other = calm({ study: { protection: "plain" } })
    expect(textOf(() => audited(other, log))).toMatchInlineSnapshot(`
      "log/not-extending: Event 1 of the log does not follow event 0 that was seen before.
        remedy: The leader has rewritten or forked its log: stop, export both heads and compare them.
        see: docs/reference/errors.md#lognot-extending"
    `)
  })
})

/** The number in the message is that of the event where the log stops being true. */
const refusedAt = (entries: readonly LogEntry[], place: number): string => {
  const error = errorOf(() => audit(entries))
  expect(error.message).toMatch(new RegExp(`^(Event|The body of event) ${place + 1}\\b`))
  return `${error.code}: ${error.message}`
}

describe("[S12] a log that somebody changed", () => {
  it("by taking an event out", () => {
    for (const place of [0, placeOf("submit"), placeOf("certificate"), placeOf("candidate")])
      expect(errorOf(() => audit(log.filter((_, i) => i !== place))).message).toMatch(
        new RegExp(`^Event ${place + 2} of the log does not follow event ${place} `),
      )
  })

  it("by changing a body", () => {
    for (const type of ["announce", "submit", "signature", "sum-opened", "closed"]) {
      const place = placeOf(type)
      const entries = log.map((entry, i) =>
        i === place ? { ...entry, body: flipped(entry.body, 100) } : entry,
      )
      expect(refusedAt(entries, place)).toMatch(/^log\/bad-body/)
    }
  })

  it("by changing a header or a signature", () => {
    const place = placeOf("submit")
    const later = log.map((entry, i) =>
      i === place ? { ...entry, header: { ...entry.header, at: entry.header.at + 1 } } : entry,
    )
    expect(refusedAt(later, place)).toMatch(/^identity\/bad-signature/)
    const other = log.map((entry, i) => (i === place ? { ...entry, signature: new Uint8Array(64) } : entry))
    expect(refusedAt(other, place)).toMatch(/^identity\/bad-signature/)
  })

  it("by putting two events in another order", () => {
    const place = placeOf("submit")
    const entries = [...log]
    ;[entries[place], entries[place + 1]] = [log[place + 1] as LogEntry, log[place] as LogEntry]
    expect(errorOf(() => audit(entries)).code).toBe("log/not-extending")
  })
})

describe("a log that the leader wrote anew and signed", () => {
  it("is another log than the facilities were shown", () => {
    const place = placeOf("propose")
    expect(refusedAt(rewritten(events), place)).toMatchInlineSnapshot(
      `"audit/failed: Event 16 of the log: a proposal shows another log than this one."`,
    )
    expect(
      refusedAt(
        forged(placeOf("submit"), () => []),
        place - 1,
      ),
    ).toMatch(/another log/)
  })

  /** Rewrites the first propose and all after it so that heads fit again: the facilities' signatures then do not. */
  const refitted = (list: readonly Event[]): readonly LogEntry[] => {
    const out: Event[] = []
    for (const event of list) {
      const soFar = rewritten(out)
      const last = soFar.at(-1)
      const fit = <M extends MessageOf<"propose"> | MessageOf<"certificate">>(
        message: M,
        upTo: LogEntry,
      ): M => ({
        ...message,
        proposal: {
          ...message.proposal,
          headSeq: upTo.header.seq,
          head: headerHash(upTo.header),
          headers: [],
        },
      })
      if (event.type === "propose" && last) out.push(said<"propose">(event, (m) => fit(m, last)))
      else if (event.type === "certificate") {
        const at = out.findLastIndex(({ type }) => type === "propose")
        out.push(said<"certificate">(event, (m) => fit(m, soFar[at - 1] as LogEntry)))
      } else out.push(event)
    }
    return rewritten(out)
  }

  it("with heads that fit again carries a certificate that nobody signed", () => {
    expect(refusedAt(refitted(events), placeOf("certificate"))).toMatchInlineSnapshot(
      `"audit/failed: Event 21 of the log: cohort/uncertified: The list carries 0 valid signatures of enrolled facilities; 3 of 4 are needed."`,
    )
  })
})

const altered = (place: number, event: Event): readonly LogEntry[] => alteredFor(outcome, place, event)
const at = (place: number): Event => events[place] as Event

describe("[S12] a leader that logs, signs and does what it should not", () => {
  it("opens a sum without a certificate", () => {
    const place = placeOf("certificate")
    expect(refusedAt(altered(place, at(placeOf("sum-opened"))), place)).toMatchInlineSnapshot(
      `"audit/failed: Event 21 of the log: a sum was opened without a certificate."`,
    )
  })

  it("opens a second sum under one certificate", () => {
    const place = placeOf("candidate")
    expect(refusedAt(altered(place, at(placeOf("sum-opened"))), place)).toMatch(/without a certificate/)
  })

  it("certifies the list again, to open a second sum", () => {
    const place = placeOf("candidate")
    expect(refusedAt(altered(place, at(placeOf("certificate"))), place)).toMatch(/not for the list proposed/)
  })

  it("opens a sum after the attempt of its certificate", () => {
    const place = placeOf("announce", 2) + 1
    expect(refusedAt(altered(place, at(placeOf("sum-opened"))), place)).toMatch(/without a certificate/)
  })

  it("opens a sum that is out of range, or of another length, or with an impossible weight", () => {
    const place = placeOf("sum-opened")
    const sum = decode(f64Array(MAX_VALUES), at(place).body)
    const opened = (values: Float64Array): Event => ({
      ...at(place),
      body: encode(f64Array(MAX_VALUES), values),
    })
    expect(
      refusedAt(altered(place, opened(sum.map((v, i) => (i === 0 ? 4 * 32767 * 64 + 1 : v)))), place),
    ).toMatchInlineSnapshot(`"audit/failed: Event 26 of the log: an opened sum is out of range."`)
    expect(refusedAt(altered(place, opened(sum.slice(1))), place)).toMatch(/audit\/failed/)
    expect(
      refusedAt(altered(place, opened(sum.map((v, i) => (i === sum.length - 1 ? 0 : v)))), place),
    ).toMatchInlineSnapshot(
      `"audit/failed: Event 26 of the log: round/out-of-bound: A total weight of 0 over 4 facilities is impossible."`,
    )
  })

  it("announces from a model of its own, or for another study", () => {
    const place = placeOf("announce", 2)
    const told = (change: object) =>
      said<"announce">(at(place), (m) => ({ ...m, spec: { ...m.spec, ...change } }))
    expect(refusedAt(altered(place, told({ model: new Uint8Array(32) })), place)).toMatchInlineSnapshot(
      `"audit/failed: Event 35 of the log: a round starts from another model than the one before it led to."`,
    )
    expect(refusedAt(altered(place, told({ study: new Uint8Array(32) })), place)).toMatch(/another study/)
  })

  it("proposes a list for an attempt that it did not announce", () => {
    const place = placeOf("propose")
    const event = said<"propose">(at(place), (m) => ({
      ...m,
      proposal: { ...m.proposal, spec: { ...m.proposal.spec, attempt: 2 } },
    }))
    expect(refusedAt(altered(place, event), place)).toMatchInlineSnapshot(
      `"audit/failed: Event 16 of the log: a list is proposed for an attempt that was not announced."`,
    )
  })

  it("shows facilities another log, or one that goes on after the proposal", () => {
    const place = placeOf("propose")
    const shown = (change: object) =>
      said<"propose">(at(place), (m) => ({ ...m, proposal: { ...m.proposal, ...change } }))
    expect(refusedAt(altered(place, shown({ head: new Uint8Array(32) })), place)).toMatch(/another log/)
    expect(refusedAt(altered(place, shown({ headSeq: place + 1 })), place)).toMatch(/another log/)
    expect(refusedAt(altered(place, shown({ headSeq: 0 })), place)).toMatch(/another log/)
  })

  it("certifies a list with too few signatures, with forged ones, or another list than it proposed", () => {
    const place = placeOf("certificate")
    const certified = (change: (m: MessageOf<"certificate">) => Message) =>
      altered(place, said<"certificate">(at(place), change))
    expect(
      refusedAt(
        certified((m) => ({ ...m, signatures: m.signatures.slice(2) })),
        place,
      ),
    ).toMatchInlineSnapshot(
      `"audit/failed: Event 21 of the log: cohort/uncertified: The list carries 2 valid signatures of enrolled facilities; 3 of 4 are needed."`,
    )
    const own = (m: MessageOf<"certificate">) => leader.sign(certificateDigest(m.proposal))
    expect(
      refusedAt(
        certified((m) => ({ ...m, signatures: m.signatures.map((s) => ({ ...s, signature: own(m) })) })),
        place,
      ),
    ).toMatch(/0 valid signatures/)
    expect(
      refusedAt(
        certified((m) => ({ ...m, proposal: { ...m.proposal, cohort: m.proposal.cohort.slice(1) } })),
        place,
      ),
    ).toMatch(/not for the list proposed/)
  })

  it("certifies a list of two, though with everybody's signature", () => {
    const place = placeOf("propose")
    const two = <M extends MessageOf<"propose" | "certificate">>(m: M): M => ({
      ...m,
      proposal: { ...m.proposal, cohort: m.proposal.cohort.slice(2) },
    })
    const proposed = said<"propose">(at(place), two)
    const certified = said<"certificate">(at(placeOf("certificate")), (m) => {
      const message = two(m)
      const digest = certificateDigest(message.proposal)
      const signatures = directory.facilities.map(({ id, name }) => ({
        facility: id,
        signature: keysFor(name).sign(digest),
      }))
      return { ...message, signatures }
    })
    expect(refusedAt(alteredFor(outcome, place, proposed, certified), place + 1)).toMatchInlineSnapshot(
      `"audit/failed: Event 17 of the log: a list of 2 facilities is certified where 3 are needed."`,
    )
  })

  it.each(["announce", "candidate", "finish"] as const)("gives out another model in its %s", (type) => {
    const place = placeOf(type)
    const model = modelFile(study, new Float64Array(4).fill(1), 1)
    const event = said<"announce" | "candidate" | "finish">(at(place), (m) => ({ ...m, model }))
    expect(refusedAt(altered(place, event), place)).toMatch(
      new RegExp(`the model of the ${type} is not the one that the opened sums lead to`),
    )
  })

  it("closes a round with another model", () => {
    const place = placeOf("closed")
    const event = said<"closed">(at(place), (m) => ({ ...m, accepted: new Uint8Array(32) }))
    expect(refusedAt(altered(place, event), place)).toMatchInlineSnapshot(
      `"audit/failed: Event 34 of the log: a round was closed with another model than the opened sum leads to."`,
    )
  })

  it("logs a message that nobody sent, in another's name, or as something else", () => {
    const place = placeOf("submit")
    const honest = at(place)
    const actor = (name: string) => directory.named(name).id
    const envelope = pack(
      studyDigest(study),
      actor("clinic-1"),
      actor("leader"),
      { type: "ended", reason: "x", head: null },
      leader.sign,
    )
    const made = { ...honest, actor: actor("clinic-1"), body: encode(envelopeCodec, envelope) }
    expect(refusedAt(altered(place, made), place)).toMatchInlineSnapshot(
      `"audit/failed: Event 2 of the log: identity/bad-signature: A message in the name of clinic-1 is not signed by it."`,
    )
    const [one, two] = directory.facilities
      .map(({ id }) => id)
      .filter((id) => toHex(id) !== toHex(honest.actor))
    expect(refusedAt(altered(place, { ...honest, actor: one ?? (two as Uint8Array) }), place)).toMatch(
      /not the message's/,
    )
    expect(refusedAt(altered(place, { ...honest, type: "verdict" }), place)).toMatch(
      /a submit is logged as verdict/,
    )
    expect(refusedAt(altered(place, { ...honest, body: new Uint8Array(3) }), place)).toMatch(
      /encoding\/malformed/,
    )
    const decision = placeOf("lock")
    expect(refusedAt(altered(decision, { ...at(decision), type: "openings" }), decision)).toMatch(
      /a lock is logged as openings/,
    )
    expect(refusedAt(altered(decision, { ...at(decision), actor: honest.actor }), decision)).toMatch(
      /in another's name/,
    )
  })
})
