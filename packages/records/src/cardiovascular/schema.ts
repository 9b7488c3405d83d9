import {
  type CategoryColumn,
  type ColumnSchema,
  columnKey,
  type MissingRule,
  type TableSchema,
} from "../schema.js"

/** Spellings of "missing" in files that follow this schema by themselves; the first is the one that is written. */
export const MISSING_SPELLINGS = ["NA", "", "?"] as const

const refuse: MissingRule = { rule: "refuse", tokens: MISSING_SPELLINGS }
const dropRow: MissingRule = { rule: "drop-row", tokens: MISSING_SPELLINGS }
const keep: MissingRule = { rule: "keep", tokens: MISSING_SPELLINGS }

const categories = (codes: Readonly<Record<string, string>>): CategoryColumn["categories"] =>
  Object.entries(codes).map(([code, meaning]) => ({ code, meaning }))

/** Marks rows that describe nobody, so that no row can pass for a patient's. */
const ORIGIN: ColumnSchema = {
  name: "origin",
  type: "category",
  categories: categories({ synthetic: "made by a program, no patient" }),
  missing: { rule: "refuse", tokens: [] },
  description: "Marks rows that describe nobody",
}

const PATIENT: ColumnSchema = {
  name: "patient",
  type: "identifier",
  missing: refuse,
  description: "Which rows belong to one patient",
}

/** Ranges are wide: they catch slips of the pen and wrong units, not unusual patients. */
const CLINICAL: readonly ColumnSchema[] = [
  { name: "age", type: "number", unit: "years", range: [18, 110], missing: dropRow, description: "Age" },
  {
    name: "sex",
    type: "category",
    categories: categories({ female: "female", male: "male" }),
    missing: dropRow,
    description: "Sex",
  },
  {
    name: "systolic_pressure",
    type: "number",
    unit: "mm Hg",
    range: [50, 300],
    missing: keep,
    description: "Systolic blood pressure at rest",
  },
  {
    name: "diastolic_pressure",
    type: "number",
    unit: "mm Hg",
    range: [20, 200],
    missing: keep,
    description: "Diastolic blood pressure at rest",
  },
  {
    name: "total_cholesterol",
    type: "number",
    unit: "mg/dL",
    analyte: "cholesterol",
    range: [40, 1000],
    missing: keep,
    description: "Total cholesterol in serum",
  },
  {
    name: "hdl_cholesterol",
    type: "number",
    unit: "mg/dL",
    analyte: "cholesterol",
    range: [5, 250],
    missing: keep,
    description: "HDL cholesterol in serum",
  },
  {
    name: "triglycerides",
    type: "number",
    unit: "mg/dL",
    analyte: "triglycerides",
    range: [10, 5000],
    missing: keep,
    description: "Triglycerides in serum",
  },
  {
    name: "fasting_glucose",
    type: "number",
    unit: "mg/dL",
    analyte: "glucose",
    range: [20, 1000],
    missing: keep,
    description: "Glucose in plasma after fasting",
  },
  {
    name: "bmi",
    type: "number",
    unit: "kg/m2",
    range: [10, 100],
    missing: keep,
    description: "Body mass index: weight over height squared",
  },
  {
    name: "heart_rate",
    type: "number",
    unit: "beats per minute",
    range: [20, 250],
    missing: keep,
    description: "Heart rate at rest",
  },
  {
    name: "creatinine",
    type: "number",
    unit: "mg/dL",
    analyte: "creatinine",
    range: [0.1, 25],
    missing: keep,
    description: "Creatinine in serum",
  },
  {
    name: "hba1c",
    type: "number",
    unit: "%",
    range: [3, 25],
    missing: keep,
    description: "Glycated haemoglobin (HbA1c, NGSP)",
  },
  {
    name: "uric_acid",
    type: "number",
    unit: "mg/dL",
    analyte: "uric acid",
    range: [0.2, 30],
    missing: keep,
    description: "Uric acid in serum",
  },
  {
    name: "potassium",
    type: "number",
    unit: "mmol/L",
    analyte: "potassium",
    range: [1, 10],
    missing: keep,
    description: "Potassium in serum",
  },
  {
    name: "albumin",
    type: "number",
    unit: "g/dL",
    range: [0.5, 8],
    missing: keep,
    description: "Albumin in serum",
  },
  {
    name: "fibrinogen",
    type: "number",
    unit: "g/L",
    range: [0.2, 15],
    missing: keep,
    description: "Fibrinogen in plasma",
  },
  {
    name: "smoking",
    type: "category",
    categories: categories({
      never: "fewer than 100 cigarettes in a life",
      former: "has stopped",
      current: "smokes",
    }),
    missing: keep,
    description: "Smoking of cigarettes",
  },
  {
    name: "activity",
    type: "category",
    categories: categories({ low: "hardly any", moderate: "some", high: "much" }),
    missing: keep,
    description: "Physical activity in leisure time",
  },
  {
    name: "ecg",
    type: "category",
    categories: categories({
      normal: "normal",
      "st-t": "ST-T wave abnormality",
      hypertrophy: "left ventricular hypertrophy",
      fibrillation: "atrial fibrillation",
    }),
    missing: keep,
    description: "Electrocardiogram at rest, its gravest finding",
  },
  {
    name: "diabetes",
    type: "boolean",
    yes: "diagnosed",
    no: "not diagnosed",
    missing: keep,
    description: "Diabetes that a physician has diagnosed",
  },
  {
    name: "pressure_treatment",
    type: "boolean",
    yes: "takes medicines",
    no: "takes none",
    missing: keep,
    description: "Medicines against high blood pressure",
  },
  {
    name: "family_history",
    type: "boolean",
    yes: "yes",
    no: "no",
    missing: keep,
    description: "A parent had a cardiovascular event early: a father before 55, a mother before 65 years",
  },
  {
    name: "exertional_pain",
    type: "boolean",
    yes: "yes",
    no: "no",
    missing: keep,
    description: "Chest pain brought on by exertion",
  },
  {
    name: "albuminuria",
    type: "boolean",
    yes: "albumin in the urine",
    no: "none",
    missing: keep,
    description: "Small amounts of albumin in the urine (20 to 200 mg/L) or more",
  },
  {
    name: "artery_disease",
    type: "boolean",
    yes: "ankle-brachial index below 0.9",
    no: "0.9 or more",
    missing: keep,
    description: "Peripheral artery disease by the ankle-brachial index",
  },
  {
    name: "event",
    type: "boolean",
    yes: "had one",
    no: "had none",
    missing: dropRow,
    description:
      "A first major cardiovascular event (infarction, stroke, heart failure or cardiovascular death) within 10 years",
  },
]

/** Risk factors of a visit, and whether a major cardiovascular event followed within 10 years: synthetic rows. */
export const CARDIOVASCULAR_SCHEMA: TableSchema = {
  name: "cardiovascular",
  columns: [ORIGIN, PATIENT, ...CLINICAL],
  target: { column: "event", positive: [] },
  patient: "patient",
}

/**
 * The same schema for a facility's own files, where `origin` and `patient` may be absent: rows without `origin` are
 * taken for patients', and without `patient` each row is one.
 * @param header the column names of the file
 */
export const cardiovascularSchema = (header: readonly string[]): TableSchema => {
  const names = header.map(columnKey)
  const has = ({ name }: ColumnSchema): boolean => names.includes(name)
  const { patient, ...rest } = CARDIOVASCULAR_SCHEMA
  return {
    ...rest,
    columns: [...[ORIGIN, PATIENT].filter(has), ...CLINICAL],
    ...(has(PATIENT) && patient !== undefined ? { patient } : {}),
  }
}
