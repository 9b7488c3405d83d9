import type { PlanView } from "@consilium/node/inference/plan-view"
import { columns } from "../commands/printed.js"
import { calibrationText } from "./figures-text.js"

const thousands = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",")

const acceptedBy = (field: PlanView["schema"]["fields"][number]): string => {
  if (field.type === "number") return `${field.range[0]} to ${field.range[1]} ${field.unit}`.trimEnd()
  return field.type === "boolean" ? "true or false" : field.categories.map(({ name }) => name).join(" | ")
}

/** The fields of a plan, a line each. */
export const fieldLines = ({ schema }: PlanView): readonly string[] =>
  columns(
    ["  field", "what it is", "accepted"],
    schema.fields.map((field) => [`  ${field.name}`, field.label ?? "", acceptedBy(field)]),
  )

const PACKINGS: Readonly<Record<PlanView["packing"], string>> = {
  "lr-coefficients": "columns of patients beside each other among the coefficients of one ciphertext",
  "slots-by-patient": "one ciphertext for each column, a patient in each slot",
  "slots-by-feature": "all columns of a patient in the slots of one ciphertext",
}

/** Parameters, bytes and bounds of a plan. */
export const parameterLines = (view: PlanView): readonly string[] => [
  `  plan         ${view.hash}`,
  `  scheme       ${view.scheme}, degree ${thousands(view.degree)}, ${view.primes.length} primes of together ${view.modulusBits} bits: ${view.securityBits} bits of security`,
  `  packing      ${view.packing}: ${PACKINGS[view.packing]}`,
  `  a request    up to ${thousands(view.patients)} patients in ${thousands(view.requestBytes)} bytes; its answer has ${thousands(view.answerBytes)}`,
  `  key          ${view.keyBytes === null ? "none is uploaded" : `${thousands(view.keyBytes)} bytes, uploaded once`}`,
  `  logits       at most ${view.logitBound.toPrecision(3)} in size, off by at most ${view.errorBound.toExponential(1)}`,
  ...(view.marks.length === 0 ? [] : [`  marks        ${view.marks.join(", ")}`]),
  `  calibration  ${calibrationText(calibrationOf(view))}`,
  `  weights      ${view.weights}. ${view.reveals}`,
]

const calibrationOf = ({ calibration }: PlanView) =>
  calibration?.type === "isotonic"
    ? {
        type: calibration.type,
        thresholds: Float64Array.from(calibration.thresholds),
        probabilities: Float64Array.from(calibration.probabilities),
      }
    : calibration
