import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom } from "@consilium/base/testing"
import type { LogEntry } from "@consilium/federation/log"
import { submissionMessage } from "@consilium/federation/messages"
import { openingThreshold } from "@consilium/federation/study"
import { seal } from "@consilium/federation/suite"
import { keyShareBinding } from "@consilium/federation/sums/key-shares"
import { thresholdParameters } from "@consilium/federation/sums/lattice-parameters"
import { sealFrame } from "@consilium/lattice/sums/frame"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Options, type Outcome, runStudy, type Utterance } from "../../federation/test/harness.js"
import {
  changedRoster,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  suite,
  testStudy,
} from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { silentFrom, together } from "../../federation/test/scenes.js"
import { eventView } from "../src/api/event-sentences.js"
import { studyViewSchema } from "../src/api/schemas.js"
import type { CeremonyView, KeysView, StudyView } from "../src/api/study-view.js"
import { applyEntry, type FoldState, startView } from "../src/api/view-fold.js"
import { LoggedStudy, ran } from "./api-study.js"

const CLINICS = ["clinic-1", "clinic-2", "clinic-3", "clinic-4", "clinic-5"]
const FIVE: Options = { facilities: 5, study: { protection: "ckks", rounds: 3 } }

const folded = (handle: LoggedStudy, entries: readonly LogEntry[] = handle.outcome.log): FoldState =>
  entries.reduce(applyEntry, startView(handle))
const viewOf = (outcome: Outcome, handle = new LoggedStudy(outcome)): StudyView => {
  const { view } = folded(handle)
  expect(studyViewSchema.parse(view)).toEqual(view)
  return view
}
const keysOf = (outcome: Outcome): KeysView => viewOf(outcome).keys as KeysView
const sorted = (names: Iterable<string>): readonly string[] => [...names].sort()
const stepsOf = (ceremony: CeremonyView | undefined, name: string): readonly string[] =>
  ceremony?.lanes.find((lane) => lane.name === name)?.steps.map(({ step }) => step) ?? []
const causes = (outcome: Outcome): readonly string[] => keysOf(outcome).ceremonies.map(({ cause }) => cause)

/** What the leader itself holds of its keys, in the words of the view. */
const heldByLeader = ({ leader, nameOf, study }: Outcome) => {
  const { keys, rotation, directory } = leader.progress
  const { current } = keys
  const dealers = current?.dealers.map(nameOf) ?? []
  const hopeless = (id: Uint8Array): boolean =>
    current?.excluded.some((one) => toHex(one) === toHex(id)) === true ||
    (current?.failed.get(toHex(id)) ?? 0) >= study.attempts
  return {
    epoch: current?.epoch ?? 0,
    dealers: sorted(dealers),
    holders: sorted(current?.holders.map(nameOf) ?? []),
    leftOut:
      current === null
        ? sorted([])
        : sorted(
            directory.facilities
              .filter(({ name }) => !dealers.includes(name))
              .map(({ id, name }) => `${name} ${hopeless(id) ? "for good" : "for now"}`),
          ),
    used: current?.openings ?? 0,
    since: current === null ? null : new Date(current.since).toISOString(),
    wanted: rotation,
  }
}
const shownOf = (outcome: Outcome): ReturnType<typeof heldByLeader> => {
  const { epoch, dealers, holders, leftOut, openings, since, wanted } = keysOf(outcome)
  return {
    epoch,
    dealers: sorted(dealers),
    holders: sorted(holders),
    leftOut: sorted(leftOut.map(({ name, returns }) => `${name} ${returns ? "for now" : "for good"}`)),
    used: openings.used,
    since,
    wanted,
  }
}

/** Somebody who says nothing in the first ceremony. */
const asleepAtFirst = (name: string): Options["speak"] => {
  let asleep = true
  return (utterance) => {
    const { by, message } = utterance
    if (by === "leader" && message.type === "announce" && message.spec.purpose === "update") asleep = false
    return by === name && asleep ? [] : [utterance]
  }
}

describe("the keys of a study that nothing disturbs", () => {
  it.each(["plain", "shamir", "masked"] as const)("%s has none", (protection) => {
    expect(viewOf(ran({ study: { protection } })).keys).toBeNull()
  })

  it.each(["ckks", "bfv"] as const)("%s: as the leader holds them", (protection) => {
    const outcome = ran({ facilities: 5, study: { protection, rounds: 3 } })
    const keys = keysOf(outcome)
    expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
    expect(keys).toMatchObject({ epoch: 1, openings: { used: 3, left: 497 }, leftOut: [], wanted: null })
    expect(Date.parse(keys.ends as string) - Date.parse(keys.since as string)).toBe(30 * 86_400_000)
  })

  it("before the first event there is a scheme, and nobody has a key", () => {
    const { view } = startView(new LoggedStudy(ran(FIVE)))
    expect(view.keys).toMatchObject({ epoch: 0, dealers: [], leftOut: [], since: null, ceremonies: [] })
  })

  it("the scheme's numbers are those of the parameters, with the reasons", () => {
    const outcome = ran(FIVE)
    const { scheme } = keysOf(outcome)
    const { literal, ring, blocks } = thresholdParameters(outcome)
    expect(scheme).toMatchObject({
      name: "CKKS",
      degree: literal.degree,
      primes: literal.primes.length,
      lanes: literal.lanes,
      laneBits: literal.laneBits,
      polynomials: blocks,
      securityBits: 128,
      floodingBits: literal.statisticalBits,
    })
    expect(Math.ceil(scheme.modulusBits)).toBe(ring.modulus.toString(2).length)
    expect(scheme.because.some((line) => line.includes(`log2 Q = ${scheme.modulusBits.toFixed(1)}`))).toBe(
      true,
    )
    // what crossed the edge was that long
    const update = outcome.said.find(({ message }) => message.type === "update")?.message
    expect(update?.type === "update" && update.payload.length).toBe(scheme.updateBytes)
    expect(scheme.bytesPerValue).toBeCloseTo(scheme.updateBytes / literal.values, 2)
  })

  it("no ceremony is taken for a round, and every round shows who opened its sum", () => {
    const outcome = ran(FIVE)
    const view = viewOf(outcome)
    expect(view.rounds.map(({ round, attempt, phase }) => [round, attempt, phase])).toEqual([
      [1, 1, "closed"],
      [2, 1, "closed"],
      [3, 1, "closed"],
    ])
    const named = outcome.said.flatMap(({ message }) =>
      message.type === "certificate" && message.proposal.spec.purpose === "update"
        ? [message.openers.map(outcome.nameOf)]
        : [],
    )
    expect(view.rounds.map(({ openers }) => openers)).toEqual(named)
    for (const { openers, lanes } of view.rounds) {
      expect(openers).toHaveLength(4)
      const opened = lanes.filter(({ steps }) => steps.some(({ step }) => step === "opened"))
      expect(sorted(opened.map(({ name }) => name))).toEqual(sorted(openers))
      // a round has nothing of the ceremony before it
      expect(lanes.flatMap(({ steps }) => steps).map(({ step }) => step)).not.toContain("checked-shares")
    }
    expect(view.edges.find(({ from }) => from === "clinic-1")?.carries).toContain("encrypted updates")
  })

  it("a ceremony shows every step of every facility, in a lane like that of a round", () => {
    const [ceremony, ...others] = keysOf(ran(FIVE)).ceremonies
    expect(others).toEqual([])
    expect(ceremony).toMatchObject({
      epoch: 1,
      round: 1,
      attempt: 1,
      phase: "held",
      cause: "the study had no keys yet",
      reason: null,
    })
    expect(ceremony?.phases.map(({ phase }) => phase)).toEqual([
      "collecting",
      "locked",
      "challenged",
      "testing",
      "certifying",
      "held",
    ])
    for (const name of CLINICS)
      expect(stepsOf(ceremony, name)).toEqual([
        "dealt",
        "answered-challenge",
        "checked-shares",
        "tested-keys",
        "signed",
      ])
    for (const list of [ceremony?.tested, ceremony?.dealers, ceremony?.signers])
      expect(sorted(list ?? [])).toEqual(CLINICS)
    expect(ceremony?.openers).toHaveLength(4)
    expect(ceremony?.endedAt).toBe(ceremony?.phases.at(-1)?.at)
  })

  it("is the same whether it is folded at once, bit by bit, or stored in between", () => {
    const outcome = ran({ ...FIVE, rotations: [{ during: 1 }] })
    const handle = new LoggedStudy(outcome)
    const whole = folded(handle)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: outcome.log.length }), (cut) => {
        const first = folded(handle, outcome.log.slice(0, cut))
        const frozen = JSON.stringify(first.view)
        expect(outcome.log.slice(cut).reduce(applyEntry, first).view).toEqual(whole.view)
        expect(JSON.stringify(first.view)).toBe(frozen)
      }),
      { numRuns: 20 },
    )
  })
})

describe("why new keys are made, read from the log as the leader said it to its operator", () => {
  const said = ({ lines }: Outcome): readonly string[] =>
    lines.filter((line) => line.startsWith("facilities deal new keys"))

  it("a person asked", () => {
    const outcome = runStudy({ ...FIVE, rotations: [{ during: 2, after: 15 }] })
    expect(causes(outcome)).toEqual([
      "the study had no keys yet",
      "R. Person asked for it: a laptop was lost",
    ])
    expect(said(outcome).at(-1)).toContain(causes(outcome).at(-1))
    expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
    // in between the wish is seen to wait
    const handle = new LoggedStudy(outcome)
    const asked = outcome.log.findIndex(({ header }) => header.type === "key-rotation-asked")
    const { keys } = folded(handle, outcome.log.slice(0, asked + 1)).view
    expect(keys).toMatchObject({ epoch: 1, wanted: "R. Person asked for it: a laptop was lost" })
  })

  it("they have opened as many sums as they may", () => {
    const study = { ...FIVE.study, keys: { openings: 2, days: 30 } }
    const outcome = runStudy({ ...FIVE, study })
    expect(causes(outcome)).toEqual([
      "the study had no keys yet",
      "the keys had opened the 2 sums they may open",
    ])
    expect(keysOf(outcome)).toMatchObject({ epoch: 2, openings: { used: 1, left: 1 } })
    expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
  })

  it("they are too old", () => {
    const day = 86_400_000
    const outcome = runStudy({
      ...FIVE,
      study: {
        ...FIVE.study,
        keys: { openings: 100, days: 1 },
        deadlines: { collect: 2 * day, answer: 2 * day },
      },
      schedule: ({ message }) => [message.type === "report" ? Math.round(0.3 * day) : 10],
    })
    expect(causes(outcome)).toEqual(["the study had no keys yet", "the keys were 1 days old"])
    expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
  })

  it("somebody joined, somebody left; the parameters follow", () => {
    const study = testStudy(5, FIVE.study)
    const joined = changedRoster(rosterOf(study, 5, 2), { join: { "clinic-6": "fog-1" } })
    const outcome = runStudy({ ...FIVE, rosters: [{ during: 1, signed: signed(joined, study) }] })
    const directories = [directoryOf(study, CLINICS.concat("clinic-6"), 2), directoryOf(study, 5, 2)]
    const newest = outcome.leader.progress.directory
    const handle = new LoggedStudy(outcome, [newest, directories[1] as typeof newest])
    const keys = viewOf(outcome, handle).keys as KeysView
    expect(keys.ceremonies.map(({ cause }) => cause)).toEqual([
      "the study had no keys yet",
      "the list of participants has changed",
    ])
    expect(keys.dealers).toHaveLength(6)
    expect(keys.scheme.because[0]).toContain(`6 facilities, any ${openingThreshold(study, 6)} of them open`)
    // the round that begins with the new list comes after the ceremony, and holds the newcomer
    expect(viewOf(outcome, handle).rounds.map(({ cohort }) => cohort.length)).toEqual([5, 6, 6])
    expect(viewOf(outcome, handle).participants.find(({ name }) => name === "clinic-6")?.joinedAtRound).toBe(
      2,
    )
  })

  it("a facility that slept through the ceremony has none: it is left out, and comes back", () => {
    const outcome = runStudy({ ...FIVE, speak: asleepAtFirst("clinic-3") as NonNullable<Options["speak"]> })
    expect(causes(outcome)).toEqual(["the study had no keys yet", "clinic-3 has no key in this epoch"])
    const handle = new LoggedStudy(outcome)
    const second = outcome.log.findLastIndex(({ header }) => header.type === "key-test")
    const first = folded(handle, outcome.log.slice(0, second)).view.keys as KeysView
    expect(first.leftOut).toEqual([
      { name: "clinic-3", why: "It was not there for the whole ceremony.", returns: true },
    ])
    expect(stepsOf(first.ceremonies[0], "clinic-3")).toEqual([])
    expect(keysOf(outcome).leftOut).toEqual([])
    const lane = viewOf(outcome).rounds[0]?.lanes.find(({ name }) => name === "clinic-3")
    expect(lane?.steps[0]).toMatchObject({
      step: "refused",
      detail: expect.stringMatching(/keys\/left-out/),
    })
  })

  it("a ceremony that was given up is tried again, and is no attempt at a round", () => {
    const away = ["clinic-2", "clinic-4", "clinic-5"]
    const dropped = new Set<string>()
    const speak = (utterance: Utterance): readonly Utterance[] =>
      away.includes(utterance.by) &&
      utterance.message.type === "submit" &&
      dropped.size < dropped.add(utterance.by).size
        ? []
        : [utterance]
    const outcome = runStudy({ ...FIVE, speak })
    const view = viewOf(outcome)
    expect(view.keys?.ceremonies.map(({ epoch, attempt, phase }) => [epoch, attempt, phase])).toEqual([
      [1, 1, "void"],
      [2, 2, "held"],
    ])
    expect(view.keys?.ceremonies[0]?.reason).toBe("2 facilities sent shares of a key; 3 are needed")
    expect(causes(outcome).at(-1)).toBe("the ceremony before was given up")
    expect(view.rounds.every(({ phase }) => phase === "closed")).toBe(true)
    expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
  })

  it("a study whose keys cannot be made ends, and says so", () => {
    const outcome = runStudy({
      ...FIVE,
      study: { ...FIVE.study, attempts: 2 },
      speak: together(...["clinic-1", "clinic-2", "clinic-3"].map((name) => silentFrom(name, "start"))),
    })
    const view = viewOf(outcome)
    expect(view).toMatchObject({ state: "aborted", rounds: [] })
    expect(view.reason).toMatch(/^The key ceremony before round 1 failed 2 times/)
    expect(view.keys?.ceremonies.map(({ phase }) => phase)).toEqual(["void", "void"])
    expect(view.keys).toMatchObject({ epoch: 0, since: null, leftOut: [] })
  })
})

/** A dealer that commits to, signs and sends another share than it should to one recipient, sealed as it should be. */
const falseShare =
  (dealer: string, victim: string): NonNullable<Options["corrupt"]> =>
  (facility, step) => {
    const { state } = step
    if (facility !== dealer || state.phase !== "submitted" || state.attempt.spec.purpose !== "keys")
      return step
    if (!step.effects.some((effect) => effect.type === "send" && effect.message.type === "share")) return step
    const { directory } = state.memory
    const [me, to] = [directory.named(dealer), directory.named(victim)]
    const { digest, spec } = state.attempt
    const study = testStudy(5, FIVE.study)
    const setting = { study, directory, spec: digest, epoch: spec.epoch, attempt: spec.attempt, suite }
    const binding = keyShareBinding(setting, me.id, to.id)
    const own = state.mine.own as Uint8Array
    const sealed = seal(suite, to.sealingKey, own, binding, insecureSeededRandom("false share"))
    const { submission } = state.mine.submission
    const parts = submission.parts.map((part) =>
      toHex(part.recipient) === toHex(to.id) ? { ...part, digest: sha256(sealed) } : part,
    )
    const changed = { ...submission, parts }
    const again = { submission: changed, signature: keysFor(dealer).sign(submissionMessage(changed)) }
    return {
      state: { ...state, mine: { ...state.mine, submission: again } },
      effects: step.effects.map((effect) => {
        if (effect.type !== "send") return effect
        if (effect.message.type === "submit") return { ...effect, message: { type: "submit", ...again } }
        return effect.message.type === "share" && toHex(effect.to) === toHex(to.id)
          ? { ...effect, message: { ...effect.message, sealed } }
          : effect
      }),
    }
  }

describe("dealers that cheat", () => {
  it("by a false share: the complaint, who is out, and that nobody waits for it", () => {
    const outcome = runStudy({ ...FIVE, corrupt: falseShare("clinic-3", "clinic-5") })
    const { ceremonies, leftOut } = keysOf(outcome)
    expect(ceremonies).toHaveLength(1)
    expect(ceremonies[0]?.lanes.find(({ name }) => name === "clinic-5")?.steps).toContainEqual(
      expect.objectContaining({
        step: "checked-shares",
        detail: "It disputes what it got from clinic-3.",
      }),
    )
    expect(ceremonies[0]?.lanes.find(({ name }) => name === "clinic-3")?.steps).toContainEqual(
      expect.objectContaining({ step: "excluded", detail: "It dealt a false share." }),
    )
    expect(ceremonies[0]?.tested).not.toContain("clinic-3")
    expect(leftOut).toEqual([
      {
        name: "clinic-3",
        why: "It dealt a false share; no new keys are made for its sake.",
        returns: false,
      },
    ])
    expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
  })

  it.each([1, 2, 3])(
    "by another key than was shared, over %d rounds: as often as the leader counts it",
    (rounds) => {
      const outcome = runStudy({
        ...FIVE,
        study: { ...FIVE.study, rounds, attempts: 2 },
        speak: (utterance) => {
          const { by, message } = utterance
          if (by !== "clinic-3" || message.type !== "key-tested" || message.test === null) return [utterance]
          const test = message.test.slice()
          test[16] = (test[16] as number) ^ 1
          return [{ ...utterance, message: { ...message, test: sealFrame(test) } }]
        },
      })
      const { ceremonies, leftOut } = keysOf(outcome)
      // the leader tries once more for its sake, and then no longer
      expect(ceremonies.map(({ phase }) => phase)).toEqual(rounds === 1 ? ["held"] : ["held", "held"])
      expect(leftOut).toMatchObject([{ name: "clinic-3", returns: rounds === 1 }])
      expect(ceremonies.at(-1)?.lanes.find(({ name }) => name === "clinic-3")?.steps).toContainEqual(
        expect.objectContaining({
          step: "excluded",
          detail: "The test of its key failed: it shared another one, or somebody tested falsely.",
        }),
      )
      expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
    },
  )

  it("by shares that it does not stand for: it checks the others', and can open nothing", () => {
    const speak = (said: Utterance): readonly Utterance[] =>
      said.by === "clinic-3" && said.message.type === "submit" ? [] : [said]
    const outcome = runStudy({ ...FIVE, study: { ...FIVE.study, rounds: 1 }, speak })
    const { ceremonies, holders } = keysOf(outcome)
    expect(stepsOf(ceremonies[0], "clinic-3")).toContain("checked-shares")
    expect(holders).toHaveLength(4)
    expect(holders).not.toContain("clinic-3")
    expect(shownOf(outcome)).toEqual(heldByLeader(outcome))
  })

  it("by two different keys: seen in its lane", () => {
    const outcome = runStudy({
      ...FIVE,
      study: { ...FIVE.study, rounds: 1 },
      speak: (utterance) => {
        const { by, message } = utterance
        if (by !== "clinic-3" || message.type !== "submit") return [utterance]
        const submission = { ...message.submission, parts: message.submission.parts.slice(1) }
        const signature = keysFor(by).sign(submissionMessage(submission))
        return [utterance, { ...utterance, message: { ...message, submission, signature } }]
      },
    })
    const view = viewOf(outcome)
    expect(view.security.map(({ code, about }) => [code, about])).toContainEqual([
      "round/equivocation",
      "clinic-3",
    ])
    expect(stepsOf(view.keys?.ceremonies[0], "clinic-3")).toContain("excluded")
    expect(view.rounds[0]?.lanes.find(({ name }) => name === "clinic-3")?.steps[0]?.step).toBe("refused")
  })
})

describe("at any moment", () => {
  it("the view holds what the leader holds, wherever a person stops the study", () => {
    const options: Options = {
      ...FIVE,
      study: { ...FIVE.study, keys: { openings: 2, days: 30 } },
      rotations: [{ during: 1, after: 35 }],
    }
    for (let after = 0; after <= 400; after += 57) {
      const outcome = runStudy({ ...options, stops: [{ during: 1, after }] })
      expect([after, shownOf(outcome)]).toEqual([after, heldByLeader(outcome)])
      const view = viewOf(outcome)
      expect(view.keys?.ceremonies.every(({ endedAt }) => endedAt !== null)).toBe(true)
      expect(view.rounds.every(({ endedAt }) => endedAt !== null)).toBe(true)
    }
  })

  it("a ceremony costs no privacy", () => {
    const outcome = runStudy({
      facilities: 5,
      study: { ...withPrivacy(), protection: "ckks" },
      // it deals a key after a round to which it gave nothing
      speak: asleepAtFirst("clinic-3") as NonNullable<Options["speak"]>,
    })
    const view = viewOf(outcome)
    expect(view.keys?.epoch).toBe(2)
    for (const { facility, epsilon } of view.privacy)
      expect([facility, epsilon]).toEqual([facility, outcome.charges.get(facility)?.at(-1)?.epsilon])
    expect(outcome.charges.get("clinic-3")).toHaveLength(1)
  })
})

describe("sentences about keys", () => {
  it("every kind of event of a keyed study has one of its own", () => {
    const told = new Map<string, string>()
    const handle = new LoggedStudy(ran({ ...FIVE, rotations: [{ during: 1 }] }))
    for (const entry of handle.outcome.log) {
      const { type, says } = eventView(handle, entry)
      expect(says).not.toMatch(/undefined|NaN|\[object|no words|does not know/)
      const plain = says.replaceAll(/[0-9a-f]{16}/g, "<hash>").replace(/\d+ bytes/, "<n> bytes")
      const name = `${type}${/\b(keys?|epoch)\b/.test(plain) ? ", keys" : ""}`
      if (!told.has(name)) told.set(name, plain)
    }
    expect(Object.fromEntries([...told].sort(([a], [b]) => (a < b ? -1 : 1)))).toMatchInlineSnapshot(`
      {
        "announce": "Round 1, attempt 1, begins: the leader sent everyone the current model.",
        "announce, keys": "A key ceremony begins, before round 1 and for epoch 1, attempt 1: every facility makes a new key.",
        "candidate": "A new model was made from the sum and sent to everyone.",
        "certificate": "5 facilities signed the list of 5: their sum, and nothing else, may be opened, by clinic-5, clinic-1, clinic-2 and clinic-4 together.",
        "certificate, keys": "5 facilities signed: epoch 1 begins with the keys of 5.",
        "closed": "The round is closed with the model <hash>.",
        "ended": "The study has ended: The study is complete.",
        "final-report": "clinic-5 tested the final model on its held-out patients.",
        "finish": "After 3 rounds the final model was sent to everyone.",
        "key-rotation-asked, keys": "R. Person asked for new keys before the next round: a laptop was lost",
        "key-test, keys": "The keys of 5 facilities are put to the test: each encrypts zero, which clinic-1, clinic-2, clinic-4 and clinic-3 open together.",
        "key-tested, keys": "clinic-5 encrypted zero under its key.",
        "lock, keys": "The list of 5 keys is fixed; whoever made one now shows that its shares fit together.",
        "opening, keys": "clinic-5 answered the challenge on the shares of its key.",
        "openings": "The answers of 5 facilities to the challenge were shown to everyone.",
        "partial": "clinic-5 gave its part of the opening.",
        "propose": "The leader asks every facility to sign the list of 5 facilities whose sum is to be opened.",
        "propose, keys": "The leader asks every facility to sign the list of 5 facilities whose keys epoch 1 begins with.",
        "region": "fog-1 sent the sum of the updates of 3 facilities.",
        "report": "clinic-5 tested the new model on its held-out patients.",
        "signature": "clinic-5 signed the list.",
        "submit, keys": "clinic-5 made a key, and committed itself to the sealed shares of it that it sent the others.",
        "sum-opened": "The sum over the certified facilities was opened.",
        "traffic": "fog-1 counted <n> bytes from its facilities.",
        "verdict, keys": "clinic-5 checked the shares of keys that it got: 5 good, 0 disputed.",
      }
    `)
  })

  it("a dealer that is out is said to be", () => {
    const handle = new LoggedStudy(ran(FIVE))
    const [first] = handle.outcome.log as [LogEntry]
    const entry = { ...first, header: { ...first.header, type: "dealer-excluded" }, body: new Uint8Array(0) }
    expect(eventView(handle, entry).says).toMatchInlineSnapshot(
      `"leader is left out: a share of its key was false, or the test of its key failed."`,
    )
  })
})
