import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { emptyHead, nextHeader } from "../src/log.js"
import {
  envelopeCodec,
  type Message,
  type MessageOf,
  messageCodec,
  openingMessage,
  type RoundSpec,
  type SignedSubmission,
  type Submission,
  specDigest,
  submissionMessage,
} from "../src/messages.js"
import { modelFile } from "../src/model.js"
import { participantId } from "../src/roster.js"
import { studyDigest, valueCount } from "../src/study.js"
import { messageKey, openBetween, seal, sealBetween } from "../src/suite.js"
import { shamirFacility } from "../src/sums/facility/shamir.js"
import type { SumSetting } from "../src/sums/secure-sum.js"
import { type Options, type Outcome, runStudy, type Utterance } from "./harness.js"
import { changedRoster, directoryOf, flipped, keysFor, signed, suite, testStudy } from "./members.js"
import {
  calm,
  cohorts,
  evidence,
  insteadOf,
  models,
  openedSums,
  Trainings,
  trainedSums,
  voids,
} from "./scenes.js"
import { ownSideOf } from "./sum-parties.js"

const ALL_FOUR = ["clinic-1", "clinic-2", "clinic-3", "clinic-4"]
const WITHOUT_ONE = ALL_FOUR.slice(1)
const ONE_ROUND = { study: { rounds: 1 } } as const
const study = testStudy(4, ONE_ROUND.study)
const directory = directoryOf(study, 4, 2)
const liar = keysFor("clinic-1")
const id = participantId

/** A run whose opened sums are what the cohorts trained. */
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
  return outcome
}

const resigned = (submission: Submission): SignedSubmission => ({
  submission,
  signature: liar.sign(submissionMessage(submission)),
})

describe("a facility that sends two different updates in one attempt", () => {
  it("plain: its fog drops both, says so, and the round goes on with the rest", () => {
    const outcome = run({
      study: { ...ONE_ROUND.study, protection: "plain" },
      // the other facility of the region is slower, so that the region is still open
      train: ({ facility }) => (facility === "clinic-3" ? { after: 500 } : {}),
      speak: insteadOf("clinic-1", "update", (message) => {
        const payload = flipped(message.payload, 5)
        const submission = resigned({ ...message.submission.submission, direct: sha256(payload) })
        return [message, { ...message, submission, payload }, message]
      }),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(outcome.security).toEqual([
      {
        by: "fog-1",
        code: "round/equivocation",
        about: "clinic-1",
        detail: "clinic-1 sent two different updates in one attempt; both are dropped.",
      },
    ])
    // the leader holds the fog's signed word and the digest of the second payload
    expect(evidence(outcome)).toEqual(["security fog-1"])
    const entry = outcome.log.find(({ header }) => header.type === "security")
    const envelope = decode(envelopeCodec, entry?.body as Uint8Array)
    expect(decode(messageCodec, envelope.body)).toMatchObject({
      code: "round/equivocation",
      about: id("clinic-1"),
    })
  })

  it("shamir: the leader drops both, and a third, and keeps the second as evidence", () => {
    let submitted: MessageOf<"submit"> | null = null
    const outcome = run({
      ...ONE_ROUND,
      train: ({ facility }) => (facility === "clinic-4" ? { after: 500 } : {}),
      speak: insteadOf("clinic-1", "submit", (message) => {
        submitted = {
          type: "submit",
          ...resigned({ ...message.submission, parts: message.submission.parts.slice(1) }),
        }
        return [message, submitted, message]
      }),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(evidence(outcome)).toEqual(["security:round/equivocation clinic-1", "dropped:submit clinic-1"])
    const entry = outcome.log.find(({ header }) => header.type === "security:round/equivocation")
    const envelope = decode(envelopeCodec, entry?.body as Uint8Array)
    expect(decode(messageCodec, envelope.body)).toEqual(submitted)
  })

  it("shamir: two different shares to one recipient: the recipient says so and keeps the first", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "share", (message, { to }) =>
        to === "clinic-2" ? [message, { ...message, sealed: flipped(message.sealed, 300) }] : [message],
      ),
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(outcome.security).toMatchObject([
      { by: "clinic-2", code: "round/equivocation", about: "clinic-1" },
    ])
  })

  it("plain: an update sent past the fog to the leader counts for nothing", () => {
    const outcome = run({
      study: { ...ONE_ROUND.study, protection: "plain" },
      speak: (utterance) =>
        utterance.by === "clinic-1" && utterance.message.type === "update"
          ? [{ ...utterance, to: "leader", message: { type: "submit", ...utterance.message.submission } }]
          : [utterance],
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(evidence(outcome)).toEqual(["dropped:submit clinic-1"])
  })
})

/** Deals another share to one recipient, and signs a submission that covers it. */
const dealing =
  (recipient: string, share: (honest: MessageOf<"share">) => Uint8Array): NonNullable<Options["corrupt"]> =>
  (facility, step) => {
    if (facility !== "clinic-1" || step.state.phase !== "submitted") return step
    const { mine } = step.state
    let sealed: Uint8Array | null = null
    let submission = mine.submission
    const effects = step.effects.map((effect) => {
      if (effect.type !== "send") return effect
      if (effect.message.type === "share" && toHex(effect.to) === toHex(id(recipient))) {
        sealed = share(effect.message)
        return { ...effect, message: { ...effect.message, sealed } }
      }
      if (effect.message.type !== "submit") return effect
      const parts = effect.message.submission.parts.map((part) =>
        toHex(part.recipient) === toHex(id(recipient))
          ? { ...part, digest: sha256(sealed as Uint8Array) }
          : part,
      )
      submission = resigned({ ...effect.message.submission, parts })
      return { ...effect, message: { type: "submit", ...submission } as const }
    })
    return sealed === null ? step : { state: { ...step.state, mine: { ...mine, submission } }, effects }
  }

/** What the parties to the first attempt agree on, whose shares name it. */
const settingOf = ({ spec }: { readonly spec: Uint8Array }): SumSetting => ({
  study,
  directory,
  spec,
  epoch: 0,
  attempt: 1,
  suite,
})

/** A share of other values, sealed as it should be. */
const falseShare = (message: MessageOf<"share">, recipient: string): Uint8Array => {
  const other = shamirFacility.protect(
    settingOf(message),
    ownSideOf("clinic-1"),
    new Int32Array(valueCount(study)),
    insecureSeededRandom("false"),
  )
  const part = other.parts.find((p) => toHex(p.recipient) === toHex(id(recipient)))
  return part?.sealed as Uint8Array
}

describe("[S8] a dealer of false shares", () => {
  it("is proven false by one recipient, excluded, and the others' sum is exact", () => {
    const outcome = run({
      ...ONE_ROUND,
      corrupt: dealing("clinic-2", (message) => falseShare(message, "clinic-2")),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(voids(outcome)).toEqual([])
    expect(evidence(outcome)).toEqual(["dealer-excluded clinic-1"])
    expect(outcome.lines[0]).toBe("clinic-1 dealt a false share and is excluded from this attempt")
    expect(outcome.security).toEqual([
      {
        by: "clinic-2",
        code: "sharing/bad-share",
        about: "clinic-1",
        detail: "The share of clinic-1 does not agree with its masked opening.",
      },
    ])
  })

  it.each([
    ["nothing", () => new Uint8Array(0)],
    ["less than a seal", (sealed: Uint8Array) => sealed.slice(0, 47)],
    ["a seal with a key of small order", (sealed: Uint8Array) => new Uint8Array(sealed.length)],
    ["a seal that does not open", (sealed: Uint8Array) => flipped(sealed, 8 * 60)],
    ["a share cut short", (sealed: Uint8Array) => sealed.slice(0, -8)],
  ] as const)(
    "that cannot be opened (%s) takes no recipient with it: the others open the sum",
    (_, spoil) => {
      const outcome = run({ ...ONE_ROUND, corrupt: dealing("clinic-2", ({ sealed }) => spoil(sealed)) })
      expect(cohorts(outcome)).toEqual([ALL_FOUR])
      expect(voids(outcome)).toEqual([])
      expect(outcome.security[0]).toMatchObject({
        by: "clinic-2",
        code: "sharing/bad-share",
        about: "clinic-1",
      })
      const openers = outcome.said.filter(({ message }) => message.type === "partial").map(({ by }) => by)
      expect(openers.sort()).toEqual(["clinic-1", "clinic-3", "clinic-4"])
    },
  )

  it("whose false share is not the one it signed for is excluded by nobody: the share counts as not received", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "share", (message, { to }) =>
        to === "clinic-2" ? [{ ...message, sealed: falseShare(message, "clinic-2") }] : [message],
      ),
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(evidence(outcome)).toEqual([])
  })

  it("who gives too few of them out is left out", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "share", (message, { to }) => (to === "clinic-2" ? [message] : [])),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
  })

  it("who answers another challenge is left out", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "opening", (message) => [{ ...message, challenge: new Uint8Array(32) }]),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(evidence(outcome)).toEqual(["security:identity/bad-signature clinic-1"])
  })

  it("who answers with a false opening is proven false by everybody", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "opening", (message) => {
        const { spec, challenge } = message
        const values = new Int32Array(valueCount(study)).fill(9)
        const opening = shamirFacility.answer?.(
          settingOf(message),
          ownSideOf("clinic-1"),
          values,
          insecureSeededRandom("false"),
          challenge,
        ) as Uint8Array
        const signature = liar.sign(openingMessage(spec, challenge, opening))
        return [{ ...message, opening: { dealer: id("clinic-1"), opening, signature } }]
      }),
    })
    expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
    expect(evidence(outcome)).toEqual(new Array(3).fill("dealer-excluded clinic-1"))
  })
})

describe("a recipient that complains falsely", () => {
  /** Complaints of clinic-1 about clinic-2, made of the share that it got. */
  const complaining = (
    complain: (sealed: Uint8Array) => MessageOf<"verdict">["complaints"][number],
  ): NonNullable<Options["speak"]> => {
    let sealed: Uint8Array = new Uint8Array(0)
    return (utterance) => {
      if (utterance.by === "clinic-2" && utterance.to === "clinic-1" && utterance.message.type === "share")
        sealed = utterance.message.sealed
      return insteadOf("clinic-1", "verdict", (message) => [
        {
          ...message,
          good: message.good.filter((dealer) => toHex(dealer) !== toHex(id("clinic-2"))),
          complaints: [complain(sealed)],
        },
      ])(utterance)
    }
  }
  const dealer = id("clinic-2")

  it.each([
    [
      "the true key of an honest share",
      (sealed: Uint8Array) => ({ dealer, sealed, key: messageKey(liar, sealed) }),
    ],
    ["a made-up key", (sealed: Uint8Array) => ({ dealer, sealed, key: new Uint8Array(32).fill(1) })],
    [
      "another sealed message",
      () => {
        const sealed = seal(
          suite,
          liar.sealingKey,
          new Uint8Array(8 * 7),
          new Uint8Array(0),
          insecureSeededRandom("x"),
        )
        return { dealer, sealed, key: messageKey(liar, sealed) }
      },
    ],
    [
      "somebody who is no dealer",
      (sealed: Uint8Array) => ({ dealer: id("fog-1"), sealed, key: messageKey(liar, sealed) }),
    ],
  ] as const)("with %s is not believed", (_, complain) => {
    const outcome = run({ ...ONE_ROUND, speak: complaining(complain) })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(evidence(outcome)).toEqual([])
  })
})

describe("a facility that lies in its opening", () => {
  const lying = (spoil: (honest: Uint8Array) => Uint8Array, until = 99): NonNullable<Options["speak"]> => {
    let attempts = 0
    return insteadOf("clinic-1", "partial", (message) => {
      attempts += 1
      if (attempts > until) return [message]
      const { sealingKey } = directory.leader
      const honest = openBetween(liar, sealingKey, message.digest, message.sealed)
      return [{ ...message, sealed: sealBetween(liar, sealingKey, message.digest, spoil(honest)) }]
    })
  }
  const shifted = (honest: Uint8Array): Uint8Array => flipped(honest, 8 * 7)

  it("is noticed when more than t answer: void, and the next attempt starts over", () => {
    const outcome = run({ ...ONE_ROUND, speak: lying(shifted, 1) })
    expect(voids(outcome)).toEqual([
      "sharing/inconsistent: 4 shares do not lie on one polynomial of degree 2: at least one is false.",
    ])
    expect(outcome.leader.progress.closed).toMatchObject([{ attempt: 2 }])
    expect(models(outcome)).toEqual(models(calm(ONE_ROUND)))
  })

  it("and goes on lying ends the study: nothing wrong enters the model", () => {
    const outcome = run({ study: { rounds: 1, attempts: 2 }, speak: lying(shifted) })
    expect(voids(outcome)).toHaveLength(2)
    expect(outcome.leader.phase).toBe("aborted")
    expect(openedSums(outcome)).toEqual([])
  })

  it("by its length: void", () => {
    expect(
      voids(run({ study: { rounds: 1, attempts: 1 }, speak: lying((honest) => honest.slice(8)) })),
    ).toEqual([expect.stringMatching(/^encoding\/malformed: /)])
  })

  it("by two different answers: the first counts, the second is evidence", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "partial", (message) => {
        const sealed = sealBetween(liar, directory.leader.sealingKey, message.digest, new Uint8Array(8 * 5))
        return [message, { ...message, sealed }]
      }),
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(evidence(outcome)).toEqual(["security:round/equivocation clinic-1"])
  })

  it("by an answer that does not open: refused, the others suffice", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "partial", (message) => [
        { ...message, sealed: flipped(message.sealed, 3) },
      ]),
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(evidence(outcome)).toEqual(["security:identity/seal-broken clinic-1"])
  })
})

describe("a signature, or a list, that is not one", () => {
  it("under a list: refused and logged, the others suffice", () => {
    const outcome = run({
      ...ONE_ROUND,
      speak: insteadOf("clinic-1", "signature", (message) => [
        { ...message, signature: flipped(message.signature, 3) },
      ]),
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(evidence(outcome)).toEqual(["security:identity/bad-signature clinic-1"])
  })

  it("under an answer to the challenge, of the leader's making: nobody goes on", () => {
    const outcome = run({
      study: { rounds: 1, attempts: 1 },
      speak: insteadOf("leader", "openings", (message) => [
        {
          ...message,
          openings: message.openings.map((o, i) => (i === 0 ? { ...o, signature: new Uint8Array(64) } : o)),
        },
      ]),
    })
    expect(outcome.security.map(({ by, code, about }) => `${by} ${code} ${about}`).sort()).toEqual(
      ALL_FOUR.map((name) => `${name} identity/bad-signature leader`),
    )
    expect(outcome.leader.phase).toBe("aborted")
  })

  it("nor does anybody go on from a list of answers that names a facility twice", () => {
    const outcome = run({
      study: { rounds: 1, attempts: 1 },
      speak: insteadOf("leader", "openings", (message) => [
        { ...message, openings: [...message.openings, ...message.openings.slice(0, 1)] },
      ]),
    })
    expect(outcome.security.map(({ code }) => code)).toEqual(new Array(4).fill("cohort/wrong-member"))
    expect(outcome.leader.phase).toBe("aborted")
  })

  it("under a submission, of the leader's making: nobody goes on", () => {
    const outcome = run({
      study: { rounds: 1, attempts: 1 },
      speak: insteadOf("leader", "lock", (message) => [
        {
          ...message,
          submissions: message.submissions.map((s, i) =>
            i === 0 ? { ...s, signature: new Uint8Array(64) } : s,
          ),
        },
      ]),
    })
    expect(outcome.security.map(({ code }) => code)).toEqual(new Array(4).fill("identity/bad-signature"))
    expect(outcome.leader.phase).toBe("aborted")
  })
})

describe("values that no honest facility sends", () => {
  it.each(["plain", "shamir"] as const)(
    "%s: a sum out of range is void, each time, and the study ends",
    (protection) => {
      const outcome = run({
        study: { rounds: 1, attempts: 2, protection },
        train: ({ facility, values }) =>
          facility === "clinic-1" ? { values: values.map((v, j) => (j === 0 ? 2 ** 30 : v)) } : {},
      })
      expect(voids(outcome)).toEqual(
        new Array(2).fill(
          "round/out-of-bound: An opened sum exceeds 8388352, the most that 4 honest facilities reach.",
        ),
      )
      expect(outcome.leader.phase).toBe("aborted")
    },
  )

  it("a total weight below one is void", () => {
    const outcome = run({
      study: { rounds: 1, attempts: 1 },
      train: ({ facility, values }) =>
        facility === "clinic-1"
          ? { values: values.map((v, j) => (j === values.length - 1 ? -10_000 : v)) }
          : {},
    })
    expect(voids(outcome)).toEqual([
      expect.stringMatching(/^round\/out-of-bound: A total weight of -\d+ over 4 facilities/),
    ])
  })

  it.each(["plain", "shamir"] as const)(
    "%s: an update of another length never leaves its facility",
    (protection) => {
      const outcome = run({
        study: { rounds: 1, protection },
        train: ({ facility }) => (facility === "clinic-1" ? { values: new Int32Array(4) } : {}),
      })
      expect(cohorts(outcome)).toEqual([WITHOUT_ONE])
      const refusals = outcome.said.flatMap(({ by, message }) =>
        message.type === "refusal" ? [`${by} ${message.code}`] : [],
      )
      expect(refusals).toEqual(["clinic-1 sharing/wrong-length"])
    },
  )
})

describe("[S10] a fog that lies about its region", () => {
  const plain = { study: { rounds: 1, protection: "plain" } } as const

  it("with a sum of another length: refused, and its facilities are missing", () => {
    const outcome = run({
      facilities: 6,
      ...plain,
      speak: insteadOf("fog-1", "region", (message) => [{ ...message, sum: message.sum.slice(4) }]),
    })
    expect(cohorts(outcome)).toEqual([["clinic-2", "clinic-4", "clinic-6"]])
    expect(evidence(outcome)).toEqual(["security:sharing/wrong-length fog-1"])
  })

  it("with a facility of another region, or a submission not signed by its facility: refused", () => {
    const regionOf = (change: (submissions: readonly SignedSubmission[]) => readonly SignedSubmission[]) =>
      run({
        facilities: 6,
        ...plain,
        speak: insteadOf("fog-1", "region", (message) => [
          { ...message, submissions: change(message.submissions) },
        ]),
      })
    const [first] = calm({ facilities: 6, ...plain }).said.flatMap(({ by, message }) =>
      by === "clinic-2" && message.type === "update" ? [message.submission] : [],
    )
    expect(evidence(regionOf((list) => [...list, first as SignedSubmission]))).toEqual([
      "security:cohort/wrong-member fog-1",
    ])
    const forged = regionOf((list) => list.map((s) => ({ ...s, signature: new Uint8Array(64) })))
    expect(evidence(forged)).toEqual(["security:identity/bad-signature fog-1"])
    expect(cohorts(forged)).toEqual([["clinic-2", "clinic-4", "clinic-6"]])
  })
})

describe("a report that comes twice, with other figures", () => {
  it("of a facility or a fog: the first counts", () => {
    const none = { update: 0, relayed: 0, opening: 0, metadata: 0 }
    const twice: NonNullable<Options["speak"]> = (utterance) =>
      insteadOf("fog-1", "traffic", (message) => [message, { ...message, received: none }])(
        utterance,
      ).flatMap(insteadOf("clinic-1", "report", (message) => [message, { ...message, metrics: null }]))
    const outcome = run({
      ...ONE_ROUND,
      speak: twice,
      // the round stays open until the last report
      schedule: ({ message, sender }) => [sender === "clinic-4" && message.type === "report" ? 3000 : 10],
    })
    const [round, quiet] = [outcome, calm(ONE_ROUND)].map(({ leader }) => leader.progress.closed[0])
    expect(round?.fogIn).toEqual(quiet?.fogIn)
    expect(round?.reports).toEqual(quiet?.reports)
    expect([...evidence(outcome)].sort()).toEqual(["dropped:report clinic-1", "dropped:traffic fog-1"])
  })
})

describe("[S10] somebody who speaks in the leader's place", () => {
  const spec: RoundSpec = {
    study: studyDigest(study),
    round: 1,
    attempt: 1,
    purpose: "update",
    epoch: 0,
    roster: directory.digest,
    model: new Uint8Array(32),
  }
  const forgedHeader = nextHeader(emptyHead(studyDigest(study)), {
    at: 1,
    actor: id("leader"),
    type: "forged",
    body: new Uint8Array(0),
  })
  const orders: readonly Message[] = [
    {
      type: "announce",
      spec: { ...spec, attempt: 2 },
      model: modelFile(study, new Float64Array(4), 0),
      members: null,
    },
    { type: "lock", spec: specDigest(spec), submissions: [] },
    { type: "openings", spec: specDigest(spec), openings: [] },
    {
      type: "propose",
      proposal: {
        spec,
        cohort: [],
        headSeq: 1,
        head: forgedHeader.head.hash,
        headers: [forgedHeader.header],
      },
      submissions: [],
    },
    {
      type: "propose",
      proposal: { spec, cohort: [], headSeq: 9, head: new Uint8Array(32), headers: [] },
      submissions: [],
    },
    {
      type: "certificate",
      proposal: { spec, cohort: [], headSeq: 9, head: new Uint8Array(32), headers: [] },
      signatures: [],
      openers: [],
    },
    { type: "key-test", spec: specDigest(spec), dealers: [], openers: [] },
    { type: "candidate", spec: specDigest(spec), model: new Uint8Array(8) },
    { type: "void", spec: specDigest(spec), reason: "forged" },
    { type: "closed", spec: specDigest(spec), accepted: new Uint8Array(32) },
    {
      type: "finish",
      rounds: 1,
      model: new Uint8Array(8),
      head: { seq: 9, hash: new Uint8Array(32), headers: [] },
    },
    { type: "ended", reason: "forged", head: null },
    { type: "roster", signed: signed(changedRoster(directory.roster, { leave: ["clinic-4"] }), study) },
  ]

  it.each([
    ["facility", "clinic-1"],
    ["fog", "fog-1"],
  ] as const)("a %s is obeyed by nobody", (_, by) => {
    const quiet = calm(ONE_ROUND)
    let said = false
    const outcome = run({
      ...ONE_ROUND,
      train: ({ facility }) => (facility === "clinic-2" ? { after: 300 } : {}),
      speak: (utterance) => {
        // when the first submission leaves, so that the attempt is under way everywhere
        if (said || utterance.message.type !== "submit") return [utterance]
        said = true
        const forged: Utterance[] = ["clinic-2", "fog-1", "fog-2", "leader"]
          .filter((to) => to !== by)
          .flatMap((to) => orders.map((message) => ({ by, to, message })))
        return [utterance, ...forged]
      },
    })
    expect(models(outcome)).toEqual(models(quiet))
    expect(outcome.leader.phase).toBe("closed")
    expect(outcome.said.filter(({ message }) => message.type === "refusal")).toEqual([])
    for (const { code, about } of outcome.security) expect([code, about]).toEqual(["round/unexpected", by])
  })
})
