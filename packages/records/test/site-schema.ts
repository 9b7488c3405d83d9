import type { TableSchema } from "../src/schema.js"

const tokens = ["NA", ""]

/** A small table with every kind of column and every rule for missing values. */
export const LIPID_SCHEMA: TableSchema = {
  name: "lipids",
  columns: [
    {
      name: "patient",
      type: "identifier",
      missing: { rule: "refuse", tokens },
      description: "Patient",
    },
    {
      name: "age",
      type: "number",
      unit: "years",
      range: [18, 110],
      missing: { rule: "drop-row", tokens },
      description: "Age",
    },
    {
      name: "cholesterol",
      type: "number",
      unit: "mg/dL",
      analyte: "cholesterol",
      range: [40, 1000],
      missing: { rule: "keep", tokens },
      description: "Cholesterol in serum",
    },
    {
      name: "smoking",
      type: "category",
      categories: [
        { code: "never", meaning: "never smoked" },
        { code: "former", meaning: "has stopped" },
        { code: "current", meaning: "smokes" },
      ],
      missing: { rule: "keep", tokens },
      description: "Smoking",
    },
    {
      name: "diabetes",
      type: "boolean",
      yes: "diagnosed",
      no: "not diagnosed",
      missing: { rule: "keep", tokens },
      description: "Diabetes",
    },
    {
      name: "event",
      type: "boolean",
      yes: "had one",
      no: "had none",
      missing: { rule: "drop-row", tokens },
      description: "Event",
    },
  ],
  target: { column: "event", positive: [] },
  patient: "patient",
}
