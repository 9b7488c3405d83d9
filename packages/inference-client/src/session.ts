import { concatBytes, equalBytes, fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { Asker, type Prediction } from "@consilium/inference/client/asker"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import { type ExchangeFigures, timed } from "./figures.js"
import { BlankPool } from "./keys/blank-pool.js"
import type { HeldBlank, KeyPlace, PlanKeys } from "./keys/plan-keys.js"
import { batchDone } from "./server/batch-wait.js"
import type { ModelRoutes } from "./server/routes.js"
import type { ServedPlan } from "./server/served-plan.js"
import { unlessAborted } from "./transport/within-time.js"

/** Predictions of one exchange, and what it cost. */
export interface Exchange {
  readonly predictions: readonly Prediction[]
  readonly figures: ExchangeFigures
}

/** A request that was encrypted. */
interface Encrypted {
  readonly held: HeldBlank
  readonly bytes: Uint8Array
  readonly patients: number
}

/** What is remembered of a request's key: which of them was the newest when the request was made. */
export interface Attempt {
  readonly keys: number
}

/** All that is bound to one version of a model: its plan, the keys for it and blanks under them. */
export class Session {
  readonly served: ServedPlan
  readonly #asker: Asker
  readonly #reader: PatientReader
  readonly #routes: ModelRoutes
  readonly #keys: PlanKeys
  readonly #pool: BlankPool
  /** How many keys were made; the making of the newest, if one is under way or done. */
  #keysMade = 0
  #key: Promise<void> | null
  #exchanges = 0
  #retired = false

  private constructor(served: ServedPlan, asker: Asker, routes: ModelRoutes, keys: PlanKeys) {
    this.served = served
    this.#asker = asker
    this.#reader = new PatientReader(served.plan.schema)
    this.#routes = routes
    this.#keys = keys
    this.#key = keys.hasKey ? Promise.resolve() : null
    this.#pool = new BlankPool(() => this.#keys.blank())
  }

  static async begin(served: ServedPlan, routes: ModelRoutes, place: KeyPlace): Promise<Session> {
    const asker = new Asker(served.plan)
    return new Session(served, asker, routes, await place.keysFor(asker))
  }

  get patients(): number {
    return this.served.plan.patients
  }
  get requestBytes(): number {
    return this.#asker.prepared.requestBytes
  }
  get attempt(): Attempt {
    return { keys: this.#keysMade }
  }

  /** @throws {ConsiliumError} "inference/bad-patient" */
  check(patient: Patient): void {
    this.#reader.units(patient).fill(0)
  }

  /** Makes and uploads a key, if the plan needs one and none is there. All who wait, wait for the same. */
  async ready(signal: AbortSignal): Promise<void> {
    if (!this.#asker.prepared.takesKey) return
    if (this.#key === null) {
      const making = this.#makeKey()
      this.#key = making
      making.catch(() => {
        if (this.#key === making) this.#key = null
      })
    }
    await unlessAborted(this.#key, signal)
  }

  async #makeKey(): Promise<void> {
    const { lifetime } = this.#routes
    const nonce = fromHex(await this.#routes.nonce(lifetime))
    const { bytes, id } = await this.#keys.newKey(nonce)
    this.#keysMade++
    this.#pool.clear()
    const found = await this.#routes.uploadKey(bytes, lifetime)
    if (!equalBytes(fromHex(found), id))
      throw new ConsiliumError(
        "inference/unknown-key",
        `The server took the key ${toHex(id)} for another, ${found}.`,
      )
  }

  /** The server knows the key no more that an attempt was made with: the next makes another, unless somebody did. */
  forgetKey({ keys }: Attempt): void {
    if (keys === this.#keysMade) this.#key = null
  }

  /** Makes the key, if one is needed, and so many blanks. */
  async prepare(blanks: number, signal: AbortSignal): Promise<void> {
    await this.ready(signal)
    await unlessAborted(this.#pool.prepare(blanks), signal)
  }

  async #encrypt(patients: readonly Patient[]): Promise<Encrypted> {
    const held = await this.#pool.take()
    try {
      return { held, bytes: this.#asker.fill(held.blank, patients), patients: patients.length }
    } catch (error) {
      held.discard()
      throw error
    }
  }

  /** One request: as many patients as the plan takes at once. */
  async ask(patients: readonly Patient[], signal: AbortSignal): Promise<Exchange> {
    return this.#working(async () => {
      for (const patient of patients) this.check(patient)
      await this.ready(signal)
      const [{ held, bytes }, encryptMs] = await timed(() => this.#encrypt(patients))
      try {
        const { answerBytes } = this.#asker.prepared
        const [answer, roundTripMs] = await timed(() => this.#routes.predict(bytes, answerBytes, signal))
        const [predictions, openMs] = await timed(() => held.open(answer.bytes, patients.length))
        const figures = {
          requests: 1,
          patients: patients.length,
          bytesUp: bytes.length,
          bytesDown: answer.bytes.length,
          encryptMs,
          roundTripMs,
          serverMs: answer.serverMs,
          openMs,
        }
        return { predictions, figures }
      } finally {
        held.discard()
      }
    })
  }

  /** Many requests as one batch of the server's, which is waited for. */
  async askBatch(patients: readonly Patient[], signal: AbortSignal): Promise<Exchange> {
    return this.#working(async () => {
      for (const patient of patients) this.check(patient)
      await this.ready(signal)
      const requests: Encrypted[] = []
      try {
        const [, encryptMs] = await timed(async () => {
          for (let from = 0; from < patients.length; from += this.patients)
            requests.push(await this.#encrypt(patients.slice(from, from + this.patients)))
        })
        const bytes = concatBytes(...requests.map((request) => request.bytes))
        const [answers, roundTripMs] = await timed(() => this.#answersOf(bytes, requests.length, signal))
        const [predictions, openMs] = await timed(() => this.#openAll(requests, answers))
        const figures = {
          requests: requests.length,
          patients: patients.length,
          bytesUp: bytes.length,
          bytesDown: answers.length,
          encryptMs,
          roundTripMs,
          serverMs: null,
          openMs,
        }
        return { predictions, figures }
      } finally {
        for (const { held } of requests) held.discard()
      }
    })
  }

  async #answersOf(requests: Uint8Array, count: number, signal: AbortSignal): Promise<Uint8Array> {
    const routes = this.#routes
    const { id } = await routes.startBatch(requests, signal)
    try {
      await batchDone(routes, id, signal)
      const answers = await routes.answers(id, count * this.#asker.prepared.answerBytes, signal)
      if (answers.length !== count * this.#asker.prepared.answerBytes)
        throw new ConsiliumError(
          "inference/malformed",
          `The answers of a batch have ${answers.length} bytes, not ${count * this.#asker.prepared.answerBytes}.`,
        )
      return answers
    } finally {
      // wanted or not, it is of no more use; the server drops it by itself later if this is lost
      routes.deleteBatch(id, routes.lifetime).catch(() => undefined)
    }
  }

  async #openAll(requests: readonly Encrypted[], answers: Uint8Array): Promise<readonly Prediction[]> {
    const { answerBytes } = this.#asker.prepared
    const predictions: Prediction[] = []
    for (const [i, { held, patients }] of requests.entries())
      predictions.push(...(await held.open(answers.slice(i * answerBytes, (i + 1) * answerBytes), patients)))
    return predictions
  }

  async #working<T>(work: () => Promise<T>): Promise<T> {
    this.#exchanges++
    try {
      return await work()
    } finally {
      this.#exchanges--
      if (this.#retired) this.#settle()
      else this.#pool.replenish()
    }
  }

  /** For a session that another has taken the place of: its keys are erased when nobody waits for an answer any more. */
  retire(): void {
    this.#retired = true
    this.#pool.close()
    this.#settle()
  }
  #settle(): void {
    if (this.#exchanges === 0) this.#keys.close()
  }

  /** Erases every key, whoever waits. */
  close(): void {
    this.#retired = true
    this.#pool.close()
    this.#keys.close()
  }
}
