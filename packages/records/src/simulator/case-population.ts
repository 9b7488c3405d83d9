import { choleskyFactor } from "./cholesky.js"
import { RANK_CORRELATIONS } from "./correlations.js"
import { CASE_MIXES, type CaseMix, type FacilityKind } from "./kinds.js"
import { type CodeMarginal, type Marginal, type NumberMarginal, sharesOf, transformOf } from "./marginal.js"
import {
  CODE_COLUMNS,
  CODE_MARGINALS,
  DRAWN_COLUMNS,
  type DrawnName,
  drawnPlace,
  NUMBER_COLUMNS,
  NUMBER_MARGINALS,
  type NumberName,
  type Sex,
} from "./population.js"
import { gradeExpansion, latentCorrelation } from "./rank-correlation.js"

export type Marginals = Readonly<Record<NumberName, NumberMarginal>> &
  Readonly<Record<(typeof CODE_COLUMNS)[number], CodeMarginal>>

const shiftedNumber = (marginal: NumberMarginal, shift: number, spread: number): NumberMarginal => ({
  ...marginal,
  mean: marginal.mean + shift,
  deviation: marginal.deviation * spread,
})

const weighedCodes = (marginal: CodeMarginal, odds: readonly number[]): CodeMarginal => {
  const weighed = sharesOf(marginal).map((share, at) => share * (odds[at] as number))
  const sum = weighed.reduce((total, share) => total + share, 0)
  const shares = weighed.map((share) => share / sum)
  return marginal.distribution === "bernoulli"
    ? { distribution: "bernoulli", share: shares[1] as number }
    : { distribution: "categorical", shares }
}

/** How each column is distributed among the women or the men of a kind of facility. */
export const marginalsOf = (kind: FacilityKind, sex: Sex): Marginals => {
  const { age, shifts, spreads, odds } = CASE_MIXES[kind]
  const numbers = NUMBER_COLUMNS.map((name) => [
    name,
    name === "age" ? age : shiftedNumber(NUMBER_MARGINALS[name][sex], shifts[name] ?? 0, spreads[name] ?? 1),
  ])
  const codes = CODE_COLUMNS.map((name) => {
    const weights = odds[name]
    return [
      name,
      weights === undefined ? CODE_MARGINALS[name][sex] : weighedCodes(CODE_MARGINALS[name][sex], weights),
    ]
  })
  return Object.fromEntries([...numbers, ...codes]) as Marginals
}

/**
 * The correlations that the normals behind the columns need for the ranks of the columns to correlate as the table says.
 *
 * Shape: columns x columns of `DRAWN_COLUMNS`, row by row
 */
export const latentCorrelations = (marginals: Marginals): Float64Array => {
  const size = DRAWN_COLUMNS.length
  const expansions = DRAWN_COLUMNS.map((name) => gradeExpansion(marginals[name] as Marginal))
  const out = new Float64Array(size * size)
  for (let at = 0; at < size; at++) out[at * size + at] = 1
  for (const { columns, value } of RANK_CORRELATIONS) {
    const [a, b] = columns.map(drawnPlace) as [number, number]
    const latent = latentCorrelation(expansions[a] as Float64Array, expansions[b] as Float64Array, value)
    out[a * size + b] = latent
    out[b * size + a] = latent
  }
  return out
}

/** Everything that drawing the women or the men of a kind of facility needs. */
export interface SexPopulation {
  readonly marginals: Marginals
  /** Turn a standard normal into a value, in the order of `DRAWN_COLUMNS`. */
  readonly transforms: readonly ((z: number) => number)[]
  /** Cholesky's factor of the latent correlations. */
  readonly factor: Float64Array
}

export interface CasePopulation {
  readonly mix: CaseMix
  readonly female: SexPopulation
  readonly male: SexPopulation
}

const sexPopulation = (kind: FacilityKind, sex: Sex): SexPopulation => {
  const marginals = marginalsOf(kind, sex)
  return {
    marginals,
    transforms: DRAWN_COLUMNS.map((name: DrawnName) => transformOf(marginals[name])),
    factor: choleskyFactor(latentCorrelations(marginals), DRAWN_COLUMNS.length),
  }
}

const populations = new Map<FacilityKind, CasePopulation>()

/** The population of a kind of facility, calibrated once. */
export const casePopulation = (kind: FacilityKind): CasePopulation => {
  const known = populations.get(kind)
  if (known !== undefined) return known
  const population = {
    mix: CASE_MIXES[kind],
    female: sexPopulation(kind, "female"),
    male: sexPopulation(kind, "male"),
  }
  populations.set(kind, population)
  return population
}
