import type { Milliseconds } from "@consilium/base/units"
import type { ServerOptimiser, ServerState } from "@consilium/learning/server-optimiser"
import type { LogHead, LogHeader } from "./log.js"
import type {
  Message,
  MessageOf,
  Proposal,
  ReportedMetrics,
  RoundSpec,
  SignedOpening,
  SignedSubmission,
  Traffic,
} from "./messages.js"
import type { Refused } from "./refused.js"
import type { Directory, Participant } from "./roster.js"
import type { Study } from "./study.js"
import type { CryptoSuite, OwnKeys } from "./suite.js"

export interface LeaderContext {
  readonly study: Study
  /** Who is enrolled when the study begins. */
  readonly directory: Directory
  readonly me: Participant
  readonly keys: OwnKeys
  readonly suite: CryptoSuite
  /** Signs rosters. */
  readonly authorityKey: Uint8Array
}

/** What is kept of a round that ended with a new model. */
export interface RoundRecord {
  readonly round: number
  readonly attempt: number
  readonly cohort: readonly Uint8Array[]
  readonly model: Uint8Array
  readonly startedAt: number
  readonly closedAt: number
  readonly leaderIn: Traffic
  readonly fogIn: Traffic
  /** Hold-out metrics of the new model, by facility; null where a facility abstains. */
  readonly reports: ReadonlyMap<string, ReportedMetrics | null>
}

/** What outlives a round. */
export interface Progress {
  /** Who is enrolled now. */
  readonly directory: Directory
  /** A roster that the next round begins with, as the authority signed it. */
  readonly nextRoster: Uint8Array | null
  readonly log: LogHead
  /** Headers that no proposal has shown yet. */
  readonly unshown: readonly LogHeader[]
  readonly parameters: Float64Array
  readonly server: ServerState
  readonly closed: readonly RoundRecord[]
  /** Bytes received since the last round closed. */
  readonly received: Traffic
}

/** What outlives a phase. */
export interface Attempt {
  readonly spec: RoundSpec
  readonly digest: Uint8Array
  readonly startedAt: number
  /** Facilities that refused something in this attempt, with the reason: nobody waits for them. */
  readonly out: ReadonlyMap<string, string>
}

type Submissions = ReadonlyMap<string, SignedSubmission>
/** Regional sums, by fog. */
type Regions = ReadonlyMap<string, Uint8Array>

interface InRound {
  readonly progress: Progress
  readonly attempt: Attempt
}

export interface Announced {
  readonly phase: "announced"
  readonly progress: Progress
}
export interface Collecting extends InRound {
  readonly phase: "collecting"
  readonly submissions: Submissions
  readonly regions: Regions
}
export interface Locked extends InRound {
  readonly phase: "locked"
  readonly submissions: Submissions
  readonly challenge: Uint8Array
  readonly openings: ReadonlyMap<string, SignedOpening>
}
export interface Challenged extends InRound {
  readonly phase: "challenged"
  readonly submissions: Submissions
  readonly challenge: Uint8Array
  readonly openings: ReadonlyMap<string, SignedOpening>
  readonly verdicts: ReadonlyMap<string, MessageOf<"verdict">>
}
/** The list is proposed; signatures come in. */
export interface Certifying extends InRound {
  readonly phase: "certifying"
  readonly proposal: Proposal
  readonly regions: Regions
  readonly signatures: ReadonlyMap<string, Uint8Array>
}
/** The list is certified; partial openings come in. */
export interface Opening extends InRound {
  readonly phase: "opening"
  readonly proposal: Proposal
  readonly regions: Regions
  readonly partials: ReadonlyMap<string, Uint8Array>
}
/** The new model is applied and shown to everyone; reports come in. */
export interface Validating extends InRound {
  readonly phase: "validating"
  readonly proposal: Proposal
  readonly accepted: Uint8Array
  readonly reports: ReadonlyMap<string, ReportedMetrics | null>
  readonly fogs: ReadonlyMap<string, Traffic>
}
export interface Finishing {
  readonly phase: "finishing"
  readonly progress: Progress
  /** The head that the facilities are asked to sign. */
  readonly head: LogHead
  readonly finals: ReadonlyMap<string, MessageOf<"final-report">>
}
export interface Closed {
  readonly phase: "closed"
  readonly progress: Progress
  readonly finals: ReadonlyMap<string, MessageOf<"final-report">>
}
export interface Aborted {
  readonly phase: "aborted"
  readonly progress: Progress
  readonly reason: string
}

/**
 *     announced -> collecting -> [locked -> challenged] -> certifying -> opening -> validating -> ... -> finishing -> closed
 *                                        any phase -> the next attempt, or aborted(reason)
 */
export type LeaderState =
  | Announced
  | Collecting
  | Locked
  | Challenged
  | Certifying
  | Opening
  | Validating
  | Finishing
  | Closed
  | Aborted

export type LeaderEvent =
  | { readonly type: "start"; readonly at: number }
  | {
      readonly type: "message"
      readonly at: number
      readonly from: Participant
      readonly message: Message
      /** The whole envelope as it came, for the log. */
      readonly envelope: Uint8Array
    }
  | { readonly type: "received"; readonly traffic: Traffic }
  /** The authority has signed another roster. */
  | { readonly type: "roster"; readonly at: number; readonly signed: Uint8Array }
  /** A person makes the model of a closed round the one in use. */
  | {
      readonly type: "release"
      readonly at: number
      readonly round: number
      readonly by: string
      readonly reason: string
    }
  | { readonly type: "timer"; readonly at: number; readonly name: string }
  | (Refused & { readonly at: number })

export type LeaderEffect =
  | { readonly type: "append"; readonly header: LogHeader; readonly body: Uint8Array }
  | { readonly type: "send"; readonly to: Uint8Array; readonly message: Message }
  | { readonly type: "timer"; readonly name: string; readonly milliseconds: Milliseconds }
  | { readonly type: "progress"; readonly line: string }
  | { readonly type: "ended" }

export const serverOptimiserOf = (study: Study): ServerOptimiser => {
  const { strategy, learningRate, beta1, beta2, tau } = study.server
  return strategy === "fedavg"
    ? { kind: strategy, learningRate }
    : { kind: strategy, learningRate, beta1, beta2, tau }
}
