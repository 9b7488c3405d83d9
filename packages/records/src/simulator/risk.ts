import { exp, log } from "@consilium/base/elementary"
import type { CodeName, DrawnName, NumberName, Sex } from "./population.js"

/** By how much a step of a number multiplies the odds of an event. */
export interface NumberEffect {
  readonly column: NumberName
  readonly step: number
  readonly oddsRatio: number
  /** The value at which the effect counts as none. */
  readonly centre: number
  readonly source: string
}

/** By how much each code multiplies the odds of an event, in the order of the schema's codes. */
export interface CodeEffect {
  readonly column: CodeName
  readonly oddsRatios: readonly number[]
  readonly source: string
}

/**
 * General cardiovascular disease within 10 years: the mean of the two sexes' coefficients, which are for logarithms of
 * numbers, straightened about the centre and rounded.
 */
const FRAMINGHAM = "D'Agostino et al. 2008, Circulation 117:743"
const COLLABORATION = "Emerging Risk Factors Collaboration"

/** Published figures are hazard or risk ratios; they are taken for odds ratios here, which is near enough for rare events. */
export const NUMBER_EFFECTS: readonly NumberEffect[] = [
  { column: "age", step: 10, oddsRatio: 1.6, centre: 55, source: FRAMINGHAM },
  { column: "systolic_pressure", step: 20, oddsRatio: 1.4, centre: 125, source: FRAMINGHAM },
  { column: "total_cholesterol", step: 40, oddsRatio: 1.25, centre: 200, source: FRAMINGHAM },
  { column: "hdl_cholesterol", step: 15, oddsRatio: 0.8, centre: 50, source: FRAMINGHAM },
  {
    column: "fasting_glucose",
    step: 20,
    oddsRatio: 1.05,
    centre: 100,
    source: "assumption: a little beyond the diagnosis of diabetes",
  },
  {
    column: "bmi",
    step: 5,
    oddsRatio: 1.05,
    centre: 28,
    source: `assumption: little is left beside pressure, lipids and diabetes (${COLLABORATION} 2011, Lancet 377:1085)`,
  },
  {
    column: "heart_rate",
    step: 10,
    oddsRatio: 1.1,
    centre: 72,
    source: "Zhang, Shen and Qi 2016, CMAJ 188:E53: 1.08 to 1.09",
  },
  {
    column: "creatinine",
    step: 0.2,
    oddsRatio: 1.1,
    centre: 0.85,
    source:
      "assumption, after the rise of risk with falling filtration in Go et al. 2004, N Engl J Med 351:1296",
  },
  {
    column: "hba1c",
    step: 1,
    oddsRatio: 1.1,
    centre: 5.6,
    source: "assumption: a little beyond the diagnosis of diabetes",
  },
  { column: "uric_acid", step: 1, oddsRatio: 1.05, centre: 5.5, source: "assumption" },
  { column: "potassium", step: 0.5, oddsRatio: 1, centre: 4, source: "assumption: none" },
  {
    column: "albumin",
    step: 0.3,
    oddsRatio: 0.85,
    centre: 4,
    source: "Danesh et al. 1998, JAMA 279:1477: 1.5 for the bottom against the top third",
  },
  {
    column: "fibrinogen",
    step: 1,
    oddsRatio: 1.8,
    centre: 3,
    source: "Danesh et al. 1998, JAMA 279:1477: 1.8 for thirds that lie 1 g/L apart",
  },
  {
    column: "triglycerides",
    step: 50,
    oddsRatio: 1,
    centre: 130,
    source: `${COLLABORATION} 2009, JAMA 302:1993: 0.99 beside the other lipids`,
  },
  {
    column: "diastolic_pressure",
    step: 10,
    oddsRatio: 1,
    centre: 72,
    source: "assumption: none beside systolic pressure",
  },
]

export const CODE_EFFECTS: readonly CodeEffect[] = [
  {
    column: "smoking",
    oddsRatios: [1, 1.2, 1.8],
    source: `current: ${FRAMINGHAM}; former: assumption`,
  },
  {
    column: "activity",
    oddsRatios: [1, 0.87, 0.75],
    source: "Li and Siegrist 2012, Int J Environ Res Public Health 9:391: high against low 0.76 and 0.73",
  },
  {
    column: "ecg",
    oddsRatios: [1, 1.5, 2, 1.7],
    source:
      "between minor (1.55) and major (3.01) abnormalities in Denes et al. 2007, JAMA 297:978; fibrillation after Benjamin et al. 1998, Circulation 98:946 (1.5 and 1.9, for death)",
  },
  { column: "diabetes", oddsRatios: [1, 1.9], source: FRAMINGHAM },
  { column: "pressure_treatment", oddsRatios: [1, 1.35], source: FRAMINGHAM },
  {
    column: "family_history",
    oddsRatios: [1, 1.8],
    source: "Lloyd-Jones et al. 2004, JAMA 291:2204: 2.0 and 1.7",
  },
  { column: "exertional_pain", oddsRatios: [1, 1.5], source: "assumption" },
  {
    column: "albuminuria",
    oddsRatios: [1, 1.8],
    source: "Gerstein et al. 2001, JAMA 286:421: 1.83",
  },
  {
    column: "artery_disease",
    oddsRatios: [1, 2],
    source:
      "Ankle Brachial Index Collaboration 2008, JAMA 300:197: about twice the risk at any Framingham score",
  },
]

/** By how much being a man multiplies the odds, all else equal: 1.9 by the functions of D'Agostino et al. at the centres. */
export const MALE_ODDS_RATIO = 1.9

/**
 * The risk of a woman whose numbers are at their centres and whose codes are the first ones.
 * Source: D'Agostino et al. 2008 gives 5.6 % for total cholesterol 200, HDL 50, systolic 125 untreated, at 55 years
 */
export const BASELINE_RISK = 0.055

export const logOdds = (share: number): number => log(share / (1 - share))
/** Math: 1 / (1 + e^-x) */
export const shareOfLogOdds = (x: number): number => 1 / (1 + exp(-x))

const PER_UNIT = NUMBER_EFFECTS.map(({ column, step, oddsRatio, centre }) => ({
  column,
  centre,
  slope: log(oddsRatio) / step,
}))
const PER_CODE = CODE_EFFECTS.map(({ column, oddsRatios }) => ({ column, logs: oddsRatios.map(log) }))
const BASELINE = logOdds(BASELINE_RISK)
const MALE = log(MALE_ODDS_RATIO)

/**
 * The probability of a major cardiovascular event within 10 years: the same function of the columns at every facility.
 *
 * Math:   1 / (1 + e^-(baseline + severity + sum of log odds ratios))
 * Units:  values in the unit of their column, codes by their place; severity in log odds: how much sicker the patients of
 *         a facility are than their columns tell
 */
export const eventRisk = (sex: Sex, valueIn: (column: DrawnName) => number, severity: number): number => {
  let sum = BASELINE + severity + (sex === "male" ? MALE : 0)
  for (const { column, slope, centre } of PER_UNIT) sum += slope * (valueIn(column) - centre)
  for (const { column, logs } of PER_CODE) sum += logs[valueIn(column)] as number
  return shareOfLogOdds(sum)
}
