import { ConsiliumError } from "@consilium/base/errors"
import { columnRange, fieldOf, type InputField, type InputSchema } from "./fields.js"

/** What is known of a patient, by the names of the fields. */
export type Patient = Readonly<Record<string, number | boolean | string>>

/** Messages name the field and what it takes, never what was given. */
const bad = (field: string, message: string, remedy: string): never => {
  throw new ConsiliumError("inference/bad-patient", `"${field}" ${message}.`, { remedy })
}

/** The number that a value of a field stands for where the field is one column, or its category. */
interface Reading {
  readonly value: number
  readonly category: string | null
}

/** What reads and checks one field. */
const readerOf = (field: InputField): ((given: unknown) => Reading) => {
  const { name } = field
  if (field.type === "number") {
    const [low, high] = field.range
    const accepted = `Give a number from ${low} to ${high} ${field.unit}.`
    return (given) => {
      if (typeof given !== "number" || !Number.isFinite(given)) return bad(name, "is not a number", accepted)
      if (given < low || given > high)
        return bad(name, `is outside ${low} to ${high} ${field.unit}`, accepted)
      return { value: given, category: null }
    }
  }
  if (field.type === "boolean")
    return (given) => {
      if (typeof given !== "boolean") return bad(name, "is neither true nor false", "Give true or false.")
      return { value: given ? 1 : 0, category: null }
    }
  const values = new Map(field.categories.map((category) => [category.name, category.value]))
  const accepted = `Give one of: ${[...values.keys()].join(", ")}.`
  return (given) => {
    const value = typeof given === "string" ? values.get(given) : undefined
    if (value === undefined) return bad(name, "is none of the known names", accepted)
    return { value, category: given as string }
  }
}

/** Between patients and the numbers that a model takes. */
export class PatientReader {
  readonly #fields: ReadonlyMap<string, (given: unknown) => Reading>
  readonly #columns: InputSchema["columns"]
  /** Middle and half the width of each column's range. */
  readonly #middles: readonly number[]
  readonly #halves: readonly number[]

  /** @throws {ConsiliumError} "inference/bad-schema" if a column has no field */
  constructor(schema: InputSchema) {
    for (const column of schema.columns) fieldOf(schema, column)
    const ranges = schema.columns.map((column) => columnRange(schema, column))
    this.#fields = new Map(schema.fields.map((field) => [field.name, readerOf(field)]))
    this.#columns = schema.columns
    this.#middles = ranges.map(([low, high]) => low / 2 + high / 2)
    this.#halves = ranges.map(([low, high]) => high / 2 - low / 2)
  }

  /**
   * The numbers that a model takes of a patient.
   * Shape:  one number a column
   * Units:  those of the fields; 1 and 0 for yes and no
   * @throws {ConsiliumError} "inference/bad-patient" if something is missing, unknown or outside its range
   */
  columns(patient: Patient): Float64Array {
    for (const name of Object.keys(patient))
      if (!this.#fields.has(name))
        bad(name, "is not asked for", `Give: ${[...this.#fields.keys()].join(", ")}.`)
    const readings = new Map<string, Reading>()
    for (const [name, read] of this.#fields) {
      if (!Object.hasOwn(patient, name)) bad(name, "is missing", "Every field is needed.")
      readings.set(name, read(patient[name]))
    }
    return Float64Array.from(this.#columns, ({ field, equals }) => {
      const { value, category } = readings.get(field) as Reading
      if (equals === null) return value
      return category === equals ? 1 : 0
    })
  }

  /**
   * The same numbers with every column's declared range taken to [-1, 1]: what is encrypted.
   * Math: u = (x - (low + high) / 2) / ((high - low) / 2)
   * @throws {ConsiliumError} as `columns`
   */
  units(patient: Patient): Float64Array {
    return this.columns(patient).map((x, i) => {
      const u = (x - (this.#middles[i] as number)) / (this.#halves[i] as number)
      return Math.max(-1, Math.min(1, u))
    })
  }
}
