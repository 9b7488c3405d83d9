import { epsilonAfter } from "@consilium/federation/privacy-plan"
import type { Study } from "@consilium/federation/study"
import { attackedPrivateStudy, attackedStudy } from "./attacked-training.js"
import { attackWorks, figure, toldAuc, withinPrivacy } from "./figures.js"
import { heartRows, withProducts } from "./heart-rows.js"
import { type Attack, aucOf, PATIENTS, type Played, play, ratesOf } from "./membership-game.js"
import type { AuditOptions, AuditRow, SectionBuilder } from "./section.js"

const STEPS = 40
const PRIVATE_STEPS = 4
const ROUNDS = 2
const EPSILON = 2
const FEW = 3
const MANY = 10
/** How well an attack on an unprotected model that overfits does at least. */
const WORKS = 0.75

const ATTACKS: Readonly<Record<Attack, string>> = {
  familiarity: "how well the model knows a patient",
  alignment: "how far the update goes a patient's way",
}
const KINDS = Object.keys(ATTACKS) as readonly Attack[]

const studies = (names: readonly string[], { random }: AuditOptions) => {
  const rules = { features: names, learningRate: 0.5 }
  const stream = random("membership-studies")
  return {
    plain: attackedStudy({ ...rules, steps: STEPS, batchSize: PATIENTS, privacy: null, clipBits: 4 }, stream),
    noisy: attackedPrivateStudy(
      {
        ...rules,
        steps: PRIVATE_STEPS,
        privacy: { epsilon: EPSILON, sampleRate: 0.5 },
        rounds: ROUNDS,
      },
      stream,
    ),
  }
}

const openRows = (update: Played, few: Played, many: Played): readonly AuditRow[] => [
  ...KINDS.map((kind) =>
    attackWorks(
      {
        id: `membership/unprotected/${kind}`,
        what: `one update without protection, which overfits: ${ATTACKS[kind]}`,
      },
      aucOf(update.first, kind),
      WORKS,
    ),
  ),
  toldAuc(
    { id: "membership/sum", what: `the opened sum of ${FEW} facilities without noise: ${ATTACKS.alignment}` },
    aucOf(few.first, "alignment"),
  ),
  toldAuc(
    {
      id: "membership/larger-sum",
      what: `the opened sum of ${MANY} facilities without noise: ${ATTACKS.alignment}`,
    },
    aucOf(many.first, "alignment"),
  ),
  toldAuc(
    {
      id: "membership/model",
      what: `the last model of ${FEW} facilities without noise: ${ATTACKS.familiarity}`,
    },
    aucOf(few.last, "familiarity"),
  ),
]

/** With differential privacy: the true-positive rate of the same attacks. */
const privateRows = (
  update: Played,
  few: Played,
  afterOne: number,
  afterAll: number,
): readonly AuditRow[] => {
  const noise = (epsilon: number): string => `with differential privacy, epsilon ${figure(epsilon)}`
  return [
    ...KINDS.map((kind) =>
      withinPrivacy(
        { id: `membership/private/${kind}`, what: `one update ${noise(afterOne)}: ${ATTACKS[kind]}` },
        ratesOf(update.first, kind, afterOne),
      ),
    ),
    withinPrivacy(
      {
        id: "membership/private-sum",
        what: `the opened sum of ${FEW} ${noise(afterOne)}: ${ATTACKS.alignment}`,
      },
      ratesOf(few.first, "alignment", afterOne),
    ),
    withinPrivacy(
      {
        id: "membership/private-model",
        what: `the last model of ${FEW} ${noise(afterAll)}: ${ATTACKS.familiarity}`,
      },
      ratesOf(few.last, "familiarity", afterAll),
    ),
  ]
}

/** Attacks that ask whether a patient was among those a model was trained on. */
export const membershipSection: SectionBuilder = async (options) => {
  const { names, examples, source } = withProducts(await heartRows(options.data, options.random("rows")))
  const random = options.random("membership")
  const { plain, noisy } = studies(names, options)
  const played = (study: Study, facilities: number, rounds: number, tries: number): Played =>
    play({ study, facilities, rounds, examples, random }, Math.ceil(tries))
  const { trials, progress } = options
  progress("asking whether patients were in it: without noise")
  const open = openRows(
    played(plain, 1, 1, trials / 2),
    played(plain, FEW, ROUNDS, trials / 2),
    played(plain, MANY, 1, trials / 4),
  )
  progress("asking whether patients were in it: with noise")
  const rows = [
    ...open,
    ...privateRows(
      played(noisy, 1, 1, trials),
      played(noisy, FEW, ROUNDS, trials),
      epsilonAfter(noisy, 1),
      epsilonAfter(noisy, ROUNDS),
    ),
  ]
  return { title: `Telling whether a patient was in the training (membership), on ${source}`, rows }
}
