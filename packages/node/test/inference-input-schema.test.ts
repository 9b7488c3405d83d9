import { columnRange } from "@consilium/inference/schema/fields"
import { PatientReader } from "@consilium/inference/schema/patient"
import { inputSchemaOf } from "@consilium/node/inference/input-schema"
import { CARDIOVASCULAR_SCHEMA } from "@consilium/records/cardiovascular/schema"
import { featureRanges } from "@consilium/records/feature-ranges"
import { defaultFeatures, type Feature } from "@consilium/records/features"
import { HEART_FEATURES, UCI_HEART_SCHEMA } from "@consilium/records/heart-schema"
import type { TableSchema } from "@consilium/records/schema"
import { describe, expect, it } from "vitest"

const rangesOf = (table: TableSchema, features: readonly Feature[]) => {
  const schema = inputSchemaOf(table, features)
  return schema.columns.map((column) => columnRange(schema, column))
}

describe("what a model is asked with", () => {
  it("the heart columns that features use, once each, by their descriptions", () => {
    const { fields, columns } = inputSchemaOf(UCI_HEART_SCHEMA, HEART_FEATURES)
    expect(fields.map(({ name }) => name)).toEqual([
      "age",
      "sex",
      "cp",
      "trestbps",
      "chol",
      "fbs",
      "restecg",
      "thalach",
      "exang",
      "oldpeak",
    ])
    expect(fields.slice(0, 3)).toEqual([
      { name: "age", label: "Age", type: "number", unit: "years", range: [0, 120] },
      {
        name: "sex",
        label: "Sex",
        type: "category",
        categories: [
          { name: "female", value: 0 },
          { name: "male", value: 1 },
        ],
      },
      {
        name: "cp",
        label: "Kind of chest pain",
        type: "category",
        categories: [
          { name: "typical angina", value: 1 },
          { name: "atypical angina", value: 2 },
          { name: "other than angina", value: 3 },
          { name: "no symptoms", value: 4 },
        ],
      },
    ])
    expect(columns.map(({ field, equals }) => equals ?? field)).toEqual([
      ...["age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak"],
      ...["atypical angina", "other than angina", "no symptoms"],
      ...["ST-T wave abnormality", "left ventricular hypertrophy"],
    ])
  })

  it("a patient by meanings becomes the features of its codes", () => {
    const reader = new PatientReader(inputSchemaOf(UCI_HEART_SCHEMA, HEART_FEATURES))
    const patient = {
      ...{ age: 63, sex: "male", cp: "other than angina", trestbps: 145, chol: 233, fbs: true },
      ...{ restecg: "left ventricular hypertrophy", thalach: 150, exang: false, oldpeak: 2.3 },
    }
    expect([...reader.columns(patient)]).toEqual([63, 1, 145, 233, 1, 150, 0, 2.3, 0, 1, 0, 0, 1])
  })

  it.each([
    ["heart", UCI_HEART_SCHEMA, HEART_FEATURES],
    ["cardiovascular", CARDIOVASCULAR_SCHEMA, defaultFeatures(CARDIOVASCULAR_SCHEMA)],
  ] as const)("%s: columns lie where the features are declared to lie", (_, table, features) => {
    expect(rangesOf(table, features)).toEqual(
      featureRanges(table, features).map(({ low, high }) => [low, high]),
    )
  })

  it("refuses features that the table does not have", () => {
    const code = (...features: readonly Feature[]) => {
      try {
        inputSchemaOf(UCI_HEART_SCHEMA, features)
      } catch (error) {
        return (error as { code: string }).code
      }
      return "nothing was refused"
    }
    expect(code({ name: "bmi", column: "bmi" })).toBe("schema/invalid")
    expect(code({ name: "cp=9", column: "cp", equals: "9" })).toBe("schema/invalid")
    expect(code({ name: "num", column: "num" })).toBe("schema/invalid")
    expect(code()).toBe("inference/bad-schema")
  })
})
