import { defaultFeatures, type Feature } from "../features.js"
import { constantsFromMeans, type MissingConstant } from "../missing.js"
import { declaredStandardiser, type Standardiser } from "../standardise.js"
import { CARDIOVASCULAR_SCHEMA } from "./schema.js"

/** The 29 features of the cardiovascular schema; the first code of each category has no feature of its own. */
export const CARDIOVASCULAR_FEATURES: readonly Feature[] = defaultFeatures(CARDIOVASCULAR_SCHEMA)

/**
 * Round figures between those that the four kinds of facility in `simulator/` are made from (published tables and stated
 * assumptions), with as many men as women, and from no facility's rows: the standardiser of studies with differential
 * privacy, where a facility's own mean and deviation would have to be paid for. Yes/no features use the deviation of a
 * coin with the declared share.
 */
export const CARDIOVASCULAR_DECLARED_STANDARDISER: Standardiser = declaredStandardiser([
  { name: "age", mean: 60, deviation: 10 },
  { name: "sex=male", mean: 0.5, deviation: 0.5 },
  { name: "systolic_pressure", mean: 130, deviation: 18 },
  { name: "diastolic_pressure", mean: 74, deviation: 12 },
  { name: "total_cholesterol", mean: 196, deviation: 41 },
  { name: "hdl_cholesterol", mean: 52, deviation: 16 },
  { name: "triglycerides", mean: 150, deviation: 90 },
  { name: "fasting_glucose", mean: 125, deviation: 42 },
  { name: "bmi", mean: 30, deviation: 7 },
  { name: "heart_rate", mean: 77, deviation: 15 },
  { name: "creatinine", mean: 0.95, deviation: 0.3 },
  { name: "hba1c", mean: 6.1, deviation: 1.2 },
  { name: "uric_acid", mean: 5.6, deviation: 1.5 },
  { name: "potassium", mean: 4.1, deviation: 0.4 },
  { name: "albumin", mean: 3.9, deviation: 0.35 },
  { name: "fibrinogen", mean: 3.1, deviation: 0.5 },
  { name: "smoking=former", mean: 0.28, deviation: 0.45 },
  { name: "smoking=current", mean: 0.2, deviation: 0.4 },
  { name: "activity=moderate", mean: 0.4, deviation: 0.5 },
  { name: "activity=high", mean: 0.25, deviation: 0.45 },
  { name: "ecg=st-t", mean: 0.14, deviation: 0.35 },
  { name: "ecg=hypertrophy", mean: 0.07, deviation: 0.25 },
  { name: "ecg=fibrillation", mean: 0.04, deviation: 0.2 },
  { name: "diabetes", mean: 0.18, deviation: 0.38 },
  { name: "pressure_treatment", mean: 0.4, deviation: 0.5 },
  { name: "family_history", mean: 0.18, deviation: 0.38 },
  { name: "exertional_pain", mean: 0.16, deviation: 0.37 },
  { name: "albuminuria", mean: 0.12, deviation: 0.32 },
  { name: "artery_disease", mean: 0.07, deviation: 0.26 },
])

/** What a missing value becomes where a study fills it in: the declared mean, or the code that is the most frequent by it. */
export const CARDIOVASCULAR_MISSING_CONSTANTS: readonly MissingConstant[] = constantsFromMeans(
  CARDIOVASCULAR_SCHEMA,
  CARDIOVASCULAR_FEATURES,
  new Map(
    CARDIOVASCULAR_DECLARED_STANDARDISER.names.map((name, at) => [
      name,
      CARDIOVASCULAR_DECLARED_STANDARDISER.means[at] as number,
    ]),
  ),
)
