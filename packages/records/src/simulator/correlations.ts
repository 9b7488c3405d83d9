import type { DrawnName } from "./population.js"

export interface RankCorrelation {
  readonly columns: readonly [DrawnName, DrawnName]
  /** Spearman's coefficient within each sex, ties counted in their middle. Codes rank in the order of the schema. */
  readonly value: number
  readonly source: CorrelationSource
}

/**
 * Where a coefficient comes from, rounded to the next 0.05.
 * `survey-2009`: NHANES 2009-2012 and `survey-2017`: NHANES 2017-2018, as in `population.ts`, mean of the two sexes.
 * `assumption`: this project's, of the sign and rough size that clinical textbooks lead to expect.
 */
export type CorrelationSource = "survey-2009" | "survey-2017" | "assumption"

const row = (
  first: DrawnName,
  source: CorrelationSource,
  values: Readonly<Partial<Record<DrawnName, number>>>,
): readonly RankCorrelation[] =>
  Object.entries(values).map(([second, value]) => ({ columns: [first, second as DrawnName], value, source }))

/** How the columns go together within a sex, at every facility. Pairs that are not listed are unrelated. */
export const RANK_CORRELATIONS: readonly RankCorrelation[] = [
  ...row("age", "survey-2009", {
    systolic_pressure: 0.35,
    diastolic_pressure: -0.1,
    total_cholesterol: 0.05,
    hdl_cholesterol: 0.1,
    heart_rate: -0.15,
    diabetes: 0.25,
    smoking: 0.05,
  }),
  ...row("age", "survey-2017", {
    triglycerides: 0.05,
    fasting_glucose: 0.3,
    creatinine: 0.2,
    hba1c: 0.4,
    uric_acid: 0.15,
    potassium: 0.15,
    albumin: -0.1,
  }),
  ...row("age", "assumption", {
    fibrinogen: 0.25,
    activity: -0.05,
    ecg: 0.2,
    pressure_treatment: 0.35,
    exertional_pain: 0.05,
    albuminuria: 0.1,
    artery_disease: 0.15,
  }),
  ...row("systolic_pressure", "survey-2009", {
    diastolic_pressure: 0.45,
    total_cholesterol: 0.1,
    bmi: 0.15,
    heart_rate: 0.05,
    diabetes: 0.1,
    smoking: 0.05,
  }),
  ...row("systolic_pressure", "assumption", {
    triglycerides: 0.1,
    fasting_glucose: 0.15,
    creatinine: 0.05,
    uric_acid: 0.1,
    ecg: 0.1,
    pressure_treatment: 0.2,
    albuminuria: 0.15,
    artery_disease: 0.1,
  }),
  ...row("diastolic_pressure", "survey-2009", {
    total_cholesterol: 0.15,
    hdl_cholesterol: -0.05,
    bmi: 0.1,
    heart_rate: 0.15,
    diabetes: -0.1,
  }),
  ...row("diastolic_pressure", "assumption", { triglycerides: 0.1 }),
  ...row("total_cholesterol", "survey-2009", {
    hdl_cholesterol: 0.2,
    bmi: -0.05,
    heart_rate: 0.05,
    diabetes: -0.1,
  }),
  ...row("total_cholesterol", "survey-2017", {
    triglycerides: 0.3,
    fasting_glucose: -0.1,
    uric_acid: 0.05,
    albumin: 0.15,
  }),
  ...row("hdl_cholesterol", "survey-2009", { bmi: -0.4, heart_rate: -0.1, diabetes: -0.1 }),
  ...row("hdl_cholesterol", "survey-2017", {
    triglycerides: -0.55,
    fasting_glucose: -0.25,
    hba1c: -0.2,
    uric_acid: -0.15,
    albumin: 0.1,
  }),
  ...row("hdl_cholesterol", "assumption", { fibrinogen: -0.15, activity: 0.1 }),
  ...row("triglycerides", "survey-2017", { fasting_glucose: 0.3, bmi: 0.25, hba1c: 0.25, uric_acid: 0.2 }),
  ...row("triglycerides", "assumption", { diabetes: 0.15, pressure_treatment: 0.1 }),
  ...row("fasting_glucose", "survey-2017", { bmi: 0.3, creatinine: -0.1, hba1c: 0.65, uric_acid: 0.15 }),
  ...row("fasting_glucose", "assumption", {
    heart_rate: 0.05,
    diabetes: 0.4,
    pressure_treatment: 0.15,
    albuminuria: 0.1,
  }),
  ...row("bmi", "survey-2009", { heart_rate: 0.1, diabetes: 0.2, smoking: -0.1 }),
  ...row("bmi", "survey-2017", { creatinine: 0.1, hba1c: 0.25, uric_acid: 0.3, albumin: -0.25 }),
  ...row("bmi", "assumption", { fibrinogen: 0.25, activity: -0.15, pressure_treatment: 0.2 }),
  ...row("heart_rate", "survey-2009", { smoking: 0.1, diabetes: 0.05 }),
  ...row("heart_rate", "assumption", { activity: -0.1 }),
  ...row("creatinine", "survey-2017", { uric_acid: 0.3, potassium: 0.1, albumin: -0.1 }),
  ...row("creatinine", "assumption", { ecg: 0.05, pressure_treatment: 0.15, albuminuria: 0.1 }),
  ...row("hba1c", "survey-2017", { uric_acid: 0.15, potassium: 0.1, albumin: -0.15 }),
  ...row("hba1c", "assumption", { diabetes: 0.4, pressure_treatment: 0.15, albuminuria: 0.1 }),
  ...row("uric_acid", "assumption", { pressure_treatment: 0.1 }),
  ...row("potassium", "survey-2017", { albumin: -0.1 }),
  ...row("albumin", "assumption", { fibrinogen: -0.15 }),
  ...row("fibrinogen", "assumption", { smoking: 0.15 }),
  ...row("smoking", "assumption", { activity: -0.1, artery_disease: 0.15 }),
  ...row("diabetes", "assumption", {
    ecg: 0.05,
    pressure_treatment: 0.2,
    albuminuria: 0.15,
    artery_disease: 0.05,
  }),
  ...row("ecg", "assumption", { pressure_treatment: 0.1, exertional_pain: 0.1 }),
]
