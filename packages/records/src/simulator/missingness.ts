import { type RandomSource, uniformUnit } from "@consilium/base/random"
import { type CaseMix, EXAMINATIONS, type ExaminationName, type Omission } from "./kinds.js"
import { DRAWN_COLUMNS, drawnPlace, type Sex } from "./population.js"
import { logOdds, shareOfLogOdds } from "./risk.js"

/** Columns that may lack a value: all that are drawn but age. */
const LOSABLE = DRAWN_COLUMNS.filter((name) => name !== "age")

/** The age at which the shares of omitted examinations are given, years. */
const OMISSION_AGE = 60

/**
 * The probability that an examination was not done.
 *
 * Math:   1 / (1 + e^-(log odds of share + perDecade (age - 60) / 10 + forMen [man]))
 * Units:  age in years
 * Source: missing at random, given age and sex: Rubin 1976
 */
export const omissionShare = ({ share, perDecade, forMen }: Omission, age: number, sex: Sex): number =>
  shareOfLogOdds(logOdds(share) + (perDecade * (age - OMISSION_AGE)) / 10 + (sex === "male" ? forMen : 0))

/**
 * Writes NaN over what was not measured or got lost: whole examinations by age and sex (missing at random), and then
 * single values whatever they are (missing completely at random).
 */
export const hideValues = (mix: CaseMix, sex: Sex, values: Float64Array, random: RandomSource): void => {
  const age = values[drawnPlace("age")] as number
  for (const [name, columns] of Object.entries(EXAMINATIONS)) {
    const omitted = uniformUnit(random) < omissionShare(mix.omissions[name as ExaminationName], age, sex)
    if (omitted) for (const column of columns) values[drawnPlace(column)] = NaN
  }
  for (const name of LOSABLE) if (uniformUnit(random) < mix.lost) values[drawnPlace(name)] = NaN
}
