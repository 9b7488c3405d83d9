import { toHex } from "@consilium/base/bytes"
import { decode, encode, fixedBytes, list, record, text, u32, variant } from "@consilium/base/encoding"
import { startLeader, stepLeader } from "@consilium/federation/leader"
import type { LeaderContext, LeaderEvent, LeaderState } from "@consilium/federation/leader-state"
import {
  envelopeCodec,
  type LedgerEvidence,
  ledgerEvidenceCodec,
  trafficOf,
} from "@consilium/federation/messages"
import { type Directory, signedRosterBytes } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import type { Input, Reaction, RoleMachine, Work } from "./machine.js"

const localCodec = variant({
  start: record({}),
  timer: record({ name: text(128) }),
  roster: record({ signed: signedRosterBytes }),
  rotate: record({ by: text(64), reason: text(1024) }),
  release: record({ round: u32, by: text(64), reason: text(1024) }),
  "ledger-found": record({
    facility: fixedBytes(16),
    nonce: fixedBytes(32),
    evidence: list(ledgerEvidenceCodec, 2),
  }),
  stop: record({ by: text(64), via: text(320), reason: text(768) }),
})

export const leaderStart = (): Uint8Array => encode(localCodec, { type: "start" })
export const leaderRoster = (signed: Uint8Array): Uint8Array => encode(localCodec, { type: "roster", signed })

/** A person's wish for new keys. */
export const leaderRotate = (wish: { readonly by: string; readonly reason: string }): Uint8Array =>
  encode(localCodec, { type: "rotate", ...wish })

/** A person's decision which model is in use: that of a closed round. */
export const leaderRelease = (decision: {
  readonly round: number
  readonly by: string
  readonly reason: string
}): Uint8Array => encode(localCodec, { type: "release", ...decision })

/** A person's decision to end the study. */
export const leaderStop = (decision: {
  readonly by: string
  readonly via: string
  readonly reason: string
}): Uint8Array => encode(localCodec, { type: "stop", ...decision })

/** What a leader has seen of facilities' privacy ledgers, over all its studies. */
export interface KnownLedgers {
  /** Of a facility's ledger: the newest head that it has signed, and the newest that was certified. */
  of(facility: Uint8Array): Promise<readonly LedgerEvidence[]>
}

/** For a machine that is looked at and answers nobody. */
export const NO_LEDGERS: KnownLedgers = { of: async () => [] }

/** A roster, and the round from which it holds. */
export interface RosterPeriod {
  readonly from: number
  readonly directory: Directory
}

/** The leader of one study. It keeps its whole record: its log is the study's history. */
export class LeaderMachine implements RoleMachine {
  readonly #context: LeaderContext
  readonly #ledgers: KnownLedgers
  #state: LeaderState
  /** The roster that the study began with. */
  readonly firstRoster: Uint8Array
  #signedRoster: Uint8Array
  readonly #rosters: RosterPeriod[]

  constructor(context: LeaderContext, signedRoster: Uint8Array, ledgers: KnownLedgers) {
    this.#context = context
    this.#ledgers = ledgers
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

  answers(event: Uint8Array): string | null {
    const local = decode(localCodec, event)
    return local.type === "ledger-found" ? lookUpOf(local.facility, local.nonce) : null
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
        case "find-ledger": {
          const { facility, nonce } = effect
          work.push({
            type: "task",
            name: lookUpOf(facility, nonce),
            run: async () => {
              const evidence = await this.#ledgers.of(facility)
              return encode(localCodec, { type: "ledger-found", facility, nonce, evidence })
            },
          })
          break
        }
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

const lookUpOf = (facility: Uint8Array, nonce: Uint8Array): string =>
  `ledger/${toHex(facility)}/${toHex(nonce)}`

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
      return { type: "received", from: input.from, traffic: trafficOf(input.message, input.bytes) }
    case "refused":
      return { ...input, at }
    case "local":
      return { ...decode(localCodec, input.event), at }
  }
}
