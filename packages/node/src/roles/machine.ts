import type { Milliseconds } from "@consilium/base/units"
import type { Envelope, Message } from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import type { OwnEvent } from "../own-event.js"

/** What comes to a role's machine. */
export type Input =
  /** A message for this participant, signed by its sender. */
  | {
      readonly type: "message"
      readonly from: Participant
      readonly message: Message
      readonly envelope: Envelope
    }
  /** A message of somebody below, wherever it goes: told before it is handled or passed on. */
  | {
      readonly type: "passing"
      readonly from: Participant
      readonly message: Message
      readonly bytes: number
      /** Whether it is for this participant. */
      readonly here: boolean
    }
  | {
      readonly type: "refused"
      readonly about: Uint8Array
      readonly code: string
      readonly detail: string
      readonly evidence: Uint8Array
    }
  /** Something that happened here: a timer, finished work, a person's decision. Encoded by the machine's own codec. */
  | { readonly type: "local"; readonly event: Uint8Array }

/** Something to be done once what led to it is saved. */
export type Work =
  /** There is one timer: a new one takes the place of the last. */
  | { readonly type: "timer"; readonly milliseconds: Milliseconds; readonly event: Uint8Array }
  /** Gives a local event; done again after a crash that came before its event was saved. The name is its own. */
  | { readonly type: "task"; readonly name: string; run(): Promise<Uint8Array> }
  /** Done once; what must not be forgotten is also seen to when a participant comes back. */
  | { readonly type: "act"; run(): Promise<void> }
  | { readonly type: "tell"; readonly line: string }
  /** The past is over: nothing of it is needed, and secrets in it should go. */
  | { readonly type: "checkpoint" }
  | { readonly type: "ended"; readonly reason: string }

export interface Reaction {
  readonly sends: readonly { readonly to: Uint8Array; readonly message: Message }[]
  /** Events for this participant's own log. */
  readonly entries: readonly OwnEvent[]
  readonly work: readonly Work[]
}

/**
 * A role in one study as its runner sees it. Everything it does follows from its inputs, in their order: a runner brings
 * it back after a crash by giving it the same inputs again.
 */
export interface RoleMachine {
  /** Who is enrolled now, and the roster as the authority signed it. */
  readonly directory: Directory
  readonly signedRoster: Uint8Array
  react(input: Input, at: number): Reaction
  /** The task that a local event answers. */
  answers(event: Uint8Array): string | null
  /** What it needs to go on from here without the past; null in the middle of something. */
  snapshot(): Uint8Array | null
}

/** Makes a role's machine anew, or from a snapshot. */
export type MachineFactory = (snapshot: Uint8Array | null) => RoleMachine
