import type { RandomSource } from "@consilium/base/random"
import { alignments, familiarity } from "@consilium/federation/attacks/membership"
import { epsilonAfter } from "@consilium/federation/privacy-plan"
import type { Study } from "@consilium/federation/study"
import type { Examples } from "@consilium/learning/data"
import { attackAuc } from "@consilium/privacy/audit/auc"
import { judgeRates, type RateVerdict, truePositiveRates } from "@consilium/privacy/audit/rates"
import { attackedPrivateStudy, attackedStudy, DELTA, trainedUpdate } from "./attacked-training.js"
import { attackWorks, CONFIDENCE, figure, toldAuc, withinPrivacy } from "./figures.js"
import { drawSides, heartRows, withProducts } from "./heart-rows.js"
import type { AuditRow, SectionBuilder } from "./section.js"

/** Few patients and many steps: the model learns them by heart. */
const MEMBERS = 10
const STEPS = 40
const EPSILON = 2
/** Facilities whose updates are added. */
const FACILITIES = 3
const ROUNDS = 2
/** The share of strangers that an attack may take for members: its threshold is set so on tries of their own. */
const FALSE_POSITIVES = 0.2

/** What an attack thinks of one patient who was in the training, and of one who was not. */
interface Try {
  readonly member: number
  readonly other: number
}
type Attack = "familiarity" | "alignment"
type Tries = Readonly<Record<Attack, readonly Try[]>>

const first = (scores: Float64Array): number => scores[0] as number

const scoresOf = (start: Float64Array, update: Float64Array, members: Examples, others: Examples) => {
  const model = start.map((value, j) => value + (update[j] as number))
  return {
    familiarity: { member: first(familiarity(model, members)), other: first(familiarity(model, others)) },
    alignment: {
      member: first(alignments(update, start, members)),
      other: first(alignments(update, start, others)),
    },
  }
}

/** One member and one stranger a try, so that tries do not depend on each other. */
const attack = (count: number, attempt: () => ReturnType<typeof scoresOf>): Tries => {
  const all = Array.from({ length: count }, attempt)
  return { familiarity: all.map((one) => one.familiarity), alignment: all.map((one) => one.alignment) }
}

const aucOf = (tries: readonly Try[]) =>
  attackAuc(
    tries.map(({ member }) => member),
    tries.map(({ other }) => other),
    CONFIDENCE,
  )

/** The attack's rates on the second half of the tries, at the threshold that the first half gives. */
const ratesOf = (tries: readonly Try[], epsilon: number): RateVerdict => {
  const half = Math.floor(tries.length / 2)
  const strangers = tries.slice(0, half).map(({ other }) => other)
  const threshold = strangers.sort((a, b) => b - a)[Math.floor(half * FALSE_POSITIVES)] as number
  const fresh = tries.slice(half)
  return judgeRates(
    {
      truePositives: fresh.filter(({ member }) => member > threshold).length,
      members: fresh.length,
      falsePositives: fresh.filter(({ other }) => other > threshold).length,
      others: fresh.length,
    },
    (rate) => truePositiveRates(rate, epsilon, DELTA).high,
    CONFIDENCE,
  )
}

/** The mean update of some facilities, which is what is opened, from a model. */
const openedMean = (
  study: Study,
  parts: readonly Examples[],
  parameters: Float64Array,
  random: RandomSource,
): Float64Array => {
  const mean = new Float64Array(parameters.length)
  for (const examples of parts)
    for (const [j, value] of trainedUpdate({ study, examples, parameters, random }).entries())
      mean[j] = (mean[j] as number) + value / parts.length
  return mean
}

const NAMES: Readonly<Record<Attack, string>> = {
  familiarity: "how well the model knows a patient",
  alignment: "how far the update goes a patient's way",
}

/** Attacks that ask whether a patient was among those a model was trained on. */
export const membershipSection: SectionBuilder = async (options) => {
  const { names, examples, source } = withProducts(await heartRows(options.data, options.random("rows")))
  const random = options.random("membership")
  const plain = attackedStudy(
    { features: names, steps: STEPS, learningRate: 0.5, batchSize: MEMBERS, privacy: null, clipBits: 4 },
    random,
  )
  const noisy = attackedPrivateStudy(
    {
      features: names,
      steps: 4,
      learningRate: 0.5,
      privacy: { epsilon: EPSILON, sampleRate: 0.5 },
      rounds: ROUNDS,
    },
    random,
  )
  const [afterOne, afterAll] = [epsilonAfter(noisy, 1), epsilonAfter(noisy, ROUNDS)]
  const zero = new Float64Array(examples.columns + 1)
  const ofUpdate = (study: Study): Tries =>
    attack(options.trials, () => {
      const { members, others } = drawSides(examples, MEMBERS, random)
      return scoresOf(zero, trainedUpdate({ study, examples: members, random }), members, others)
    })
  const ofSums = (study: Study, facilities: number, rounds: number, count: number) => {
    const [sum, last]: [ReturnType<typeof scoresOf>[], ReturnType<typeof scoresOf>[]] = [[], []]
    for (let i = 0; i < count; i++) {
      const sides = Array.from({ length: facilities }, () => drawSides(examples, MEMBERS, random))
      const { members, others } = sides[0] as (typeof sides)[number]
      let model = zero
      for (let round = 1; round <= rounds; round++) {
        const parts = sides.map((side) => side.members)
        const update = openedMean(study, parts, model, random)
        if (round === 1) sum.push(scoresOf(model, update, members, others))
        model = model.map((value, j) => value + (update[j] as number))
      }
      last.push(scoresOf(zero, model, members, others))
    }
    const of = (all: readonly ReturnType<typeof scoresOf>[]): Tries => ({
      familiarity: all.map((one) => one.familiarity),
      alignment: all.map((one) => one.alignment),
    })
    return { sum: of(sum), last: of(last) }
  }
  const rows: AuditRow[] = []
  options.progress("asking whether patients were in it: updates without noise")
  const open = ofUpdate(plain)
  for (const kind of ["familiarity", "alignment"] as const)
    rows.push(
      attackWorks(
        {
          id: `membership/unprotected/${kind}`,
          what: `without protection, a model that overfits: ${NAMES[kind]}`,
        },
        aucOf(open[kind]),
        0.75,
      ),
    )
  options.progress("asking whether patients were in it: updates with noise")
  const hidden = ofUpdate(noisy)
  for (const kind of ["familiarity", "alignment"] as const)
    rows.push(
      withinPrivacy(
        {
          id: `membership/private/${kind}`,
          what: `the same attack with differential privacy, epsilon ${figure(afterOne)}: true-positive rate`,
        },
        ratesOf(hidden[kind], afterOne),
      ),
    )
  options.progress("asking whether patients were in it: sums and last models")
  const few = Math.ceil(options.trials / 2)
  const sums = ofSums(plain, FACILITIES, ROUNDS, few)
  const largerSums = ofSums(plain, 10, 1, Math.ceil(few / 2))
  const noisySums = ofSums(noisy, FACILITIES, ROUNDS, options.trials)
  rows.push(
    toldAuc(
      {
        id: "membership/sum",
        what: `the opened sum of ${FACILITIES} facilities without noise: ${NAMES.alignment}`,
      },
      aucOf(sums.sum.alignment),
    ),
    toldAuc(
      {
        id: "membership/larger-sum",
        what: `the opened sum of 10 facilities without noise: ${NAMES.alignment}`,
      },
      aucOf(largerSums.sum.alignment),
    ),
    toldAuc(
      {
        id: "membership/model",
        what: `the last model of ${FACILITIES} facilities without noise: ${NAMES.familiarity}`,
      },
      aucOf(sums.last.familiarity),
    ),
    withinPrivacy(
      {
        id: "membership/private-sum",
        what: `the opened sum with differential privacy, epsilon ${figure(afterOne)}: true-positive rate`,
      },
      ratesOf(noisySums.sum.alignment, afterOne),
    ),
    withinPrivacy(
      {
        id: "membership/private-model",
        what: `the last model with differential privacy, epsilon ${figure(afterAll)}: true-positive rate`,
      },
      ratesOf(noisySums.last.familiarity, afterAll),
    ),
  )
  return { title: `Telling whether a patient was in the training (membership), on ${source}`, rows }
}
