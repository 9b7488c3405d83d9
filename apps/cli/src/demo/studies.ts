import { defaultCohort, type Protection, type Strategy } from "@consilium/federation/study"
import type { StudyFileInput } from "@consilium/node/config/study-file"
import { CARDIOVASCULAR_FEATURES } from "@consilium/records/cardiovascular/features"
import { HEART_FEATURES } from "@consilium/records/heart-schema"

/** What a study is about: the features that it trains on, and how facilities prepare them. */
export interface Subject {
  readonly features: readonly string[]
  readonly data: StudyFileInput["data"]
  /** Groups of patients that are told apart at the end of the study. */
  readonly subgroups: NonNullable<StudyFileInput["reporting"]>["subgroups"]
}

/** The heart features, which have no missing values. */
export const HEART: Subject = {
  features: HEART_FEATURES.map(({ name }) => name),
  data: null,
  subgroups: [
    { feature: "sex", names: ["female", "male"] },
    { feature: "age", cuts: [50, 65] },
  ],
}

/** The cardiovascular table of the simulator, its missing values filled in with declared constants. */
export const CARDIOVASCULAR: Subject = {
  features: CARDIOVASCULAR_FEATURES.map(({ name }) => name),
  data: { schema: "cardiovascular", missing: "impute" },
  subgroups: [
    { feature: "sex=male", names: ["female", "male"] },
    { feature: "age", cuts: [55, 65] },
  ],
}

export interface StudyPlan {
  readonly name: string
  /** 32 bytes, hexadecimal. */
  readonly nonce: string
  readonly seed: number | null
  readonly rounds: number
  readonly facilities: readonly string[]
  readonly fogs: readonly string[]
  readonly protection: Protection
  readonly synthetic: boolean
  readonly strategy?: DemoStrategy | undefined
  /** Weight of the proximal term of local steps; left out: what the strategy is tuned to. */
  readonly proximalMu?: number | undefined
  readonly learningRate?: number | undefined
  readonly fineTuneSteps?: number | undefined
  /** Most that each facility may spend of its patients' privacy, in nats; null trains without noise. */
  readonly epsilon?: number | null
  /** Whether the last model is evaluated on all held-out rows together. */
  readonly evaluated?: boolean
}

/** The strategies by the names people know: some are averaging with something more at the facilities. */
export type DemoStrategy = Strategy | "fedprox" | "scaffold" | "ditto"

interface Tuning {
  readonly local: number
  readonly server: number
  readonly mu?: number
  readonly ditto?: NonNullable<StudyFileInput["training"]["ditto"]>
}

/** Local and server learning rates of each strategy, as the published heart benchmark tuned them; fedavgm as fedavg, ditto by hand. */
const TUNED: Readonly<Record<DemoStrategy, Tuning>> = {
  fedavg: { local: 0.001, server: 1 },
  fedprox: { local: 0.001, server: 1, mu: 0.01 },
  scaffold: { local: 0.001, server: 1 },
  ditto: { local: 0.01, server: 1, ditto: { lambda: 0.5, steps: 100, learning_rate: 0.01 } },
  fedavgm: { local: 0.001, server: 1 },
  fedadam: { local: 0.01, server: 0.01 },
  fedyogi: { local: 0.003162, server: 0.01 },
  fedadagrad: { local: 0.003162, server: 0.316228 },
}

/**
 * Training that suits noise: few steps over a tenth of the patients each, at a higher rate. Chosen on the simulated study
 * at epsilon 8, by hand.
 */
const WITH_NOISE = { steps: 20, sampleRate: 0.1, learningRate: 0.2 }
export const DEMO_DELTA = 1e-5

/** Whether a strategy is averaging at the server. */
export const averages = (strategy: DemoStrategy): boolean => strategy === "fedavg" || isOfFacilities(strategy)

const isOfFacilities = (strategy: DemoStrategy): strategy is "fedprox" | "scaffold" | "ditto" =>
  strategy === "fedprox" || strategy === "scaffold" || strategy === "ditto"

/** Whether each facility ends with a model of its own: without noise, so with none in the study. */
export const personalises = (plan: {
  readonly strategy: DemoStrategy
  readonly fineTuneSteps: number
}): boolean => plan.strategy === "ditto" || plan.fineTuneSteps > 0

export const proximalMuOf = (strategy: DemoStrategy, given: number | undefined): number =>
  given ?? TUNED[strategy].mu ?? 0

/** Facilities whose sum, weighed by up to 512 rows each, fits its 31 bits; among more of them all weigh the same. */
const MOST_WEIGHED = 64

/**
 * A study on a subject: logistic regression, batches of 4, 100 local steps a round, weights by
 * training rows; with differential privacy by Poisson samples and equal weights. Facilities are spread over
 * the fogs in turn; without fogs they talk to the leader.
 *
 * Source: Ogier du Terrail et al. 2022, arXiv 2210.04620 (Fed-Heart-Disease)
 */
export const studyOn = (subject: Subject, plan: StudyPlan): StudyFileInput => {
  const strategy = plan.strategy ?? "fedyogi"
  const cohort = defaultCohort(plan.facilities.length)
  const equal = plan.facilities.length > MOST_WEIGHED ? { quantisation: { weights: "equal" as const } } : {}
  const epsilon = plan.epsilon ?? null
  return {
    name: plan.name,
    nonce: plan.nonce,
    model: { kind: "logistic-regression", features: [...subject.features] },
    data: subject.data,
    training: {
      learning_rate:
        plan.learningRate ?? (epsilon === null ? TUNED[strategy].local : WITH_NOISE.learningRate),
      steps: epsilon === null ? 100 : WITH_NOISE.steps,
      batch_size: 4,
      fine_tune_steps: plan.fineTuneSteps ?? 0,
      fine_tune_learning_rate: 0.01,
      proximal_mu: proximalMuOf(strategy, plan.proximalMu),
      correction: strategy === "scaffold" ? "scaffold" : "none",
      ditto: TUNED[strategy].ditto ?? null,
    },
    server: {
      strategy: isOfFacilities(strategy) ? "fedavg" : strategy,
      learning_rate: TUNED[strategy].server,
    },
    reporting: { subgroups: subject.subgroups },
    // few bins where each carries noise
    evaluation: plan.evaluated === true ? { bins: epsilon === null ? 100 : 20 } : null,
    ...(epsilon === null
      ? equal
      : {
          quantisation: { weights: "equal" as const },
          // a demo shows how well its model does; the policy of its facilities allows that
          privacy: {
            epsilon,
            delta: DEMO_DELTA,
            sample_rate: WITH_NOISE.sampleRate,
            metrics: "exact" as const,
          },
        }),
    rounds: plan.rounds,
    protection: plan.protection,
    cohort: { smallest: cohort.minCohort, threshold: cohort.threshold, colluders: cohort.colluders },
    insecure_seed: plan.seed,
    synthetic_data: plan.synthetic,
    participants: [
      { name: "leader", role: "leader" },
      ...plan.fogs.map((name) => ({ name, role: "fog" as const, parent: "leader" })),
      ...plan.facilities.map((name, i) => ({
        name,
        role: "facility" as const,
        parent: plan.fogs[i % plan.fogs.length] ?? "leader",
      })),
    ],
  }
}
