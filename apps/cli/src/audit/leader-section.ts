import { uniformBelow } from "@consilium/base/random"
import { invertLinear, nearestError } from "@consilium/federation/attacks/inversion"
import {
  asIntegers,
  type LabelledMessage,
  learnKinds,
  likeness,
} from "@consilium/federation/attacks/message-bytes"
import type { Protection } from "@consilium/federation/study"
import { attackAuc } from "@consilium/privacy/audit/auc"
import { attackedStudy, trainedIntegers } from "./attacked-training.js"
import { ALARM_CONFIDENCE, attackWorks, isChance, noneNear, RECOVERED, share } from "./figures.js"
import { heartRows, pick, rowOf } from "./heart-rows.js"
import type { AuditOptions, AuditRow, SectionBuilder } from "./section.js"
import { SumAmongFacilities } from "./sum-among-facilities.js"

/** Facilities in the sum whose messages the leader holds. */
const FACILITIES = 3
const PROTECTED = ["shamir", "masked", "ckks", "bfv"] as const satisfies readonly Protection[]
/** Messages of either kind: with fewer, chance is not told from a little more. */
const LEAST_GAMES = 400
/** Patients that a facility has beside the one who is asked for. */
const OTHERS = 5

const protectionRows = async (
  options: AuditOptions,
  protection: Protection,
): Promise<readonly AuditRow[]> => {
  options.progress(`reading what the leader holds under ${protection}`)
  const random = options.random(`leader-${protection}`)
  const { names, examples } = await heartRows(options.data, options.random("rows"))
  const study = (batchSize: number) =>
    attackedStudy(
      {
        features: names,
        steps: 1,
        learningRate: 1,
        batchSize,
        privacy: null,
        protection,
        facilities: FACILITIES,
      },
      random,
    )
  const [single, group] = [study(1), study(OTHERS + 1)]
  const games = Math.max(LEAST_GAMES, Math.ceil(options.trials / 2))
  const one = (): number => uniformBelow(random, examples.rows)

  // the leader knows everything but whether the patient was in it, and has the update for either case
  const target = one()
  const others = Array.from({ length: OTHERS }, one)
  const [withTarget, without] = [
    [...others, target],
    [...others, (target + 1) % examples.rows],
  ].map((rows) => trainedIntegers({ study: group, examples: pick(examples, rows), random })) as [
    Int32Array,
    Int32Array,
  ]
  const sums = new SumAmongFacilities(group, FACILITIES, random)
  const messages: LabelledMessage[] = Array.from({ length: 2 * games }, (_, i) => ({
    kind: i % 2 === 0,
    message: sums.messageOf(i % 2 === 0 ? withTarget : without),
  }))
  const of = (kind: boolean, from: readonly LabelledMessage[], score: (message: Uint8Array) => number) =>
    from.filter((one) => one.kind === kind).map(({ message }) => score(message))
  const aucOf = (from: readonly LabelledMessage[], score: (message: Uint8Array) => number) =>
    attackAuc(of(true, from, score), of(false, from, score), ALARM_CONFIDENCE)
  const looks = aucOf(messages, (message) => likeness(message, withTarget) - likeness(message, without))
  const learned = aucOf(messages.slice(games), learnKinds(messages.slice(0, games)))

  const sumsOfOne = new SumAmongFacilities(single, FACILITIES, random)
  const errors = Array.from({ length: Math.min(games, 50) }, () => {
    const record = pick(examples, [one()])
    const values = trainedIntegers({ study: single, examples: record, random })
    const found = asIntegers(sumsOfOne.messageOf(values), values.length).flatMap((numbers) => {
      const read = invertLinear(numbers)
      return read === null ? [] : [read]
    })
    return nearestError(found, rowOf(record, 0))
  })
  const who = `${protection}: whether a patient was in it, by`
  if (protection === "plain") {
    const found = errors.filter((error) => error <= 2 * RECOVERED).length
    return [
      attackWorks(
        {
          id: "leader/plain/likeness",
          what: `without protection, ${who} likeness to updates that are known`,
        },
        looks,
        0.9,
        ALARM_CONFIDENCE,
      ),
      attackWorks(
        { id: "leader/plain/learned", what: `without protection, ${who} learning from examples` },
        learned,
        0.9,
        ALARM_CONFIDENCE,
      ),
      {
        id: "leader/plain/inversion",
        what: "without protection (plain): records found to 2e-3 in the bytes",
        value: share(found, errors.length),
        bound: "nearly all",
        holds: found >= 0.9 * errors.length,
      },
    ]
  }
  return [
    isChance(
      { id: `leader/${protection}/likeness`, what: `${who} likeness to updates that are known` },
      looks,
    ),
    isChance({ id: `leader/${protection}/learned`, what: `${who} learning from examples` }, learned),
    noneNear(
      { id: `leader/${protection}/inversion`, what: `${protection}: records found to 0.1 in the bytes` },
      errors,
    ),
  ]
}

/** Attacks on the bytes that pass the leader, by one who knows every patient but the one that is asked for. */
export const leaderSection: SectionBuilder = async (options) => {
  const rows: AuditRow[] = []
  for (const protection of ["plain", ...PROTECTED] as const)
    rows.push(...(await protectionRows(options, protection)))
  return { title: "What the leader holds of one facility: bytes of protected updates", rows }
}
