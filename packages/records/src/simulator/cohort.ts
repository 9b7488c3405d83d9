import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, uniformUnit } from "@consilium/base/random"
import { CARDIOVASCULAR_SCHEMA } from "../cardiovascular/schema.js"
import type { NumberColumn } from "../schema.js"
import type { Table } from "../table.js"
import { type CasePopulation, casePopulation } from "./case-population.js"
import { CASE_MIXES, FACILITY_KINDS, type FacilityKind } from "./kinds.js"
import { hideValues } from "./missingness.js"
import { drawNormal } from "./normal.js"
import {
  DRAWN_COLUMNS,
  type DrawnName,
  drawnPlace,
  NUMBER_COLUMNS,
  type NumberName,
  type Sex,
} from "./population.js"
import { eventRisk } from "./risk.js"

export interface CohortRequest {
  readonly kind: FacilityKind
  /** A whole number from 1 to 1,000,000; by default what is usual for the kind. */
  readonly rows?: number
  readonly random: RandomSource
}

const MOST_ROWS = 1_000_000

/** Digits after the point that each number is written with, in the unit of the schema. */
export const DIGITS: Readonly<Record<NumberName, number>> = {
  age: 0,
  systolic_pressure: 0,
  diastolic_pressure: 0,
  total_cholesterol: 0,
  hdl_cholesterol: 0,
  triglycerides: 0,
  fasting_glucose: 0,
  bmi: 1,
  heart_rate: 0,
  creatinine: 2,
  hba1c: 1,
  uric_acid: 1,
  potassium: 1,
  albumin: 1,
  fibrinogen: 1,
}

const POWERS = [1, 10, 100, 1000] as const

/** A number with so many digits after the point, as reading its text would give it. */
export const rounded = (value: number, digits: number): number => {
  const power = POWERS[digits] as number
  return Math.round(value * power) / power
}

const rangeOf = (name: NumberName): readonly [number, number] =>
  (CARDIOVASCULAR_SCHEMA.columns.find((column) => column.name === name) as NumberColumn).range

const LIMITS = NUMBER_COLUMNS.map((name) => ({ digits: DIGITS[name], range: rangeOf(name) }))

const SIZE = DRAWN_COLUMNS.length

/** One patient before anything is missing: sex, event, and the value of every drawn column, codes by their place. */
export interface DrawnPatient {
  readonly sex: Sex
  readonly event: boolean
  /** In the order of `DRAWN_COLUMNS`. */
  readonly values: Float64Array
}

/**
 * Draws one patient. Every patient takes the same number of draws, so that one does not depend on another.
 *
 * Math: x_i = F_i^-1(normalShare((L e)_i)), e independent standard normals, L L^T the latent correlations; the event is
 *       drawn with the risk of these values
 */
export const drawPatient = (population: CasePopulation, random: RandomSource): DrawnPatient => {
  const { mix } = population
  const sex: Sex = uniformUnit(random) < mix.maleShare ? "male" : "female"
  const { factor, transforms } = population[sex]
  const normals = Float64Array.from({ length: SIZE }, () => drawNormal(random))
  const values = new Float64Array(SIZE)
  for (let row = 0; row < SIZE; row++) {
    let z = 0
    for (let k = 0; k <= row; k++) z += (factor[row * SIZE + k] as number) * (normals[k] as number)
    const value = (transforms[row] as (z: number) => number)(z)
    const limit = LIMITS[row]
    values[row] =
      limit === undefined
        ? value
        : rounded(Math.min(limit.range[1], Math.max(limit.range[0], value)), limit.digits)
  }
  const valueIn = (name: DrawnName): number => values[drawnPlace(name)] as number
  const event = uniformUnit(random) < eventRisk(sex, valueIn, mix.severity)
  return { sex, event, values }
}

/**
 * The rows of a request that makes sense.
 * @throws {ConsiliumError} "records/bad-profile"
 */
const checkedRows = ({ kind, rows }: CohortRequest): number => {
  if (!FACILITY_KINDS.includes(kind))
    throw new ConsiliumError("records/bad-profile", "There is no such kind of facility to simulate.", {
      remedy: `Ask for one of: ${FACILITY_KINDS.join(", ")}.`,
    })
  const asked = rows ?? CASE_MIXES[kind].rows
  if (!Number.isSafeInteger(asked) || asked < 1 || asked > MOST_ROWS)
    throw new ConsiliumError("records/bad-profile", `${asked} simulated rows cannot be made.`, {
      remedy: "Ask for a whole number of rows from 1 to 1,000,000.",
    })
  return asked
}

/**
 * Made-up patients of a kind of facility, under `CARDIOVASCULAR_SCHEMA`: every row says that it is synthetic, and each is
 * a patient of its own. The same random source gives the same rows on every engine, and the first rows of a bigger
 * cohort are those of a smaller one. They are drawn from published tables and stated assumptions, never from a
 * facility's rows, and nothing clinical may be concluded from them.
 *
 * Math:   a Gaussian copula within each sex (Nelsen 2006) with the marginals of `case-population.ts`, calibrated so that
 *         rank correlations are those of `correlations.ts`; the event is a logistic function of them, in `risk.ts`
 * Cost:   about 60 draws and 300 multiplications a row
 * @throws {ConsiliumError} "records/bad-profile" if rows is not a whole number in [1, 1,000,000] or the kind is unknown
 */
export const simulateCohort = (request: CohortRequest): Table => {
  const rows = checkedRows(request)
  const { kind, random } = request
  const column = (): Float64Array => new Float64Array(rows)
  const population = casePopulation(kind)
  const drawn = DRAWN_COLUMNS.map(column)
  const sexes = column()
  const events = column()
  for (let row = 0; row < rows; row++) {
    const { sex, values, event } = drawPatient(population, random)
    hideValues(population.mix, sex, values, random)
    sexes[row] = sex === "male" ? 1 : 0
    events[row] = event ? 1 : 0
    for (let at = 0; at < SIZE; at++) (drawn[at] as Float64Array)[row] = values[at] as number
  }
  const byName = new Map<string, Float64Array>([
    ["origin", column()],
    ["sex", sexes],
    ["event", events],
    ...DRAWN_COLUMNS.map((name, at) => [name, drawn[at] as Float64Array] as const),
  ])
  const named = CARDIOVASCULAR_SCHEMA.columns.filter(({ type }) => type !== "identifier")
  return {
    schema: CARDIOVASCULAR_SCHEMA,
    source: `simulated ${kind}`,
    rows,
    columns: new Map(named.map(({ name }) => [name, byName.get(name) as Float64Array])),
    patients: Uint32Array.from({ length: rows }, (_, row) => row),
    sourceRows: Uint32Array.from({ length: rows }, (_, row) => row),
    dropped: 0,
    droppedBy: new Map(),
  }
}
