import { CkksEncoder } from "@consilium/lattice/ckks/encoder"
import { residuesOf } from "@consilium/lattice/ring/crt"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import { MixedRadix } from "@consilium/lattice/rlwe/mixed-radix"
import { featureSlot } from "../plan/feature-layout.js"
import type { PreparedProgram } from "../plan/feature-stages.js"
import { firstColumn, logitPlace } from "../plan/places.js"
import { answerScale, MOST_ROUNDED_BITS } from "../plan/plan.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"

/** Between unit values of patients and the polynomials of a plan. */
export interface PatientEncoding {
  /** Shape: patients, each one number a column; result one polynomial for each ciphertext. */
  encode(patients: readonly Float64Array[]): readonly Evaluations[]
  /** The logits of the first patients of a decrypted answer. */
  decode(phase: Evaluations, patients: number): Float64Array
}

/** One ciphertext, patients one after the other; Math: round(u 2^30) 2^(k - 30). */
const coefficientEncoding = (prepared: PreparedPlan): PatientEncoding => {
  const { plan, parameters, answerRing } = prepared
  const { ring, degree } = parameters
  const columns = plan.schema.columns.length
  const rounded = Math.min(plan.inputBits, MOST_ROUNDED_BITS)
  const factors = residuesOf(ring.primes, 1n << BigInt(plan.inputBits - rounded))
  const radix = new MixedRadix(answerRing)
  const share = 1 / answerScale(plan)
  return {
    encode(patients) {
      const values = new Int32Array(degree)
      patients.forEach((units, p) => {
        units.forEach((u, j) => {
          values[firstColumn(p, columns) + j] = Math.round(u * 2 ** rounded)
        })
      })
      const message = ring.combine({ lanes: [{ values, factors }] })
      values.fill(0)
      return [ring.forward(message, message)]
    },
    decode(phase, patients) {
      const coefficients = answerRing.inverse(phase)
      const digits = radix.digits(coefficients)
      const numbers = radix.toDoubles(digits)
      for (const secret of [coefficients, ...digits]) secret.fill(0)
      answerRing.erase()
      const logits = Float64Array.from(
        { length: patients },
        (_, p) => (numbers[logitPlace(p, columns)] as number) * share,
      )
      numbers.fill(0)
      return logits
    },
  }
}

/** What reads the first slots of a decrypted answer. */
const firstSlots = (encoder: CkksEncoder, { plan, parameters }: PreparedPlan): PatientEncoding["decode"] => {
  const [level, scale] = [plan.answerPrimes - 1, answerScale(plan)]
  return (values, patients) => {
    const { real, imaginary } = encoder.plainToSlots({ parameters, values, level, scale })
    const logits = real.slice(0, patients)
    real.fill(0)
    imaginary.fill(0)
    return logits
  }
}

/** One ciphertext for each column, patients in slots. */
const slotEncoding = (prepared: PreparedPlan): PatientEncoding => {
  const { plan, parameters } = prepared
  const encoder = new CkksEncoder(parameters)
  const level = plan.primes.length - 1
  return {
    encode: (patients) =>
      plan.schema.columns.map((_, j) => {
        const values = Float64Array.from(patients, (units) => units[j] as number)
        const { values: message } = encoder.slotsToPlain(values, [], { level, scale: 2 ** plan.inputBits })
        values.fill(0)
        return message
      }),
    decode: firstSlots(encoder, prepared),
  }
}

/** Columns in slots, each beside every unit of the first layer. */
const featureEncoding = (prepared: PreparedPlan, { layout }: PreparedProgram): PatientEncoding => {
  const { plan, parameters } = prepared
  const encoder = new CkksEncoder(parameters)
  const shape = { level: plan.primes.length - 1, scale: 2 ** plan.inputBits }
  const units = layout.widths[0] as number
  return {
    encode: (patients) =>
      Array.from({ length: layout.ciphertexts }, (_, c) => {
        const values = new Float64Array(encoder.slots)
        patients.forEach((columns, p) => {
          for (let place = 0; place < layout.places; place++)
            values[featureSlot(layout, place, p)] =
              columns[c * layout.columnsEach + Math.floor(place / units)] ?? 0
        })
        const { values: message } = encoder.slotsToPlain(values, [], shape)
        values.fill(0)
        return message
      }),
    decode: firstSlots(encoder, prepared),
  }
}

export const patientEncoding = (prepared: PreparedPlan): PatientEncoding => {
  if (prepared.program !== null) return featureEncoding(prepared, prepared.program)
  return prepared.plan.packing === "lr-coefficients" ? coefficientEncoding(prepared) : slotEncoding(prepared)
}
