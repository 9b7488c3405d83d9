import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { headOfCertificate } from "../src/cosigned.js"
import { startFacility, stepFacility } from "../src/facility.js"
import type { FacilityContext, FacilityEvent, FacilityStep } from "../src/facility-state.js"
import { emptyLedger, type LedgerHead } from "../src/ledger-chain.js"
import { checkLedgerEvidence } from "../src/ledger-evidence.js"
import {
  contradiction,
  listOfWitness,
  type Witness,
  withHeadSeen,
  withSeenElsewhere,
  witnessOfList,
} from "../src/ledger-witness.js"
import {
  envelopeCodec,
  type LedgerEvidence,
  type MessageOf,
  messageCodec,
  type SignedSubmission,
  submissionMessage,
} from "../src/messages.js"
import { participantId } from "../src/roster.js"
import { codeOf, textOf } from "./errors.js"
import { type Options, type Outcome, runStudy } from "./harness.js"
import {
  authorityKey,
  directoryOf,
  facilityNames,
  flipped,
  keysFor,
  rosterOf,
  signed,
  suite,
  testPolicy,
  testStudy,
} from "./members.js"
import { withPrivacy } from "./private-study.js"
import { audited, cohorts } from "./scenes.js"

const CLINIC = participantId("clinic-1")
const head = (seq: number, fill = seq): LedgerHead => ({ seq, hash: new Uint8Array(32).fill(fill) })

/** The submissions that a leader's log holds, in their order. */
const submissionsIn = ({ log }: Outcome): readonly SignedSubmission[] =>
  log.flatMap(({ header, body }) => {
    if (header.type !== "submit" && header.type !== "region") return []
    const message = decode(messageCodec, decode(envelopeCodec, body).body)
    if (message.type === "region") return message.submissions
    return message.type === "submit" ? [message] : []
  })
/** Those of clinic-1 that are updates: what it deals in a key ceremony costs nothing. */
const ofClinic = (run: Outcome) =>
  submissionsIn(run).filter(
    ({ submission }) => equalBytes(submission.facility, CLINIC) && submission.ledger !== null,
  )
const certificatesIn = ({ log }: Outcome): readonly MessageOf<"certificate">[] =>
  log.flatMap(({ header, body }) => {
    if (header.type !== "certificate") return []
    const message = decode(messageCodec, body)
    return message.type === "certificate" && message.proposal.spec.purpose === "update" ? [message] : []
  })

describe.each(["plain", "shamir", "ckks"] as const)(
  "the ledger heads of a private study under %s",
  (protection) => {
    const run = runStudy({ study: { ...withPrivacy(), protection } })

    it("[S21] are in every certified list: each is the head with that very charge", () => {
      expect(run.leader.phase).toBe("closed")
      const heads = ofClinic(run).map(({ submission }) => submission.ledger)
      expect(heads.map((one) => one?.seq)).toEqual([1, 2])
      expect(heads.at(-1)).toEqual(run.ledgers["clinic-1"])
      expect(submissionsIn(run).filter(({ submission }) => submission.ledger === null)).toHaveLength(
        protection === "ckks" ? 4 : 0,
      )
      for (const [i, { proposal }] of certificatesIn(run).entries()) {
        const [mine] = proposal.cohort.filter(({ facility }) => equalBytes(facility, CLINIC))
        expect(mine?.digest).toBeDefined()
        expect(heads[i]?.seq).toBe(i + 1)
      }
    })

    it("[S21] go on from where the facility's other studies left them", () => {
      const next = runStudy({ study: { ...withPrivacy(), protection }, ledgers: run.ledgers })
      expect(ofClinic(next).map(({ submission }) => submission.ledger?.seq)).toEqual([3, 4])
      expect(next.leader.phase).toBe("closed")
      expect(next.security).toEqual([])
    })
  },
)

it("an update without privacy names no ledger", () => {
  for (const { submission } of submissionsIn(runStudy({}))) expect(submission.ledger).toBeNull()
})

describe("a facility whose update does not say where its charge stands", () => {
  /** clinic-1 submits something else than it should, and signs it. */
  const submitting = (ledger: LedgerHead | null, study: Options["study"]): Outcome =>
    runStudy({
      study: { ...study, attempts: 1 },
      corrupt: (facility, step): FacilityStep => {
        if (facility !== "clinic-1") return step
        const other = ({ submission }: SignedSubmission): SignedSubmission => {
          const changed = { ...submission, ledger }
          return { submission: changed, signature: keysFor(facility).sign(submissionMessage(changed)) }
        }
        return {
          ...step,
          effects: step.effects.map((effect) => {
            if (effect.type !== "send") return effect
            const { message } = effect
            if (message.type === "submit") return { ...effect, message: { ...message, ...other(message) } }
            if (message.type !== "update") return effect
            return { ...effect, message: { ...message, submission: other(message.submission) } }
          }),
        }
      },
    })

  it.each(["plain", "shamir"] as const)("[S21] is left out under %s, and the others go on", (protection) => {
    const run = submitting(null, { ...withPrivacy(), protection })
    expect(run.leader.phase).toBe("closed")
    const rest = ["clinic-2", "clinic-3", "clinic-4"]
    expect(cohorts(run).map((cohort) => [...cohort].sort())).toEqual([rest, rest])
    const at = protection === "plain" ? run.security : run.log.map(({ header }) => ({ code: header.type }))
    expect(at.some(({ code }) => code.endsWith("privacy/no-ledger-head"))).toBe(true)
  })

  it("is left out as well where it names one and nothing was charged", () => {
    const run = submitting(head(1), {})
    expect(cohorts(run)[0]).toHaveLength(3)
  })
})

describe("what facilities see of each other's ledgers", () => {
  const study = { ...withPrivacy(), attempts: 1 }
  const first = runStudy({ study })
  const witnessOf = (run: Outcome, name: string): Witness =>
    run.facilities.get(name)?.memory.witness ?? new Map()
  /** A second study, in which everybody remembers what was seen in the first. */
  const second = (ledgers: Outcome["ledgers"]): Outcome =>
    runStudy({
      study,
      ledgers,
      before: (facility): readonly FacilityEvent[] => [
        { type: "seen-elsewhere", witness: witnessOf(first, facility) },
      ],
    })
  const back = { ...first.ledgers, "clinic-1": emptyLedger(CLINIC) }

  it("a ledger that goes on is signed for", () => {
    const run = second(first.ledgers)
    expect(run.security).toEqual([])
    expect(cohorts(run).map((cohort) => cohort.length)).toEqual([4, 4])
  })

  it("[S21] a list with a ledger that was set back is signed by nobody else and never opened", () => {
    const run = second(back)
    expect(run.leader.phase).toBe("aborted")
    expect(run.log.some(({ header }) => header.type === "sum-opened")).toBe(false)
    const noted = run.security.filter(({ code }) => code === "privacy/peer-ledger-set-back")
    expect(noted.map(({ by, about }) => `${by} of ${about}`).sort()).toEqual(
      facilityNames(4)
        .slice(1)
        .map((name) => `${name} of clinic-1`),
    )
    expect(run.lines.some((line) => line.includes("clinic-1 was set back"))).toBe(true)
  })

  it("[S21] without that memory nobody could tell: it is what the refusal rests on", () => {
    expect(runStudy({ study, ledgers: back }).leader.phase).toBe("closed")
  })

  it("[S21] within one study a ledger only grows", () => {
    // what was charged between its two rounds is forgotten before the second
    let entered = 0
    const run = runStudy({
      study: { ...study, protection: "plain" },
      ledgers: { "clinic-1": head(7) },
      corrupt: (facility, step) => {
        if (facility !== "clinic-1") return step
        const effects = step.effects.map((effect) => {
          if (effect.type !== "send" || effect.message.type !== "update") return effect
          entered += 1
          if (entered === 1) return effect
          const submission = { ...effect.message.submission.submission, ledger: head(3) }
          const signature = keysFor(facility).sign(submissionMessage(submission))
          return { ...effect, message: { ...effect.message, submission: { submission, signature } } }
        })
        return { ...step, effects }
      },
    })
    expect(entered).toBe(2)
    expect(run.leader.phase).toBe("aborted")
    expect(cohorts(run)).toHaveLength(1)
    const [noted] = run.security.filter(({ code }) => code === "privacy/peer-ledger-set-back")
    expect(noted?.detail).toMatchInlineSnapshot(
      `"The privacy ledger of clinic-1 was set back: entry 3 comes after entry 8. What it spent before may be forgotten, so no list with it is signed."`,
    )
  })
})

describe("an audit", () => {
  const study = withPrivacy()
  it.each(["plain", "shamir"] as const)("finds nothing wrong with honest ledgers under %s", (protection) => {
    expect(audited(runStudy({ study: { ...study, protection } })).certifiedRounds).toBe(2)
  })

  it("[S21] finds a ledger that was set back although a list with it was certified", () => {
    // everybody signs whatever is proposed: nobody keeps a memory of ledgers
    const forgetful = (step: FacilityStep): FacilityStep => {
      const memory = { ...step.state.memory, witness: new Map() }
      return { ...step, state: { ...step.state, memory } }
    }
    let submitted = 0
    const run = runStudy({
      study: { ...study, protection: "plain" },
      corrupt: (facility, step) => {
        if (facility !== "clinic-1") return forgetful(step)
        if (!step.effects.some((effect) => effect.type === "send" && effect.message.type === "update"))
          return forgetful(step)
        submitted += 1
        const again = (signed: SignedSubmission): SignedSubmission => {
          const submission = { ...signed.submission, ledger: head(1) }
          return { submission, signature: keysFor(facility).sign(submissionMessage(submission)) }
        }
        const { state } = step
        if (state.phase !== "submitted") throw new Error("It has submitted.")
        const mine = { ...state.mine, submission: again(state.mine.submission) }
        const effects = step.effects.map((effect) => {
          if (effect.type !== "send" || effect.message.type !== "update") return effect
          return { ...effect, message: { ...effect.message, submission: mine.submission } }
        })
        return forgetful(submitted === 2 ? { state: { ...state, mine }, effects } : step)
      },
    })
    expect(run.leader.phase).toBe("closed")
    expect(textOf(() => audited(run))).toContain(
      "the privacy ledger of clinic-1 was set back: entry 1 is another",
    )
  })
})

describe("a witness", () => {
  const seen = (...seqs: readonly number[]): Witness =>
    seqs.reduce<Witness>((witness, seq) => withHeadSeen(witness, CLINIC, head(seq)), new Map())

  it("accepts a head that follows, one of a slower study, and the same update again", () => {
    expect(contradiction(new Map(), CLINIC, head(40))).toBeNull()
    const elsewhere = withSeenElsewhere(new Map(), seen(2, 5, 6))
    for (const seq of [1, 3, 4, 7, 100]) expect(contradiction(elsewhere, CLINIC, head(seq))).toBeNull()
    expect(contradiction(seen(5), CLINIC, head(5))).toBeNull()
  })

  it("[S21] finds a head that goes back, one whose number was seen, and another under the same number", () => {
    expect(contradiction(seen(5), CLINIC, head(4))).toBe("entry 4 comes after entry 5")
    expect(contradiction(seen(5), CLINIC, head(5, 1))).toBe("entry 5 is another than before")
    const elsewhere = withSeenElsewhere(new Map(), seen(2, 5, 6))
    expect(contradiction(elsewhere, CLINIC, head(6, 1))).toBe("entry 6 is another than before")
    expect(contradiction(elsewhere, CLINIC, head(2))).toBe("entry 2 was seen before, up to entry 6")
  })

  it("does not call news what it knows, so two that tell each other fall silent", () => {
    const a = withSeenElsewhere(seen(9), seen(2, 5))
    expect(withSeenElsewhere(a, seen(5))).toBe(a)
    expect(withSeenElsewhere(a, a)).toBe(a)
    expect(withSeenElsewhere(a, new Map())).toBe(a)
    expect(withSeenElsewhere(a, seen(6))).not.toBe(a)
  })

  it("is read as it was written", () => {
    const witness = withHeadSeen(withSeenElsewhere(seen(9), seen(2, 5)), participantId("clinic-2"), head(3))
    expect(witnessOfList(listOfWitness(witness))).toEqual(witness)
  })

  it("[S21] never blames an honest ledger, and finds every number that is used again, in any order of lists", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2), { minLength: 1, maxLength: 40 }),
        fc.array(fc.nat(1_000), { minLength: 40, maxLength: 40 }),
        fc.nat(1_000),
        (studies, order, pick) => {
          // entry i + 1 stands behind an update of study `studies[i]`; lists of different studies come as they come
          const queues = [0, 1, 2].map((study) => studies.flatMap((of, i) => (of === study ? [i + 1] : [])))
          const witnesses: Witness[] = [new Map(), new Map(), new Map()]
          const signed: number[] = []
          for (const at of order) {
            const waiting = queues.flatMap((queue, study) => (queue.length > 0 ? [study] : []))
            const study = waiting[at % Math.max(1, waiting.length)]
            if (study === undefined) break
            const seq = queues[study]?.shift() as number
            expect(contradiction(witnesses[study] as Witness, CLINIC, head(seq))).toBeNull()
            witnesses[study] = withHeadSeen(witnesses[study] as Witness, CLINIC, head(seq))
            signed.push(seq)
            for (const other of [0, 1, 2])
              if (other !== study)
                witnesses[other] = withSeenElsewhere(witnesses[other] as Witness, witnesses[study] as Witness)
          }
          const used = signed[pick % signed.length] as number
          for (const witness of witnesses)
            expect(contradiction(witness, CLINIC, head(used, 200))).not.toBeNull()
        },
      ),
    )
  })

  it("keeps a bounded memory of a ledger with many gaps, and then takes the oldest gap for seen", () => {
    const odd = seen(...Array.from({ length: 200 }, (_, i) => 2 * i + 1))
    expect([...odd.values()][0]?.runs.length).toBe(64)
    const elsewhere = withSeenElsewhere(new Map(), odd)
    expect(contradiction(elsewhere, CLINIC, head(398))).toBeNull()
    expect(contradiction(elsewhere, CLINIC, head(2))).not.toBeNull()
  })
})

describe("evidence of a ledger", () => {
  const study = testStudy(4, withPrivacy())
  const run = runStudy({ study: withPrivacy() })
  const roster = signed(rosterOf(study, 4, 2), study)
  const directory = directoryOf(study, 4, 2)
  const checker = { suite, me: directory.named("clinic-1"), authorityKey }
  const [firstRound, secondRound] = ofClinic(run) as [SignedSubmission, SignedSubmission]
  const [one, two] = certificatesIn(run).map(({ proposal, signatures }) =>
    headOfCertificate(proposal, signatures),
  ) as [NonNullable<LedgerEvidence["certificate"]>, NonNullable<LedgerEvidence["certificate"]>]
  const good: LedgerEvidence = { roster, submission: secondRound, certificate: two }

  it("shows the head that the facility signed, and whether it was certified", () => {
    expect(checkLedgerEvidence(checker, good)).toEqual({ ...run.ledgers["clinic-1"], certified: true })
    expect(checkLedgerEvidence(checker, { ...good, certificate: null })).toEqual({
      ...run.ledgers["clinic-1"],
      certified: false,
    })
  })

  const { submission, signature } = secondRound
  const asOther = (name: string): SignedSubmission => {
    const changed = { ...submission, ledger: head(99) }
    return { submission: changed, signature: keysFor(name).sign(submissionMessage(changed)) }
  }
  const otherStudy = testStudy(4, { ...withPrivacy(), name: "other" })
  const cases: readonly (readonly [string, LedgerEvidence])[] = [
    ["another head", { ...good, submission: { submission: { ...submission, ledger: head(99) }, signature } }],
    ["a signature of somebody else", { ...good, submission: asOther("leader"), certificate: null }],
    [
      "another facility's submission",
      {
        ...good,
        submission: submissionsIn(run).find(
          ({ submission: s }) => !equalBytes(s.facility, CLINIC),
        ) as SignedSubmission,
      },
    ],
    ["no head", { ...good, submission: { submission: { ...submission, ledger: null }, signature } }],
    ["a roster that the authority did not sign", { ...good, roster: flipped(roster, 900) }],
    ["the certificate of another round", { ...good, certificate: one }],
    ["the submission of another round", { ...good, submission: firstRound }],
    ["too few signatures", { ...good, certificate: { ...two, signatures: two.signatures.slice(0, 2) } }],
    [
      "a signature that was altered",
      {
        ...good,
        certificate: {
          ...two,
          signatures: two.signatures.map((s) => ({ ...s, signature: flipped(s.signature, 3) })),
        },
      },
    ],
    ["another log head than was signed", { ...good, certificate: { ...two, seq: two.seq + 1 } }],
    ["a final head for a certificate", { ...good, certificate: { ...two, signed: { type: "final" } } }],
    ["a roster of another study", { ...good, roster: signed(rosterOf(otherStudy, 4, 2), otherStudy) }],
  ]

  it.each(cases)("[S21] is not believed with %s", (_what, evidence) => {
    expect(codeOf(() => checkLedgerEvidence(checker, evidence))).toBe("privacy/forged-evidence")
  })

  it("a facility takes an answer to its last question only, and notes what was forged", () => {
    const context: FacilityContext = {
      study,
      directory,
      me: checker.me,
      keys: keysFor("clinic-1"),
      suite,
      policy: testPolicy(),
      authorityKey,
      preparation: "declared",
    }
    const nonce = new Uint8Array(32).fill(5)
    const asked = stepFacility(context, startFacility(context), { type: "ask-ledger", nonce })
    expect(asked.effects).toEqual([
      { type: "send", to: directory.leader.id, message: { type: "ledger-asked", nonce } },
    ])
    const answer = (state: FacilityStep["state"], to: Uint8Array, evidence: readonly LedgerEvidence[]) =>
      stepFacility(context, state, {
        type: "message",
        at: 1,
        from: directory.leader,
        message: { type: "ledger-known", nonce: to, evidence },
      })
    const stale = answer(asked.state, new Uint8Array(32), [good])
    expect(stale.effects.map(({ type }) => type)).toEqual(["record"])
    const forged = { ...good, certificate: one }
    const heard = answer(asked.state, nonce, [good, forged])
    expect(heard.effects).toMatchObject([
      { type: "security", code: "privacy/forged-evidence" },
      { type: "ledger-shown", nonce, heads: [{ seq: 2, certified: true }] },
    ])
    const again = answer(heard.state, nonce, [good])
    expect(again.effects.map(({ type }) => type)).toEqual(["record"])
  })

  it("tells who was shown what in plain words", () => {
    expect(textOf(() => checkLedgerEvidence(checker, { ...good, certificate: one }))).toMatchInlineSnapshot(`
      "privacy/forged-evidence: What is shown of this facility's privacy ledger is not on the list beside it.
        remedy: It is not believed and changes nothing: ask the leader's operator where it came from.
        see: docs/reference/errors.md#privacyforged-evidence"
    `)
    expect(toHex(run.ledgers["clinic-1"]?.hash ?? new Uint8Array(0))).toHaveLength(64)
  })
})
