import type { Milliseconds } from "@consilium/base/units"
import type { ServerOptimiser, ServerState } from "@consilium/learning/server-optimiser"
import type { Due } from "./agenda.js"
import type { HeldUpdates } from "./collecting.js"
import type { OpenedFigures } from "./figures/opened-figures.js"
import type { Stop } from "./leader-stop.js"
import type { LogHead, LogHeader } from "./log.js"
import type {
  LedgerEvidence,
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
  /** What the leader's children sent, fogs and facilities. */
  readonly leaderIn: Traffic
  /** What of it came straight from facilities. */
  readonly directIn: Traffic
  readonly fogIn: Traffic
  /** Hold-out metrics of the new model, by facility; null where a facility abstains. */
  readonly reports: ReadonlyMap<string, ReportedMetrics | null>
}

/** An attempt that is to be announced once there are keys. */
export type Pending = Due

/** The key epoch under way: what everybody may know of it. */
export interface Epoch {
  readonly epoch: number
  /** Digest of the roster that its keys were dealt among. */
  readonly roster: Uint8Array
  /** Facilities whose keys were shared. */
  readonly dealers: readonly Uint8Array[]
  /** Facilities that hold a share of every one of those keys: any t of them can open. */
  readonly holders: readonly Uint8Array[]
  /** Facilities that were proven to have dealt something false; they do not bring about a new ceremony. */
  readonly excluded: readonly Uint8Array[]
  /** How often the test of a facility's key has failed in a row, by facility: it may be a liar among those who test. */
  readonly failed: ReadonlyMap<string, number>
  readonly since: number
  /** Attempts that were announced under these keys: each may open one sum. */
  readonly openings: number
}

/** What outlives a round. */
export interface Progress {
  /** The last epoch that a ceremony was held for, the one whose keys are in use, and what waits for a ceremony. */
  readonly keys: {
    readonly epoch: number
    readonly current: Epoch | null
    readonly pending: Pending | null
  }
  /** Why the next round is to begin with a ceremony that nothing else calls for; null if nobody asked. */
  readonly rotation: string | null
  /** Who is enrolled now. */
  readonly directory: Directory
  /** A roster that the next round begins with, as the authority signed it. */
  readonly nextRoster: Uint8Array | null
  readonly log: LogHead
  /** Headers that no proposal has shown yet. */
  readonly unshown: readonly LogHeader[]
  readonly parameters: Float64Array
  readonly server: ServerState
  /** The common control variate; null where steps are not corrected. */
  readonly control: Float64Array | null
  readonly closed: readonly RoundRecord[]
  /** Statistics and evaluations, as they were opened. */
  readonly figures: readonly OpenedFigures[]
  /** Bytes received since the last round closed; `direct` are those that came straight from facilities. */
  readonly received: Traffic
  readonly direct: Traffic
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
/** Regional sums, by fog; by the leader, that of the facilities which talk to it directly. */
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
  /** Updates of facilities that talk to the leader directly. */
  readonly direct: HeldUpdates
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
/** In a ceremony: every dealer encrypts zero, and t facilities open it. */
export interface Testing extends InRound {
  readonly phase: "testing"
  readonly submissions: Submissions
  readonly challenge: Uint8Array
  /** Dealers of checked shares, and facilities that hold all of those. */
  readonly dealers: readonly Uint8Array[]
  readonly holders: readonly Uint8Array[]
  readonly excluded: readonly Uint8Array[]
  readonly openers: readonly Uint8Array[]
  readonly tested: ReadonlyMap<string, MessageOf<"key-tested">>
}
/** The list is proposed; signatures come in. */
export interface Certifying extends InRound {
  readonly phase: "certifying"
  /** In a ceremony: the epoch that begins if the list is certified. */
  readonly epoch: Epoch | null
  readonly proposal: Proposal
  readonly regions: Regions
  readonly signatures: ReadonlyMap<string, Uint8Array>
}
/** The list is certified; partial openings come in. */
export interface Opening extends InRound {
  readonly phase: "opening"
  readonly proposal: Proposal
  readonly regions: Regions
  /** Who was named to open; empty where any may. */
  readonly openers: readonly Uint8Array[]
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
  /** A person's decision that ended the study, if one did. */
  readonly stopped?: Stop
}

/**
 *     announced -> collecting -> [locked -> challenged -> [testing]] -> certifying -> opening -> validating -> ... -> finishing -> closed
 *                                        any phase -> the next attempt, or aborted(reason)
 */
export type LeaderState =
  | Announced
  | Collecting
  | Locked
  | Challenged
  | Testing
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
  /** Bytes of a message of `from` that came in, wherever it goes. */
  | { readonly type: "received"; readonly from: Participant; readonly traffic: Traffic }
  /** The authority has signed another roster. */
  | { readonly type: "roster"; readonly at: number; readonly signed: Uint8Array }
  /** A person wants new keys: the next round begins with a ceremony. */
  | { readonly type: "rotate"; readonly at: number; readonly by: string; readonly reason: string }
  /** A person makes the model of a closed round the one in use. */
  | {
      readonly type: "release"
      readonly at: number
      readonly round: number
      readonly by: string
      readonly reason: string
    }
  /** A person ends the study. */
  | {
      readonly type: "stop"
      readonly at: number
      readonly by: string
      readonly via: string
      readonly reason: string
    }
  /** What is known of a facility's privacy ledger, over all studies of this leader. */
  | {
      readonly type: "ledger-found"
      readonly at: number
      readonly facility: Uint8Array
      readonly nonce: Uint8Array
      readonly evidence: readonly LedgerEvidence[]
    }
  | { readonly type: "timer"; readonly at: number; readonly name: string }
  | (Refused & { readonly at: number })

export type LeaderEffect =
  | { readonly type: "append"; readonly header: LogHeader; readonly body: Uint8Array }
  | { readonly type: "send"; readonly to: Uint8Array; readonly message: Message }
  | { readonly type: "timer"; readonly name: string; readonly milliseconds: Milliseconds }
  | { readonly type: "progress"; readonly line: string }
  /** A facility asks what is known of its privacy ledger; `ledger-found` answers. */
  | { readonly type: "find-ledger"; readonly facility: Uint8Array; readonly nonce: Uint8Array }
  | { readonly type: "ended" }

export const serverOptimiserOf = (study: Study): ServerOptimiser => {
  const { strategy, learningRate, beta1, beta2, tau } = study.server
  if (strategy === "fedavg") return { kind: strategy, learningRate }
  if (strategy === "fedavgm") return { kind: strategy, learningRate, momentum: beta1 }
  return { kind: strategy, learningRate, beta1, beta2, tau }
}
