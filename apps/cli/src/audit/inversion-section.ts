import { permutation, type RandomSource, uniformBelow, uniformUnit } from "@consilium/base/random"
import { invertLinear, nearestError } from "@consilium/federation/attacks/inversion"
import type { Study } from "@consilium/federation/study"
import { startCursor } from "@consilium/learning/batches"
import type { Examples } from "@consilium/learning/data"
import { trainLocally } from "@consilium/learning/train"
import { attackedStudy, trainedUpdate } from "./attacked-training.js"
import { atMost, figure, median, NEAR, noneNear, RECOVERED, share, told } from "./figures.js"
import { type HeartRows, heartRows, pick, rowOf } from "./heart-rows.js"
import type { AuditOptions, Section, SectionBuilder } from "./section.js"

const TRIES = 60
/** What a patient's data may cost in the studies that are attacked with noise. */
const EPSILON = 2

const found = (update: Float64Array): readonly Float64Array[] => {
  const record = invertLinear(update)
  return record === null ? [] : [record]
}

/** How near the attack on the facility's update comes to the record that it knows best. */
const nearest = (update: Float64Array, examples: Examples): number =>
  Math.min(
    ...Array.from({ length: examples.rows }, (_, row) => nearestError(found(update), rowOf(examples, row))),
  )

/** The update of a batch before it is rounded: what a protocol without quantisation would send. */
const exactUpdate = (
  { training }: Study,
  examples: Examples,
  parameters: Float64Array,
  random: RandomSource,
): Float64Array => {
  const { steps, batchSize, learningRate } = training
  const architecture = { kind: "logistic-regression", inputs: examples.columns } as const
  const cursor = startCursor()
  return trainLocally({
    architecture,
    parameters,
    examples,
    steps,
    batchSize,
    learningRate,
    cursor,
    random,
  }).parameters.map((value, j) => value - (parameters[j] as number))
}

/** A model in the middle of its training: small weights of either sign. */
const someModel = (columns: number, random: RandomSource): Float64Array =>
  Float64Array.from({ length: columns + 1 }, () => 0.2 * (uniformUnit(random) - 0.5))

const sectionOf = ({ names, examples, source }: HeartRows, options: AuditOptions): Section => {
  const random = options.random("inversion")
  const study = (steps: number, privacy: { epsilon: number; sampleRate: number } | null = null) =>
    attackedStudy({ features: names, steps, learningRate: 1, privacy }, random)
  const one = (): Examples => pick(examples, [uniformBelow(random, examples.rows)])
  const model = (): Float64Array => someModel(examples.columns, random)
  const tries = <T>(attempt: () => T): readonly T[] => Array.from({ length: TRIES }, attempt)

  const [single, several, noisy] = [study(1), study(8), study(1, { epsilon: EPSILON, sampleRate: 1 })]
  const exact = tries(() => {
    const record = one()
    return nearest(exactUpdate(single, record, model(), random), record)
  })
  const sent = (of: Study) =>
    tries(() => {
      const record = one()
      return nearest(trainedUpdate({ study: of, examples: record, parameters: model(), random }), record)
    })
  const [rounded, afterSteps, withNoise] = [sent(single), sent(several), sent(noisy)]
  const batch = tries(() => {
    const rows = pick(
      examples,
      Array.from({ length: 8 }, () => uniformBelow(random, examples.rows)),
    )
    return nearest(
      exactUpdate({ ...single, training: { ...single.training, batchSize: 8 } }, rows, model(), random),
      rows,
    )
  })
  const summed = tries(() => {
    const updates = Array.from(permutation(random, examples.rows).subarray(0, 3), (row) => ({
      record: pick(examples, [row]),
      update: trainedUpdate({ study: single, examples: pick(examples, [row]), random }),
    }))
    const sum = Float64Array.from({ length: examples.columns + 1 }, (_, j) =>
      updates.reduce((total, { update }) => total + (update[j] as number), 0),
    )
    return Math.min(...updates.map(({ record }) => nearest(sum, record)))
  })
  const recovered = (errors: readonly number[]): string =>
    share(errors.filter((error) => error <= RECOVERED).length, errors.length)
  return {
    title: `Reading a patient's record out of an update (inversion), on ${source}`,
    rows: [
      atMost(
        {
          id: "inversion/unprotected",
          what: "without protection, a batch of one: worst error of any feature, in deviations",
        },
        Math.max(...exact),
        RECOVERED,
      ),
      told(
        {
          id: "inversion/rounded",
          what: "the same as sent, rounded to 2^-15 of the clip: worst error, and records found to 1e-3",
        },
        `${figure(Math.max(...rounded))}; ${recovered(rounded)}`,
      ),
      told(
        { id: "inversion/several-steps", what: "the same after 8 local steps on one record" },
        `${figure(Math.max(...afterSteps))}; ${recovered(afterSteps)}`,
      ),
      told(
        {
          id: "inversion/batch",
          what: "a batch of 8: error of the nearest record, in the middle of all tries (a mixture is found)",
        },
        figure(median(batch)),
      ),
      noneNear(
        {
          id: "inversion/private",
          what: `with differential privacy (epsilon ${EPSILON}), one patient alone: records found to 0.1`,
        },
        withNoise,
      ),
      told(
        {
          id: "inversion/private-error",
          what: "the same: error of the worst feature, in the middle of all tries",
        },
        figure(median(withNoise)),
      ),
      told(
        {
          id: "inversion/sum",
          what: "the opened sum of 3 facilities, one patient each, no noise: records found to 0.1, and error of the nearest",
        },
        `${share(summed.filter((error) => error <= NEAR).length, summed.length)}; ${figure(median(summed))}`,
      ),
    ],
  }
}

/** Attacks that read a record out of an update, on each of the views that there are. */
export const inversionSection: SectionBuilder = async (options) => {
  options.progress("reading records out of updates")
  return sectionOf(await heartRows(options.data, options.random("rows")), options)
}
