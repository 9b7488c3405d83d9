import type { SecretKey } from "@consilium/base/random"
import type { Charge } from "./charge.js"
import type { LedgerHead, LedgerPlace } from "./ledger-chain.js"
import type { Witness } from "./ledger-witness.js"
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
import type { FiguresGiven } from "./privacy-plan.js"
import type { Place } from "./purpose.js"
import type { OpenedCohort } from "./redo.js"
import type { Refused } from "./refused.js"
import type { SubgroupReport } from "./reporting.js"
import type { Directory, Participant } from "./roster.js"
import type { RoundBase } from "./round-base.js"
import type { Study } from "./study.js"
import type { CryptoSuite, OwnKeys } from "./suite.js"
import type { EpochKeys } from "./sums/facility/epoch-keys.js"

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

/** What a facility has made for an attempt: the numbers that it protects. */
export interface Made {
  /** What they are about: the model that was trained from, or figures with a model. */
  readonly model: Uint8Array
  readonly values: Int32Array
  readonly secret: SecretKey
  /** Whether they are in the privacy ledger: they are from the first time they are sent. */
  readonly charged: boolean
  /** The ledger's head with their charge. */
  readonly ledger: LedgerHead | null
}

/** What outlives an attempt. */
export interface Memory {
  /** Who is enrolled now. */
  readonly directory: Directory
  /** The leader's log as far as this facility has seen it; null for one that joined later and has seen nothing yet. */
  readonly head: LogHead | null
  readonly opened: readonly OpenedCohort[]
  /** The integers protected for the model that is under way; protected again if its round is redone. */
  readonly trained: Made | null
  /** The same of figures. */
  readonly counted: Made | null
  /** Noisy updates that this study was charged for. */
  readonly charges: number
  /** Parts in noisy figures that it was charged for. */
  readonly figures: FiguresGiven
  /** What the leader was last asked for its knowledge of this facility's ledger with. */
  readonly asked: Uint8Array | null
  /** What was seen of the privacy ledgers of others. */
  readonly witness: Witness
  readonly last: Place
  /** What this facility holds of the key epoch under way; null before the first, and where it was left out. */
  readonly keys: EpochKeys | null
  /** The last epoch that a ceremony was announced for. */
  readonly lastEpoch: number
  /** What a person here decided about this study, where the policy wants a person to. */
  readonly approval: "none" | "approved" | "denied"
}

export interface Attempt {
  readonly spec: RoundSpec
  readonly digest: Uint8Array
  /** Parameter hash of the model, where what the spec names is more than a model. */
  readonly parameters?: Uint8Array
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
  readonly asking: RoundBase | null
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
/** What was answered to a ceremony's test of keys: it is asked for once. */
export interface AnsweredTest {
  readonly request: MessageOf<"key-test">
  readonly answer: MessageOf<"key-tested">
}
/** The parts that agree with their dealers' answers, opened, by dealer. */
export interface Checked {
  readonly phase: "checked"
  readonly memory: Memory
  readonly attempt: Attempt
  readonly mine: Protected | null
  readonly challenge: Uint8Array
  readonly listed: Submissions
  readonly parts: ReadonlyMap<string, Uint8Array>
  /** In a ceremony, once the keys were to be tested. */
  readonly tested: AnsweredTest | null
}
export interface Signed {
  readonly phase: "signed"
  readonly memory: Memory
  readonly attempt: Attempt
  /** Null for a late trainer. */
  readonly mine: Protected | null
  /** The challenge that the shares were checked with; null where none were. */
  readonly challenge: Uint8Array | null
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
  /** Who was named to open. */
  readonly openers: readonly Uint8Array[]
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
  /** The ledger has a place for the charge of what was trained. */
  | { readonly type: "entered"; readonly spec: Uint8Array; readonly place: LedgerPlace }
  /** Nothing is sent that costs privacy before the leader has said what it knows of this facility's ledger. */
  | { readonly type: "ask-ledger"; readonly nonce: Uint8Array }
  /** What this facility saw of others' ledgers in its other studies. */
  | { readonly type: "seen-elsewhere"; readonly witness: Witness }
  /** A fresh secret for a ceremony. */
  | { readonly type: "drawn"; readonly spec: Uint8Array; readonly secret: SecretKey }
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
      readonly subgroups: SubgroupReport | null
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
      /** The common control variate; null where steps are not corrected. */
      readonly control: Float64Array | null
    }
  /** The round from this base was closed with this facility's update in its sum. */
  | { readonly type: "counted"; readonly base: Uint8Array }
  /** Figures are to be made: statistics of the training rows, or how the model does on those held out. `trained` answers. */
  | {
      readonly type: "count"
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
  /** A ceremony wants a secret from the system's generator. */
  | { readonly type: "draw-secret"; readonly digest: Uint8Array; readonly epoch: number }
  /** Keys of a past epoch are gone from memory: nothing may keep them. */
  | { readonly type: "forget-keys"; readonly epoch: number }
  /** What was trained waits for a place in the privacy ledger; `entered` answers. */
  | { readonly type: "enter"; readonly digest: Uint8Array; readonly purpose: RoundSpec["purpose"] }
  /** Heads of this facility's own ledger that others hold: it must contain them. An answer to what was asked has its nonce. */
  | {
      readonly type: "ledger-shown"
      readonly nonce: Uint8Array | null
      readonly heads: readonly ShownLedgerHead[]
    }
  /** To be in the privacy ledger before anything is sent. */
  | { readonly type: "charge"; readonly charge: Charge }
  /** A head of the leader's log that enough facilities signed, to be kept as evidence. */
  | { readonly type: "cosigned"; readonly head: CosignedHead }
  | { readonly type: "ended"; readonly reason: string }

/** A head of this facility's ledger that it has signed, and whether a quorum certified it. */
export interface ShownLedgerHead extends LedgerHead {
  readonly certified: boolean
}

/** What an event leads to. */
export interface FacilityStep {
  readonly state: FacilityState
  readonly effects: readonly FacilityEffect[]
}
