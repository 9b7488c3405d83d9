import { canaryScores, tossCoins, withCanaries } from "@consilium/federation/attacks/canaries"
import { epsilonAfter, type PrivateStudy } from "@consilium/federation/privacy-plan"
import { lowerLimit, upperLimit } from "@consilium/privacy/audit/clopper-pearson"
import { guessExtremes, oneRunEpsilon } from "@consilium/privacy/audit/one-run"
import {
  type AttackCounts,
  epsilonFromRates,
  judgeRates,
  profileTruePositiveRate,
  truePositiveRates,
} from "@consilium/privacy/audit/rates"
import { gaussianDelta } from "@consilium/privacy/gaussian-analytic"
import { attackedPrivateStudy, DELTA, type RoundWork, trainedUpdate } from "./attacked-training.js"
import { ALARM_CONFIDENCE, atLeast, atMost, CONFIDENCE, figure, withinPrivacy } from "./figures.js"
import { heartRows, pick } from "./heart-rows.js"
import type { AuditOptions, AuditRow, Section, SectionBuilder } from "./section.js"

const CANARIES = 1000
/** How many of them are guessed: the half whose scores say most. */
const GUESSES = 500
/** Value of a canary's own feature: what it adds to the bias is a fiftieth of what it adds to its own weight. */
const SIZE = 50
const BACKGROUND = 100
const EPSILON = 2
/** Every canary is in every step, which is the most that a step can tell of it. */
const STEPS = 4
/** Each step moves a weight so little that a canary's gradient stays clipped. */
const MOVED_BY_STEP = 0.002
/** An attack that wrongs one stranger in ten, in deviations of the noise; the best one draws its line half way. */
const RARE = 1.2816

/** A training run to be audited: the shipped one, unless a test puts another in its place. */
export type Trained = (work: RoundWork & { readonly study: PrivateStudy }) => Float64Array

interface CanaryRun {
  readonly scores: Float64Array
  readonly included: readonly boolean[]
  /** What a canary that is in adds to a score, in deviations of the noise. */
  readonly signal: number
}

/** Scores in units of the noise that the study declares: near 0 for canaries that are out, near `signal` for those in. */
const runOf = async (options: AuditOptions, trained: Trained) => {
  const random = options.random("canaries")
  const { examples } = await heartRows(options.data, options.random("rows"))
  const background = pick(
    examples,
    Array.from({ length: BACKGROUND }, (_, row) => row),
  )
  const canaries = { background, count: CANARIES, size: SIZE }
  const included = tossCoins(CANARIES, random)
  const rows = withCanaries(canaries, included)
  const study = attackedPrivateStudy(
    {
      features: Array.from({ length: rows.columns }, (_, j) => `x${j}`),
      steps: STEPS,
      learningRate: MOVED_BY_STEP * rows.rows,
      privacy: { epsilon: EPSILON, sampleRate: 1 },
    },
    random,
  )
  const update = trained({ study, examples: rows, random })
  const { noiseMultiplier } = study.privacy
  const deviation = MOVED_BY_STEP * noiseMultiplier * Math.sqrt(STEPS)
  return {
    study,
    run: {
      scores: canaryScores(update, canaries).map((score) => score / deviation),
      included,
      signal: Math.sqrt(STEPS) / noiseMultiplier,
    } satisfies CanaryRun,
  }
}

const countsAt = ({ scores, included }: CanaryRun, threshold: number): AttackCounts => {
  const above = (inside: boolean): number =>
    scores.filter((score, i) => included[i] === inside && score > threshold).length
  const members = included.filter(Boolean).length
  return {
    truePositives: above(true),
    members,
    falsePositives: above(false),
    others: included.length - members,
  }
}

/** The most noise that the scores of canaries that are out leave possible, as a share of what is declared. */
const mostNoise = ({ scores, included }: CanaryRun): number => {
  const out = scores.filter((_, i) => !included[i])
  // the median of |noise| is 0.6745 deviations whatever else is in the sum: its rank is binomial, so its limit is exact
  const sizes = out.map(Math.abs).sort()
  const place = Math.ceil(upperLimit(Math.floor(out.length / 2), out.length, ALARM_CONFIDENCE) * out.length)
  return (sizes[Math.min(out.length - 1, place)] as number) / 0.674489750196082
}

const rowsOf = (study: PrivateStudy, run: CanaryRun): readonly AuditRow[] => {
  const epsilon = epsilonAfter(study, 1)
  const claim = `epsilon ${figure(epsilon)} at delta ${DELTA}`
  const guessed = guessExtremes(run.scores, run.included, GUESSES)
  const rare = countsAt(run, RARE)
  const middle = countsAt(run, run.signal / 2)
  const noise = study.privacy.noiseMultiplier / Math.sqrt(STEPS)
  const best = (rate: number): number => profileTruePositiveRate(rate, (e) => gaussianDelta(noise, e))
  const each = (1 + ALARM_CONFIDENCE) / 2
  return [
    atMost(
      {
        id: "canaries/one-run",
        what: `epsilon is at least this, from one run: ${guessed.correct} of ${guessed.guesses} guesses right; claimed: ${claim}`,
      },
      oneRunEpsilon(guessed, DELTA, CONFIDENCE),
      epsilon,
      CONFIDENCE,
    ),
    atMost(
      {
        id: "canaries/rates",
        what: `epsilon is at least this, from how often canaries are told; claimed: ${claim}`,
      },
      epsilonFromRates(middle, DELTA, CONFIDENCE),
      epsilon,
      CONFIDENCE,
    ),
    withinPrivacy(
      { id: "canaries/true-positives", what: `canaries that are told, against what ${claim} allows` },
      judgeRates(rare, (rate) => truePositiveRates(rate, epsilon, DELTA).high, CONFIDENCE),
    ),
    atMost(
      {
        id: "canaries/profile",
        what: "the same at the best threshold, against the whole curve of the declared noise: surely at least this",
      },
      lowerLimit(middle.truePositives, middle.members, each),
      best(upperLimit(middle.falsePositives, middle.others, each)),
      ALARM_CONFIDENCE,
    ),
    atLeast(
      {
        id: "canaries/noise",
        what: "noise on canaries that are out, as a share of the declared: surely at most this",
      },
      mostNoise(run),
      1,
      ALARM_CONFIDENCE,
    ),
  ]
}

/** The audit of training with noise, with canaries, in one run. `trained` stands for the training that is audited. */
export const auditCanaries = async (
  options: AuditOptions,
  trained: Trained = trainedUpdate,
): Promise<Section> => {
  options.progress(`training once with ${CANARIES} invented patients, half of them left out by coins`)
  const { study, run } = await runOf(options, trained)
  return {
    title: `How much one training run betrays: ${CANARIES} canaries, each in it with probability 1/2`,
    rows: rowsOf(study, run),
  }
}

export const canarySection: SectionBuilder = (options) => auditCanaries(options)
