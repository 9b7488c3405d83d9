import { type Encoded, encode, f64, list, oneOf, record, u32, variant } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { calibrateNoiseMultiplier } from "@consilium/privacy/calibration"
import { composedEvent, type DpEvent, selfComposedEvent } from "@consilium/privacy/events"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { clippingProblem } from "./clipping-rules.js"
import { figuresEvent } from "./figures/figures-vector.js"
import type { FiguresPurpose } from "./purpose.js"
import { releasedByStep, type StepRules } from "./step-release.js"
import type { Study } from "./study.js"
import { parameterCount } from "./study-model.js"
import { isNoiseOnSum, releasesPerRound, type SumRules, sumEvent } from "./sum-noise.js"
import { sumProblem } from "./sum-rules.js"

/** How one patient's part in a sum is bounded. */
const clippingCodec = variant({
  /** The whole gradient has a norm of at most `maxGradNorm`. */
  flat: record({}),
  /** Each layer's part has its own bound; their squares add up to that of `maxGradNorm`. */
  "per-layer": record({ norms: list(f64, 4096) }),
  /** The bound follows a quantile of the norms, told by a noisy count that is part of every step. */
  adaptive: record({
    targetQuantile: f64,
    learningRate: f64,
    /** Standard deviation of the noise on the sum of b - 1/2, b = 1 for a patient within the bound. */
    countSigma: f64,
    minimum: f64,
    maximum: f64,
  }),
})
export type Clipping = Encoded<typeof clippingCodec>

/**
 * How a study keeps what its model tells of one patient within (epsilon, delta). The noise is part of the study, so it is
 * signed, and everybody can recompute what it costs.
 */
export const studyPrivacyCodec = record({
  /** Most that each facility may spend in this study, in nats at `delta`. */
  epsilon: f64,
  delta: f64,
  /** Whom the bound is about: one patient of a facility, or all that one facility contributes. */
  unit: oneOf("patient", "facility"),
  /** `local`: each facility adds all of the noise to its own steps; `sum`: each adds a share, and the opened sum has it all. */
  noise: oneOf("local", "sum"),
  mechanism: oneOf("gaussian", "laplace"),
  clipping: clippingCodec,
  /** With noise on the sum over patients: how many patients a facility has on average, which the sum is divided by. */
  patients: u32,
  /** With noise on the sum over patients: how many patients a facility may have at most, which ranges are made for. */
  mostPatients: u32,
  /** Standard deviation (`laplace`: scale) of the noise / what one unit can move a sum. */
  noiseMultiplier: f64,
  /** L2 norm (`laplace`: L1 norm) to which a patient's gradient is clipped; where clipping adapts, at first. */
  maxGradNorm: f64,
  /** Probability with which a patient joins a step. */
  sampleRate: f64,
  /** Constants that features are standardised with, in the order of the model's features: they come from no patient here. */
  standardise: list(record({ mean: f64, deviation: f64 }), 4096),
  /** `exact`: each facility's own figures on its held-out patients may be sent without noise. The budget does not cover them. */
  metrics: oneOf("none", "exact"),
})
export type StudyPrivacy = Encoded<typeof studyPrivacyCodec>

const ownNoiseCodec = record({
  epsilon: f64,
  delta: f64,
  noiseMultiplier: f64,
  maxGradNorm: f64,
  sampleRate: f64,
  standardise: list(record({ mean: f64, deviation: f64 }), 4096),
  metrics: oneOf("none", "exact"),
})
/** The bytes that stand for Gaussian noise on flatly clipped steps, as a facility adds it alone; null for anything else. */
export const ownNoise = (privacy: StudyPrivacy): Uint8Array | null => {
  const { unit, noise, mechanism, clipping } = privacy
  const plain =
    unit === "patient" && noise === "local" && mechanism === "gaussian" && clipping.type === "flat"
  return plain ? encode(ownNoiseCodec, privacy) : null
}

/** A study that trains with differential privacy. */
export type PrivateStudy = Study & { readonly privacy: StudyPrivacy }
export const isPrivate = (study: Study): study is PrivateStudy => study.privacy !== null

/** What decides the cost of one step. */
export type StepNoise = Omit<StepRules, "clipping"> & Pick<StudyPrivacy, "sampleRate">

/** Holds the cost of each event it has met, so that asking again is cheap. */
const NOTHING_SPENT = new RdpAccountant()
const STEPS = new WeakMap<PrivateStudy, DpEvent>()

/** What one local step releases: the event that the training's own optimiser charges; with noise on the sum, what one sum does. */
export const stepEvent = (study: PrivateStudy): DpEvent => {
  if (isNoiseOnSum(study)) return sumEvent(study)
  const known = STEPS.get(study) ?? releasedByStep(study.privacy, parameterCount(study))
  STEPS.set(study, known)
  return known
}

const FIGURES = {
  statistics: new WeakMap<PrivateStudy, DpEvent>(),
  evaluation: new WeakMap<PrivateStudy, DpEvent>(),
}

/** What the figures of all facilities together release, once: what its part in them is charged to each facility. */
export const figuresReleased = (study: PrivateStudy, purpose: FiguresPurpose): DpEvent => {
  const known = FIGURES[purpose].get(study) ?? figuresEvent(study, purpose)
  FIGURES[purpose].set(study, known)
  return known
}

/** How often a facility has taken part in figures of a study. */
export interface FiguresGiven {
  readonly statistics: number
  readonly evaluations: number
}
export const NO_FIGURES: FiguresGiven = { statistics: 0, evaluations: 0 }

/**
 * What a facility has spent after its updates of so many rounds and its parts in figures, at the study's delta. All steps have the same parameters,
 * fixed when the study was signed, so the accountant is valid however the rounds came to be these.
 *
 * Units:  epsilon in nats; neighbours by adding or removing one patient of the facility
 * Source: Mironov 2017 (arXiv:1702.07476), through `RdpAccountant`
 */
export const epsilonAfter = (
  study: PrivateStudy,
  rounds: number,
  figures: FiguresGiven = NO_FIGURES,
): number => {
  let spent = NOTHING_SPENT.compose(stepEvent(study), rounds * releasesPerRound(study))
  if (figures.statistics > 0) spent = spent.compose(figuresReleased(study, "statistics"), figures.statistics)
  if (figures.evaluations > 0)
    spent = spent.compose(figuresReleased(study, "evaluation"), figures.evaluations)
  return spent.getEpsilon(study.privacy.delta)
}

export interface NoiseWanted extends Omit<StepNoise, "noiseMultiplier"> {
  readonly epsilon: number
  readonly delta: number
  /** Least noise multiplier; null for none. */
  readonly floor: number | null
  /** Whether noise may be raised over the floor until all planned rounds fit. */
  readonly calibrate: boolean
  /** Parameters of the model. */
  readonly dimension: number
  /** Releases in all planned rounds: local steps, or opened sums; see `releasesPerRound`. */
  readonly steps: number
  /** What else decides noise on the sum; null or absent where facilities add noise of their own. */
  readonly sum?: (Omit<SumRules, "privacy"> & { readonly privacy: Pick<StudyPrivacy, "unit"> }) | null
  /** What else is released in the study and has to fit into epsilon beside the steps. */
  readonly beside?: readonly DpEvent[]
}

export interface NoisePlan {
  readonly noiseMultiplier: number
  /** Which of the two is larger, or `given` where nothing was calibrated. */
  readonly from: "calibrated" | "floor" | "given"
  /** What all planned steps cost, in nats. */
  readonly epsilon: number
}

/**
 * The noise of a study: the least with which all planned steps stay within epsilon, or the declared floor if that is
 * more. Without calibration the floor itself; facilities then stop at the cap.
 *
 * Units: noise multiplier = standard deviation / L2 sensitivity on the grid
 * @throws {ConsiliumError} "privacy/bad-parameter", "privacy/unreachable"
 */
export const planNoise = (wanted: NoiseWanted): NoisePlan => {
  const { epsilon, delta, floor, calibrate, dimension, steps, beside = [] } = wanted
  const event = (noiseMultiplier: number): DpEvent =>
    wanted.sum
      ? sumEvent({
          ...wanted.sum,
          privacy: { ...wanted.sum.privacy, maxGradNorm: wanted.maxGradNorm, noiseMultiplier },
        })
      : // how rows are clipped moves no price
        releasedByStep({ ...wanted, noiseMultiplier, clipping: { type: "flat" } }, dimension)
  const together = (noiseMultiplier: number): DpEvent => {
    const all = selfComposedEvent(event(noiseMultiplier), steps)
    return beside.length === 0 ? all : composedEvent([all, ...beside])
  }
  const planned = (noiseMultiplier: number, from: NoisePlan["from"]): NoisePlan => ({
    noiseMultiplier,
    from,
    epsilon: NOTHING_SPENT.compose(together(noiseMultiplier)).getEpsilon(delta),
  })
  if (!calibrate) {
    if (floor === null)
      throw new ConsiliumError(
        "privacy/bad-parameter",
        "Noise is neither given nor to be calibrated, so there would be none.",
        { remedy: "Give a noise multiplier, or let it be calibrated." },
      )
    return planned(floor, "given")
  }
  const calibrated = calibrateNoiseMultiplier(epsilon, delta, {
    event: together,
  })
  return floor !== null && floor > calibrated ? planned(floor, "floor") : planned(calibrated, "calibrated")
}

/** What is wrong with a study's privacy and what to do, or null. */
export const privacyProblem = (
  study: PrivateStudy,
): { readonly message: string; readonly remedy: string } | null => {
  const { privacy, training, quantisation, model } = study
  const { epsilon, delta, noiseMultiplier, maxGradNorm, sampleRate, standardise } = privacy
  const problem = (message: string, remedy: string) => ({ message, remedy })
  const placed = sumProblem(study)
  if (placed !== null) return placed
  if (model.kind === "network" && ownNoise(privacy) === null)
    return problem(
      "A network's steps take Gaussian noise of the facility's own, on gradients clipped as a whole, and no other.",
      "Leave out what the study says of the unit, the noise, the mechanism and the clipping, or train a logistic regression.",
    )
  if (!(epsilon > 0 && epsilon < Number.POSITIVE_INFINITY && delta > 0 && delta < 1))
    return problem(
      `A budget of epsilon ${epsilon} at delta ${delta} bounds nothing.`,
      "Set privacy.epsilon above 0 and privacy.delta between 0 and 1.",
    )
  if (!(sampleRate > 0 && sampleRate <= 1))
    return problem(
      `A sample rate of ${sampleRate} is no probability above 0.`,
      "Set privacy.sample_rate to the share of patients that a step draws.",
    )
  if (!(noiseMultiplier > 0 && noiseMultiplier <= 1e6 && maxGradNorm >= 1e-6 && maxGradNorm <= 1e6))
    return problem(
      `A noise multiplier of ${noiseMultiplier} at a gradient norm of ${maxGradNorm} cannot be drawn.`,
      "Set privacy.noise_multiplier above 0 and privacy.max_grad_norm near 1.",
    )
  const clipped = clippingProblem(privacy)
  if (clipped !== null) return clipped
  if (quantisation.weights !== "equal")
    return problem(
      "Weights by exact record counts would tell the count, which no noise covers.",
      "Set quantisation.weights to equal.",
    )
  if (training.fineTuneSteps !== 0)
    return problem(
      "Fine-tuned copies train without noise, and their figures would tell of the patients they were tuned on.",
      "Set training.fine_tune_steps to 0.",
    )
  if (
    standardise.length !== model.features.length ||
    !standardise.every(
      ({ mean, deviation }) => Number.isFinite(mean) && Number.isFinite(deviation) && deviation > 0,
    )
  )
    return problem(
      `${standardise.length} pairs of mean and deviation are declared for ${model.features.length} features.`,
      "Declare a finite mean and a deviation above 0 for every feature; they must come from no patient of the study.",
    )
  const once = epsilonAfter(study, 1)
  if (!(once <= epsilon))
    return problem(
      isNoiseOnSum(study)
        ? `One round costs epsilon ${once.toPrecision(4)}, more than the study's ${epsilon}.`
        : `One round of ${training.steps} steps costs epsilon ${once.toPrecision(4)}, more than the study's ${epsilon}.`,
      "Add noise, draw fewer patients a step, take fewer steps a round, or raise epsilon.",
    )
  return null
}
