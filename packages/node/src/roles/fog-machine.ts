import { decode, encode, record, text, u16, u32, variant } from "@consilium/base/encoding"
import {
  type FogContext,
  type FogEffect,
  type FogEvent,
  type FogState,
  startFog,
  stepFog,
} from "@consilium/federation/fog"
import {
  envelopeCodec,
  roundSpecCodec,
  specDigest,
  trafficCodec,
  trafficOf,
} from "@consilium/federation/messages"
import { purposeCodec } from "@consilium/federation/purpose"
import { type Directory, openRoster, signedRosterBytes } from "@consilium/federation/roster"
import type { OwnEvent } from "../own-event.js"
import type { Input, Reaction, RoleMachine, Work } from "./machine.js"
import { ownEvents } from "./own-events.js"

const localCodec = variant({ timer: record({ name: text(128) }) })

const snapshotCodec = record({
  roster: signedRosterBytes,
  traffic: trafficCodec,
  state: variant({
    idle: record({ last: record({ purpose: purposeCodec, round: u32, attempt: u16 }) }),
    forwarded: record({ spec: roundSpecCodec }),
  }),
})

/** A fog in one study. */
export class FogMachine implements RoleMachine {
  readonly #context: FogContext
  #state: FogState
  #signedRoster: Uint8Array

  constructor(context: FogContext, signedRoster: Uint8Array, snapshot: Uint8Array | null) {
    this.#context = context
    this.#signedRoster = signedRoster
    this.#state = startFog(context)
    if (snapshot === null) return
    const { roster, traffic, state } = decode(snapshotCodec, snapshot)
    this.#signedRoster = roster
    const { directory } = openRoster(context.suite, context.authorityKey, roster)
    this.#state =
      state.type === "idle"
        ? { phase: "idle", directory, traffic, last: state.last }
        : { phase: "forwarded", directory, traffic, spec: state.spec, digest: specDigest(state.spec) }
  }

  get directory(): Directory {
    return this.#state.directory
  }
  get signedRoster(): Uint8Array {
    return this.#signedRoster
  }

  answers(): string | null {
    return null
  }

  snapshot(): Uint8Array | null {
    const { phase, traffic } = this.#state
    if (phase === "collecting") return null
    return encode(snapshotCodec, {
      roster: this.#signedRoster,
      traffic,
      state:
        phase === "idle"
          ? { type: "idle", last: this.#state.last }
          : { type: "forwarded", spec: this.#state.spec },
    })
  }

  react(input: Input): Reaction {
    const reactions = this.#eventsOf(input).map((event) => this.#step(event))
    const closed = input.type === "message" && input.message.type === "closed"
    return {
      sends: reactions.flatMap(({ sends }) => sends),
      entries: [...logged(input), ...reactions.flatMap(({ entries }) => entries)],
      work: [...reactions.flatMap(({ work }) => work), ...(closed ? [{ type: "checkpoint" } as const] : [])],
    }
  }

  #eventsOf(input: Input): readonly FogEvent[] {
    switch (input.type) {
      case "message":
        return [{ type: "message", from: input.from, message: input.message }]
      case "passing": {
        const received: FogEvent = { type: "received", traffic: trafficOf(input.message, input.bytes) }
        // a refusal on its way to the leader also tells the fog whom not to wait for
        return !input.here && input.message.type === "refusal"
          ? [received, { type: "message", from: input.from, message: input.message }]
          : [received]
      }
      case "refused":
        return [input]
      case "local":
        return [decode(localCodec, input.event)]
    }
  }

  #step(event: FogEvent): Reaction {
    const before = this.#state.directory
    const step = stepFog(this.#context, this.#state, event)
    this.#state = step.state
    if (event.type === "message" && event.message.type === "roster" && step.state.directory !== before)
      this.#signedRoster = event.message.signed
    const { leader } = this.directory
    return {
      sends: step.effects.flatMap((effect) =>
        effect.type === "send"
          ? [{ to: effect.to, message: effect.message }]
          : effect.type === "security"
            ? [
                {
                  to: leader.id,
                  message: {
                    type: "security" as const,
                    code: effect.code,
                    about: effect.about,
                    evidence: effect.evidence,
                  },
                },
              ]
            : [],
      ),
      entries: ownEvents(this.#context.me.id, step.effects),
      work: step.effects.flatMap(workOf),
    }
  }
}

const workOf = (effect: FogEffect): readonly Work[] => {
  switch (effect.type) {
    case "send":
      return []
    case "timer":
      return [
        {
          type: "timer",
          milliseconds: effect.milliseconds,
          event: encode(localCodec, { type: "timer", name: effect.name }),
        },
      ]
    case "ended":
      return [{ type: "ended", reason: effect.reason }]
    case "security":
      return [{ type: "tell", line: `security: ${effect.code}: ${effect.detail}` }]
    case "record":
      return [{ type: "tell", line: `${effect.event}: ${effect.detail}` }]
  }
}

/** A message for this fog, whole and signed, as its log keeps it. */
const logged = (input: Input): readonly OwnEvent[] =>
  input.type === "message"
    ? [{ type: input.message.type, actor: input.from.id, body: encode(envelopeCodec, input.envelope) }]
    : []
