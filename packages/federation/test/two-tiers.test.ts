import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { describe, expect, it } from "vitest"
import { startLeader, stepLeader } from "../src/leader.js"
import type { LeaderContext, LeaderState } from "../src/leader-state.js"
import {
  addTraffic,
  envelopeCodec,
  type Message,
  type MessageOf,
  noTraffic,
  pack,
  type SignedSubmission,
  submissionMessage,
} from "../src/messages.js"
import { studyDigest } from "../src/study.js"
import { checkTree, readByLeader } from "../src/study-tree.js"
import { plainSum, readableBytes } from "../src/sums/plain.js"
import { textOf } from "./errors.js"
import { type Options, type Outcome, runStudy } from "./harness.js"
import {
  authorityKey,
  changedRoster,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  spoiled,
  suite,
  testStudy,
} from "./members.js"
import {
  audited,
  cohorts,
  evidence,
  keptHeads,
  models,
  openedSums,
  silentFrom,
  Trainings,
  trainedSums,
  voids,
} from "./scenes.js"
import { settingOf } from "./sum-parties.js"

const ALL_FOUR = ["clinic-1", "clinic-2", "clinic-3", "clinic-4"]

/** A run whose opened sums are what the cohorts trained, and whose log and kept heads a stranger finds in order. */
const run = (options: Options): Outcome => {
  const trainings = new Trainings()
  const outcome = runStudy({ ...options, train: trainings.listen })
  expect(openedSums(outcome).map(({ sum }) => sum)).toEqual(trainedSums(outcome, trainings))
  const audit = audited(outcome, outcome.log, keptHeads(outcome))
  expect(audit.certifiedRounds).toBe(outcome.leader.progress.closed.length)
  return outcome
}

describe("facilities that talk to the leader directly, shamir", () => {
  const [three, flat, mixed] = [{ fogs: 2 }, { fogs: 0 }, { fogs: 1, direct: 2 }].map((tree) =>
    run({ ...tree, study: { rounds: 3 } }),
  ) as [Outcome, Outcome, Outcome]

  it("train the same model as below fogs, and nothing is suspicious", () => {
    expect(models(three)).toHaveLength(3)
    for (const outcome of [flat, mixed]) {
      expect(models(outcome)).toEqual(models(three))
      expect(cohorts(outcome)).toEqual([ALL_FOUR, ALL_FOUR, ALL_FOUR])
      expect([outcome.security, evidence(outcome), voids(outcome), outcome.garbled]).toEqual([[], [], [], 0])
      // everybody answered, so no deadline was waited for
      for (const { startedAt, closedAt } of outcome.leader.progress.closed)
        expect(closedAt - startedAt).toBeLessThan(1000)
    }
    expect([...flat.fogs]).toEqual([])
  })

  it("are counted at the leader, where no fog counts them", () => {
    const share = 8 * (5 + 2) + 48
    for (const [at, { fogIn, directIn, leaderIn }] of flat.leader.progress.closed.entries()) {
      expect(fogIn).toEqual(noTraffic)
      expect(directIn).toEqual(leaderIn)
      // each of 4 deals 3 shares, and all of them pass the leader
      expect(leaderIn).toMatchObject({ update: 0, relayed: 12 * share, opening: 4 * (8 * 5 + 16) })
      const round = mixed.leader.progress.closed[at]
      expect(addTraffic(round?.directIn ?? noTraffic, round?.fogIn ?? noTraffic)).toMatchObject({
        relayed: 12 * share,
        opening: leaderIn.opening,
      })
    }
  })

  it("may be silent, and the others go on", () => {
    const outcome = run({ fogs: 0, study: { rounds: 2 }, speak: silentFrom("clinic-2", "submit") })
    expect(cohorts(outcome)[0]).toEqual(["clinic-1", "clinic-3", "clinic-4"])
    expect(outcome.leader.phase).toBe("closed")
  })

  it("may join and leave between rounds, with or without a fog above them", () => {
    const study = testStudy(4, { rounds: 3 })
    const second = changedRoster(rosterOf(study, 4, 0), {
      join: { "clinic-5": "leader", "clinic-6": "fog-9" },
      fogs: ["fog-9"],
    })
    const third = changedRoster(second, { leave: ["clinic-1"] })
    const outcome = run({
      fogs: 0,
      study: { rounds: 3 },
      rosters: [
        { during: 1, signed: signed(second, study) },
        { during: 2, signed: signed(third, study) },
      ],
    })
    const six = [...ALL_FOUR, "clinic-5", "clinic-6"]
    expect(cohorts(outcome)).toEqual([ALL_FOUR, six, six.slice(1)])
    expect([outcome.security, evidence(outcome), voids(outcome)]).toEqual([[], [], []])
    expect(outcome.leader.progress.closed[1]?.fogIn.relayed).toBeGreaterThan(0)
  })
})

describe.each(["ckks", "bfv", "masked"] as const)(
  "ciphertexts that the leader adds itself, %s",
  (protection) => {
    const study = { protection, rounds: 2 }
    const [three, flat, mixed] = [{ fogs: 2 }, { fogs: 0 }, { fogs: 1, direct: 2 }].map((tree) =>
      run({ ...tree, study }),
    ) as [Outcome, Outcome, Outcome]

    it("come to the model that they come to below fogs", () => {
      expect(models(three)).toHaveLength(2)
      for (const outcome of [flat, mixed]) {
        expect(models(outcome)).toEqual(models(three))
        expect(cohorts(outcome)).toEqual([ALL_FOUR, ALL_FOUR])
        expect([outcome.security, evidence(outcome), voids(outcome)]).toEqual([[], [], []])
      }
    })

    it("are all counted, at the leader or at a fog", () => {
      const [flatRound, mixedRound, threeRound] = [flat, mixed, three].map(
        ({ leader }) => leader.progress.closed[0],
      )
      expect(flatRound?.directIn.update).toBe(threeRound?.fogIn.update)
      expect((mixedRound?.directIn.update ?? 0) + (mixedRound?.fogIn.update ?? 0)).toBe(
        threeRound?.fogIn.update,
      )
      // the leader gets a sum of one fog in the place of two ciphertexts
      expect(mixedRound?.leaderIn.update).toBe(((flatRound?.leaderIn.update ?? 0) / 4) * 3)
    })

    it("may be missing: the sum is of the others", () => {
      const outcome = run({ fogs: 0, study, speak: silentFrom("clinic-3", "update") })
      expect(cohorts(outcome)[0]).toEqual(["clinic-1", "clinic-2", "clinic-4"])
      expect(outcome.leader.phase).toBe("closed")
    })
  },
)

describe("plain, where the leader would read single updates", () => {
  const study = testStudy(4, { protection: "plain", attempts: 1 })

  it("is refused before anything begins, and the message says what to do", () => {
    const { participants } = rosterOf(study, 4, 1, 2)
    expect(textOf(() => checkTree(study, participants))).toMatchInlineSnapshot(`
      "round/bad-study: Under plain the leader would read the single updates of facilities that talk to it directly: clinic-1 and 1 more.
        remedy: Put them below a fog, or choose a protection that hides single updates, such as shamir.
        see: docs/reference/errors.md#roundbad-study"
    `)
    expect(readByLeader(study, rosterOf(study, 4, 2).participants)).toEqual([])
    expect(readByLeader(testStudy(4), participants)).toEqual([])
    expect(() => checkTree(testStudy(4), participants)).not.toThrow()
  })

  it("is refused by every facility, whatever the leader and the authority say", () => {
    const outcome = runStudy({ fogs: 1, direct: 1, study: { protection: "plain", attempts: 1 } })
    expect(outcome.leader.phase).toBe("aborted")
    const refused = outcome.said.flatMap(({ by, message }) =>
      message.type === "refusal" ? [`${by} ${message.code}`] : [],
    )
    expect(refused.sort()).toEqual(ALL_FOUR.map((name) => `${name} policy/direct-updates`))
    expect(outcome.said.filter(({ message }) => message.type === "update")).toEqual([])
  })

  it("takes no newcomer below the leader", () => {
    const next = changedRoster(rosterOf(study, 4, 2), { join: { "clinic-5": "leader" } })
    const outcome = run({
      study: { protection: "plain", attempts: 1 },
      rosters: [{ during: 1, signed: signed(next, study) }],
    })
    expect(evidence(outcome)).toEqual(["security:round/bad-study leader"])
    expect(cohorts(outcome)).toEqual([ALL_FOUR, ALL_FOUR])
  })
})

// The leader's machine by itself: updates are added by it as a fog adds them. Readable ones show that the sum is right.
describe("a leader that collects updates itself", () => {
  const study = testStudy(4, { protection: "plain" })
  const directory = directoryOf(study, 4, 1, 3)
  const me = directory.leader
  const context: LeaderContext = { study, directory, me, keys: keysFor(me.name), suite, authorityKey }
  const collecting = stepLeader(context, startLeader(context), { type: "start", at: 1 }).state
  if (collecting.phase !== "collecting") throw new Error("The round has not begun.")
  const spec = collecting.attempt.digest
  const setting = settingOf(study, directory, collecting.attempt.spec)

  const updateOf = (name: string, fill: number, change: object = {}): MessageOf<"update"> => {
    const payload = readableBytes(new Int32Array(5).fill(fill))
    const facility = directory.named(name).id
    const submission = { spec, facility, direct: sha256(payload), parts: [], ledger: null, ...change }
    const signature = keysFor(name).sign(submissionMessage(submission))
    return { type: "update", submission: { submission, signature }, payload }
  }
  const regionOf = (...updates: readonly MessageOf<"update">[]): Message => ({
    type: "region",
    spec,
    submissions: updates.map(({ submission }): SignedSubmission => submission),
    sum: plainSum.added?.add(
      setting,
      updates.map(({ payload }) => payload),
    ) as Uint8Array,
  })
  const tell = (state: LeaderState, name: string, message: Message) => {
    const from = directory.named(name)
    const sealed = pack(studyDigest(study), from.id, me.id, message, keysFor(name).sign)
    const envelope = encode(envelopeCodec, sealed)
    return stepLeader(context, state, { type: "message", at: 2, from, message, envelope })
  }
  const logged = ({ effects }: ReturnType<typeof tell>) =>
    effects.flatMap((effect) => (effect.type === "append" ? [effect.header.type] : []))
  const after = (...said: readonly (readonly [string, Message])[]): LeaderState =>
    said.reduce<LeaderState>((state, [name, message]) => tell(state, name, message).state, collecting)

  const [one, two, three, four] = ALL_FOUR.map((name, i) => updateOf(name, 10 ** i)) as [
    MessageOf<"update">,
    MessageOf<"update">,
    MessageOf<"update">,
    MessageOf<"update">,
  ]
  const opened = (state: LeaderState) => {
    if (state.phase !== "certifying") throw new Error(`The leader is ${state.phase}.`)
    const sums = [...state.regions.values()]
    return {
      cohort: state.proposal.cohort.map(({ facility }) => directory.get(facility).name).sort(),
      sum: plainSum.combine(setting, { cohort: [], openers: [] }, sums, [])[0],
    }
  }

  it("adds them to the fogs' sums once all have sent, whoever comes last", () => {
    const region = ["fog-1", regionOf(four)] as const
    const orders = [
      [region, ["clinic-1", one], ["clinic-2", two], ["clinic-3", three]],
      [["clinic-3", three], ["clinic-1", one], region, ["clinic-2", two]],
      [["clinic-3", three], ["clinic-1", one], ["clinic-2", two], region],
    ] as const
    for (const order of orders) {
      for (const i of order.keys()) expect(after(...order.slice(0, i)).phase).toBe("collecting")
      expect(opened(after(...order))).toEqual({ cohort: ALL_FOUR, sum: 1111 })
    }
  })

  it("goes on without those who are late, and drops what they send then", () => {
    const some = after(["fog-1", regionOf(four)], ["clinic-1", one], ["clinic-3", three])
    const late = stepLeader(context, some, { type: "timer", at: 3, name: "collecting/1/1" }).state
    expect(opened(late)).toEqual({ cohort: ["clinic-1", "clinic-3", "clinic-4"], sum: 1101 })
    const step = tell(late, "clinic-2", two)
    expect(logged(step)).toEqual(["dropped:update"])
    expect(opened(step.state)).toEqual(opened(late))
  })

  it("waits for nobody who refused", () => {
    const refusal: Message = {
      type: "refusal",
      purpose: "update",
      round: 1,
      attempt: 1,
      code: "policy/hours",
      reason: "night",
    }
    const state = after(
      ["clinic-2", refusal],
      ["fog-1", regionOf(four)],
      ["clinic-1", one],
      ["clinic-3", three],
    )
    expect(opened(state)).toEqual({ cohort: ["clinic-1", "clinic-3", "clinic-4"], sum: 1101 })
    expect(logged(tell(after(["clinic-2", refusal]), "clinic-2", two))).toEqual(["dropped:update"])
  })

  it("drops both of two different updates, and takes the same one twice as one", () => {
    const again = tell(after(["clinic-1", one]), "clinic-1", one)
    expect(logged(again)).toEqual(["dropped:update"])
    const twice = tell(after(["clinic-1", one]), "clinic-1", updateOf("clinic-1", 5))
    expect(logged(twice)).toEqual(["security:round/equivocation"])
    const third = tell(twice.state, "clinic-1", updateOf("clinic-1", 6))
    expect(logged(third)).toEqual(["dropped:update"])
    const rest = [
      ["fog-1", regionOf(four)],
      ["clinic-2", two],
      ["clinic-3", three],
    ] as const
    const state = rest.reduce<LeaderState>(
      (at, [name, message]) => tell(at, name, message).state,
      third.state,
    )
    expect(opened(state)).toEqual({ cohort: ["clinic-2", "clinic-3", "clinic-4"], sum: 1110 })
  })

  it.each([...spoiled(one.payload).keys()])("refuses an update that is %s, and nothing changes", (how) => {
    const payload = spoiled(one.payload).get(how) as Uint8Array
    const step = tell(collecting, "clinic-1", { ...one, payload })
    expect(logged(step)).toEqual(["security:identity/bad-signature"])
    expect(step.state).toMatchObject({ direct: new Map(), submissions: new Map() })
  })

  it("refuses what is of another length, of another facility, or promised otherwise", () => {
    const short = new Uint8Array(16)
    const wrong: readonly (readonly [Message, string])[] = [
      [{ ...updateOf("clinic-1", 1, { direct: sha256(short) }), payload: short }, "sharing/wrong-length"],
      [two, "identity/bad-signature"],
      [updateOf("clinic-1", 1, { direct: null }), "identity/bad-signature"],
      [{ ...one, payload: updateOf("clinic-1", 8).payload }, "identity/bad-signature"],
    ]
    for (const [message, code] of wrong) {
      const step = tell(collecting, "clinic-1", message)
      expect(logged(step)).toEqual([`security:${code}`])
      expect(step.state).toMatchObject({ direct: new Map(), submissions: new Map() })
    }
  })

  it("takes none from a facility that has a fog, none of another attempt, and no list for its own children", () => {
    expect(logged(tell(collecting, "clinic-4", four))).toEqual(["dropped:update"])
    const other = updateOf("clinic-1", 1, { spec: new Uint8Array(32) })
    expect(logged(tell(collecting, "clinic-1", other))).toEqual(["dropped:update"])
    expect(logged(tell(collecting, "fog-1", regionOf(one, four)))).toEqual(["security:cohort/wrong-member"])
  })

  it("takes none where shares are dealt instead", () => {
    const shares = testStudy(4)
    const flat = directoryOf(shares, 4, 0)
    const inShares: LeaderContext = { ...context, study: shares, directory: flat, me: flat.leader }
    const { state } = stepLeader(inShares, startLeader(inShares), { type: "start", at: 1 })
    if (state.phase !== "collecting") throw new Error("The round has not begun.")
    const message = updateOf("clinic-1", 1, { spec: state.attempt.digest })
    const from = flat.named("clinic-1")
    const step = stepLeader(inShares, state, {
      type: "message",
      at: 2,
      from,
      message,
      envelope: new Uint8Array(1),
    })
    expect(step.effects).toMatchObject([{ header: { type: "dropped:update" } }])
  })

  it("logs every update whole and signed, under its facility's name", () => {
    const step = tell(collecting, "clinic-1", one)
    const [entry] = step.effects.flatMap((effect) => (effect.type === "append" ? [effect] : []))
    expect(entry?.header.type).toBe("update")
    expect(toHex(entry?.header.actor ?? new Uint8Array(0))).toBe(toHex(directory.named("clinic-1").id))
    expect(toHex(entry?.body ?? new Uint8Array(0))).toContain(toHex(one.payload))
  })
})
