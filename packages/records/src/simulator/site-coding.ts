import type { FacilityKind } from "./kinds.js"

/** How a site writes a measured number: in another unit, perhaps, and with so many digits after the point. */
export interface NumberCoding {
  readonly from: string
  readonly unit?: string
  readonly digits: number
}

/** How a site writes codes: its own for each of the schema's. */
export interface CodesCoding {
  readonly from: string
  readonly codes: Readonly<Record<string, string>>
}

/** The columns of a site's file in its own words, beside `origin`, which every file keeps as it is. */
export interface SiteCoding {
  readonly patient: { readonly from: string; readonly prefix: string }
  readonly numbers: Readonly<Record<string, NumberCoding>>
  readonly codes: Readonly<Record<string, CodesCoding>>
  /** What the site writes where a value is missing. */
  readonly missing: string
}

const number = (from: string, digits = 0, unit?: string): NumberCoding => ({
  from,
  digits,
  ...(unit === undefined ? {} : { unit }),
})
const coded = (from: string, codes: Readonly<Record<string, string>>): CodesCoding => ({ from, codes })

const YES_NO = [
  "diabetes",
  "pressure_treatment",
  "family_history",
  "exertional_pain",
  "albuminuria",
  "artery_disease",
  "event",
]

/** The yes/no columns of a site, all with the same two words. */
const answers = (
  names: readonly string[],
  [yes, no]: readonly [string, string],
): Readonly<Record<string, CodesCoding>> =>
  Object.fromEntries(YES_NO.map((column, at) => [column, coded(names[at] as string, { yes, no })]))

/** An electronic record that exports American units, capitals and single letters. */
const HOSPITAL: SiteCoding = {
  patient: { from: "PAT_ID", prefix: "H" },
  numbers: {
    age: number("AGE_YRS"),
    systolic_pressure: number("SBP"),
    diastolic_pressure: number("DBP"),
    total_cholesterol: number("CHOL_TOT"),
    hdl_cholesterol: number("CHOL_HDL"),
    triglycerides: number("TRIG"),
    fasting_glucose: number("GLUC_FAST"),
    bmi: number("BMI", 1),
    heart_rate: number("HR"),
    creatinine: number("CREAT", 2),
    hba1c: number("HBA1C", 1),
    uric_acid: number("URATE", 1),
    potassium: number("K", 1, "mEq/L"),
    albumin: number("ALB", 1),
    fibrinogen: number("FIBRIN", 0, "mg/dL"),
  },
  codes: {
    sex: coded("SEX", { female: "F", male: "M" }),
    smoking: coded("SMOKER", { never: "N", former: "X", current: "Y" }),
    activity: coded("ACTIVITY", { low: "L", moderate: "M", high: "H" }),
    ecg: coded("ECG_READ", { normal: "NORM", "st-t": "STT", hypertrophy: "LVH", fibrillation: "AFIB" }),
    ...answers(["DM", "BP_MEDS", "FAM_HX", "ANGINA", "ALBUMINURIA", "PAD", "MACE10"], ["Y", "N"]),
  },
  missing: "NULL",
}

/** A practice whose laboratory reports in SI units; codes are numbers, from 1. */
const CLINIC: SiteCoding = {
  patient: { from: "patient_no", prefix: "" },
  numbers: {
    age: number("age"),
    systolic_pressure: number("bp_sys"),
    diastolic_pressure: number("bp_dia"),
    total_cholesterol: number("cholesterol", 2, "mmol/L"),
    hdl_cholesterol: number("hdl", 2, "mmol/L"),
    triglycerides: number("triglycerides", 2, "mmol/L"),
    fasting_glucose: number("glucose", 1, "mmol/L"),
    bmi: number("bmi", 1),
    heart_rate: number("pulse"),
    creatinine: number("creatinine", 0, "umol/L"),
    hba1c: number("hba1c", 1),
    uric_acid: number("uric_acid", 0, "umol/L"),
    potassium: number("potassium", 1),
    albumin: number("albumin", 0, "g/L"),
    fibrinogen: number("fibrinogen", 1),
  },
  codes: {
    sex: coded("sex", { female: "2", male: "1" }),
    smoking: coded("smoking", { never: "1", former: "2", current: "3" }),
    activity: coded("exercise", { low: "1", moderate: "2", high: "3" }),
    ecg: coded("ecg", { normal: "1", "st-t": "2", hypertrophy: "3", fibrillation: "4" }),
    ...answers(
      ["diabetes", "bp_treatment", "family_history", "chest_pain", "albuminuria", "abi_low", "cv_event"],
      ["1", "2"],
    ),
  },
  missing: "-9",
}

/** A trial's data set: short names in capitals, whole words, SI units. */
const RESEARCH_CENTRE: SiteCoding = {
  patient: { from: "SUBJID", prefix: "RC-" },
  numbers: {
    age: number("AGE"),
    systolic_pressure: number("SYSBP"),
    diastolic_pressure: number("DIABP"),
    total_cholesterol: number("CHOL", 2, "mmol/L"),
    hdl_cholesterol: number("HDL", 2, "mmol/L"),
    triglycerides: number("TRIG", 2, "mmol/L"),
    fasting_glucose: number("GLUCFAST", 2, "mmol/L"),
    bmi: number("BMI", 1),
    heart_rate: number("HR"),
    creatinine: number("CREAT", 1, "umol/L"),
    hba1c: number("HBA1C", 1),
    uric_acid: number("URATE", 1, "umol/L"),
    potassium: number("K", 1),
    albumin: number("ALB", 0, "g/L"),
    fibrinogen: number("FIBRINO", 1),
  },
  codes: {
    sex: coded("SEX", { female: "F", male: "M" }),
    smoking: coded("SUSMK", { never: "NEVER", former: "FORMER", current: "CURRENT" }),
    activity: coded("PHYSACT", { low: "LOW", moderate: "MODERATE", high: "HIGH" }),
    ecg: coded("EGINTP", {
      normal: "NORMAL",
      "st-t": "ST-T ABNORMALITY",
      hypertrophy: "LV HYPERTROPHY",
      fibrillation: "ATRIAL FIBRILLATION",
    }),
    ...answers(["DIABFL", "HTNTRTFL", "FAMHXFL", "ANGFL", "ALBUFL", "PADFL", "MACEFL"], ["Y", "N"]),
  },
  missing: ".",
}

/** A triage system: a mixture of units, and words in lower case. */
const EMERGENCY_CENTRE: SiteCoding = {
  patient: { from: "visit", prefix: "ED" },
  numbers: {
    age: number("age"),
    systolic_pressure: number("sys"),
    diastolic_pressure: number("dia"),
    total_cholesterol: number("chol"),
    hdl_cholesterol: number("hdl"),
    triglycerides: number("tg"),
    fasting_glucose: number("bg", 1, "mmol/L"),
    bmi: number("bmi", 1),
    heart_rate: number("hr"),
    creatinine: number("crea", 0, "umol/L"),
    hba1c: number("a1c", 1),
    uric_acid: number("ua", 1),
    potassium: number("k", 1),
    albumin: number("alb", 0, "g/L"),
    fibrinogen: number("fib", 0, "mg/dL"),
  },
  codes: {
    sex: coded("gender", { female: "woman", male: "man" }),
    smoking: coded("smokes", { never: "no", former: "ex", current: "yes" }),
    activity: coded("active", { low: "little", moderate: "some", high: "much" }),
    ecg: coded("ecg", { normal: "ok", "st-t": "st", hypertrophy: "lvh", fibrillation: "af" }),
    ...answers(["dm", "bp_drugs", "fhx", "exert_pain", "alb_u", "pad", "event_10y"], ["true", "false"]),
  },
  missing: "n/a",
}

/** Each kind of facility's own way of writing. */
export const SITE_CODINGS: Readonly<Record<FacilityKind, SiteCoding>> = {
  hospital: HOSPITAL,
  clinic: CLINIC,
  "research-centre": RESEARCH_CENTRE,
  "emergency-centre": EMERGENCY_CENTRE,
}
