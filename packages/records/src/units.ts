import { ConsiliumError } from "@consilium/base/errors"

/** Substances of which moles and grams convert into each other. */
export const ANALYTES = [
  "cholesterol",
  "triglycerides",
  "glucose",
  "creatinine",
  "uric acid",
  "potassium",
] as const
/** What a number measures, where its unit alone does not say how to convert it: a mole of glucose weighs less than one of fat. */
export type Analyte = (typeof ANALYTES)[number]

export interface UnitConversion {
  /** What must be measured for the factor to hold; null for units that convert whatever is measured. */
  readonly analyte: Analyte | null
  readonly from: string
  readonly to: string
  /** Multiplies a value in `from` to give it in `to`. */
  readonly factor: number
  readonly source: string
}

const AMA = "AMA Manual of Style, 11th edition, section 17.5: conversions to SI units"

/**
 * Conversions of the units that clinical files mix, in one direction; the other divides.
 *
 * Units: millimoles per litre against milligrams per decilitre: a tenth of the molar mass in grams per mole
 */
export const UNIT_CONVERSIONS: readonly UnitConversion[] = [
  { analyte: "cholesterol", from: "mmol/L", to: "mg/dL", factor: 38.67, source: `${AMA}; 386.7 g/mol` },
  {
    analyte: "triglycerides",
    from: "mmol/L",
    to: "mg/dL",
    factor: 88.57,
    source: `${AMA}; as triolein, 885.7 g/mol`,
  },
  { analyte: "glucose", from: "mmol/L", to: "mg/dL", factor: 18.016, source: `${AMA}; 180.16 g/mol` },
  { analyte: "creatinine", from: "mg/dL", to: "umol/L", factor: 88.42, source: `${AMA}; 113.1 g/mol` },
  {
    analyte: "uric acid",
    from: "mg/dL",
    to: "umol/L",
    factor: 59.48,
    source: `${AMA}; 168.1 g/mol`,
  },
  { analyte: "potassium", from: "mmol/L", to: "mEq/L", factor: 1, source: "one charge to an ion" },
  { analyte: null, from: "g/dL", to: "g/L", factor: 10, source: "ten decilitres to a litre" },
  { analyte: null, from: "g/L", to: "mg/dL", factor: 100, source: "1000 milligrams, ten decilitres" },
  {
    analyte: null,
    from: "kPa",
    to: "mm Hg",
    factor: 7.50062,
    source: "133.322 Pa to a mm Hg: SI Brochure, 8th edition, table 8",
  },
  { analyte: null, from: "years", to: "months", factor: 12, source: "twelve months to a year" },
]

/** Units are compared without regard to case and blanks; both Greek letters for "micro", and "mc", count as u. */
const unitKey = (unit: string): string =>
  unit
    .replace(/\s+/g, "")
    .replace(/^[\u00b5\u03bc]/, "u")
    .toLowerCase()
    .replace(/^mcmol/, "umol")

/**
 * The number that values in one unit are multiplied by to give them in another; null if no conversion is known.
 *
 * Units: dimension of `to` per `from`
 */
export const unitFactor = (analyte: Analyte | undefined, from: string, to: string): number | null => {
  const [a, b] = [unitKey(from), unitKey(to)]
  if (a === b) return 1
  for (const row of UNIT_CONVERSIONS) {
    if (row.analyte !== null && row.analyte !== analyte) continue
    if (unitKey(row.from) === a && unitKey(row.to) === b) return row.factor
    if (unitKey(row.from) === b && unitKey(row.to) === a) return 1 / row.factor
  }
  return null
}

/** Spellings of the units that convert into a unit, for a remedy. */
export const unitsInto = (analyte: Analyte | undefined, to: string): readonly string[] =>
  UNIT_CONVERSIONS.flatMap(({ from, to: other }) => [from, other]).filter(
    (unit, at, all) => all.indexOf(unit) === at && unitFactor(analyte, unit, to) !== null,
  )

/**
 * A value in another unit.
 *
 * Math:   value * factor, or value / factor against the table's direction
 * Error:  two roundings
 * @throws {ConsiliumError} "records/unknown-unit" if no conversion is known
 */
export const convertUnit = (
  value: number,
  {
    analyte,
    from,
    to,
  }: { readonly analyte?: Analyte | undefined; readonly from: string; readonly to: string },
): number => {
  const factor = unitFactor(analyte, from, to)
  if (factor !== null) return value * factor
  const known = unitsInto(analyte, to)
  throw new ConsiliumError("records/unknown-unit", `"${from}" cannot be converted into "${to}".`, {
    remedy:
      known.length === 0 ? `Give the values in ${to}.` : `Give the values in one of: ${known.join(", ")}.`,
  })
}
