import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Seed } from "@consilium/lattice/ring/seeds"
import { encryptWithSecret, phase } from "@consilium/lattice/rlwe/encryption"
import { RlweSecret } from "@consilium/lattice/rlwe/keys"
import { calibratedProbability } from "../calibration/calibration.js"
import type { InferencePlan } from "../plan/plan.js"
import { type Patient, PatientReader } from "../schema/patient.js"
import { answerFromBytes } from "../wire/answer.js"
import { PreparedPlan } from "../wire/prepared-plan.js"
import { requestToBytes } from "../wire/request.js"
import { AskerKey } from "./asker-key.js"
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
   * Encrypts patients, under a fresh key unless one was uploaded.
   * @throws {ConsiliumError} "inference/bad-patient" before anything is encrypted, "inference/too-many", "inference/unknown-key" if the plan
   *   needs a key and none is given, or the other way round
   */
  ask(
    patients: readonly Patient[],
    { key, random = systemRandom }: { readonly key?: AskerKey; readonly random?: RandomSource } = {},
  ): Question {
    const { prepared } = this
    const { plan, parameters } = prepared
    if (patients.length < 1 || patients.length > plan.patients)
      throw new ConsiliumError(
        "inference/too-many",
        `There are ${patients.length} patients; one request of this plan takes 1 to ${plan.patients}.`,
      )
    if ((plan.weights === "kept") !== (key !== undefined))
      throw new ConsiliumError(
        "inference/unknown-key",
        plan.weights === "kept" ? "This plan needs an uploaded key." : "This plan takes no uploaded key.",
      )
    const units = patients.map((patient) => this.#reader.units(patient))
    const secret = key?.secret ?? RlweSecret.generate(parameters, random)
    const messages = this.#encoding.encode(units)
    for (const values of units) values.fill(0)
    const ciphertexts = messages.map((message) => {
      const { parts, seed } = encryptWithSecret(secret, message, random)
      message.fill(0)
      return { c0: parts[0] as (typeof parts)[number], seed: seed as Seed }
    })
    const request = { patients: patients.length, keyId: key?.id ?? null, ciphertexts }
    const requestId = (ciphertexts[0] as (typeof ciphertexts)[number]).seed
    let erased = false
    return new Question(requestToBytes(prepared, request), patients.length, (answer) => {
      if (erased) badAnswer("The answer was opened already, and the key of the request erased.")
      const predictions = this.#open(answer, requestId, patients.length, secret)
      if (key === undefined) {
        secret.erase()
        erased = true
      }
      return predictions
    })
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
