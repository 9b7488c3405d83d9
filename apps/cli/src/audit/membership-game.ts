import { permutation, type RandomSource } from "@consilium/base/random"
import { alignments, familiarity } from "@consilium/federation/attacks/membership"
import type { Study } from "@consilium/federation/study"
import type { Examples } from "@consilium/learning/data"
import { type AttackAuc, attackAuc } from "@consilium/privacy/audit/auc"
import { judgeRates, type RateVerdict, truePositiveRates } from "@consilium/privacy/audit/rates"
import { DELTA, trainedUpdate } from "./attacked-training.js"
import { CONFIDENCE } from "./figures.js"
import { pick } from "./heart-rows.js"

/** Patients of a facility: few, so that a model can learn them by heart. */
export const PATIENTS = 10
/** The share of strangers that an attack may take for members: its threshold is set so on tries of their own. */
const FALSE_POSITIVES = 0.3

export type Attack = "familiarity" | "alignment"
type Scores = Readonly<Record<Attack, number>>

/** What the attacks think of a patient who was in the training, and of another one who was left out of one. */
export interface Try {
  readonly member: Scores
  readonly other: Scores
}

export interface Game {
  readonly study: Study
  /** Facilities whose updates are added; 1 for an update by itself. */
  readonly facilities: number
  readonly rounds: number
  readonly examples: Examples
  readonly random: RandomSource
}

const scoresOf = (start: Float64Array, update: Float64Array, target: Examples): Scores => ({
  familiarity: familiarity(
    start.map((value, j) => value + (update[j] as number)),
    target,
  )[0] as number,
  alignment: alignments(update, start, target)[0] as number,
})

/** The mean update of some facilities, which is what is opened, from a model. */
const openedMean = (
  { study, random }: Game,
  parts: readonly Examples[],
  parameters: Float64Array,
): Float64Array => {
  const mean = new Float64Array(parameters.length)
  for (const examples of parts)
    for (const [j, value] of trainedUpdate({ study, examples, parameters, random }).entries())
      mean[j] = (mean[j] as number) + value / parts.length
  return mean
}

/** Trains among patients drawn anew, with the first of them or without, and scores that one. */
const trainedOnce = (game: Game, inside: boolean): { readonly first: Scores; readonly last: Scores } => {
  const { examples, facilities, rounds, random } = game
  const order = permutation(random, examples.rows)
  const target = pick(examples, order.subarray(0, 1))
  const parts = Array.from({ length: facilities }, (_, i) =>
    pick(examples, order.subarray(i === 0 && !inside ? 1 : i * PATIENTS, (i + 1) * PATIENTS)),
  )
  const zero = new Float64Array(examples.columns + 1)
  const opened = openedMean(game, parts, zero)
  let model = opened
  for (let round = 2; round <= rounds; round++) {
    const start = model
    const update = openedMean(game, parts, start)
    model = start.map((value, j) => value + (update[j] as number))
  }
  return { first: scoresOf(zero, opened, target), last: scoresOf(zero, model, target) }
}

/** What was opened first, and the last model. */
export interface Played {
  readonly first: readonly Try[]
  readonly last: readonly Try[]
}

/**
 * Plays a number of times, independently: training with a patient, and training without one. The two tables differ by
 * that patient alone, as neighbours do, so privacy bounds how well anybody tells which it was.
 */
export const play = (game: Game, tries: number): Played => {
  const all = Array.from(
    { length: tries },
    () => [trainedOnce(game, true), trainedOnce(game, false)] as const,
  )
  return {
    first: all.map(([member, other]) => ({ member: member.first, other: other.first })),
    last: all.map(([member, other]) => ({ member: member.last, other: other.last })),
  }
}

export const aucOf = (tries: readonly Try[], attack: Attack): AttackAuc =>
  attackAuc(
    tries.map(({ member }) => member[attack]),
    tries.map(({ other }) => other[attack]),
    CONFIDENCE,
  )

/** The attack's rates on the second half of the tries, at the threshold that the first half gives. */
export const ratesOf = (tries: readonly Try[], attack: Attack, epsilon: number): RateVerdict => {
  const half = Math.floor(tries.length / 2)
  const strangers = tries.slice(0, half).map(({ other }) => other[attack])
  const threshold = strangers.sort((a, b) => b - a)[Math.floor(half * FALSE_POSITIVES)] as number
  const fresh = tries.slice(half)
  return judgeRates(
    {
      truePositives: fresh.filter(({ member }) => member[attack] > threshold).length,
      members: fresh.length,
      falsePositives: fresh.filter(({ other }) => other[attack] > threshold).length,
      others: fresh.length,
    },
    (rate) => truePositiveRates(rate, epsilon, DELTA).high,
    CONFIDENCE,
  )
}
