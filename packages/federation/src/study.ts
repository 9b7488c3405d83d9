import {
  bool,
  bytes,
  decode,
  type Encoded,
  encode,
  f64,
  fixedBytes,
  nullable,
  oneOf,
  record,
  text,
  u16,
  u32,
  u53,
} from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { dataProblem, studyDataCodec } from "./data-plan.js"
import { figuresBound, figuresLength } from "./figures/figures-vector.js"
import { evaluationCodec, figuresProblem, statisticsCodec } from "./figures/study-figures.js"
import { correctionCodec, dittoCodec, isCorrected, localStrategyProblem } from "./local-strategy.js"
import { isPrivate, ownNoise, privacyProblem, studyPrivacyCodec } from "./privacy-plan.js"
import { reportingProblem, studyReportingCodec } from "./reporting.js"
import { modelCodec, modelProblem, parameterCount } from "./study-model.js"
import { isNoiseOnSum, largestOnSum } from "./sum-noise.js"

export { parameterCount } from "./study-model.js"

/**
 * What is trained and under which rules. Fixed for the whole study and signed by the authority together with the
 * roster, so a round's announcement names the study by digest and can change none of it.
 */
export const PROTECTIONS = ["plain", "shamir", "ckks", "bfv", "masked"] as const
export const protectionCodec = oneOf(...PROTECTIONS)
export type Protection = Encoded<typeof protectionCodec>

export const strategyCodec = oneOf("fedavg", "fedadam", "fedyogi", "fedadagrad", "fedavgm")
export type Strategy = Encoded<typeof strategyCodec>

const trainingFields = {
  loss: oneOf("binary-cross-entropy"),
  /** How local steps go along a gradient: momentum of decay .9, Adam with the numbers of its paper; each begins anew every round. */
  optimiser: oneOf("sgd", "momentum", "adam"),
  learningRate: f64,
  /** Local steps per round. */
  steps: u32,
  batchSize: u32,
  /** Local steps after the last round, on the facility's own copy of the model; 0 for none. */
  fineTuneSteps: u32,
  fineTuneLearningRate: f64,
}
const trainingCodec = record({
  ...trainingFields,
  /** Weight of the proximal term that holds local steps near the round's global model, mu of FedProx; 0 for none. */
  proximalMu: f64,
  /** `scaffold`: control variates correct the drift of local steps. */
  correction: correctionCodec,
  /** Null: facilities train no model of their own beside the common one. */
  ditto: dittoCodec,
})

const serverCodec = record({
  strategy: strategyCodec,
  learningRate: f64,
  /** Decay of what is remembered of the updates; with fedavgm its momentum. */
  beta1: f64,
  beta2: f64,
  tau: f64,
})

const quantisationCodec = record({
  /** Largest L2 norm of an update, S. */
  clipNorm: f64,
  /** Updates are rounded to multiples of 2^-fractionBits. */
  fractionBits: u16,
  /** `equal`, or `exact`: the record count travels as one more protected value and only the total is opened. */
  weights: oneOf("equal", "exact"),
  /** Largest record count a facility may weigh with; 1 for equal weights. */
  largestWeight: u32,
})

const cohortCodec = record({
  /** Fewest facilities whose sum may be opened, k. */
  minCohort: u16,
  /** Facilities that can open a sum together, t. */
  threshold: u16,
  /** Colluding facilities that the study withstands, c. */
  colluders: u16,
})

const keysCodec = record({
  /** Openings after which facilities deal new keys, K. */
  openings: u32,
  /** Days after which they do, D. */
  days: u16,
})

const ringCodec = record({
  /** Least degree N. */
  degree: u16,
  /** Fewest bits of the modulus. */
  modulusBits: u16,
  /** Fewest bits of Delta, which values are scaled by; 0 under bfv, which has none of its own. */
  scaleBits: u16,
})

const deadlinesCodec = record({
  /** Milliseconds for training and sending, and for every other answer. */
  collect: u32,
  answer: u32,
})

export const studyCodec = record({
  protocol: u16,
  /** 32 random bytes, or derived from the seed in a seeded run. */
  nonce: fixedBytes(32),
  name: text(64),
  model: modelCodec,
  training: trainingCodec,
  server: serverCodec,
  quantisation: quantisationCodec,
  rounds: u32,
  /** Most attempts at one round before the study is aborted. */
  attempts: u16,
  protection: protectionCodec,
  /** How long an epoch's keys are used, where the protection needs any; null where it does not. */
  keys: nullable(keysCodec),
  /** What encryption has at least, 0 for as little as the study's numbers need; null to choose all of it by them. */
  ring: nullable(ringCodec),
  cohort: cohortCodec,
  validation: oneOf("off", "report"),
  /** What is told of the last model beside its figures on everybody held out. */
  reporting: studyReportingCodec,
  deadlines: deadlinesCodec,
  /** Set in demos and simulations: every secret follows from it, and the study is marked `insecure-seed`. */
  insecureSeed: nullable(u53),
  /** Whether the records are synthetic: marked on the model and the report. */
  syntheticData: bool,
  /** Null: training adds no noise, and the model carries no bound on what it tells of one patient. */
  privacy: nullable(studyPrivacyCodec),
  /** What is counted of all training patients together before the first round; null for nothing. */
  statistics: nullable(statisticsCodec),
  /** How all held-out patients together are evaluated; null for not at all. */
  evaluation: nullable(evaluationCodec),
  /** How tables become rows; null: rows that lack a value are left out, and the records' own form decides the rest. */
  data: nullable(studyDataCodec),
})
export type Study = Encoded<typeof studyCodec>

export const PROTOCOL_VERSION = 1

/** Most coordinates of an update: keeps every message far below the limits of the transport. */
export const MAX_VALUES = 1 << 20

export const encodeStudy = (study: Study): Uint8Array => encode(studyCodec, study)

/** @throws {ConsiliumError} "encoding/..." or "round/bad-study" */
export const decodeStudy = (encoded: Uint8Array): Study => decode(studyCodec, encoded)

const digests = new WeakMap<Study, Digest>()

/** The study's digest. It is asked for all the time, and a study is never changed: it is computed once. */
export const studyDigest = (study: Study): Digest => {
  const known = digests.get(study)
  if (known !== undefined) return known.slice() as Digest
  const digest = hash("study", encodeStudy(study))
  digests.set(study, digest)
  return digest.slice() as Digest
}

const trainingView = record({
  nonce: fixedBytes(32),
  model: bytes(1 << 20),
  training: bytes(1 << 10),
  server: bytes(1 << 10),
  quantisation: bytes(1 << 10),
  cohort: bytes(1 << 10),
})
/** What the training rules of every study are made of; further rules enter the digest where a study uses them. */
const plainTrainingCodec = record(trainingFields)
const proximalTrainingView = record({ training: fixedBytes(32), proximalMu: f64 })
const correctedTrainingView = record({ training: fixedBytes(32), correction: correctionCodec })
/** A study without privacy has the digest, and so the random streams, that it had before there was any. */
const privateTrainingView = record({ training: fixedBytes(32), privacy: bytes(1 << 18) })
const preparedTrainingView = record({ training: fixedBytes(32), data: bytes(1 << 20) })

/**
 * Digest of all that decides a facility's integers: model, training, rounding, noise, preparation of tables and cohort rule,
 * but not the protection or the deadlines. Random streams for training are bound to it, so the choice of protection never changes the model.
 */
export const trainingDigest = (study: Study): Digest => {
  const training = noisyTrainingDigest(study)
  if (study.data === null) return training
  const data = encode(studyDataCodec, study.data)
  return hash("study-prepared-training", encode(preparedTrainingView, { training, data }))
}

const noisyTrainingDigest = (study: Study): Digest => {
  const training = localTrainingDigest(study)
  if (study.privacy === null) return training
  const own = ownNoise(study.privacy)
  if (own !== null)
    return hash("study-private-training", encode(privateTrainingView, { training, privacy: own }))
  const privacy = encode(studyPrivacyCodec, study.privacy)
  return hash("study-noisy-training", encode(privateTrainingView, { training, privacy }))
}

/** A personal model decides no integer that is sent, so it is no part of the digest. */
const localTrainingDigest = (study: Study): Digest => {
  const training = heldTrainingDigest(study)
  if (!isCorrected(study)) return training
  const { correction } = study.training
  return hash("study-corrected-training", encode(correctedTrainingView, { training, correction }))
}

const heldTrainingDigest = (study: Study): Digest => {
  const { proximalMu } = study.training
  const training = hash(
    "study-training",
    encode(trainingView, {
      nonce: study.nonce,
      model: encode(modelCodec, study.model),
      training: encode(plainTrainingCodec, study.training),
      server: encode(serverCodec, study.server),
      quantisation: encode(quantisationCodec, study.quantisation),
      cohort: encode(cohortCodec, study.cohort),
    }),
  )
  if (proximalMu === 0) return training
  return hash("study-proximal-training", encode(proximalTrainingView, { training, proximalMu }))
}

/**
 * What the study's way of training and joining updates is called: SCAFFOLD, Ditto and FedProx are averaging with something
 * more at the facilities; with another server rule that is told of apart.
 */
export const strategyName = ({ server, training }: Pick<Study, "server" | "training">): string => {
  if (server.strategy !== "fedavg") return server.strategy
  if (isCorrected({ training })) return "scaffold"
  if (training.ditto !== null) return "ditto"
  return training.proximalMu > 0 ? "fedprox" : server.strategy
}

/** Values of an update: the parameters, and the record count where weights are exact. */
export const updateLength = (study: Study): number =>
  parameterCount(study) + (study.quantisation.weights === "exact" ? 1 : 0)

/** Values that are protected and opened in every sum of a study, whatever it is of: shorter vectors end in zeros. */
export const valueCount = (study: Study): number =>
  Math.max(updateLength(study), figuresLength(study, "statistics"), figuresLength(study, "evaluation"))

/** Largest magnitude of one quantised coordinate before weighting. */
export const COORDINATE_LIMIT = 2 ** 15 - 1

/** Largest honest magnitude of one protected value, B_u. */
export const valueBound = (study: Study): number =>
  Math.max(
    isNoiseOnSum(study) ? largestOnSum(study) : COORDINATE_LIMIT * study.quantisation.largestWeight,
    figuresBound(study),
  )

/** Whether facilities deal keys before they train under a protection. */
export const isKeyed = ({ protection }: Pick<Study, "protection">): boolean =>
  protection === "ckks" || protection === "bfv"

/** Whether a protection computes sums in a lattice, for which there must be parameters. */
export const isLattice = (study: Pick<Study, "protection">): boolean =>
  isKeyed(study) || study.protection === "masked"

/** Most polynomials that the keys of one epoch may open, ceremony included. */
const MOST_POLYNOMIALS = 10_900
const MOST_OPENINGS = 500

/** The lifetime that keys get where a study names none: as many openings as flooding is cheap for, at most 500, and 30 days. */
export const defaultKeys = (
  study: Pick<Study, "protection" | "model" | "quantisation">,
  facilities: number,
): Study["keys"] => {
  if (!isKeyed(study)) return null
  const values = parameterCount(study) + (study.quantisation.weights === "exact" ? 1 : 0)
  const openings = Math.floor((MOST_POLYNOMIALS - facilities) / Math.max(1, Math.ceil(values / 4096)))
  return { openings: Math.max(1, Math.min(MOST_OPENINGS, openings)), days: 30 }
}

/** Facilities whose signatures make a certificate: more than (n + c) / 2. Two certificates share an honest signer. */
export const quorum = (study: Study, facilities: number): number =>
  Math.floor((facilities + study.cohort.colluders) / 2) + 1

/** Most colluders that (n, t, k) withstand: min(t - 1, k - 2, 2t - n - 1). */
export const withstands = (
  facilities: number,
  cohort: { readonly minCohort: number; readonly threshold: number },
): number => Math.min(cohort.threshold - 1, cohort.minCohort - 2, 2 * cohort.threshold - facilities - 1)

/** The cohort rule a study gets when it names none: k = 3, c = 1, and the smallest t that withstands c. */
export const defaultCohort = (facilities: number): Study["cohort"] => ({
  minCohort: 3,
  threshold: Math.max(2, Math.ceil((facilities + 2) / 2)),
  colluders: 1,
})

/**
 * Facilities that open a sum together, t, when this many are enrolled: what the study says, or as many more as it takes
 * to withstand the declared colluders among newcomers; all of them at most.
 */
export const openingThreshold = (study: Study, facilities: number): number =>
  Math.min(
    facilities,
    Math.max(study.cohort.threshold, Math.ceil((facilities + study.cohort.colluders + 1) / 2)),
  )

/** The study with the cohort rule that holds among this many facilities: what `checkStudy` must accept. */
export const studyAmong = (study: Study, facilities: number): Study => ({
  ...study,
  cohort: { ...study.cohort, threshold: openingThreshold(study, facilities) },
})

/**
 * Refuses a study whose numbers cannot work, before anybody trains.
 * @throws {ConsiliumError} "round/bad-study" with the inequality that fails
 */
export const checkStudy = (study: Study, facilities: number): void => {
  const { quantisation: q, cohort, training } = study
  const need = (holds: boolean, message: string, remedy: string): void => {
    if (!holds) throw new ConsiliumError("round/bad-study", message, { remedy })
  }
  need(
    study.protocol === PROTOCOL_VERSION,
    `The study speaks protocol ${study.protocol}, this program ${PROTOCOL_VERSION}.`,
    "Run the same version everywhere.",
  )
  need(
    facilities >= cohort.minCohort,
    `${facilities} facilities cannot form a cohort of ${cohort.minCohort}.`,
    "Enrol more facilities; a sum over fewer would show single updates.",
  )
  need(
    cohort.minCohort >= 3,
    `A cohort of ${cohort.minCohort} lets one facility read another's update.`,
    "Set cohort.minCohort to 3 or more.",
  )
  need(
    cohort.threshold >= 2 && cohort.threshold <= facilities,
    `The threshold ${cohort.threshold} does not lie in 2 to ${facilities}.`,
    "Set cohort.threshold between 2 and the number of facilities.",
  )
  need(
    cohort.colluders <= withstands(facilities, cohort),
    `n = ${facilities}, t = ${cohort.threshold}, k = ${cohort.minCohort} allow c <= min(t - 1, k - 2, 2t - n - 1) = ${withstands(facilities, cohort)}; the study declares c = ${cohort.colluders}.`,
    "Raise cohort.threshold or cohort.minCohort, or enrol other numbers.",
  )
  need(
    study.rounds >= 1 && study.attempts >= 1,
    "A study has at least one round and one attempt.",
    "Set rounds and attempts to 1 or more.",
  )
  need(
    parameterCount(study) >= 2 && valueCount(study) <= MAX_VALUES,
    `A model of ${parameterCount(study)} parameters is outside 2 to ${MAX_VALUES - 1}.`,
    "Use a smaller model.",
  )
  need(
    new Set(study.model.features).size === study.model.features.length,
    "The model names a feature twice.",
    "Name every feature once.",
  )
  need(
    training.steps >= 1 && training.batchSize >= 1 && training.learningRate > 0,
    "Training needs steps, a batch size and a learning rate above 0.",
    "Set training.steps, training.batchSize and training.learningRate.",
  )
  need(
    training.fineTuneSteps === 0 || training.fineTuneLearningRate > 0,
    "Fine-tuning needs a learning rate above 0.",
    "Set training.fineTuneLearningRate.",
  )
  need(
    training.proximalMu >= 0 && training.proximalMu * training.learningRate <= 1,
    `A proximal mu of ${training.proximalMu} at the learning rate ${training.learningRate} steps past the model it draws towards.`,
    "Set training.proximal_mu to 0 or more, and to at most 1 / training.learning_rate.",
  )
  need(
    q.clipNorm > 0 &&
      q.fractionBits >= 1 &&
      q.fractionBits <= 30 &&
      q.clipNorm * 2 ** q.fractionBits <= COORDINATE_LIMIT,
    `A clip norm of ${q.clipNorm} at ${q.fractionBits} fraction bits exceeds ${COORDINATE_LIMIT}.`,
    "Lower quantisation.fractionBits or quantisation.clipNorm.",
  )
  need(
    q.largestWeight >= 1 && (q.weights === "exact" || q.largestWeight === 1),
    "The largest weight is 1 or more, and 1 where weights are equal.",
    "Set quantisation.largestWeight.",
  )
  need(
    valueBound(study) * facilities < 2 ** 31,
    isNoiseOnSum(study)
      ? `${facilities} facilities of values up to ${valueBound(study)}, noise included, sum to ${valueBound(study) * facilities}, beyond 31 bits.`
      : `${facilities} facilities of weight up to ${q.largestWeight} sum to ${valueBound(study) * facilities}, beyond 31 bits.`,
    isNoiseOnSum(study)
      ? "Lower quantisation.fraction_bits, privacy.most_patients or privacy.max_grad_norm."
      : "Lower quantisation.largestWeight.",
  )
  need(
    isKeyed(study) === (study.keys !== null),
    isKeyed(study)
      ? `Sums under ${study.protection} need keys, and the study says nothing of how long they last.`
      : `The study names a lifetime of keys, and ${study.protection} has none.`,
    "Set keys.openings and keys.days for ckks and bfv, and leave keys out otherwise.",
  )
  need(
    study.keys === null || (study.keys.openings >= 1 && study.keys.days >= 1),
    "Keys that open nothing, or last no day, are of no use.",
    "Set keys.openings and keys.days to 1 or more.",
  )
  need(
    study.ring === null || isKeyed(study),
    `The study asks for a ring of its own, and ${study.protection} has none that can be chosen.`,
    "Leave ring out, or set protection to ckks or bfv.",
  )
  need(
    study.ring === null || study.ring.scaleBits === 0 || study.protection === "ckks",
    "Values are scaled under ckks only.",
    "Set ring.scale_bits to 0.",
  )
  const problem =
    modelProblem(study) ??
    dataProblem(study) ??
    reportingProblem(study) ??
    figuresProblem(study) ??
    localStrategyProblem(study) ??
    (isPrivate(study) ? privacyProblem(study) : null)
  if (problem !== null) need(false, problem.message, problem.remedy)
}
