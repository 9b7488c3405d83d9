import type { CodeMarginal, NumberMarginal } from "./marginal.js"

/** Measured columns that the simulator draws together, beside the codes below. */
export const NUMBER_COLUMNS = [
  "age",
  "systolic_pressure",
  "diastolic_pressure",
  "total_cholesterol",
  "hdl_cholesterol",
  "triglycerides",
  "fasting_glucose",
  "bmi",
  "heart_rate",
  "creatinine",
  "hba1c",
  "uric_acid",
  "potassium",
  "albumin",
  "fibrinogen",
] as const
export type NumberName = (typeof NUMBER_COLUMNS)[number]
export type MeasuredName = Exclude<NumberName, "age">

export const CODE_COLUMNS = [
  "smoking",
  "activity",
  "ecg",
  "diabetes",
  "pressure_treatment",
  "family_history",
  "exertional_pain",
  "albuminuria",
  "artery_disease",
] as const
export type CodeName = (typeof CODE_COLUMNS)[number]

/** All columns that are drawn together, in the order of their normals. Sex is drawn first; the event follows from all. */
export const DRAWN_COLUMNS = [...NUMBER_COLUMNS, ...CODE_COLUMNS] as const
export type DrawnName = NumberName | CodeName

const PLACES: ReadonlyMap<string, number> = new Map(DRAWN_COLUMNS.map((name, at) => [name, at]))
/** The place of a column among those that are drawn. */
export const drawnPlace = (name: DrawnName): number => PLACES.get(name) as number

export const SEXES = ["female", "male"] as const
export type Sex = (typeof SEXES)[number]

export interface BySex<M> {
  readonly female: M
  readonly male: M
  /** Where the figures come from; figures are rounded. */
  readonly source: string
}

/**
 * National Health and Nutrition Examination Survey, National Center for Health Statistics, public-use files, ages 30 to 79;
 * this project's tabulation. 2009-2012: resampled by survey weight (R package NHANES, Pruim 2015). 2017-2018: unweighted.
 */
const SURVEY_2009 = "NHANES 2009-2012"
const SURVEY_2017 = "NHANES 2017-2018"

/** Means and deviations in the unit of the schema. Ages differ too much between facilities to have a reference. */
export const NUMBER_MARGINALS: Readonly<Record<MeasuredName, BySex<NumberMarginal>>> = {
  systolic_pressure: {
    female: { distribution: "lognormal", mean: 120, deviation: 17 },
    male: { distribution: "lognormal", mean: 123, deviation: 16 },
    source: SURVEY_2009,
  },
  diastolic_pressure: {
    female: { distribution: "normal", mean: 70, deviation: 11 },
    male: { distribution: "normal", mean: 74, deviation: 11 },
    source: SURVEY_2009,
  },
  total_cholesterol: {
    female: { distribution: "lognormal", mean: 200, deviation: 41 },
    male: { distribution: "lognormal", mean: 192, deviation: 42 },
    source: `between ${SURVEY_2009} (204, 197) and 2017-2018 (196, 187)`,
  },
  hdl_cholesterol: {
    female: { distribution: "lognormal", mean: 58, deviation: 16 },
    male: { distribution: "lognormal", mean: 48, deviation: 14 },
    source: SURVEY_2017,
  },
  triglycerides: {
    female: { distribution: "lognormal", mean: 135, deviation: 75 },
    male: { distribution: "lognormal", mean: 165, deviation: 105 },
    source: `${SURVEY_2017}: mean and deviation that follow from those of the logarithm`,
  },
  fasting_glucose: {
    female: { distribution: "lognormal", mean: 114, deviation: 39, floor: 70 },
    male: { distribution: "lognormal", mean: 120, deviation: 42, floor: 70 },
    source: `${SURVEY_2017}; the floor is an assumption that brings the median to the survey's`,
  },
  bmi: {
    female: { distribution: "lognormal", mean: 30, deviation: 7.5 },
    male: { distribution: "lognormal", mean: 29.5, deviation: 6 },
    source: `between ${SURVEY_2009} (29.2, 29.2) and 2017-2018 (30.7, 29.8)`,
  },
  heart_rate: {
    female: { distribution: "lognormal", mean: 74, deviation: 12 },
    male: { distribution: "lognormal", mean: 71, deviation: 12 },
    source: `${SURVEY_2009}; the same means for 1999-2008: Ostchega et al. 2011, National Health Statistics Reports 41`,
  },
  creatinine: {
    female: { distribution: "lognormal", mean: 0.77, deviation: 0.2 },
    male: { distribution: "lognormal", mean: 1.03, deviation: 0.27 },
    source: `${SURVEY_2017}: mean and deviation that follow from those of the logarithm`,
  },
  hba1c: {
    female: { distribution: "lognormal", mean: 5.9, deviation: 1.1, floor: 4.5 },
    male: { distribution: "lognormal", mean: 6, deviation: 1.2, floor: 4.5 },
    source: `${SURVEY_2017}; the floor is an assumption that brings median and tails to the survey's`,
  },
  uric_acid: {
    female: { distribution: "lognormal", mean: 4.9, deviation: 1.35 },
    male: { distribution: "lognormal", mean: 6.1, deviation: 1.4 },
    source: SURVEY_2017,
  },
  potassium: {
    female: { distribution: "normal", mean: 4, deviation: 0.36 },
    male: { distribution: "normal", mean: 4.15, deviation: 0.38 },
    source: SURVEY_2017,
  },
  albumin: {
    female: { distribution: "normal", mean: 3.95, deviation: 0.32 },
    male: { distribution: "normal", mean: 4.1, deviation: 0.32 },
    source: SURVEY_2017,
  },
  fibrinogen: {
    female: { distribution: "normal", mean: 3.05, deviation: 0.5 },
    male: { distribution: "normal", mean: 2.95, deviation: 0.5 },
    source:
      "Danesh et al. 1998, JAMA 279:1477: bottom and top thirds at 2.5 and 3.5 g/L; the sexes' difference is an assumption",
  },
}

/** Shares in the order of the schema's codes. */
export const CODE_MARGINALS: Readonly<Record<CodeName, BySex<CodeMarginal>>> = {
  smoking: {
    female: { distribution: "categorical", shares: [0.6, 0.23, 0.17] },
    male: { distribution: "categorical", shares: [0.48, 0.3, 0.22] },
    source: SURVEY_2009,
  },
  activity: {
    female: { distribution: "categorical", shares: [0.38, 0.4, 0.22] },
    male: { distribution: "categorical", shares: [0.32, 0.4, 0.28] },
    source: "assumption",
  },
  ecg: {
    female: { distribution: "categorical", shares: [0.87, 0.08, 0.03, 0.02] },
    male: { distribution: "categorical", shares: [0.85, 0.08, 0.05, 0.02] },
    source: "assumption",
  },
  diabetes: {
    female: { distribution: "bernoulli", share: 0.11 },
    male: { distribution: "bernoulli", share: 0.13 },
    source: SURVEY_2009,
  },
  pressure_treatment: {
    female: { distribution: "bernoulli", share: 0.28 },
    male: { distribution: "bernoulli", share: 0.28 },
    source:
      "Nwankwo et al. 2013, NCHS Data Brief 133: prevalence times share treated by age group, weighed by assumption",
  },
  family_history: {
    female: { distribution: "bernoulli", share: 0.15 },
    male: { distribution: "bernoulli", share: 0.15 },
    source: "assumption",
  },
  exertional_pain: {
    female: { distribution: "bernoulli", share: 0.07 },
    male: { distribution: "bernoulli", share: 0.06 },
    source: "Hemingway et al. 2008, Circulation 117: angina 6.7 % and 5.7 % of populations, on average",
  },
  albuminuria: {
    female: { distribution: "bernoulli", share: 0.07 },
    male: { distribution: "bernoulli", share: 0.07 },
    source: "Hillege et al. 2001, J Intern Med 249:519: 7.2 % between 28 and 75 years",
  },
  artery_disease: {
    female: { distribution: "bernoulli", share: 0.04 },
    male: { distribution: "bernoulli", share: 0.04 },
    source: "Selvin and Erlinger 2004, Circulation 110:738: 4.3 % from 40 years on",
  },
}

/** Share of men where nothing else is said. */
export const MALE_SHARE = 0.48
