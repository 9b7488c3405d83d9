/**
 * What the leader tells people of a study: a fold over its event log, as plain JSON. Hashes are 64 hexadecimal digits, times
 * are UTC ISO-8601, bytes are whole numbers. Nothing here was ever secret: updates, shares and patients are not in the log.
 */
export interface StudyView {
  readonly id: string
  readonly name: string
  readonly state: "waiting" | "running" | "complete" | "aborted"
  /** Why it was aborted. */
  readonly reason: string | null
  readonly protection: string
  readonly strategy: string
  readonly model: { readonly kind: string; readonly features: readonly string[]; readonly parameters: number }
  readonly plannedRounds: number
  readonly cohort: {
    readonly smallest: number
    readonly threshold: number
    readonly colluders: number
  }
  /** `insecure-seed`, `synthetic-data`: what must be known of every figure here. */
  readonly marks: readonly string[]
  readonly startedAt: string | null
  readonly updatedAt: string | null
  readonly log: { readonly events: number; readonly head: string }
  readonly participants: readonly ParticipantView[]
  readonly edges: readonly EdgeView[]
  readonly rounds: readonly RoundView[]
  /** What all facilities of a region sent to their fog, as the fogs count it. */
  readonly regions: readonly RegionView[]
  /** The final model, and each facility's own fine-tuned copy, on its hold-out. */
  readonly finals: readonly FinalView[]
  readonly privacy: readonly PrivacyView[]
  readonly security: readonly SecurityView[]
}

export interface ParticipantView {
  readonly id: string
  readonly name: string
  readonly role: "authority" | "leader" | "fog" | "facility"
  /** Its parent's name. */
  readonly parent: string | null
  /** Round from which it takes part; 1 for those who were there at the start. */
  readonly joinedAtRound: number
  /** Last round it took part in, if it has left the study. */
  readonly leftAfterRound: number | null
  /** Last time something it signed was logged. */
  readonly lastHeardAt: string | null
}

/**
 * What has crossed from a child to its parent, so far: the bodies of the messages that the leader's log holds, so every
 * figure is a lower bound and 0 means that nothing is known. What a facility gave to its fog alone (updates of a `plain`
 * study) or through it to other facilities (sealed shares) is known per fog only: see `regions`. A fog's one facility is
 * counted by what the fog reports.
 */
export interface EdgeView {
  /** Names of the two participants. */
  readonly from: string
  readonly to: string
  /** In plain words: "sealed shares", "regional sums", ... */
  readonly carries: readonly string[]
  readonly bytes: {
    readonly update: number
    readonly relayed: number
    readonly opening: number
    readonly metadata: number
  }
}

/** Fogs report once a round, with the new model; what came later is not in it yet. */
export interface RegionView {
  readonly fog: string
  readonly facilities: readonly string[]
  readonly bytes: EdgeView["bytes"]
}

export type RoundPhase =
  | "collecting"
  | "locked"
  | "challenged"
  | "certifying"
  | "opening"
  | "validating"
  | "closed"
  | "void"

export interface RoundView {
  readonly round: number
  readonly attempt: number
  readonly phase: RoundPhase
  /** Why an attempt is void. */
  readonly reason: string | null
  readonly startedAt: string
  readonly endedAt: string | null
  /** When each phase began. */
  readonly phases: readonly { readonly phase: RoundPhase; readonly at: string }[]
  readonly lanes: readonly LaneView[]
  /** Names in the certified list. */
  readonly cohort: readonly string[]
  readonly modelHash: string | null
  readonly metrics: readonly MetricsView[]
}

/** One participant's part of a round. */
export interface LaneView {
  readonly name: string
  readonly steps: readonly {
    /** submitted, answered-challenge, checked-shares, signed, opened, reported, refused, excluded; of a fog: summed, counted */
    readonly step: string
    readonly at: string
    /** In plain words, where there is something to say. */
    readonly detail: string | null
  }[]
}

export interface MetricsView {
  readonly facility: string
  readonly rows: number
  readonly accuracy: number | null
  readonly balancedAccuracy: number | null
  readonly auc: number | null
  readonly logLoss: number | null
}

export interface FinalView {
  readonly facility: string
  /** Null where the facility keeps its figures to itself. */
  readonly global: MetricsView | null
  readonly personal: MetricsView | null
}

export interface PrivacyView {
  readonly facility: string
  /** Null where the study trains without differential privacy. */
  readonly epsilon: number | null
  readonly delta: number | null
}

export interface SecurityView {
  readonly at: string
  readonly code: string
  readonly about: string
}

/** One line of the log, for people. */
export interface EventView {
  readonly study: string
  readonly seq: number
  readonly at: string
  readonly type: string
  readonly actor: string
  /** One sentence. */
  readonly says: string
}

/** One line of the list of studies, `GET /v1/studies`. */
export interface StudySummary {
  readonly id: string
  readonly name: string
  readonly state: StudyView["state"]
  readonly protection: string
  readonly plannedRounds: number
  readonly closedRounds: number
  readonly startedAt: string | null
  readonly updatedAt: string | null
  readonly events: number
}

/** A model that a round led to, `GET /v1/studies/:id/models`. */
export interface ModelView {
  readonly hash: string
  readonly round: number
  readonly attempt: number
  readonly closedAt: string
  /** Names of the facilities whose sum it comes from. */
  readonly cohort: readonly string[]
}

/** The body of every refusal: RFC 9457, with what to do about it. */
export interface ProblemView {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly remedy: string
}
