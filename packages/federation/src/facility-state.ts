import type { SecretKey } from "@consilium/base/random"
import type { Charge } from "./charge.js"
import type { LogHead } from "./log.js"
import type {
  CosignedHead,
  Message,
  MessageOf,
  Proposal,
  ReportedMetrics,
  RoundSpec,
  SignedSubmission,
} from "./messages.js"
import type { LocalPolicy, Preparation } from "./policy.js"
import type { OpenedCohort } from "./redo.js"
import type { Refused } from "./refused.js"
import type { Directory, Participant } from "./roster.js"
import type { Study } from "./study.js"
import type { CryptoSuite, OwnKeys } from "./suite.js"

/** What does not change while a facility takes part in a study. */
export interface FacilityContext {
  readonly study: Study
  /** Who is enrolled when this facility begins. */
  readonly directory: Directory
  readonly me: Participant
  readonly keys: OwnKeys
  readonly suite: CryptoSuite
  readonly policy: LocalPolicy
  /** Signs rosters. */
  readonly authorityKey: Uint8Array
  /** What the rows are prepared with in this study; `own-statistics` if absent. */
  readonly preparation?: Preparation
}

/** What outlives an attempt. */
export interface Memory {
  /** Who is enrolled now. */
  readonly directory: Directory
  /** The leader's log as far as this facility has seen it; null for one that joined later and has seen nothing yet. */
  readonly head: LogHead | null
  readonly opened: readonly OpenedCohort[]
  /** The integers protected for the model that is under way; protected again if its round is redone. */
  readonly trained: {
    readonly model: Uint8Array
    readonly values: Int32Array
    readonly secret: SecretKey
    /** Whether they are in the privacy ledger: they are from the first time they are sent. */
    readonly charged: boolean
  } | null
  /** Noisy updates that this study was charged for. */
  readonly charges: number
  readonly last: { readonly round: number; readonly attempt: number }
  /** What a person here decided about this study, where the policy wants a person to. */
  readonly approval: "none" | "approved" | "denied"
}

export interface Attempt {
  readonly spec: RoundSpec
  readonly digest: Uint8Array
}

/** Sealed parts that other facilities dealt to this one, by dealer. */
export type Received = ReadonlyMap<string, Uint8Array>
/** Submissions whose signatures were checked, by facility. */
export type Submissions = ReadonlyMap<string, SignedSubmission>
/** What this facility protected, and the part of it that stays here. */
export interface Protected {
  readonly values: Int32Array
  readonly secret: SecretKey
  readonly submission: SignedSubmission
  readonly own: Uint8Array | null
}

export interface Idle {
  readonly phase: "idle"
  readonly memory: Memory
}
export interface Training {
  readonly phase: "training"
  readonly memory: Memory
  readonly attempt: Attempt
  readonly received: Received
  /** The model to train, while a person here is asked whether to. */
  readonly asking: Float64Array | null
}
export interface Submitted {
  readonly phase: "submitted"
  readonly memory: Memory
  readonly attempt: Attempt
  readonly received: Received
  readonly mine: Protected
}
/** The list of submissions is fixed; a dealer on it has answered its challenge. `mine` is null for a late trainer. */
export interface Locked {
  readonly phase: "locked"
  readonly memory: Memory
  readonly attempt: Attempt
  readonly received: Received
  readonly mine: Protected | null
  readonly challenge: Uint8Array
  readonly listed: Submissions
}
/** The parts that agree with their dealers' answers, opened, by dealer. */
export interface Checked {
  readonly phase: "checked"
  readonly memory: Memory
  readonly attempt: Attempt
  readonly mine: Protected | null
  readonly listed: Submissions
  readonly parts: ReadonlyMap<string, Uint8Array>
}
export interface Signed {
  readonly phase: "signed"
  readonly memory: Memory
  readonly attempt: Attempt
  readonly proposal: Proposal
  readonly listed: Submissions
  readonly parts: ReadonlyMap<string, Uint8Array>
}
/** The answer to the certified list was given; a repeated request gets the same bytes. */
export interface Opened {
  readonly phase: "opened"
  readonly memory: Memory
  readonly attempt: Attempt
  readonly proposal: Proposal
  readonly listed: Submissions
  readonly partial: MessageOf<"partial"> | null
  /** Whether the new model was measured: once per certified list. */
  readonly measured: boolean
}
export interface Ended {
  readonly phase: "ended"
  readonly memory: Memory
  /** This facility's signature over the log's final head. */
  readonly signature: Uint8Array | null
}

export type FacilityState = Idle | Training | Submitted | Locked | Checked | Signed | Opened | Ended

export type FacilityEvent =
  | {
      readonly type: "message"
      /** Milliseconds since 1970, by this facility's clock. */
      readonly at: number
      readonly from: Participant
      readonly message: Message
    }
  /** A person here allowed the study, or did not. */
  | { readonly type: "decision"; readonly approved: boolean; readonly by: string }
  | {
      readonly type: "trained"
      readonly spec: Uint8Array
      readonly values: Int32Array
      readonly secret: SecretKey
    }
  | {
      readonly type: "training-failed"
      readonly spec: Uint8Array
      readonly code: string
      readonly reason: string
    }
  | { readonly type: "measured"; readonly spec: Uint8Array; readonly metrics: ReportedMetrics }
  | {
      readonly type: "finished"
      readonly global: ReportedMetrics | null
      readonly personal: ReportedMetrics | null
    }
  | Refused

export type FacilityEffect =
  | { readonly type: "record"; readonly event: string; readonly detail: string }
  | {
      readonly type: "security"
      readonly code: string
      readonly about: Uint8Array
      readonly evidence: Uint8Array
      readonly detail: string
    }
  | { readonly type: "send"; readonly to: Uint8Array; readonly message: Message }
  | {
      readonly type: "train"
      readonly spec: RoundSpec
      readonly digest: Uint8Array
      readonly parameters: Float64Array
    }
  | { readonly type: "measure"; readonly spec: Uint8Array; readonly parameters: Float64Array }
  | {
      readonly type: "finish"
      readonly round: number
      readonly parameters: Float64Array
      readonly model: Uint8Array
      readonly metrics: boolean
    }
  | { readonly type: "forget-secret"; readonly round: number }
  /** To be in the privacy ledger before anything is sent. */
  | { readonly type: "charge"; readonly charge: Charge }
  /** A head of the leader's log that enough facilities signed, to be kept as evidence. */
  | { readonly type: "cosigned"; readonly head: CosignedHead }
  | { readonly type: "ended"; readonly reason: string }

/** What an event leads to. */
export interface FacilityStep {
  readonly state: FacilityState
  readonly effects: readonly FacilityEffect[]
}
