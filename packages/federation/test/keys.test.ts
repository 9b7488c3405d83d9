import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import { sealFrame } from "@consilium/lattice/sums/frame"
import { describe, expect, it } from "vitest"
import { decodeFacility, encodeFacility } from "../src/facility-snapshot.js"
import type { FacilityState, FacilityStep } from "../src/facility-state.js"
import { type Message, type MessageOf, submissionMessage } from "../src/messages.js"
import { participantId } from "../src/roster.js"
import { PROTECTIONS, type Study } from "../src/study.js"
import { seal } from "../src/suite.js"
import { answerZeroTest } from "../src/sums/facility/key-dealing.js"
import { keyShareBinding } from "../src/sums/key-shares.js"
import type { SumSetting } from "../src/sums/secure-sum.js"
import { type Hop, type Options, type Outcome, runStudy, type Utterance } from "./harness.js"
import { changedRoster, keysFor, rosterOf, signed, suite, testStudy } from "./members.js"
import {
  audited,
  calm,
  cohorts,
  keptHeads,
  models,
  openedSums,
  silentFrom,
  Trainings,
  together,
  trainedSums,
  voids,
} from "./scenes.js"

const clinics = (...numbers: readonly number[]): readonly string[] => numbers.map((n) => `clinic-${n}`)
/** 3 of 5 open; c = 0, for 2 t - n - 1 = 0. */
const THREE_OF_FIVE: Options = {
  facilities: 5,
  study: { protection: "ckks", rounds: 3, cohort: { minCohort: 3, threshold: 3, colluders: 0 } },
  policies: Object.fromEntries(clinics(1, 2, 3, 4, 5).map((name) => [name, { colluders: 0 }])),
}

/** A run whose opened sums are what the cohorts trained, and whose log and kept heads a stranger finds in order. */
const run = (options: Options): Outcome => {
  const trainings = new Trainings()
  const outcome = runStudy({ ...options, train: trainings.listen })
  expect(openedSums(outcome).map(({ sum }) => sum)).toEqual(trainedSums(outcome, trainings))
  expect(audited(outcome, outcome.log, keptHeads(outcome)).certifiedRounds).toBe(
    outcome.leader.progress.closed.length,
  )
  return outcome
}
const events = (outcome: Outcome, event: string, by?: string): readonly string[] =>
  outcome.records
    .filter((one) => one.event === event && (by === undefined || one.by === by))
    .map((r) => r.detail)
const epochs = (outcome: Outcome): readonly number[] =>
  outcome.said.flatMap(({ by, message }) =>
    by === "leader" && message.type === "announce" && message.spec.purpose === "update"
      ? [message.spec.epoch]
      : [],
  )
const ceremonies = (outcome: Outcome): readonly number[] =>
  outcome.said.flatMap(({ by, message }) =>
    by === "leader" && message.type === "announce" && message.spec.purpose === "keys"
      ? [message.spec.epoch]
      : [],
  )
const security = (outcome: Outcome): readonly string[] =>
  outcome.security.map(({ by, code, about }) => `${by}: ${code} of ${about}`)

describe("one study under every protection", () => {
  it("comes to the same models, to the last bit", () => {
    const all = PROTECTIONS.map((protection) => models(calm({ facilities: 5, study: { protection } })))
    for (const each of all) expect(each).toEqual(all[0])
  })
})

describe.each(["ckks", "bfv"] as const)("a key ceremony, %s", (protection) => {
  const outcome = run({ facilities: 5, study: { protection } })

  it("comes before the first round, and every facility ends it with its key and a share of each", () => {
    expect(ceremonies(outcome)).toEqual([1])
    expect(epochs(outcome)).toEqual([1, 1])
    for (const name of clinics(1, 2, 3, 4, 5))
      expect(events(outcome, "epoch-begun", name)).toEqual([
        "epoch 1: 5 keys, of which this facility holds 5 shares",
      ])
    expect([voids(outcome), outcome.security, outcome.garbled]).toEqual([[], [], 0])
  })

  it("[S24] is forgotten with the study: nobody holds a key at the end", () => {
    for (const [, { memory }] of outcome.facilities) expect(memory.keys).toBeNull()
    expect(events(outcome, "keys-destroyed")).toHaveLength(5)
  })

  it("names t of the signers to open each sum, and only they answer", () => {
    const named = outcome.said.flatMap(({ by, message }) =>
      by === "leader" && message.type === "certificate" && message.proposal.spec.purpose === "update"
        ? [message.openers.map(outcome.nameOf)]
        : [],
    )
    expect(named).toHaveLength(2)
    const answers = outcome.said.filter(({ message }) => message.type === "partial").map(({ by }) => by)
    expect([...answers].sort()).toEqual(named.flat().sort())
    for (const openers of named) expect(openers).toHaveLength(4)
  })
})

describe("facilities that vanish, 3 of 5 open", () => {
  it("two after they sent and before they sign: the sum is exact and the round closes", () => {
    const speak = together(...clinics(2, 4).map((name) => silentUntil(name, "update", 1)))
    const outcome = run({ ...THREE_OF_FIVE, speak })
    expect(cohorts(outcome)[0]).toEqual(clinics(1, 2, 3, 4, 5))
    expect(outcome.leader.phase).toBe("closed")
  })

  it("three: the attempt is void with its reason, and the study goes on when they are back", () => {
    const away = clinics(2, 4, 5)
    const speak = (utterance: Utterance): readonly Utterance[] =>
      away.includes(utterance.by) &&
      ["signature", "partial"].includes(utterance.message.type) &&
      first(utterance)
        ? []
        : [utterance]
    const seen = new Map<string, number>()
    const first = ({ by }: Utterance): boolean => {
      // its word for the ceremony, and then silence for one attempt
      const count = (seen.get(by) ?? 0) + 1
      seen.set(by, count)
      return count === 2
    }
    const outcome = run({ ...THREE_OF_FIVE, speak })
    expect(voids(outcome)).toEqual(["2 facilities signed the list; 3 of 5 are needed"])
    expect(cohorts(outcome)).toEqual([1, 2, 3].map(() => clinics(1, 2, 3, 4, 5)))
    expect(outcome.leader.progress.closed.map(({ attempt }) => attempt)).toEqual([2, 1, 1])
  })

  it("one that is named to open: void, and the same cohort protected anew opens", () => {
    let dropped = 0
    const outcome = run({
      ...THREE_OF_FIVE,
      speak: (utterance) => {
        const { by, message } = utterance
        return by === openerOf(outcomeSoFar) && message.type === "partial" && dropped++ === 0
          ? []
          : [utterance]
      },
      schedule: (hop) => {
        outcomeSoFar.push(hop)
        return [10]
      },
    })
    expect(voids(outcome)).toEqual([expect.stringMatching(/^lattice\/bad-opening: Answers of facilities/)])
    expect(outcome.leader.progress.closed.map(({ attempt }) => attempt)).toEqual([2, 1, 1])
    expect(models(outcome)).toEqual(models(calm(THREE_OF_FIVE)))
  })
  const outcomeSoFar: Hop[] = []
  const openerOf = (hops: readonly Hop[]): string | null =>
    hops.some(({ message }) => message.type === "certificate" && message.openers.length > 0)
      ? "clinic-1"
      : null
})

/** Somebody who stops speaking after the nth message of a type. */
const silentUntil = (name: string, after: Message["type"], count: number) => {
  let said = 0
  return (utterance: Utterance): readonly Utterance[] => {
    if (utterance.by !== name) return [utterance]
    if (said >= count) return []
    if (utterance.message.type === after) said += 1
    return [utterance]
  }
}

describe("a facility that is away in the ceremony", () => {
  it("is left out of the epoch, says so, and comes back with a ceremony before the next round", () => {
    let asleep = true
    const outcome = run({
      facilities: 5,
      study: { protection: "ckks", rounds: 3 },
      speak: (utterance) => {
        const { by, message } = utterance
        if (by === "leader" && message.type === "announce" && message.spec.purpose === "update")
          asleep = false
        return by === "clinic-3" && asleep ? [] : [utterance]
      },
    })
    expect(cohorts(outcome)).toEqual([clinics(1, 2, 4, 5), clinics(1, 2, 3, 4, 5), clinics(1, 2, 3, 4, 5)])
    expect(epochs(outcome)).toEqual([1, 2, 2])
    expect(outcome.lines).toContain(
      "facilities deal new keys before round 2: clinic-3 has no key in this epoch",
    )
    expect(events(outcome, "round-refused", "clinic-3")).toEqual([expect.stringMatching(/^keys\/left-out: /)])
  })

  it("is not waited for again if it cheated", () => {
    const changes: Options["study"] = { protection: "ckks", rounds: 3 }
    const outcome = run({
      facilities: 5,
      study: changes,
      corrupt: falseShareOf("clinic-3", "clinic-5", testStudy(5, changes), (share) => share),
    })
    expect(epochs(outcome)).toEqual([1, 1, 1])
    expect(cohorts(outcome)).toEqual([1, 2, 3].map(() => clinics(1, 2, 4, 5)))
    expect(outcome.lines).toContain("clinic-3 dealt a false share and is excluded from this attempt")
  })
})

const ceremonySetting = (outcome: { readonly state: FacilityState }, study: Study): SumSetting | null => {
  const { state } = outcome
  if (!("attempt" in state) || state.attempt.spec.purpose !== "keys") return null
  const { digest, spec } = state.attempt
  const { directory } = state.memory
  return { study, directory, spec: digest, epoch: spec.epoch, attempt: spec.attempt, suite }
}

/** A dealer that commits to, signs and sends a false share for one recipient, sealed as it should be. */
const falseShareOf =
  (dealer: string, victim: string, study: Study, falsify: (share: Uint8Array) => Uint8Array) =>
  (facility: string, step: FacilityStep): FacilityStep => {
    const setting = ceremonySetting(step, study)
    const { state } = step
    if (facility !== dealer || setting === null || state.phase !== "submitted" || state.mine.own === null)
      return step
    if (!step.effects.some((effect) => effect.type === "send" && effect.message.type === "share")) return step
    const [me, to] = [setting.directory.named(dealer), setting.directory.named(victim)]
    const binding = keyShareBinding(setting, me.id, to.id)
    const random = insecureSeededRandom("false share")
    const sealed = seal(suite, to.sealingKey, falsify(state.mine.own), binding, random)
    const { submission } = state.mine.submission
    const changed = {
      ...submission,
      parts: submission.parts.map((part) =>
        toHex(part.recipient) === toHex(to.id) ? { ...part, digest: sha256(sealed) } : part,
      ),
    }
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

describe("[S24] new keys", () => {
  const options: Options = { facilities: 5, study: { protection: "ckks", rounds: 4 } }
  const undisturbed = models(calm(options))

  it("when a person asks: no round is lost, and the old key and shares are destroyed", () => {
    const outcome = run({ ...options, rotations: [{ during: 2, after: 15 }] })
    expect(epochs(outcome)).toEqual([1, 1, 2, 2])
    expect([voids(outcome), security(outcome)]).toEqual([[], []])
    expect(models(outcome)).toEqual(undisturbed)
    expect(events(outcome, "keys-destroyed", "clinic-1")).toEqual([
      "epoch 1: this facility's key and its 5 shares of keys",
      "epoch 2: this facility's key and its 5 shares of keys",
    ])
    expect(outcome.lines).toContain(
      "facilities deal new keys before round 3: R. Person asked for it: a laptop was lost",
    )
  })

  it("a facility that misses the whole ceremony destroys the old ones as well", () => {
    let asleep = false
    const outcome = run({
      ...options,
      rotations: [{ during: 1, after: 15 }],
      speak: (utterance) => {
        const { by, message } = utterance
        if (by === "leader" && message.type === "announce")
          asleep = message.spec.purpose === "keys" && message.spec.epoch === 2
        return by === "clinic-3" && asleep ? [] : [utterance]
      },
    })
    expect(cohorts(outcome)[1]).toEqual(clinics(1, 2, 4, 5))
    expect(epochs(outcome)).toEqual([1, 2, 3, 3])
    expect(events(outcome, "keys-destroyed", "clinic-3")[0]).toBe(
      "epoch 1: this facility's key and its 5 shares of keys",
    )
    expect(outcome.facilities.get("clinic-3")?.memory.keys).toBeNull()
  })

  it("after K openings", () => {
    const outcome = run({ ...options, study: { ...options.study, keys: { openings: 2, days: 30 } } })
    expect(epochs(outcome)).toEqual([1, 1, 2, 2])
    expect(models(outcome)).toEqual(undisturbed)
  })

  const day = 24 * 60 * 60 * 1000
  const daily = {
    ...options.study,
    keys: { openings: 100, days: 1 },
    deadlines: { collect: 2 * day, answer: 2 * day },
  }

  it("after D days", () => {
    const schedule = ({ message }: Hop): readonly number[] => [
      message.type === "report" ? Math.round(0.3 * day) : 10,
    ]
    const outcome = run({ ...options, study: daily, schedule })
    // a report takes two hops
    expect(epochs(outcome)).toEqual([1, 1, 2, 2])
    expect(models(outcome)).toEqual(models(calm({ ...options, study: daily })))
  })

  it("which facilities insist on", () => {
    let late = true
    const schedule = ({ to, message }: Hop): readonly number[] => {
      const held = late && to === "clinic-1" && message.type === "announce" && message.spec.round === 2
      if (held) late = false
      return [held ? Math.round(1.1 * day) : 10]
    }
    const outcome = run({ ...options, study: daily, schedule })
    expect(events(outcome, "round-refused", "clinic-1")).toEqual([expect.stringMatching(/^keys\/too-old: /)])
    expect(cohorts(outcome)[1]).toEqual(clinics(2, 3, 4, 5))
  })

  it("when somebody joins or leaves: no round is lost", () => {
    const study = testStudy(5, options.study)
    const joined = changedRoster(rosterOf(study, 5, 2), { join: { "clinic-6": "fog-1" } })
    const left = changedRoster(joined, { leave: ["clinic-2"] })
    const outcome = run({
      ...options,
      rosters: [
        { during: 1, signed: signed(joined, study) },
        { during: 2, signed: signed(left, study) },
      ],
    })
    expect(cohorts(outcome)).toEqual([
      clinics(1, 2, 3, 4, 5),
      clinics(1, 2, 3, 4, 5, 6),
      clinics(1, 3, 4, 5, 6),
      clinics(1, 3, 4, 5, 6),
    ])
    expect(epochs(outcome)).toEqual([1, 2, 3, 3])
    expect([voids(outcome), security(outcome)]).toEqual([[], []])
  })

  it("a crash between rounds keeps the epoch: keys come back from what is sealed at rest", () => {
    const restarted = new Set<string>()
    const outcome = run({
      ...options,
      corrupt: (facility, step) => {
        const stored = encodeFacility(step.state)
        if (stored === null || step.state.memory.keys === null) return step
        restarted.add(facility)
        const { directory } = step.state.memory
        const me = directory.named(facility)
        const study = testStudy(5, options.study)
        const state: FacilityState = decodeFacility(stored, { study, me }, directory)
        return { ...step, state }
      },
    })
    expect(restarted.size).toBe(5)
    expect(models(outcome)).toEqual(undisturbed)
  })
})

describe("[S23] dealers that cheat in a ceremony", () => {
  const changes: Options["study"] = { protection: "ckks" }
  const study = testStudy(5, changes)

  it.each<readonly [string, (share: Uint8Array) => Uint8Array]>([
    ["another recipient's share", (share) => share],
    ["a share with one coefficient changed", (share) => oneChanged(share)],
    ["bytes that are no share", (share) => share.subarray(1)],
  ])("%s, committed to and sealed as it should be, is proven: the dealer is out", (_, falsify) => {
    const outcome = run({
      facilities: 5,
      study: changes,
      corrupt: falseShareOf("clinic-3", "clinic-5", study, falsify),
    })
    expect(outcome.lines).toContain("clinic-3 dealt a false share and is excluded from this attempt")
    expect(security(outcome)).toEqual(["clinic-5: sharing/bad-share of clinic-3"])
    expect(cohorts(outcome)).toEqual([clinics(1, 2, 4, 5), clinics(1, 2, 4, 5)])
  })

  it("a key other than the one that was shared fails the test opening: the dealer is out", () => {
    const outcome = run({
      facilities: 5,
      study: changes,
      corrupt: (facility, step) => {
        const setting = ceremonySetting(step, study)
        const { state } = step
        if (facility !== "clinic-3" || setting === null || state.phase !== "checked" || !state.tested)
          return step
        const { request, answer } = state.tested
        const me = setting.directory.named(facility).id
        const other = {
          secret: insecureSeededSecret("another key"),
          parts: state.parts,
          challenge: state.challenge,
        }
        const own = { me, keys: keysFor(facility), epochKeys: null }
        const { test } = answerZeroTest(setting, own, other, { ...request, openers: [] })
        return {
          ...step,
          effects: step.effects.map((effect) =>
            effect.type === "send" && effect.message.type === "key-tested"
              ? { ...effect, message: { ...answer, test } }
              : effect,
          ),
        }
      },
    })
    expect(outcome.lines).toContain(
      "the test of clinic-3's key failed: it shared another one, or somebody tested falsely",
    )
    expect(cohorts(outcome)).toEqual([clinics(1, 2, 4, 5), clinics(1, 2, 4, 5)])
    // it is given another chance, with others who test, as often as a round has attempts
    expect(epochs(outcome)).toEqual([1, 2])
  })

  it("and a liar among those who test keeps an honest dealer out for one epoch only", () => {
    const outcome = run({
      facilities: 5,
      study: { ...changes, rounds: 2 },
      corrupt: (facility, step) => ({
        ...step,
        effects: step.effects.map((effect) => {
          if (facility !== "clinic-2" || effect.type !== "send" || effect.message.type !== "key-tested")
            return effect
          if (epochOf(step) !== 1) return effect
          const answers = effect.message.answers.map((answer) =>
            toHex(answer.dealer) === toHex(study3)
              ? { ...answer, opening: oneChanged(answer.opening) }
              : answer,
          )
          return { ...effect, message: { ...effect.message, answers } }
        }),
      }),
    })
    expect(cohorts(outcome)).toEqual([clinics(1, 2, 4, 5), clinics(1, 2, 3, 4, 5)])
  })
  const study3 = participantId("clinic-3")
  const epochOf = ({ state }: FacilityStep): number => ("attempt" in state ? state.attempt.spec.epoch : 0)

  it("one that says nothing after it dealt is left out", () => {
    const outcome = run({
      facilities: 5,
      study: { protection: "ckks" },
      speak: silentFrom("clinic-3", "opening"),
    })
    expect(cohorts(outcome)[0]).toEqual(clinics(1, 2, 4, 5))
  })
})

/** A share in which the last word of the polynomial is another one, with a check that fits. */
const oneChanged = (share: Uint8Array): Uint8Array => {
  const out = share.slice()
  const place = 16 + 3
  out[place] = (out[place] as number) ^ 1
  return sealFrame(out)
}

describe("[S22] a leader that cheats with keys", () => {
  const cheat = (change: <M extends Message>(message: M) => readonly Message[]) =>
    runStudy({
      facilities: 5,
      study: { protection: "ckks", rounds: 2 },
      speak: (utterance) =>
        utterance.by === "leader"
          ? change(utterance.message).map((message) => ({ ...utterance, message }))
          : [utterance],
    })
  const codes = (outcome: Outcome): ReadonlySet<string> => new Set(outcome.security.map(({ code }) => code))
  const given = (outcome: Outcome, type: "partial" | "key-tested" | "signature"): number =>
    outcome.said.filter(({ by, message }) => by !== "leader" && message.type === type).length

  it("[S5] two certificates with different openers: each facility answers one, and refuses the other", () => {
    const outcome = cheat((message) => {
      if (message.type !== "certificate" || message.openers.length === 0) return [message]
      const all = message.proposal.cohort.map(({ facility }) => facility)
      const others = all.slice(all.length - message.openers.length)
      return [message, { ...message, openers: others }]
    })
    expect(codes(outcome)).toContain("cohort/second-list")
    for (const name of clinics(1, 2, 3, 4, 5)) {
      const answers = outcome.said.filter(({ by, message }) => by === name && message.type === "partial")
      const digests = new Set(answers.map(({ message }) => toHex((message as MessageOf<"partial">).sealed)))
      expect(digests.size).toBe(
        new Set(answers.map(({ message }) => toHex((message as MessageOf<"partial">).digest))).size,
      )
    }
  })

  it("too few openers, or openers that did not sign, are refused", () => {
    const outcome = cheat((message) =>
      message.type === "certificate" && message.openers.length > 0
        ? [{ ...message, openers: message.openers.slice(1) }]
        : [message],
    )
    expect(codes(outcome)).toContain("cohort/wrong-member")
    expect(given(outcome, "partial")).toBe(0)
  })

  it("[S5] a second test of keys, with other openers, is refused", () => {
    const outcome = cheat((message) =>
      message.type === "key-test"
        ? [message, { ...message, openers: message.dealers.filter((id) => id !== message.openers[0]) }]
        : [message],
    )
    expect(codes(outcome)).toContain("cohort/second-list")
  })

  it("[S23] keys that were not tested are not certified", () => {
    const outcome = cheat((message) => (message.type === "key-test" ? [] : [message]))
    expect(outcome.leader.phase).toBe("aborted")
    expect(given(outcome, "partial")).toBe(0)
  })

  it("a round under an epoch that has no certified keys is refused", () => {
    const outcome = cheat((message) =>
      message.type === "announce" && message.spec.purpose === "update"
        ? [{ ...message, spec: { ...message.spec, epoch: message.spec.epoch + 1 } }]
        : [message],
    )
    expect(outcome.said.filter(({ message }) => message.type === "update")).toEqual([])
    expect(outcome.leader.progress.closed).toEqual([])
  })

  it("[S5] a second specification of one attempt, or of one ceremony, is refused", () => {
    const outcome = cheat((message) =>
      message.type === "announce"
        ? [message, { ...message, spec: { ...message.spec, model: sha256(message.spec.model) } }]
        : [message],
    )
    // two rounds and the ceremony before them, each facility
    expect(security(outcome)).toHaveLength(3 * 5)
    expect(codes(outcome)).toEqual(new Set(["round/equivocation"]))
  })

  it("[S5] a list under another specification than the facilities trained under is not signed", () => {
    const outcome = cheat((message) =>
      message.type === "propose" && message.proposal.spec.purpose === "update"
        ? [
            {
              ...message,
              proposal: { ...message.proposal, spec: { ...message.proposal.spec, epoch: 7 } },
            },
          ]
        : [message],
    )
    expect(codes(outcome)).toEqual(new Set(["round/equivocation"]))
    expect(given(outcome, "partial")).toBe(0)
  })

  it("[S24] a round under the keys of an epoch that is over is refused", () => {
    const outcome = runStudy({
      facilities: 5,
      study: { protection: "ckks", rounds: 2 },
      rotations: [{ during: 1, after: 15 }],
      speak: (utterance) => {
        const { by, message } = utterance
        const late = by === "leader" && message.type === "announce" && message.spec.round === 2
        return late && message.spec.purpose === "update"
          ? [{ ...utterance, message: { ...message, spec: { ...message.spec, epoch: 1 } } }]
          : [utterance]
      },
    })
    expect(ceremonies(outcome)).toEqual([1, 2])
    expect(codes(outcome)).toEqual(new Set(["keys/other-epoch"]))
    expect(cohorts(outcome)).toHaveLength(1)
  })

  it("a ceremony for an epoch of the past is dropped", () => {
    const replayed: Message[] = []
    const outcome = cheat((message) => {
      if (message.type === "announce" && message.spec.purpose === "keys") replayed.push(message)
      return message.type === "closed" ? [message, ...replayed.slice(0, 1)] : [message]
    })
    expect(
      events(outcome, "message-dropped").some((detail) => detail.includes("after one for epoch 1")),
    ).toBe(true)
    expect(outcome.leader.phase).toBe("closed")
  })
})
