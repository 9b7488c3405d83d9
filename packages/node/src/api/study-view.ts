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
  /** What was counted of all facilities' patients together. */
  readonly figures: FiguresView
  /** The keys that updates are encrypted under; null where the protection needs none. */
  readonly keys: KeysView | null
  /** What all facilities of a region sent to their fog, as the fogs count it. */
  readonly regions: readonly RegionView[]
  /** The final model, and each facility's own fine-tuned copy, on its hold-out. */
  readonly finals: readonly FinalView[]
  /** The final model by the groups of patients that the study declares. */
  readonly subgroups: readonly SubgroupView[]
  readonly privacy: readonly PrivacyView[]
  /** How far the study's privacy budget goes; null where it trains without differential privacy. */
  readonly budget: BudgetView | null
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

export type CeremonyPhase =
  | "collecting"
  | "locked"
  | "challenged"
  | "testing"
  | "certifying"
  | "held"
  | "void"

/** An attempt at something that all facilities do together. */
export interface AttemptView<Phase extends string = string> {
  readonly attempt: number
  readonly phase: Phase
  /** Why it is void. */
  readonly reason: string | null
  readonly startedAt: string
  readonly endedAt: string | null
  /** When each phase began. */
  readonly phases: readonly { readonly phase: Phase; readonly at: string }[]
  readonly lanes: readonly LaneView[]
}

export interface RoundView extends AttemptView<RoundPhase> {
  readonly round: number
  /** Names in the certified list. */
  readonly cohort: readonly string[]
  /** Who was named to open their sum; empty where any facilities may, or nobody needs to. */
  readonly openers: readonly string[]
  readonly modelHash: string | null
  readonly metrics: readonly MetricsView[]
}

/** An attempt at figures of all facilities together: statistics before training, or the evaluation of a round's model. */
export interface FiguresAttemptView extends AttemptView<RoundPhase> {
  readonly purpose: "statistics" | "evaluation"
  readonly round: number
  readonly cohort: readonly string[]
  readonly openers: readonly string[]
}

export interface FiguresView {
  readonly attempts: readonly FiguresAttemptView[]
  /** Of the training patients; null until it is opened, or where the study counts none. */
  readonly statistics: StatisticsView | null
  /** Of the model on the held-out patients, in the order of the rounds. */
  readonly evaluations: readonly EvaluationView[]
}

/** Counts are noisy where the study has privacy: `noise` is the standard deviation on each, in rows. */
export interface StatisticsView {
  readonly rows: number
  readonly positives: number
  readonly noise: number
  readonly features: readonly {
    readonly feature: string
    readonly mean: number | null
    readonly deviation: number | null
    /** Lower quartile, median, upper quartile. */
    readonly quartiles: readonly number[] | null
    /** Neighbouring bins are joined until each holds five rows. */
    readonly histogram: readonly { readonly from: number; readonly to: number; readonly rows: number }[]
  }[]
}

export interface EvaluationView {
  readonly round: number
  readonly facilities: readonly string[]
  readonly rows: number
  readonly positives: number
  readonly noise: number
  readonly accuracy: number | null
  readonly balancedAccuracy: number | null
  readonly auc: number | null
  /** How far the AUC of the scores themselves may lie from it, without noise. */
  readonly aucError: number | null
  readonly logLoss: number | null
  readonly brier: number | null
  readonly roc: readonly { readonly falsePositives: number; readonly truePositives: number }[]
  readonly calibration: readonly {
    readonly predicted: number
    readonly observed: number
    readonly rows: number
  }[]
}

/** A key ceremony: every facility makes a key and gives each of the others a share of it. */
export interface CeremonyView extends AttemptView<CeremonyPhase> {
  /** The epoch that begins if it is held; every ceremony is for one of its own. */
  readonly epoch: number
  /** The round that waits for it. */
  readonly round: number
  /** Why new keys were called for. */
  readonly cause: string
  /** Facilities whose keys were put to the test, and those that were to open the tests. */
  readonly tested: readonly string[]
  readonly openers: readonly string[]
  /** Facilities whose keys the certificate names, and those that signed it. */
  readonly dealers: readonly string[]
  readonly signers: readonly string[]
}

export interface KeysView {
  readonly scheme: KeySchemeView
  /** The epoch under way; 0 before the first. */
  readonly epoch: number
  /** Facilities whose keys it has: their updates can be summed. */
  readonly dealers: readonly string[]
  /** Facilities that said they hold a share of every key: they can help to open. */
  readonly holders: readonly string[]
  /** Facilities in the study whose keys it does not have. */
  readonly leftOut: readonly LeftOutView[]
  /** Attempts at rounds under these keys: each may open one sum. */
  readonly openings: { readonly used: number; readonly left: number }
  readonly since: string | null
  /** No round begins under these keys after this time. */
  readonly ends: string | null
  /** Why the next round begins with new keys, where somebody or something has already called for them. */
  readonly wanted: string | null
  readonly ceremonies: readonly CeremonyView[]
}

export interface LeftOutView {
  readonly name: string
  /** In plain words. */
  readonly why: string
  /** Whether new keys are made for its sake once it is there and refuses a round for want of one. */
  readonly returns: boolean
}

/** How updates are encrypted. */
export interface KeySchemeView {
  readonly name: "CKKS" | "BFV"
  /** Coefficients of a polynomial, N. */
  readonly degree: number
  /** Primes that the coefficients are counted in, and bits of their product, log2 Q. */
  readonly primes: number
  readonly modulusBits: number
  /** Values in one coefficient, and bits of each. */
  readonly lanes: number
  readonly laneBits: number
  /** Polynomials of one update. */
  readonly polynomials: number
  /** Bytes of an encrypted update, of a sum of them, and of one facility's part of an opening. */
  readonly updateBytes: number
  readonly bytesPerValue: number
  /** Bits of security of the encryption, and of the noise that hides keys in openings. */
  readonly securityBits: number
  readonly floodingBits: number
  /** How the numbers follow from the study, line by line. */
  readonly because: readonly string[]
}

/** One participant's part of an attempt. */
export interface LaneView {
  readonly name: string
  readonly steps: readonly {
    /**
     * submitted, answered-challenge, checked-shares, signed, opened, reported, refused, excluded; of a fog: summed, counted;
     * in a key ceremony: dealt, answered-challenge, checked-shares, tested-keys, signed
     */
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

/** Patients apart by one feature. */
export interface SubgroupView {
  readonly feature: string
  readonly groups: readonly {
    readonly group: string
    /** Every facility that reports groups; null where it hides this one, which or whose neighbour is small. */
    readonly facilities: readonly { readonly facility: string; readonly figures: GroupFiguresView | null }[]
    /** Counts added and means weighted by rows; null unless every facility here shows the group. */
    readonly all: GroupFiguresView | null
  }[]
}

export interface GroupFiguresView {
  readonly rows: number
  readonly positives: number
  readonly accuracy: number
  readonly balancedAccuracy: number
  readonly auc: number
  readonly logLoss: number
}

export interface PrivacyView {
  readonly facility: string
  /** Null where the study trains without differential privacy. */
  readonly epsilon: number | null
  readonly delta: number | null
}

/**
 * What a study's signed rules allow each facility to spend, and how far that goes. The log knows of updates that reached the
 * leader; each facility's own ledger is what counts, and holds caps over months as well.
 */
export interface BudgetView {
  /** Most that each facility may spend in this study. */
  readonly epsilon: number
  readonly delta: number
  /** Whom the promise is about: one patient of a facility, or all that one facility contributes. */
  readonly unit: "patient" | "facility"
  /** Whether each facility adds all of the noise to its own steps, or a share of what is on the opened sum. */
  readonly noise: "local" | "sum"
  /** Standard deviation of the noise / what one unit can move a sum. */
  readonly noiseMultiplier: number
  readonly maxGradNorm: number
  /** Probability with which a patient joins a step. */
  readonly sampleRate: number
  /** Noisy releases in one round, and what each of them does, in words with its exact parameters. */
  readonly releasesPerRound: number
  readonly mechanism: string
  /** Whether a facility's own figures on held-out patients may be sent without noise: the budget does not cover them. */
  readonly exactMetrics: boolean
  /** Pace of the closed rounds; null while fewer than two tell none. */
  readonly roundsPerDay: number | null
  readonly facilities: readonly {
    readonly facility: string
    readonly epsilon: number
    readonly updates: number
    /** Further rounds that fit, and whether they are all that are planned; null once the study is over. */
    readonly room: { readonly rounds: number; readonly by: "planned" | "budget" } | null
    /** When the first round comes that no longer fits, at the pace so far. */
    readonly reachedAt: string | null
    /** Sentences for a person. */
    readonly warnings: readonly string[]
  }[]
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
