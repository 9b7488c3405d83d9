import { sha256 } from "@consilium/base/hash"
import { describe, expect, it } from "vitest"
import { type FogContext, type FogState, startFog, stepFog } from "../src/fog.js"
import {
  type Message,
  type MessageOf,
  noTraffic,
  type RoundSpec,
  submissionMessage,
} from "../src/messages.js"
import { studyDigest } from "../src/study.js"
import { plainSum, readableBytes } from "../src/sums/plain.js"
import { authorityKey, directoryOf, flipped, keysFor, spoiled, suite, testStudy } from "./members.js"
import { settingOf } from "./sum-parties.js"

const study = testStudy(4, { protection: "plain" })
const directory = directoryOf(study, 4, 2)
const me = directory.named("fog-1")
const context: FogContext = { study, directory, me, suite, authorityKey }
const spec: RoundSpec = {
  study: studyDigest(study),
  round: 1,
  attempt: 1,
  purpose: "update",
  epoch: 0,
  roster: directory.digest,
  model: new Uint8Array(32),
}
const setting = settingOf(study, directory, spec)
const announce: Message = { type: "announce", spec, model: new Uint8Array(1), members: null }

const values = (fill: number): Int32Array => new Int32Array(5).fill(fill)
const updateOf = (name: string, fill: number, change: object = {}): MessageOf<"update"> => {
  const payload = readableBytes(values(fill))
  const submission = {
    spec: setting.spec,
    facility: directory.named(name).id,
    direct: sha256(payload),
    parts: [],
    ledger: null,
    ...change,
  }
  return {
    type: "update",
    submission: { submission, signature: keysFor(name).sign(submissionMessage(submission)) },
    payload,
  }
}
const tell = (state: FogState, from: string, message: Message) =>
  stepFog(context, state, { type: "message", from: directory.named(from), message })
const collecting = tell(startFog(context), "leader", announce).state
const sent = (effects: ReturnType<typeof tell>["effects"]) =>
  effects.flatMap((e) => (e.type === "send" ? [e.message] : []))

describe("a fog", () => {
  it("adds what its facilities send, and sends the sum when all have", () => {
    const first = tell(collecting, "clinic-1", updateOf("clinic-1", 7))
    expect(first.effects).toEqual([])
    const last = tell(first.state, "clinic-3", updateOf("clinic-3", -10))
    const [region] = sent(last.effects) as [MessageOf<"region">]
    expect(plainSum.combine(setting, { cohort: [], openers: [] }, [region.sum], [])).toEqual(
      Float64Array.from(values(-3)),
    )
    expect(
      region.submissions.map(({ submission }) => directory.get(submission.facility).name).sort(),
    ).toEqual(["clinic-1", "clinic-3"])
    expect(last.state.phase).toBe("forwarded")
  })

  it("sends what it has when its time is up, once, and drops what comes later", () => {
    const first = tell(collecting, "clinic-1", updateOf("clinic-1", 7))
    const timer = { type: "timer", name: "collect/update/1/1" } as const
    const late = stepFog(context, first.state, timer)
    expect(sent(late.effects)).toMatchObject([{ type: "region" }])
    expect(stepFog(context, late.state, timer).effects).toEqual([])
    expect(stepFog(context, first.state, { type: "timer", name: "collect/1/2" }).state).toBe(first.state)
    const after = tell(late.state, "clinic-3", updateOf("clinic-3", 1))
    expect(after.state).toBe(late.state)
    expect(after.effects).toEqual([
      { type: "record", event: "update-dropped", detail: "An update of clinic-3 came too late." },
    ])
  })

  it("waits for nobody who refused this attempt", () => {
    const refusal: Message = {
      type: "refusal",
      purpose: "update",
      round: 1,
      attempt: 1,
      code: "policy/cohort",
      reason: "too small",
    }
    const out = tell(collecting, "clinic-3", refusal)
    expect(sent(tell(out.state, "clinic-1", updateOf("clinic-1", 7)).effects)).toMatchObject([
      { type: "region" },
    ])
    expect(tell(collecting, "clinic-3", { ...refusal, attempt: 2 }).state).toBe(collecting)
    expect(tell(collecting, "clinic-3", { ...refusal, purpose: "evaluation" }).state).toBe(collecting)
  })

  it.each([...spoiled(updateOf("clinic-1", 7).payload).keys()])(
    "refuses an update that is %s, and nothing changes",
    (how) => {
      const honest = updateOf("clinic-1", 7)
      const payload = spoiled(honest.payload).get(how) as Uint8Array
      const step = tell(collecting, "clinic-1", { ...honest, payload })
      expect(step.state).toBe(collecting)
      expect(step.effects).toMatchObject([
        { type: "security", code: "identity/bad-signature", about: directory.named("clinic-1").id },
      ])
    },
  )

  it("refuses an update of another length, though signed", () => {
    const payload = new Uint8Array(16)
    const { submission } = updateOf("clinic-1", 7, { direct: sha256(payload) })
    const step = tell(collecting, "clinic-1", { type: "update", submission, payload })
    expect(step.state).toBe(collecting)
    expect(step.effects).toMatchObject([{ type: "security", code: "sharing/wrong-length" }])
  })

  it("refuses an update signed by somebody else, or in another's name", () => {
    const { submission, payload } = updateOf("clinic-1", 7)
    const wrong = [
      {
        ...updateOf("clinic-1", 7),
        submission: { ...submission, signature: flipped(submission.signature, 1) },
      },
      updateOf("clinic-3", 7),
      updateOf("clinic-1", 7, { direct: null }),
      { type: "update" as const, submission: updateOf("clinic-1", 8).submission, payload },
    ]
    for (const update of wrong) {
      const step = tell(collecting, "clinic-1", update)
      expect(step.state).toBe(collecting)
      expect(step.effects).toMatchObject([{ type: "security", code: "identity/bad-signature" }])
    }
  })

  it("takes no update of another region", () => {
    const step = tell(collecting, "clinic-2", updateOf("clinic-2", 7))
    expect(step).toEqual({ state: collecting, effects: [] })
  })

  it.each(["clinic-1", "clinic-2", "fog-2"])("does nothing that %s says in the leader's place", (name) => {
    const orders: readonly Message[] = [
      { type: "announce", spec: { ...spec, attempt: 2 }, model: new Uint8Array(1), members: null },
      { type: "candidate", spec: setting.spec, model: new Uint8Array(1) },
      { type: "ended", reason: "so it is", head: null },
    ]
    for (const order of orders) {
      expect(tell(collecting, name, order)).toEqual({ state: collecting, effects: [] })
      expect(tell(collecting, "leader", order).effects.length).toBeGreaterThan(0)
    }
  })

  it("takes an announcement once, in order, for its own study", () => {
    const first = tell(collecting, "clinic-1", updateOf("clinic-1", 7)).state
    expect(tell(first, "leader", announce).state).toBe(first)
    const later: Message = {
      type: "announce",
      spec: { ...spec, round: 2 },
      model: new Uint8Array(1),
      members: null,
    }
    const second = tell(first, "leader", later).state
    expect(second).toMatchObject({ phase: "collecting", spec: { round: 2 }, updates: new Map() })
    expect(tell(second, "leader", announce).state).toBe(second)
    const foreign: Message = {
      type: "announce",
      spec: { ...spec, study: new Uint8Array(32), round: 3 },
      model: new Uint8Array(1),
      members: null,
    }
    expect(tell(second, "leader", foreign).state).toBe(second)
  })

  it("reports what crossed its edge, and starts counting anew", () => {
    const counted = stepFog(context, collecting, {
      type: "received",
      traffic: { ...noTraffic, update: 20, metadata: 5 },
    }).state
    const again = stepFog(context, counted, {
      type: "received",
      traffic: { ...noTraffic, metadata: 2 },
    }).state
    const step = tell(again, "leader", { type: "candidate", spec: setting.spec, model: new Uint8Array(1) })
    expect(sent(step.effects)).toEqual([
      { type: "traffic", round: 1, received: { update: 20, relayed: 0, opening: 0, metadata: 7 } },
    ])
    expect(step.state.traffic).toEqual(noTraffic)
  })

  it("passes on what a node would not take as a security event", () => {
    const about = directory.named("clinic-1").id
    const event = {
      type: "refused",
      code: "encoding/malformed",
      about,
      evidence: new Uint8Array(32),
      detail: "?",
    } as const
    expect(stepFog(context, collecting, event)).toEqual({
      state: collecting,
      effects: [{ ...event, type: "security" }],
    })
  })
})
