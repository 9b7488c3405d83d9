import type { NumberMarginal } from "./marginal.js"
import type { CodeName, MeasuredName, NumberName } from "./population.js"

export const FACILITY_KINDS = ["hospital", "clinic", "research-centre", "emergency-centre"] as const
export type FacilityKind = (typeof FACILITY_KINDS)[number]

/** Examinations that are done or not done as a whole. */
export const EXAMINATIONS = {
  lipids: ["total_cholesterol", "hdl_cholesterol", "triglycerides"],
  glucose: ["fasting_glucose", "hba1c"],
  kidneys: ["creatinine", "potassium", "uric_acid"],
  proteins: ["albumin", "fibrinogen"],
  urine: ["albuminuria"],
  vessels: ["artery_disease"],
  electrocardiogram: ["ecg"],
  body: ["bmi"],
  vitals: ["systolic_pressure", "diastolic_pressure", "heart_rate"],
  history: ["smoking", "activity", "family_history"],
} as const satisfies Readonly<Record<string, readonly (NumberName | CodeName)[]>>
export type ExaminationName = keyof typeof EXAMINATIONS

/** How often an examination is not done. Age and sex are always known, so this part is missing at random (MAR). */
export interface Omission {
  /** Share of women of 60 years who lack it. */
  readonly share: number
  /** Change of its log odds per ten years of age. */
  readonly perDecade: number
  /** Change of its log odds for men. */
  readonly forMen: number
}

/** Who is seen at a kind of facility, and what is written down of them. All of it is this project's assumption. */
export interface CaseMix {
  readonly age: NumberMarginal
  readonly maleShare: number
  /** Added to the means of the reference, in the unit of the column. */
  readonly shifts: Readonly<Partial<Record<MeasuredName, number>>>
  /** Multiplies the deviations of the reference. */
  readonly spreads: Readonly<Partial<Record<MeasuredName, number>>>
  /** Multiplies the odds of each code against the first, in the order of the schema's codes. */
  readonly odds: Readonly<Partial<Record<CodeName, readonly number[]>>>
  /** How much likelier an event is than the columns tell, in log odds: why these people came. */
  readonly severity: number
  readonly omissions: Readonly<Record<ExaminationName, Omission>>
  /** Share of single values that got lost, whatever they were: missing completely at random (MCAR). */
  readonly lost: number
  /** Rows of a file where nothing else is asked for. */
  readonly rows: number
}

const omitted = (share: number, perDecade = 0, forMen = 0): Omission => ({ share, perDecade, forMen })
const aged = (mean: number, deviation: number, low: number, high: number): NumberMarginal => ({
  distribution: "truncated-normal",
  mean,
  deviation,
  low,
  high,
})

export const CASE_MIXES: Readonly<Record<FacilityKind, CaseMix>> = {
  // old and sick, measured thoroughly; lipids low because many are treated
  hospital: {
    age: aged(66, 8, 40, 90),
    maleShare: 0.56,
    shifts: {
      systolic_pressure: 10,
      total_cholesterol: -10,
      hdl_cholesterol: -3,
      fasting_glucose: 12,
      heart_rate: 3,
      creatinine: 0.1,
      hba1c: 0.4,
      uric_acid: 0.4,
      albumin: -0.2,
      fibrinogen: 0.3,
    },
    spreads: { systolic_pressure: 1.15, creatinine: 1.3, heart_rate: 1.15 },
    odds: {
      smoking: [1, 1.3, 0.9],
      ecg: [1, 2.5, 3, 4],
      diabetes: [1, 2.2],
      pressure_treatment: [1, 2.8],
      family_history: [1, 1.2],
      exertional_pain: [1, 3],
      albuminuria: [1, 2.5],
      artery_disease: [1, 3],
    },
    severity: 0.7,
    omissions: {
      lipids: omitted(0.2, 0.2),
      glucose: omitted(0.05),
      kidneys: omitted(0.03),
      proteins: omitted(0.1),
      urine: omitted(0.3),
      vessels: omitted(0.25, -0.2),
      electrocardiogram: omitted(0.05, -0.3),
      body: omitted(0.15, 0.2),
      vitals: omitted(0.01),
      history: omitted(0.12, 0.2),
    },
    lost: 0.015,
    rows: 600,
  },
  // nearest to the population; the young and well are examined least
  clinic: {
    age: aged(55, 9, 30, 80),
    maleShare: 0.44,
    shifts: { systolic_pressure: 4, diastolic_pressure: 2, bmi: 0.5 },
    spreads: {},
    odds: { pressure_treatment: [1, 1.3], diabetes: [1, 1.2] },
    severity: 0.3,
    omissions: {
      lipids: omitted(0.12, -0.4, 0.3),
      glucose: omitted(0.15, -0.4, 0.3),
      kidneys: omitted(0.2, -0.4, 0.2),
      proteins: omitted(0.25, -0.3),
      urine: omitted(0.3, -0.3),
      vessels: omitted(0.35, -0.3),
      electrocardiogram: omitted(0.4, -0.5),
      body: omitted(0.08),
      vitals: omitted(0.03, -0.2, 0.3),
      history: omitted(0.05),
    },
    lost: 0.01,
    rows: 240,
  },
  // chosen by a protocol: a band of ages, raised risk, hardly anything missing
  "research-centre": {
    age: aged(58, 7, 45, 70),
    maleShare: 0.6,
    shifts: { systolic_pressure: 8, total_cholesterol: 12, hdl_cholesterol: -2, bmi: 0.5 },
    spreads: { systolic_pressure: 0.9, total_cholesterol: 0.9, fasting_glucose: 0.8 },
    odds: {
      ecg: [1, 1.2, 1.5, 0.5],
      diabetes: [1, 1.3],
      pressure_treatment: [1, 1.6],
      family_history: [1, 1.8],
      exertional_pain: [1, 1.3],
      albuminuria: [1, 1.5],
      artery_disease: [1, 1.5],
    },
    severity: 0.5,
    omissions: {
      lipids: omitted(0.01),
      glucose: omitted(0.01),
      kidneys: omitted(0.01),
      proteins: omitted(0.01),
      urine: omitted(0.01),
      vessels: omitted(0.02),
      electrocardiogram: omitted(0.02),
      body: omitted(0.01),
      vitals: omitted(0.005),
      history: omitted(0.02),
    },
    lost: 0.005,
    rows: 320,
  },
  // every age, in pain or in distress; what does not change the next hour is not measured
  "emergency-centre": {
    age: aged(60, 11, 30, 90),
    maleShare: 0.54,
    shifts: {
      systolic_pressure: 14,
      diastolic_pressure: 5,
      fasting_glucose: 18,
      heart_rate: 14,
      creatinine: 0.08,
      hba1c: 0.3,
      albumin: -0.1,
      fibrinogen: 0.2,
    },
    spreads: {
      systolic_pressure: 1.3,
      diastolic_pressure: 1.2,
      heart_rate: 1.5,
      fasting_glucose: 1.2,
      creatinine: 1.4,
    },
    odds: {
      smoking: [1, 1.1, 1.6],
      ecg: [1, 3.5, 2.5, 4],
      diabetes: [1, 1.6],
      pressure_treatment: [1, 1.8],
      exertional_pain: [1, 7],
      albuminuria: [1, 2],
      artery_disease: [1, 1.8],
    },
    severity: 0.8,
    omissions: {
      lipids: omitted(0.75, -0.2),
      glucose: omitted(0.12),
      kidneys: omitted(0.1, -0.2),
      proteins: omitted(0.25),
      urine: omitted(0.6),
      vessels: omitted(0.6, -0.3),
      electrocardiogram: omitted(0.06, -0.5),
      body: omitted(0.5),
      vitals: omitted(0.01),
      history: omitted(0.3, 0.1, 0.2),
    },
    lost: 0.025,
    rows: 400,
  },
}
