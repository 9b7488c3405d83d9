import {
  bool,
  type Codec,
  decode,
  encode,
  f64,
  list,
  nullable,
  oneOf,
  record,
  text,
  u8,
  u32,
  variant,
} from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { RlweParameters } from "@consilium/lattice/rlwe/parameters"
import { type Calibration, calibrationCodec } from "../calibration/calibration.js"
import {
  checkSchema,
  type InputField,
  type InputSchema,
  isOneLine,
  MOST_CATEGORIES,
  MOST_FIELDS,
} from "../schema/fields.js"
import {
  checkFeatureProgram,
  type FeatureLayer,
  type FeatureProgram,
  featureProgramCodec,
  programLayout,
} from "./feature-program.js"

/** How patients lie in ciphertexts. */
export type Packing = "lr-coefficients" | "slots-by-patient" | "slots-by-feature"

/** Whether an answer tells the model's weights to the asker. */
export type WeightsMode = "shared" | "kept"

/**
 * All that asker and server agree on: public, and without a weight. Where weights are kept, bounds are powers of two, so that they tell
 * little of the model.
 *
 * Units: logits are dimensionless; bits are exponents of two
 */
export interface InferencePlan {
  readonly model: string
  readonly version: string
  /** What must be known of every answer, such as `synthetic-data` and `insecure-seed`. */
  readonly marks: readonly string[]
  readonly schema: InputSchema
  readonly packing: Packing
  readonly weights: WeightsMode
  readonly degree: number
  readonly primes: readonly number[]
  /** Unit values are multiplied by two to this power and rounded. */
  readonly inputBits: number
  /** Logits are multiplied by two to this power before primes are given up. */
  readonly answerBits: number
  /** With how many of the primes answers come back. */
  readonly answerPrimes: number
  /** An answer is drowned in a number uniform on [-2^floodBits, 2^floodBits); null where nothing is. */
  readonly floodBits: number | null
  /** Patients in one request. */
  readonly patients: number
  /** No logit over the declared ranges is larger, whatever its sign. */
  readonly logitBound: number
  /** No decrypted logit over the declared ranges is further from the model's, but for a chance of 2^-38 a request. */
  readonly errorBound: number
  readonly calibration: Calibration | null
  /** The layers, where features lie in slots; null for all other packings. */
  readonly program: FeatureProgram | null
}

/** Inputs among coefficients are rounded to so many bits at most, and multiplied by a power of two beyond: they fit 32-bit integers. */
export const MOST_ROUNDED_BITS = 30

const NAME_BYTES = 256
const LABEL_BYTES = 1024
const MOST_PRIMES = 16
const MOST_MARKS = 16

const name = text(NAME_BYTES)
/** A zero loses its sign: a declared -0 is 0. */
const declared: Codec<number> = { write: (writer, value) => f64.write(writer, value + 0), read: f64.read }
const pair: Codec<readonly [number, number]> = {
  write(writer, [low, high]) {
    declared.write(writer, low)
    declared.write(writer, high)
  },
  read: (reader) => [f64.read(reader), f64.read(reader)],
}
const label = nullable(text(LABEL_BYTES))
const labelledCodec = variant({
  number: record({ name, label, unit: name, range: pair }),
  boolean: record({ name, label }),
  category: record({ name, label, categories: list(record({ name, value: declared }), MOST_CATEGORIES) }),
})
const fieldCodec: Codec<InputField> = {
  write: (writer, { label, ...field }) => labelledCodec.write(writer, { ...field, label: label ?? null }),
  read(reader) {
    const { label, ...field } = labelledCodec.read(reader)
    return label === null ? field : { ...field, label }
  },
}

const planWords = record({
  model: name,
  version: name,
  marks: list(name, MOST_MARKS),
  schema: record({
    fields: list(fieldCodec, MOST_FIELDS),
    columns: list(record({ field: name, equals: nullable(name) }), MOST_FIELDS),
  }),
  packing: oneOf("lr-coefficients", "slots-by-patient", "slots-by-feature"),
  weights: oneOf("shared", "kept"),
  degree: u32,
  primes: list(u32, MOST_PRIMES),
  inputBits: u8,
  answerBits: u8,
  answerPrimes: u8,
  floodBits: nullable(u8),
  patients: u32,
  logitBound: f64,
  errorBound: f64,
  calibration: nullable(calibrationCodec),
})
/** A program follows where features lie in slots, and nothing elsewhere. */
const planCodec: Codec<InferencePlan> = {
  write(writer, { program, ...plan }) {
    planWords.write(writer, plan)
    if (program !== null) featureProgramCodec.write(writer, program)
  },
  read(reader) {
    const plan = planWords.read(reader)
    const program = plan.packing === "slots-by-feature" ? featureProgramCodec.read(reader) : null
    return { ...plan, program }
  },
}
const versioned = record({ format: u8, plan: planCodec, end: bool })
const FORMAT = 1

const malformed = (message: string): never => {
  throw new ConsiliumError("inference/malformed", message)
}

type PlanShape = Pick<InferencePlan, "packing" | "degree" | "primes" | "schema" | "program">

/** The most patients that one request holds. */
export const patientsAtMost = ({ packing, degree, primes, schema, program }: PlanShape): number => {
  const columns = schema.columns.length
  if (program !== null) return programLayout(program, { degree, primes, columns }).stride
  return packing === "lr-coefficients" ? Math.floor(degree / columns) : degree / 2
}

/** How many ciphertexts a request holds. */
export const ciphertextsOf = ({ packing, degree, primes, schema, program }: PlanShape): number => {
  const columns = schema.columns.length
  if (program !== null) return programLayout(program, { degree, primes, columns }).ciphertexts
  return packing === "lr-coefficients" ? 1 : columns
}

/** How many polynomials an answer holds. */
export const answerParts = ({ packing }: InferencePlan): number => (packing === "slots-by-patient" ? 3 : 2)

/**
 * The ring of a plan.
 * @throws {ConsiliumError} "lattice/insecure" if the primes are too many for the degree
 */
export const parametersOf = ({ degree, primes, program }: InferencePlan): RlweParameters =>
  program === null
    ? RlweParameters.of({ degree, primes })
    : RlweParameters.of({
        degree,
        primes: [...primes, ...program.specialPrimes],
        special: program.specialPrimes.length,
      })

/** Refuses a program that is missing, not wanted, or not the plan's. */
const checkProgram = (plan: InferencePlan): void => {
  const { packing, program, weights, answerPrimes, answerBits } = plan
  if ((packing === "slots-by-feature") !== (program !== null))
    malformed(`A plan of packing ${packing} has ${program === null ? "no" : "a"} program of layers.`)
  if (program === null) return
  checkFeatureProgram(program, plan)
  const last = program.layers[program.layers.length - 1] as FeatureLayer
  if (weights !== "shared" || last.primes !== answerPrimes || last.degree * last.scaleBits !== answerBits)
    malformed("A plan's answers are not those of its last layer.")
}

/**
 * Refuses a plan whose numbers contradict each other, such as one of a server that means ill.
 * @throws {ConsiliumError} "inference/malformed", "inference/bad-schema", "lattice/insecure"
 */
export const checkPlan = (plan: InferencePlan): void => {
  checkSchema(plan.schema)
  if (![plan.model, plan.version, ...plan.marks].every(isOneLine))
    malformed(
      "The name, version or a mark of a plan holds a character that is not seen, such as a line's end.",
    )
  checkProgram(plan)
  const parameters = parametersOf(plan)
  const most = patientsAtMost(plan)
  if (plan.patients < 1 || plan.patients > most)
    malformed(`A plan takes ${plan.patients} patients in a request; 1 to ${most} fit.`)
  if (plan.answerPrimes < 1 || plan.answerPrimes > plan.primes.length)
    malformed(`A plan answers with ${plan.answerPrimes} of ${plan.primes.length} primes.`)
  if ((plan.weights === "kept") !== (plan.floodBits !== null))
    malformed("A plan keeps weights without drowning answers, or drowns answers that keep nothing.")
  if (plan.weights === "kept" && plan.packing !== "lr-coefficients")
    malformed("Weights are kept for linear models only.")
  if (!(plan.logitBound > 0) || !(plan.errorBound > 0)) malformed("A bound of a plan is not above 0.")
  const bits = parameters.ring.modulus.toString(2).length
  const needed = Math.max(plan.inputBits, plan.answerBits, plan.floodBits ?? 0)
  if (needed >= bits - 1) malformed(`A plan needs ${needed} bits of a modulus of ${bits}.`)
}

/** The canonical bytes of a plan. */
export const planToBytes = (plan: InferencePlan): Uint8Array => {
  checkPlan(plan)
  return encode(versioned, { format: FORMAT, plan, end: true })
}

/**
 * The plan of its bytes, checked.
 * @throws {ConsiliumError} "inference/malformed" unless `planToBytes` could have written the bytes, or as `checkPlan`
 */
export const planFromBytes = (bytes: Uint8Array): InferencePlan => {
  try {
    const { format, plan, end } = decode(versioned, bytes)
    if (format !== FORMAT || !end) malformed(`A plan has format ${format}; this program reads ${FORMAT}.`)
    checkPlan(plan)
    return plan
  } catch (cause) {
    if (isConsiliumError(cause) && !cause.code.startsWith("inference/") && !cause.code.startsWith("lattice/"))
      throw new ConsiliumError("inference/malformed", `A plan cannot be read: ${cause.message}`, { cause })
    throw cause
  }
}

/** The name of a plan: what requests, answers and keys are bound to. */
export const planHash = (plan: InferencePlan): Digest => hash("inference-plan", planToBytes(plan))

/**
 * What a decrypted number is divided by to be a logit: two to `answerBits` over the primes that were given up; where features lie in slots,
 * weights are scaled by those primes beforehand.
 */
export const answerScale = (plan: InferencePlan): number =>
  plan.program !== null
    ? 2 ** plan.answerBits
    : plan.primes.slice(plan.answerPrimes).reduce((scale, q) => scale / q, 2 ** plan.answerBits)
