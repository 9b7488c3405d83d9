import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { messageCodec } from "../src/messages.js"
import type { Protection } from "../src/study.js"
import { type Hop, type Options, type Outcome, runStudy } from "./harness.js"
import { flipped } from "./members.js"
import {
  audited,
  calm,
  cohorts,
  evidence,
  keptHeads,
  models,
  openedSums,
  silentFrom,
  Trainings,
  together,
  trainedSums,
  voids,
} from "./scenes.js"

const BOTH: readonly Protection[] = ["plain", "shamir"]
const ALL_FOUR = ["clinic-1", "clinic-2", "clinic-3", "clinic-4"]
const WITHOUT_ONE = ALL_FOUR.slice(1)

/** A run whose log a stranger finds in order, and whose opened sums are what the cohorts trained. */
const run = (options: Options): Outcome => {
  const trainings = new Trainings()
  const outcome = runStudy({
    ...options,
    train: (training) => {
      trainings.listen(training)
      return options.train?.(training) ?? {}
    },
  })
  expect(openedSums(outcome).map(({ sum }) => sum)).toEqual(trainedSums(outcome, trainings))
  const audit = audited(outcome, outcome.log, keptHeads(outcome))
  expect(audit.events).toBe(outcome.log.length)
  const { closed } = outcome.leader.progress
  expect(audit.certifiedRounds).toBe(closed.length)
  if (closed.length > 0) expect(toHex(audit.model)).toBe(models(outcome).at(-1))
  return outcome
}

describe("an undisturbed study", () => {
  it.each(BOTH)("%s: closes every round with everybody, and nothing is suspicious", (protection) => {
    const outcome = run({ study: { protection, rounds: 3 } })
    expect(outcome.leader.phase).toBe("closed")
    expect(cohorts(outcome)).toEqual([ALL_FOUR, ALL_FOUR, ALL_FOUR])
    expect(new Set(models(outcome)).size).toBe(3)
    expect([outcome.security, evidence(outcome), outcome.garbled]).toEqual([[], [], 0])
    expect([...outcome.facilities.values()].map(({ phase }) => phase)).toEqual(new Array(4).fill("ended"))
    // everybody answered, so no deadline was waited for
    for (const { startedAt, closedAt } of outcome.leader.progress.closed)
      expect(closedAt - startedAt).toBeLessThan(1000)
  })

  it.each([
    {},
    { server: { strategy: "fedyogi", learningRate: 0.05 } },
    { server: { strategy: "fedadam", learningRate: 0.05 } },
    { server: { strategy: "fedavgm", learningRate: 0.5, beta1: 0.9 } },
    { training: { proximalMu: 0.5 } },
    { training: { proximalMu: 2 }, server: { strategy: "fedyogi", learningRate: 0.05 } },
    { quantisation: { weights: "equal", largestWeight: 1 } },
    { cohort: { minCohort: 4, threshold: 4, colluders: 2 } },
  ] as const)("the protection does not change the model: %j", (changes) => {
    const [plain, shamir] = BOTH.map((protection) => run({ study: { ...changes, protection } })) as [
      Outcome,
      Outcome,
    ]
    expect(models(plain)).toHaveLength(2)
    expect(models(shamir)).toEqual(models(plain))
  })

  it("a second run is the first, to the last byte of its log", () => {
    const [one, two] = [1, 2].map(() =>
      run({ study: { rounds: 1 } }).log.map(({ signature }) => toHex(signature)),
    )
    expect(two).toEqual(one)
  })

  it("the portable implementation signs, seals and opens the same bytes as the platform's", () => {
    const platform = run({ study: { rounds: 1 } })
    const portable = run({ study: { rounds: 1 }, portable: true })
    expect(portable.log.map(({ signature }) => toHex(signature))).toEqual(
      platform.log.map(({ signature }) => toHex(signature)),
    )
  })

  it("another seed, other numbers of facilities and fogs: other models, each the same under both protections", () => {
    const shapes = [{ seed: 2 }, { facilities: 3, fogs: 1 }, { facilities: 7, fogs: 3 }]
    const seen = shapes.map((shape) => {
      const [plain, shamir] = BOTH.map((protection) =>
        models(run({ ...shape, study: { protection, rounds: 1 } })),
      )
      expect(shamir).toEqual(plain)
      return String(plain)
    })
    expect(new Set([...seen, models(calm({ study: { rounds: 1 } })).join()]).size).toBe(4)
  })

  it("reports metrics, fine-tunes at the end, and keeps the personal models to themselves", () => {
    const outcome = run({
      study: { training: { fineTuneSteps: 5 } },
      policies: { "clinic-1": { metrics: "none" } },
    })
    if (outcome.leader.phase !== "closed") throw new Error("The study did not close.")
    const { finals, progress } = outcome.leader
    const name = (id: string) => outcome.directory.facilities.find((f) => toHex(f.id) === id)?.name
    const reported = [...finals].filter(([, { global, personal }]) => global !== null && personal !== null)
    expect(reported.map(([id]) => name(id)).sort()).toEqual(WITHOUT_ONE)
    for (const { reports } of progress.closed)
      expect(
        [...reports]
          .filter(([, metrics]) => metrics !== null)
          .map(([id]) => name(id))
          .sort(),
      ).toEqual(WITHOUT_ONE)
    const carriers = new Set(outcome.said.filter(({ message }) => "model" in message).map(({ by }) => by))
    expect([...carriers]).toEqual(["leader"])
  })

  it("counts what crosses each edge", () => {
    const values = 5
    const [plain, shamir] = BOTH.map(
      (protection) => calm({ study: { protection } }).leader.progress.closed[0],
    )
    expect(plain?.fogIn).toMatchObject({ update: 4 * 4 * values, relayed: 0, opening: 0 })
    expect(plain?.leaderIn).toMatchObject({ update: 2 * 4 * values, relayed: 0, opening: 0 })
    const share = 8 * (values + 2) + 48
    const opening = 8 * values + 16
    // each of 4 deals 3 shares, which pass its fog; those for the other region pass the leader
    expect(shamir?.fogIn).toMatchObject({ update: 0, relayed: 12 * share, opening: 4 * opening })
    expect(shamir?.leaderIn).toMatchObject({ update: 0, relayed: 8 * share, opening: 4 * opening })
  })
})

describe("messages that are late, early on other edges, or come again", () => {
  const plan = fc.array(
    fc.record({
      delay: fc.integer({ min: 1, max: 1500 }),
      again: fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 2 }),
    }),
    {
      minLength: 1,
      maxLength: 24,
    },
  )

  it.each([
    ["plain", 6],
    ["shamir", 8],
  ] as const)("%s: the same model, no suspicion, no attempt lost", (protection, numRuns) => {
    const expected = models(calm({ study: { protection } }))
    fc.assert(
      fc.property(plan, (steps) => {
        const schedule = ({ index }: Hop): readonly number[] => {
          const { delay, again } = steps[index % steps.length] as (typeof steps)[number]
          return [delay, ...again]
        }
        const outcome = run({ study: { protection }, schedule })
        expect(models(outcome)).toEqual(expected)
        expect(voids(outcome)).toEqual([])
        expect(outcome.security).toEqual([])
        expect(evidence(outcome).filter((line) => !line.startsWith("dropped:"))).toEqual([])
        expect(outcome.said.filter(({ message }) => message.type === "refusal")).toEqual([])
      }),
      { numRuns, seed: 2026, endOnFailure: true },
    )
  })

  it.each(BOTH)(
    "%s: when any message may be lost, what is opened is exact, and the study ends",
    (protection) => {
      fc.assert(
        fc.property(fc.array(fc.nat(150), { maxLength: 8 }), (lost) => {
          const outcome = run({
            study: { protection, rounds: 1 },
            schedule: ({ index }) => (lost.includes(index) ? [] : [10]),
          })
          expect(["closed", "aborted"]).toContain(outcome.leader.phase)
        }),
        { numRuns: 6, seed: 5, endOnFailure: true },
      )
    },
  )

  it("every message of the leader, come again when the study is over, changes nothing", () => {
    const outcome = run({ schedule: ({ sender }) => (sender === "leader" ? [10, 3_600_000] : [10]) })
    expect(models(outcome)).toEqual(models(calm({})))
    expect(outcome.security).toEqual([])
    expect(outcome.said.filter(({ message }) => message.type === "final-report")).toHaveLength(4)
  })
})

describe("a facility that vanishes", () => {
  it.each(BOTH)(
    "%s: before it sent anything: the round goes on with the rest, after the deadline",
    (protection) => {
      const outcome = run({ study: { protection }, speak: silentFrom("clinic-1", "start") })
      expect(outcome.leader.phase).toBe("closed")
      expect(cohorts(outcome)).toEqual([WITHOUT_ONE, WITHOUT_ONE])
      const [first] = outcome.leader.progress.closed
      const { collect } = outcome.study.deadlines
      const waited = (first?.closedAt ?? 0) - (first?.startedAt ?? 0)
      // a fog gives up at four fifths of the deadline, so that its region's sum is in time
      expect(waited).toBeGreaterThan(protection === "plain" ? 0.8 * collect : collect)
      expect(waited).toBeLessThan(collect + 4 * outcome.study.deadlines.answer + 1000)
    },
  )

  it("plain: after it sent its update: the update counts", () => {
    const outcome = run({
      study: { protection: "plain", rounds: 1 },
      speak: silentFrom("clinic-1", "signature"),
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
  })

  it.each([
    ["opening", WITHOUT_ONE],
    ["verdict", ALL_FOUR],
    ["signature", ALL_FOUR],
    ["partial", ALL_FOUR],
    ["report", ALL_FOUR],
  ] as const)("shamir: from its %s on: the round goes on", (type, cohort) => {
    const outcome = run({ study: { rounds: 1 }, speak: silentFrom("clinic-1", type) })
    expect(cohorts(outcome)).toEqual([cohort])
    expect(voids(outcome)).toEqual([])
    expect(outcome.leader.phase).toBe("closed")
  })

  it("whose updates were signed for before they were in the list is none of it: the late trainer signs for the others", () => {
    const outcome = run({
      study: { rounds: 2 },
      train: ({ facility, spec }) => (facility === "clinic-1" && spec.round === 1 ? { after: 61_000 } : {}),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE, ALL_FOUR])
    const signers = outcome.said.filter(({ message }) => message.type === "signature").map(({ by }) => by)
    expect(signers.filter((name) => name === "clinic-1")).toHaveLength(2)
    expect(outcome.security).toEqual([])
  })

  it("plain: a late update is dropped by the fog, and the next round has it again", () => {
    const outcome = run({
      study: { rounds: 2, protection: "plain" },
      schedule: ({ from, message, index }) => [
        from === "clinic-1" && message.type === "update" && index < 12 ? 49_000 : 10,
      ],
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE, ALL_FOUR])
    expect(outcome.records).toContainEqual({
      by: "fog-1",
      event: "update-dropped",
      detail: "An update of clinic-1 came too late.",
    })
  })
})

describe("too few for a sum", () => {
  it("two of four updates: void, and with no attempt left aborted", () => {
    const speak = together(silentFrom("clinic-1", "start"), silentFrom("clinic-2", "start"))
    const outcome = run({ study: { attempts: 2 }, speak })
    expect(voids(outcome)).toEqual(new Array(2).fill("2 facilities sent an update; 3 are needed"))
    expect(outcome.leader).toMatchObject({
      phase: "aborted",
      reason: "Round 1 failed 2 times; the last time: 2 facilities sent an update; 3 are needed.",
    })
    expect(outcome.said.at(-1)?.message).toMatchObject({ type: "ended" })
  })

  it("two of four signatures: void with the count", () => {
    const speak = together(silentFrom("clinic-1", "signature"), silentFrom("clinic-2", "signature"))
    expect(voids(run({ study: { attempts: 1 }, speak }))).toEqual([
      "2 facilities signed the list; 3 of 4 are needed",
    ])
  })

  it("two of four hold all shares: void before anybody signs", () => {
    const speak = together(silentFrom("clinic-1", "verdict"), silentFrom("clinic-2", "verdict"))
    expect(voids(run({ study: { attempts: 1 }, speak }))).toEqual([
      "0 facilities dealt shares that can be used; 3 are needed",
    ])
  })

  /** Two facilities whose partial openings get lost in the first attempt, and what they do after it. */
  const losing = (names: readonly string[], after: (name: string, attempt: number) => boolean) => {
    let attempt = 0
    return (utterance: { by: string; message: { type: string; spec?: unknown } }): boolean => {
      if (utterance.by === "leader" && utterance.message.type === "announce") attempt += 1
      if (!names.includes(utterance.by)) return true
      return attempt === 1 ? utterance.message.type !== "partial" : after(utterance.by, attempt)
    }
  }
  const keeping =
    (keep: ReturnType<typeof losing>): NonNullable<Options["speak"]> =>
    (utterance) =>
      keep(utterance) ? [utterance] : []

  it("two of four openings: void; the next attempt protects the same integers and opens for the same cohort", () => {
    const trained: string[] = []
    const outcome = run({
      study: { rounds: 1 },
      speak: keeping(losing(["clinic-1", "clinic-2"], () => true)),
      train: ({ facility }) => {
        trained.push(facility)
        return {}
      },
    })
    expect(voids(outcome)).toEqual(["sharing/too-few-shares: 2 shares were given and 3 are needed."])
    expect(outcome.leader.progress.closed).toMatchObject([{ round: 1, attempt: 2 }])
    expect([...trained].sort()).toEqual(ALL_FOUR)
    expect(models(outcome)).toEqual(models(calm({ study: { rounds: 1 } })))
    // protected anew: other shares, other digests
    const submissions = outcome.said.filter(
      ({ message, by }) => message.type === "submit" && by === "clinic-1",
    )
    expect(new Set(submissions.map(({ message }) => JSON.stringify(message))).size).toBe(2)
  })

  it("a cohort that differs by one from a signed one is refused by everybody, until the one is back", () => {
    const outcome = run({
      study: { rounds: 1 },
      speak: keeping(losing(["clinic-1", "clinic-2"], (name, attempt) => name === "clinic-1" || attempt > 2)),
    })
    expect(voids(outcome)).toEqual([
      "sharing/too-few-shares: 2 shares were given and 3 are needed.",
      "0 facilities signed the list; 3 of 4 are needed",
    ])
    const refusals = outcome.said.flatMap(({ by, message }) =>
      message.type === "refusal" ? [`${by} ${message.code}`] : [],
    )
    // clinic-2 refuses too, where nobody hears it
    expect(refusals.sort()).toEqual(
      ["clinic-1", "clinic-3", "clinic-4"].map((name) => `${name} cohort/differencing`),
    )
    expect(outcome.leader.progress.closed).toMatchObject([{ attempt: 3 }])
    expect(models(outcome)).toEqual(models(calm({ study: { rounds: 1 } })))
  })

  it("a cohort that differs by three may be opened", () => {
    const gone = ["clinic-1", "clinic-2", "clinic-3"]
    const four = ["clinic-4", ...gone]
    const outcome = run({
      facilities: 8,
      study: { rounds: 1 },
      speak: keeping(losing(four, (name) => name === "clinic-4")),
    })
    expect(voids(outcome)).toEqual(["sharing/too-few-shares: 4 shares were given and 5 are needed."])
    expect(cohorts(outcome)).toEqual([["clinic-4", "clinic-5", "clinic-6", "clinic-7", "clinic-8"]])
  })
})

describe("facilities that sit out", () => {
  it("by policy: the reason is heard, nobody waits, nothing is measured there", () => {
    const outcome = run({ policies: { "clinic-1": { smallestCohort: 4 } } })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE, WITHOUT_ONE])
    const heard = outcome.said.flatMap(({ by, message }) =>
      message.type === "refusal" ? [{ by, ...message }] : [],
    )
    expect(heard).toMatchObject([
      { by: "clinic-1", round: 1, attempt: 1, code: "policy/cohort" },
      { by: "clinic-1", round: 2, attempt: 1, code: "policy/cohort" },
    ])
    expect(outcome.lines[0]).toBe(
      "clinic-1 refused in collecting: policy/cohort: The study opens sums over 3 facilities; this facility's policy wants at least 4.",
    )
    for (const { startedAt, closedAt } of outcome.leader.progress.closed)
      expect(closedAt - startedAt).toBeLessThan(1000)
    const measured = outcome.said.filter(
      ({ by, message }) =>
        by === "clinic-1" &&
        ((message.type === "report" && message.metrics !== null) ||
          (message.type === "final-report" && message.global !== null)),
    )
    expect(measured).toEqual([])
  })

  it("plain: a fog waits for nobody who refused", () => {
    const outcome = run({
      study: { protection: "plain" },
      policies: { "clinic-1": { protections: ["shamir"] } },
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE, WITHOUT_ONE])
    for (const { startedAt, closedAt } of outcome.leader.progress.closed)
      expect(closedAt - startedAt).toBeLessThan(1000)
  })

  it("because training failed: this round only", () => {
    const outcome = run({
      train: ({ facility, spec }) =>
        facility === "clinic-1" && spec.round === 1 ? { fails: "It does not converge." } : {},
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE, ALL_FOUR])
  })

  it("because training never ends: after the deadline", () => {
    const outcome = run({ train: ({ facility }) => (facility === "clinic-1" ? "never" : {}) })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE, WITHOUT_ONE])
    expect(outcome.leader.phase).toBe("closed")
  })
})

describe("bytes that change on the way", () => {
  it.each(["plain", "shamir"] as const)(
    "%s: an update with a bit turned over is not taken, and whoever sees it says so",
    (protection) => {
      const type = protection === "plain" ? "update" : "submit"
      const outcome = run({
        study: { protection, rounds: 1 },
        wire: (hop, bytes) =>
          hop.from === "clinic-1" && hop.message.type === type ? flipped(bytes, 8 * 200 + 3) : bytes,
      })
      expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
      expect(outcome.security).toMatchObject([
        { by: "fog-1", code: "identity/bad-signature", about: "clinic-1" },
      ])
      expect(evidence(outcome)).toEqual(["security fog-1"])
    },
  )

  it("any bit of everything that one facility sends: it is left out", () => {
    fc.assert(
      fc.property(fc.nat(1 << 14), fc.constantFrom(...BOTH), (bit, protection) => {
        const outcome = run({
          study: { protection, rounds: 1 },
          wire: (hop, bytes) => (hop.from === "clinic-1" ? flipped(bytes, bit % (8 * bytes.length)) : bytes),
        })
        expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
      }),
      { numRuns: 10, seed: 7, endOnFailure: true },
    )
  })

  it("truncated bytes are read by nobody", () => {
    const outcome = run({
      study: { rounds: 1 },
      wire: (hop, bytes) => (hop.from === "clinic-1" ? bytes.slice(0, -1) : bytes),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(outcome.garbled).toBeGreaterThan(0)
  })

  it("an announcement changed by a fog is not believed below it", () => {
    const outcome = run({
      study: { rounds: 1 },
      wire: (hop, bytes) =>
        hop.from === "fog-1" && hop.to === "clinic-1" && hop.message.type === "announce"
          ? flipped(bytes, 8 * 150)
          : bytes,
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(outcome.security).toMatchObject([
      { by: "clinic-1", code: "identity/bad-signature", about: "leader" },
    ])
  })
})

describe("the leader's log", () => {
  it("holds every message of the leader before it is sent, and no facility's values", () => {
    const outcome = calm({ study: { protection: "shamir" } })
    const own = outcome.log.flatMap(({ header, body }) =>
      toHex(header.actor) === toHex(outcome.directory.leader.id) && header.type !== "sum-opened"
        ? [decode(messageCodec, body)]
        : [],
    )
    expect(own).toEqual(outcome.said.filter(({ by }) => by === "leader").map(({ message }) => message))
  })
})
