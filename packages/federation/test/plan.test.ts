import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { describe, expect, it } from "vitest"
import {
  addTraffic,
  type Message,
  messageCodec,
  noTraffic,
  type Traffic,
  trafficOf,
} from "../src/messages.js"
import { sumSizes } from "../src/plan.js"
import { ENVELOPE_BYTES } from "../src/plan-messages.js"
import { type AttemptTraffic, bytesOf, ceremonyTraffic, roundTraffic } from "../src/plan-traffic.js"
import type { Protection } from "../src/study.js"
import type { Options, Outcome } from "./harness.js"
import { calm } from "./scenes.js"

const ROUND = 2
const QUIET = { metrics: "none" } as const
const shape = (protection: Protection, changes: Partial<Options> = {}): Options => ({
  facilities: 5,
  fogs: 2,
  policies: Object.fromEntries([1, 2, 3, 4, 5].map((i) => [`clinic-${i}`, QUIET])),
  ...changes,
  study: { rounds: 3, protection, name: "planned", ...changes.study },
})

/** Everything that was said from one announcement of a purpose to the next announcement. */
const attempts = ({ said }: Outcome, purpose: "update" | "keys") => {
  const starts = said.flatMap(({ message }, i) => (message.type === "announce" ? [i] : []))
  return starts.flatMap((start, i) => {
    const { message } = said[start] as (typeof said)[number]
    if (message.type !== "announce" || message.spec.purpose !== purpose) return []
    return [said.slice(start, starts[i + 1] ?? said.length)]
  })
}

const bodyOf = (message: Message): number => encode(messageCodec, message).length
const sizesOf = (said: Outcome["said"], by: string): Readonly<Record<string, number>> => {
  const sizes: Record<string, number> = {}
  for (const { by: sender, message } of said)
    if (sender === by && message.type !== "finish" && message.type !== "ended")
      sizes[message.type] = (sizes[message.type] ?? 0) + bodyOf(message)
  return sizes
}
const total = (all: readonly Traffic[]): Traffic => all.reduce(addTraffic, noTraffic)

const planOf = ({ study, directory }: Outcome, figures = false): AttemptTraffic => {
  const planned = roundTraffic({ study, directory }, figures)
  if (planned === null) throw new Error(`The sizes of ${study.protection} are not known.`)
  return planned
}

const TREES: readonly (readonly [string, Partial<Options>])[] = [
  ["two fogs", {}],
  ["one fog and two direct facilities", { fogs: 1, direct: 2 }],
  ["no fog", { fogs: 0 }],
]

describe.each(["plain", "shamir", "masked", "ckks", "bfv"] as const)(
  "a planned round of %s",
  (protection) => {
    const trees = TREES.filter(([name]) => protection !== "plain" || name === "two fogs")

    it.each(trees)("crosses the edges as a real one does, to the byte: %s", (_name, changes) => {
      const outcome = calm(shape(protection, changes))
      const { directory, leader } = outcome
      const planned = planOf(outcome)
      const closed = leader.progress.closed[ROUND - 1]
      expect(total(planned.fogs.map((fog) => fog.in))).toEqual(closed?.fogIn)
      expect(planned.leader.in).toEqual(closed?.leaderIn)
      const direct = planned.facilities.filter(
        ({ name }) => toHex(directory.named(name).parent as Uint8Array) === toHex(directory.leader.id),
      )
      expect(total(direct.map(({ up }) => up))).toEqual(closed?.directIn)
      const round = attempts(outcome, "update")[ROUND - 1] as Outcome["said"]
      for (const { name, up, messages } of planned.facilities) {
        const said = round.filter(({ by }) => by === name)
        expect([name, said.length]).toEqual([name, messages])
        expect([name, total(said.map(({ message }) => trafficOf(message, bodyOf(message))))]).toEqual([
          name,
          up,
        ])
      }
      const said = sizesOf(round, "leader")
      const broadcast = Object.values(said).reduce((sum, bytes) => sum + bytes, 0)
      const shares = round.filter(({ by, message }) => by !== "clinic-1" && message.type === "share")
      const toOne = shares.filter(({ to }) => to === "clinic-1")
      expect(planned.facilities.find(({ name }) => name === "clinic-1")?.down).toBe(
        broadcast + toOne.reduce((sum, { message }) => sum + bodyOf(message), 0),
      )
      expect(planned.messages).toBe(
        round.filter(({ message }) => !["finish", "ended"].includes(message.type)).length,
      )
      expect(planned.largest.bytes).toBe(
        Math.max(
          ...round.filter(({ message }) => message.type !== "finish").map(({ message }) => bodyOf(message)),
        ),
      )
    })
  },
)

describe("a planned round with control variates", () => {
  it.each(["shamir", "ckks"] as const)(
    "announces the common one beside the model, and protects no more: %s",
    (protection) => {
      const plain = planOf(calm(shape(protection)))
      const corrected = calm(shape(protection, { study: { training: { correction: "scaffold" } } }))
      const planned = planOf(corrected)
      const round = attempts(corrected, "update")[ROUND - 1] as Outcome["said"]
      expect(planned.largest.bytes).toBe(
        Math.max(
          ...round.filter(({ message }) => message.type !== "finish").map(({ message }) => bodyOf(message)),
        ),
      )
      expect(planned.leader.out - plain.leader.out).toBeGreaterThan(0)
      expect(planned.facilities.map(({ up }) => up)).toEqual(plain.facilities.map(({ up }) => up))
      const said = Object.values(sizesOf(round, "leader")).reduce((sum, bytes) => sum + bytes, 0)
      const shares = round.filter(
        ({ by, to, message }) => by !== "clinic-1" && to === "clinic-1" && message.type === "share",
      )
      expect(planned.facilities.find(({ name }) => name === "clinic-1")?.down).toBe(
        said + shares.reduce((sum, { message }) => sum + bodyOf(message), 0),
      )
    },
  )
})

describe("a planned key ceremony", () => {
  it.each(["ckks", "bfv"] as const)("crosses the edges as a real one does, to the byte: %s", (protection) => {
    const outcome = calm(shape(protection))
    const { study, directory } = outcome
    const planned = ceremonyTraffic({ study, directory })
    const [ceremony, ...more] = attempts(outcome, "keys")
    expect(more).toEqual([])
    for (const { name, up, messages } of planned?.facilities ?? []) {
      const said = (ceremony ?? []).filter(({ by }) => by === name)
      expect([name, said.length]).toEqual([name, messages])
      expect([name, total(said.map(({ message }) => trafficOf(message, bodyOf(message))))]).toEqual([
        name,
        up,
      ])
    }
    expect(planned?.messages).toBe(ceremony?.length)
  })

  it("is held only where facilities need keys", () => {
    const { study, directory } = calm(shape("shamir"))
    expect(ceremonyTraffic({ study, directory })).toBeNull()
  })
})

describe("the sizes of a plan", () => {
  it("are not known for a protection that it has no row for", () => {
    const { study, directory } = calm(shape("plain"))
    const unknown = { ...study, protection: "sealed envelopes" as Protection }
    expect(sumSizes({ study: unknown, directory })).toBeNull()
    expect(roundTraffic({ study: unknown, directory }, false)).toBeNull()
  })

  it("hold for private studies, whose submissions name a ledger", () => {
    const privacy = {
      epsilon: 8,
      delta: 1e-5,
      unit: "patient",
      noise: "local",
      mechanism: "gaussian",
      clipping: { type: "flat" },
      patients: 0,
      mostPatients: 0,
      noiseMultiplier: 2,
      maxGradNorm: 1,
      sampleRate: 0.2,
      standardise: ["a", "b", "c"].map(() => ({ mean: 0, deviation: 1 })),
      metrics: "none",
    } as const
    const outcome = calm(
      shape("shamir", {
        study: { privacy, quantisation: { weights: "equal", largestWeight: 1 } },
      }),
    )
    const closed = outcome.leader.progress.closed[ROUND - 1]
    const planned = planOf(outcome)
    const asked = outcome.said.filter(({ message }) => message.type === "ledger-asked").length
    expect(asked).toBeGreaterThanOrEqual(0)
    expect(total(planned.fogs.map((fog) => fog.in))).toEqual(closed?.fogIn)
  })

  it("count figures as those of eight filled calibration bins, 20 bytes each", () => {
    const outcome = calm(shape("shamir", { policies: {} }))
    const [before, closed] = outcome.leader.progress.closed
    // what facilities report on a model comes in with the next round's traffic
    const bins = [...(before?.reports.values() ?? [])].map((report) => report?.calibration.length as number)
    expect(bins).toHaveLength(5)
    const planned = bytesOf(total(planOf(outcome, true).fogs.map((fog) => fog.in)))
    const fewer = bins.reduce((sum, count) => sum + 20 * (8 - count), 0)
    expect(bytesOf(closed?.fogIn ?? noTraffic)).toBe(planned - fewer)
  })

  it("leave out what surrounds a message on its way, which is the same for all", () => {
    expect(ENVELOPE_BYTES).toBe(132)
  })
})
