import { ConsiliumError } from "@consilium/base/errors"
import { logitPlace, weightPlace } from "@consilium/inference/plan/places"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import { answerFromBytes } from "@consilium/inference/wire/answer"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { requestFromBytes } from "@consilium/inference/wire/request"
import { inverseModulo, multiplyModulo } from "@consilium/lattice/ring/modular"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import type { Travelled } from "./exchange-log.js"

/** A linear model in the clear. */
export interface PlainModel {
  /** The logit of a patient, by plain arithmetic. */
  logit(patient: Patient): number
}

/** Whether one answer tells the whole model: its weights are shared, and it is linear. */
export const isComparable = ({ weights, packing }: InferencePlan): boolean =>
  weights === "shared" && packing === "lr-coefficients"

/** The weights that the second half of an answer is the request's times of. */
const weightsOf = (prepared: PreparedPlan, c1: Evaluations, answered: Evaluations): Int32Array => {
  const ring = prepared.parameters.ringOf(1)
  const q = ring.primes[0] as number
  const ratio = ring.zeroEvaluations()
  for (let i = 0; i < ratio.length; i++) {
    const divisor = c1[i] as number
    if (divisor === 0) throw noModel("The request cannot be divided by")
    ratio[i] = multiplyModulo(answered[i] as number, inverseModulo(divisor, q), q)
  }
  return Int32Array.from(ring.inverse(ratio), (x) => (x > q / 2 ? x - q : x))
}

const noModel = (why: string): ConsiliumError =>
  new ConsiliumError("inference/bad-answer", `${why}: the model's weights do not follow from this answer.`, {
    remedy: "Ask again; if it stays, the server does not compute what its plan says.",
  })

/**
 * The model itself, from the first of some requests and of their answers. Where weights are shared every asker can do this; it needs no key and no patient.
 *
 * Math:   w = c_1' / c_1 modulo a prime; bias = c_0' - c_0 w, which must be one number at the place of each logit and nothing elsewhere
 * Cost:   once for each plan: one modular inverse a coefficient
 * @throws {ConsiliumError} "inference/bad-answer" if the answer is not what a linear model gives
 */
export const plainModelOf = (plan: InferencePlan, { request, answer }: Travelled): PlainModel => {
  const prepared = new PreparedPlan(plan)
  const { requestBytes, answerBytes } = prepared
  const { ring } = prepared.parameters
  const columns = plan.schema.columns.length
  const [ciphertext] = requestFromBytes(prepared, request.subarray(0, requestBytes)).ciphertexts
  const [c0, c1] = answerFromBytes(prepared, answer.subarray(0, answerBytes)).parts
  if (ciphertext === undefined || c0 === undefined || c1 === undefined) throw noModel("It has no two halves")
  const found = weightsOf(prepared, ring.uniform(ciphertext.seed), c1)
  const product = ring.multiply(ciphertext.c0, ring.forward(ring.fromSmall(found)))
  const biases = ring.toBigInts(ring.inverse(ring.subtract(c0, product)))
  const bias = biases[logitPlace(0, columns)] as bigint
  const logits = new Set(Array.from({ length: plan.patients }, (_, p) => logitPlace(p, columns)))
  const isLinear =
    found.every((w, place) => w === 0 || place < columns) &&
    biases.every((b, place) => b === (logits.has(place) ? bias : 0n))
  if (!isLinear) throw noModel("It is not the answer of a linear model")
  const scale = 2 ** (plan.inputBits - plan.answerBits)
  const weights = Float64Array.from(
    { length: columns },
    (_, j) => (found[weightPlace(j, columns)] as number) * scale,
  )
  const offset = Number(bias) / 2 ** plan.answerBits
  const reader = new PatientReader(plan.schema)
  return {
    logit(patient) {
      const units = reader.units(patient)
      const logit = weights.reduce((sum, w, j) => sum + w * (units[j] as number), offset)
      units.fill(0)
      return logit
    },
  }
}
