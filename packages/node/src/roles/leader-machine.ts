import { decode, encode, record, text, u32, variant } from "@consilium/base/encoding"
import { startLeader, stepLeader } from "@consilium/federation/leader"
import type { LeaderContext, LeaderEvent, LeaderState } from "@consilium/federation/leader-state"
import { envelopeCodec, trafficOf } from "@consilium/federation/messages"
import { type Directory, signedRosterBytes } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import type { Input, Reaction, RoleMachine, Work } from "./machine.js"

const localCodec = variant({
  start: record({}),
  timer: record({ name: text(128) }),
  roster: record({ signed: signedRosterBytes }),
  release: record({ round: u32, by: text(64), reason: text(1024) }),
})

export const leaderStart = (): Uint8Array => encode(localCodec, { type: "start" })
export const leaderRoster = (signed: Uint8Array): Uint8Array => encode(localCodec, { type: "roster", signed })

/** A person's decision which model is in use: that of a closed round. */
export const leaderRelease = (decision: {
  readonly round: number
  readonly by: string
  readonly reason: string
}): Uint8Array => encode(localCodec, { type: "release", ...decision })

/** A roster, and the round from which it holds. */
export interface RosterPeriod {
  readonly from: number
  readonly directory: Directory
}

/** The leader of one study. It keeps its whole record: its log is the study's history. */
export class LeaderMachine implements RoleMachine {
  readonly #context: LeaderContext
  #state: LeaderState
  /** The roster that the study began with. */
  readonly firstRoster: Uint8Array
  #signedRoster: Uint8Array
  readonly #rosters: RosterPeriod[]

  constructor(context: LeaderContext, signedRoster: Uint8Array) {
    this.#context = context
    this.firstRoster = signedRoster
    this.#signedRoster = signedRoster
    this.#rosters = [{ from: 1, directory: context.directory }]
    this.#state = startLeader(context)
  }

  get study(): Study {
    return this.#context.study
  }
  get state(): LeaderState {
    return this.#state
  }
  get directory(): Directory {
    return this.#state.progress.directory
  }
  get signedRoster(): Uint8Array {
    return this.#signedRoster
  }

  /** Every roster that has held so far, the first one first. */
  get rosters(): readonly RosterPeriod[] {
    return this.#rosters
  }
  /** Signs rosters. */
  get authorityKey(): Uint8Array {
    return this.#context.authorityKey
  }

  answers(): string | null {
    return null
  }

  snapshot(): Uint8Array | null {
    return null
  }

  react(input: Input, at: number): Reaction {
    const step = stepLeader(this.#context, this.#state, eventOf(input, at))
    this.#state = step.state
    const work: Work[] = []
    for (const effect of step.effects)
      switch (effect.type) {
        case "timer":
          work.push({
            type: "timer",
            milliseconds: effect.milliseconds,
            event: encode(localCodec, { type: "timer", name: effect.name }),
          })
          break
        case "progress":
          work.push({ type: "tell", line: effect.line })
          break
        case "ended":
          work.push({ type: "ended", reason: "reason" in this.#state ? this.#state.reason : "" })
          break
        case "send":
          if (effect.message.type === "roster") {
            this.#signedRoster = effect.message.signed
            this.#rosters.push({ from: this.#state.progress.closed.length + 1, directory: this.directory })
          }
      }
    return {
      sends: step.effects.flatMap((effect) =>
        effect.type === "send" ? [{ to: effect.to, message: effect.message }] : [],
      ),
      entries: step.effects.flatMap((effect) =>
        effect.type === "append"
          ? [{ type: effect.header.type, actor: effect.header.actor, body: effect.body }]
          : [],
      ),
      work,
    }
  }
}

const eventOf = (input: Input, at: number): LeaderEvent => {
  switch (input.type) {
    case "message":
      return {
        type: "message",
        at,
        from: input.from,
        message: input.message,
        envelope: encode(envelopeCodec, input.envelope),
      }
    case "passing":
      return { type: "received", traffic: trafficOf(input.message, input.bytes) }
    case "refused":
      return { ...input, at }
    case "local":
      return { ...decode(localCodec, input.event), at }
  }
}
