import type { CeremonyPhase, ParticipantView, RoundPhase, StudyView } from "@consilium/node/api/study-view"
import { countText } from "./format.js"

/** Everyday words for what the log calls by its exact term. Where a term is not known here, the term itself is shown. */
export interface Wording {
  /** For everybody. */
  readonly plain: string
  /** The exact term, or null where the plain words are the term. */
  readonly term: string | null
}

const lookUp = (table: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined

const STATES: Readonly<Record<StudyView["state"], string>> = {
  waiting: "Waiting for its participants",
  running: "Running",
  complete: "Finished",
  aborted: "Stopped before its end",
}
export const stateWords = (state: string): string => lookUp(STATES, state) ?? state

const PHASES: Readonly<Record<RoundPhase, string>> = {
  collecting: "training at the facilities",
  locked: "list of updates fixed",
  challenged: "checking the sealed pieces",
  certifying: "signing the list",
  opening: "opening the sum",
  validating: "testing the new model",
  closed: "finished",
  void: "given up",
}
export const phaseWords = (phase: string): string => lookUp(PHASES, phase) ?? phase

const CEREMONY_PHASES: Readonly<Record<CeremonyPhase, string>> = {
  collecting: "making keys",
  locked: "list of keys fixed",
  challenged: "checking the shares of keys",
  testing: "testing every key",
  certifying: "signing the list",
  held: "held",
  void: "given up",
}
export const ceremonyPhaseWords = (phase: string): string => lookUp(CEREMONY_PHASES, phase) ?? phase

/** The steps of a facility in the order in which they come. */
export const STEPS = [
  "submitted",
  "answered-challenge",
  "checked-shares",
  "signed",
  "opened",
  "reported",
] as const
/** The same in a key ceremony. */
export const CEREMONY_STEPS = [
  "dealt",
  "answered-challenge",
  "checked-shares",
  "tested-keys",
  "signed",
] as const
const STEP_WORDS: Readonly<Record<string, string>> = {
  submitted: "sent its update",
  dealt: "made a key and gave each of the others a piece of it",
  "tested-keys": "put keys to the test",
  "answered-challenge": "answered the check of its own pieces",
  "checked-shares": "checked the pieces from the others",
  signed: "signed the list",
  opened: "helped to open the sum",
  reported: "tested the new model",
  summed: "added the updates of its region",
  counted: "counted the bytes of its region",
  refused: "refused",
  excluded: "was left out",
}
export const stepWords = (step: string): string => lookUp(STEP_WORDS, step) ?? step.replaceAll("-", " ")

const ROLES: Readonly<Record<ParticipantView["role"], string>> = {
  facility: "hospital or clinic",
  fog: "regional collector",
  leader: "runs the study",
  authority: "signs who takes part",
}
export const roleWords = (role: string): string => lookUp(ROLES, role) ?? role

const pieces = (smallest: number, threshold: number): string =>
  `Every update is cut into sealed pieces. Only a sum over at least ${smallest} facilities is ever opened, and only when ${threshold} facilities do it together.`
const encrypted = (smallest: number, threshold: number): string =>
  `Updates stay encrypted while they are added. Only a sum over at least ${smallest} facilities is ever opened, and only when ${threshold} facilities do it together.`

/** What keeps single updates from being read. */
export const protectionWords = ({
  protection,
  cohort,
}: Pick<StudyView, "protection" | "cohort">): Wording => {
  const { smallest, threshold } = cohort
  const rule = `k\u00a0=\u00a0${smallest}, t\u00a0=\u00a0${threshold}`
  switch (protection) {
    case "plain":
      return {
        plain:
          "None beyond the encrypted connections: each regional collector can read the updates it adds up.",
        term: "plain",
      }
    case "shamir":
      return {
        plain: pieces(smallest, threshold),
        term: `verified Shamir secret sharing, ${rule}, c\u00a0=\u00a0${cohort.colluders}`,
      }
    case "ckks":
    case "bfv":
    case "paillier":
      return {
        plain: encrypted(smallest, threshold),
        term: `${protection === "paillier" ? "Paillier" : protection.toUpperCase()}, ${rule}`,
      }
    case "masked":
      return {
        plain: `Every update is hidden by noise that cancels out in the sum. Only a sum over at least ${smallest} facilities is ever opened.`,
        term: `masked sums, ${rule}`,
      }
    default:
      return { plain: protection, term: null }
  }
}

const STRATEGIES: Readonly<Record<string, readonly [string, string]>> = {
  fedavg: ["the mean of all updates is added to the model", "FedAvg"],
  fedprox: ["the mean of updates that stay near the common model", "FedProx"],
  scaffold: ["the mean of updates, corrected for each facility's drift", "SCAFFOLD"],
  fedavgm: ["the mean of all updates, with momentum", "FedAvgM"],
  fedadam: ["the mean of all updates, with a step size for each weight", "FedAdam"],
  fedyogi: ["the mean of all updates, with a careful step size for each weight", "FedYogi"],
  fedadagrad: ["the mean of all updates, with shrinking steps", "FedAdagrad"],
}
export const strategyWords = (strategy: string): Wording => {
  const [plain, term] = Object.hasOwn(STRATEGIES, strategy) ? (STRATEGIES[strategy] ?? []) : []
  return { plain: plain ?? strategy, term: term ?? null }
}

const MARKS: Readonly<Record<string, string>> = {
  "insecure-seed":
    "Every secret here follows from a number that anyone may know. This is a demonstration, not for patients.",
  "synthetic-data": "The patients in this study are made up.",
}
export const markWords = (mark: string): Wording => {
  const plain = lookUp(MARKS, mark)
  return plain === undefined ? { plain: mark, term: null } : { plain, term: mark }
}

const SECURITY: Readonly<Record<string, string>> = {
  identity: "A message did not come from the one it named.",
  encoding: "A message could not be read.",
  log: "The history that was shown does not continue the one shown before.",
  redo: "The same step was asked for again with another outcome.",
  sharing: "A sealed piece was not what its sender had promised.",
  sums: "A part of a sum was not what its sender had promised.",
  round: "A message broke the rules of the round.",
  policy: "Something was asked for that a facility's own rules forbid.",
  roster: "A list of participants was not the one that the authority signed.",
}
/** What a security event means; its code stands beside it. */
export const securityWords = (code: string): string =>
  lookUp(SECURITY, code.split("/")[0] ?? "") ?? "Something happened that must not happen."

/** What a column of the metrics means. */
export type MetricName = "accuracy" | "balancedAccuracy" | "auc" | "logLoss"
export const METRICS: readonly {
  readonly name: MetricName
  readonly short: string
  readonly plain: string
  readonly better: "higher" | "lower"
}[] = [
  {
    name: "accuracy",
    short: "Accuracy",
    plain: "share of test patients for whom the model is right",
    better: "higher",
  },
  {
    name: "balancedAccuracy",
    short: "Balanced accuracy",
    plain: "the same, with ill and healthy patients counting equally",
    better: "higher",
  },
  {
    name: "auc",
    short: "AUC",
    plain: "chance that an ill patient is ranked above a healthy one; 0.5 is guessing",
    better: "higher",
  },
  {
    name: "logLoss",
    short: "Log loss",
    plain: "how far the predicted chances are from what happened; 0 is perfect",
    better: "lower",
  },
]

export const metricNamed = (name: MetricName): (typeof METRICS)[number] =>
  METRICS.find((metric) => metric.name === name) as (typeof METRICS)[number]

/** Whom a privacy budget is about. */
export const protectedWords = (unit: "patient" | "facility"): string =>
  unit === "patient"
    ? "Any one patient of a facility, with all of that patient’s records."
    : "Any one facility, with all that it contributes."

/** Where the noise of a study comes from. */
export const noisePlaceWords = (noise: "local" | "sum"): string =>
  noise === "local"
    ? "Every facility adds all of it by itself, to every step, before anything leaves."
    : "Every facility adds a share; the sum that is opened has all of it."

/** How many more rounds a budget has room for; null once the study is over. */
export const roomWords = (
  room: { readonly rounds: number; readonly by: "planned" | "budget" } | null,
): string => {
  if (room === null) return "over"
  const { rounds, by } = room
  if (rounds === 0) return by === "planned" ? "all done" : "none"
  return by === "planned" ? `all ${countText(rounds)}` : countText(rounds)
}

/** A word and what it means, in simple sentences. */
export interface GlossaryEntry {
  readonly word: string
  readonly means: string
}

export const GLOSSARY: readonly GlossaryEntry[] = [
  {
    word: "Facility",
    means: "A hospital, clinic or centre that takes part. Its patients' records never leave it.",
  },
  {
    word: "Fog",
    means:
      "A computer for a region. It collects what its facilities send and passes it on, added up where the protection lets it.",
  },
  { word: "Leader", means: "The computer that runs the study: it keeps the common model and the log." },
  { word: "Authority", means: "An independent body that vouches for who the participants are." },
  {
    word: "Update",
    means:
      "What a facility's training would change in the common model. By itself it could give away something of its patients, so it is protected on its way.",
  },
  { word: "Round", means: "Every facility trains once, the updates are added, and the model moves." },
  {
    word: "Cohort (k)",
    means: "The facilities whose updates are in one sum. A sum over fewer than k of them is never opened.",
  },
  { word: "Threshold (t)", means: "How many facilities must work together to open a sum." },
  {
    word: "Opening",
    means: "The moment at which a protected sum becomes readable. The updates in it do not.",
  },
  {
    word: "Void",
    means: "An attempt at a round that was given up. Nothing of it is used, and the round is tried again.",
  },
  {
    word: "Epsilon (ε)",
    means:
      "How much the model could reveal of any one patient: the smaller, the less. Spent a little in every round, and never given back.",
  },
  { word: "Delta (δ)", means: "The small chance that the promise of epsilon does not hold." },
  {
    word: "Noise multiplier",
    means: "How strong the noise is: how far it spreads, for each unit that one patient can move a sum.",
  },
  {
    word: "AUC",
    means: "Area under the ROC curve: the chance that the model ranks an ill patient above a healthy one.",
  },
  {
    word: "Log",
    means:
      "Everything that was said and decided, in order. Each entry holds the hash of the one before, so a change made later shows.",
  },
  {
    word: "Key",
    means:
      "A secret number with which a facility encrypts its updates. Every facility makes its own; no other computer ever holds it.",
  },
  {
    word: "Key ceremony",
    means:
      "All facilities make new keys and give each other sealed pieces of them, check the pieces, test the keys and sign the list. It takes seconds and nobody's hands.",
  },
  {
    word: "Key epoch",
    means:
      "The time for which one set of keys is used. A new one begins with a key ceremony, and the old keys are destroyed.",
  },
  {
    word: "CKKS and BFV",
    means:
      "Two ways of encrypting numbers so that they can be added without being read. Here both are used so that the sum comes out exact.",
  },
  {
    word: "Degree (N) and modulus (Q)",
    means:
      "The size of the lattice that the encryption rests on: how many coefficients a ciphertext has, and the number up to which each is counted. A larger degree makes it harder to break, a larger modulus easier.",
  },
  {
    word: "Lane",
    means: "The room for one value in a coefficient. Two lanes carry two values at once.",
  },
  { word: "Hash", means: "A fingerprint of some bytes: other bytes have another one." },
]
