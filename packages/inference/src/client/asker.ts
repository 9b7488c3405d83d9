import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Seed } from "@consilium/lattice/ring/seeds"
import { phase } from "@consilium/lattice/rlwe/encryption"
import { RlweSecret } from "@consilium/lattice/rlwe/keys"
import { calibratedProbability } from "../calibration/calibration.js"
import type { InferencePlan } from "../plan/plan.js"
import { type Patient, PatientReader } from "../schema/patient.js"
import { answerFromBytes } from "../wire/answer.js"
import { PreparedPlan } from "../wire/prepared-plan.js"
import { AskerKey } from "./asker-key.js"
import { Blank } from "./blank.js"
import { type PatientEncoding, patientEncoding } from "./encoding.js"

/** What is told of one patient. Only `rounded` may be passed on: the digits of a logit carry traces of the key. */
export interface Prediction {
  readonly logit: number
  /** Calibrated, if the plan has a calibration. */
  readonly probability: number
  /** The probability in thousandths. */
  readonly rounded: number
}

const THOUSANDTHS = 1000

/** A request that was encrypted, and what opens its answer. The key is no property, so nothing shows it by accident. */
export class Question {
  /** What is sent. */
  readonly bytes: Uint8Array
  readonly patients: number
  readonly #open: (answer: Uint8Array) => readonly Prediction[]

  constructor(bytes: Uint8Array, patients: number, open: (answer: Uint8Array) => readonly Prediction[]) {
    this.bytes = bytes
    this.patients = patients
    this.#open = open
  }

  /**
   * One prediction for each patient, in order. A key that was made for this request is then erased.
   * @throws {ConsiliumError} "inference/malformed", "inference/other-plan", "lattice/malformed", "inference/bad-answer"
   */
  open(answer: Uint8Array): readonly Prediction[] {
    return this.#open(answer)
  }
}

const badAnswer = (message: string): never => {
  throw new ConsiliumError("inference/bad-answer", message)
}

/** With what a request is made. */
export interface AskOptions {
  /** The key that was uploaded, where the plan needs one. */
  readonly key?: AskerKey
  readonly random?: RandomSource
}

/** A blank beside what opens the answer to the request that it becomes. */
export interface OpenableBlank {
  readonly blank: Blank
  /** One prediction for each patient, in order. A key that was made for this request is then erased. */
  readonly open: (answer: Uint8Array, patients: number) => readonly Prediction[]
  /** For a blank that is not wanted any more: erases the key that was made for it. */
  readonly erase: () => void
}

/** The side that holds patients and keys: it encrypts, and opens answers. */
export class Asker {
  readonly prepared: PreparedPlan
  readonly #encoding: PatientEncoding
  readonly #reader: PatientReader

  /** @throws {ConsiliumError} as `checkPlan` */
  constructor(plan: InferencePlan) {
    this.prepared = new PreparedPlan(plan)
    this.#encoding = patientEncoding(this.prepared)
    this.#reader = new PatientReader(plan.schema)
  }

  /** A key for plans that keep their weights; the nonce is the server's. */
  newKey(nonce: Uint8Array, random: RandomSource = systemRandom): AskerKey {
    return AskerKey.generate(this.prepared, nonce, random)
  }

  /**
   * A request about nobody yet, under a fresh key unless one was uploaded, and what opens its answer.
   * @throws {ConsiliumError} "inference/unknown-key" if the plan needs a key and none is given, or the other way round
   */
  blank({ key, random = systemRandom }: AskOptions = {}): OpenableBlank {
    const { prepared } = this
    if (prepared.takesKey !== (key !== undefined))
      throw new ConsiliumError(
        "inference/unknown-key",
        prepared.takesKey ? "This plan needs an uploaded key." : "This plan takes no uploaded key.",
      )
    const secret = key?.secret ?? RlweSecret.generate(prepared.parameters, random)
    const blank = Blank.make(prepared, secret, { keyId: key?.id ?? null, random })
    let erased = false
    const erase = () => {
      if (key === undefined) secret.erase()
      erased = true
    }
    const open = (answer: Uint8Array, patients: number) => {
      if (erased) badAnswer("The answer was opened already, and the key of the request erased.")
      const predictions = this.#open(answer, blank.requestId, patients, secret)
      if (key === undefined) erase()
      return predictions
    }
    return { blank, open, erase }
  }

  /**
   * The bytes of a request about patients; the blank is then used up.
   * @throws {ConsiliumError} "inference/bad-patient", "inference/too-many" before the blank is touched; "inference/blank-used"
   */
  fill(blank: Blank, patients: readonly Patient[]): Uint8Array {
    return this.#fill(blank, this.#units(patients))
  }

  /**
   * Encrypts patients, under a fresh key unless one was uploaded.
   * @throws {ConsiliumError} "inference/bad-patient" before anything is encrypted, "inference/too-many", "inference/unknown-key" if the plan
   *   needs a key and none is given, or the other way round
   */
  ask(patients: readonly Patient[], options: AskOptions = {}): Question {
    const units = this.#units(patients)
    const { blank, open } = this.blank(options)
    return new Question(this.#fill(blank, units), patients.length, (answer) => open(answer, patients.length))
  }

  #units(patients: readonly Patient[]): readonly Float64Array[] {
    const most = this.prepared.plan.patients
    if (patients.length < 1 || patients.length > most)
      throw new ConsiliumError(
        "inference/too-many",
        `There are ${patients.length} patients; one request of this plan takes 1 to ${most}.`,
      )
    return patients.map((patient) => this.#reader.units(patient))
  }

  #fill(blank: Blank, units: readonly Float64Array[]): Uint8Array {
    const messages = this.#encoding.encode(units)
    for (const values of units) values.fill(0)
    return blank.fill(messages, units.length)
  }

  #open(bytes: Uint8Array, requestId: Seed, patients: number, secret: RlweSecret): readonly Prediction[] {
    const { prepared } = this
    const { plan, parameters } = prepared
    const answer = answerFromBytes(prepared, bytes)
    if (!equalBytes(answer.requestId, requestId) || answer.patients !== patients)
      badAnswer("An answer belongs to another request.")
    const opened = phase(secret, { parameters, parts: answer.parts, limbs: plan.answerPrimes })
    const logits = this.#encoding.decode(opened, patients)
    opened.fill(0)
    if (!logits.every((logit) => Math.abs(logit) <= plan.logitBound))
      badAnswer(`A logit is beyond ${plan.logitBound}, which no declared patient reaches.`)
    return Array.from(logits, (logit) => {
      const probability = calibratedProbability(plan.calibration, logit)
      return { logit, probability, rounded: Math.round(probability * THOUSANDTHS) / THOUSANDTHS }
    })
  }
}
