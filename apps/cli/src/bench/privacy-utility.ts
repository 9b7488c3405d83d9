import type { StudyFileInput } from "@consilium/node/config/study-file"
import type { Row } from "../demo/baselines.js"
import { centresFor, type HeartCentres, heartStudy, readCentres, runSeeded } from "./heart-study.js"

/** Where noise is added: by each facility to its own steps, or once to the opened sum. */
export type NoisePlace = "local" | "sum"

/** What is tried: budgets in nats, the same training with next to no noise, and training without privacy. */
export const BUDGETS = [0.5, 1, 2, 4, 8, "clipping alone", "none"] as const
export type Budget = (typeof BUDGETS)[number]
export const UTILITY_DELTA = 1e-3

export interface UtilityPoint {
  readonly place: NoisePlace
  readonly budget: Budget
  /** Standard deviation of the noise / what one patient can move a sum; null without noise. */
  readonly noiseMultiplier: number | null
  /** By seed. */
  readonly rows: readonly Row[]
}

/** Training patients of a centre on average, and at most: public sizes of the published split. */
const PATIENTS = { patients: 122, most_patients: 256 }

/**
 * One way of training for every budget, so that budgets and not tuning are compared; chosen by hand on six seeds. Noise on the
 * sum: one step a round along all patients' clipped gradients. Local noise: two steps a round on half of the patients each.
 */
const TRAINED: Readonly<
  Record<NoisePlace, { readonly rounds: number; readonly steps: number; readonly rate: number }>
> = {
  sum: { rounds: 20, steps: 1, rate: 1 },
  local: { rounds: 10, steps: 2, rate: 0.3 },
}
/** More than any centre's rows: a batch is all of them. */
const EVERYBODY = 256

/** Noise that moves no figure, and a budget that it costs less than: what is left of privacy is the clipping. */
const NEXT_TO_NONE = { epsilon: 1e12, noise_multiplier: 0.001, calibrate: false }

const privacyOf = (place: NoisePlace, budget: Exclude<Budget, "none">): StudyFileInput["privacy"] => ({
  ...(budget === "clipping alone" ? NEXT_TO_NONE : { epsilon: budget }),
  delta: UTILITY_DELTA,
  max_grad_norm: 1,
  ...(place === "sum" ? { noise: "sum" as const, sample_rate: 1, ...PATIENTS } : { sample_rate: 0.5 }),
})

const studyOf = (place: NoisePlace, budget: Budget, seed: number) => {
  const { rounds, steps, rate } = TRAINED[place]
  const weighs = budget === "none" && place === "sum"
  return heartStudy(
    seed,
    { strategy: "fedavg", rounds },
    {
      training: { steps, learning_rate: rate, batch_size: EVERYBODY },
      // a sum of gradients weighs patients alike; without noise that takes weights by rows
      quantisation: weighs
        ? { weights: "exact", largest_weight: EVERYBODY }
        : { weights: "equal", ...(place === "sum" ? { fraction_bits: 8 } : {}) },
      privacy: budget === "none" ? null : privacyOf(place, budget),
    },
  )
}

const pointOf = (
  centres: HeartCentres,
  place: NoisePlace,
  budget: Budget,
  seeds: readonly number[],
): UtilityPoint => {
  const like = studyOf(place, 1, 1)
  const studies = seeds.map((seed) => ({ seed, study: studyOf(place, budget, seed) }))
  // also without noise on the scale of declared constants: the noise is to make the difference
  const facilities = centresFor(centres, like)
  return {
    place,
    budget,
    noiseMultiplier: studies[0]?.study.privacy?.noiseMultiplier ?? null,
    rows: studies.map(({ seed, study }) => runSeeded(study, facilities, seed).metrics),
  }
}

/** What each budget leaves of a model's figures, with local noise and with noise on the sum, over seeds. */
export const privacyUtility = async (
  folder: string,
  seeds: readonly number[],
  tell: (line: string) => void,
): Promise<readonly UtilityPoint[]> => {
  const centres = await readCentres(folder)
  return (["sum", "local"] as const).flatMap((place) =>
    BUDGETS.map((budget) => {
      tell(`privacy-utility: ${place}, epsilon ${budget}`)
      return pointOf(centres, place, budget, seeds)
    }),
  )
}
