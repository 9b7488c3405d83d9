import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { describe, expect, it } from "vitest"
import { stepLeader } from "../src/leader.js"
import { RELEASED, releaseCodec } from "../src/leader-release.js"
import type { LeaderContext } from "../src/leader-state.js"
import { headerHash, type LogEntry } from "../src/log.js"
import { textOf } from "./errors.js"
import { altered, eventsOf } from "./forged-log.js"
import { type Outcome, releaseOf, runStudy } from "./harness.js"
import { authorityKey, keysFor, suite } from "./members.js"
import { audited, calm, keptHeads, models } from "./scenes.js"

const released = ({ log }: Pick<Outcome, "log">) =>
  log.flatMap(({ header, body }) => (header.type === RELEASED ? [decode(releaseCodec, body)] : []))

/** A finished study's log with a person's decision after its end. */
const releasedLater = (outcome: Outcome, round: number): readonly LogEntry[] => {
  const { study, directory, leader, log } = outcome
  const me = directory.leader
  const keys = keysFor("leader")
  const context: LeaderContext = { study, directory, me, keys, suite, authorityKey }
  const step = stepLeader(context, leader, releaseOf(round, 9_000_000))
  expect(step.state.phase).toBe(leader.phase)
  return [
    ...log,
    ...step.effects.flatMap((effect) =>
      effect.type === "append"
        ? [
            {
              header: effect.header,
              body: effect.body,
              signature: keys.sign(headerHash(effect.header)),
            },
          ]
        : [],
    ),
  ]
}

describe("a model that a person releases", () => {
  it("is the last closed one until somebody decides", () => {
    const outcome = calm({ study: { rounds: 3 } })
    const at = outcome.log.findIndex(({ header }) => header.type === "closed")
    expect(audited(outcome, outcome.log.slice(0, at)).released).toBeNull()
    expect(audited(outcome, outcome.log.slice(0, at + 1)).released?.round).toBe(1)
    const found = audited(outcome)
    expect(found.released?.round).toBe(3)
    expect(toHex(found.released?.model as Uint8Array)).toBe(models(outcome)[2])
  })

  it("is logged while the study runs, and changes nothing of its course", () => {
    const calmly = calm({ study: { rounds: 3 } })
    const outcome = runStudy({
      study: { rounds: 3 },
      releases: [
        { during: 1, round: 1 },
        { during: 3, round: 1 },
      ],
    })
    expect(models(outcome)).toEqual(models(calmly))
    expect(released(outcome)).toEqual([
      {
        round: 1,
        model: outcome.leader.progress.closed[0]?.model,
        by: "R. Person",
        reason: "fewer false alarms",
      },
    ])
    expect(outcome.lines).toContain("no model is released: round 1 is not closed")
    expect(audited(outcome, outcome.log, keptHeads(outcome)).released?.round).toBe(1)
    expect(audited(outcome).ended).toBe(true)
  })

  it("is logged after the end too; the last decision holds", () => {
    const outcome = calm({ study: { rounds: 3 } })
    const log = releasedLater(outcome, 2)
    expect(log.length).toBe(outcome.log.length + 1)
    const found = audited(outcome, log, keptHeads(outcome))
    expect(found.released?.round).toBe(2)
    expect(toHex(found.released?.model as Uint8Array)).toBe(models(outcome)[1])
    expect(found.ended).toBe(true)
    expect(toHex(found.model)).toBe(models(outcome)[2])
    expect(releasedLater(outcome, 4)).toEqual(outcome.log)
  })

  it("is refused by an audit if it is none of the study's", () => {
    const outcome = calm({ study: { rounds: 3 } })
    const last = releasedLater(outcome, 2).at(-1) as LogEntry
    const event = eventsOf([last])[0] as ReturnType<typeof eventsOf>[number]
    const forged = (change: object): string => {
      const body = encode(releaseCodec, { ...decode(releaseCodec, event.body), ...change })
      return textOf(() => audited(outcome, altered(outcome, outcome.log.length, { ...event, body })))
    }
    const at = outcome.log.length + 1
    expect(forged({ round: 1 })).toContain(
      `Event ${at} of the log: another model is released than the one that round 1 was closed with.`,
    )
    expect(forged({ model: new Uint8Array(32) })).toContain("another model is released")
    expect(forged({ round: 4 })).toContain("a model of round 4 is released, which is not closed.")
    const facility = outcome.directory.facilities[0]?.id as Uint8Array
    expect(
      textOf(() => audited(outcome, altered(outcome, outcome.log.length, { ...event, actor: facility }))),
    ).toContain("a leader's decision is logged in another's name")
    const early = outcome.log.findIndex(({ header }) => header.type === "closed")
    expect(textOf(() => audited(outcome, altered(outcome, early, event)))).toContain("which is not closed")
  })
})
