import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { Prediction } from "@consilium/inference/client/asker"
import type { Patient } from "@consilium/inference/schema/patient"
import type { ExchangeFigures } from "./figures.js"
import type { Exchange, Session } from "./session.js"

export interface ManyOptions {
  readonly signal?: AbortSignal
  /** Told after every exchange how many patients are done. */
  readonly onProgress?: (done: number, of: number, figures: ExchangeFigures) => void
}

/** Predictions in the order of their patients, and what each exchange cost in the order they ended. */
export interface ManyAnswered {
  readonly predictions: readonly Prediction[]
  readonly exchanges: readonly ExchangeFigures[]
}

/** Runs work on the newest version of a model, again where a repeat helps. */
export type OnNewest = <T>(work: (session: Session) => Promise<T>, signal: AbortSignal) => Promise<T>

/** The signal of what nobody stops. */
export const NEVER = new AbortController().signal

/** Up to so many requests go one by one; more are sent as batches. */
const FEW_REQUESTS = 8
/** Requests on their way at the same time. */
const AT_ONCE = 4
/** Bytes of requests in one batch. */
const BATCH_BYTES = 8 << 20
const MOST_IN_BATCH = 256

/**
 * Refuses patients before anything is encrypted, by their place.
 * @throws {ConsiliumError} "inference/bad-patient"
 */
export const checkAll = (session: Session, patients: readonly Patient[]): void => {
  patients.forEach((patient, i) => {
    try {
      session.check(patient)
    } catch (error) {
      if (!isConsiliumError(error)) throw error
      const { code, message, remedy } = error
      throw new ConsiliumError(code, `Patient ${i + 1} of ${patients.length}: ${message}`, { remedy })
    }
  })
}

/** Patients of any number, as requests and batches of the size that the plan takes. */
export class ManyPatients {
  readonly #patients: readonly Patient[]
  readonly #onNewest: OnNewest
  readonly #signal: AbortSignal
  readonly #onProgress: NonNullable<ManyOptions["onProgress"]>
  readonly #predictions: Prediction[]
  readonly #exchanges: ExchangeFigures[] = []
  #done = 0

  constructor(
    patients: readonly Patient[],
    onNewest: OnNewest,
    { signal = NEVER, onProgress = () => undefined }: ManyOptions,
  ) {
    this.#patients = patients
    this.#onNewest = onNewest
    this.#signal = signal
    this.#onProgress = onProgress
    this.#predictions = new Array(patients.length)
  }

  /** `atOnce` is how many one request takes, as far as is known. */
  async ask(atOnce: number): Promise<ManyAnswered> {
    if (Math.ceil(this.#patients.length / atOnce) > FEW_REQUESTS) await this.#batches()
    else await this.#requests(atOnce)
    return { predictions: this.#predictions, exchanges: this.#exchanges }
  }

  #keep(from: number, { predictions, figures }: Exchange): void {
    predictions.forEach((prediction, i) => {
      this.#predictions[from + i] = prediction
    })
    this.#exchanges.push(figures)
    this.#done += predictions.length
    this.#onProgress(this.#done, this.#patients.length, figures)
  }

  async #batches(): Promise<void> {
    for (let from = 0; from < this.#patients.length; ) {
      const exchange = await this.#onNewest((session) => {
        const requests = Math.max(1, Math.min(MOST_IN_BATCH, Math.floor(BATCH_BYTES / session.requestBytes)))
        return session.askBatch(this.#patients.slice(from, from + requests * session.patients), this.#signal)
      }, this.#signal)
      this.#keep(from, exchange)
      from += exchange.predictions.length
    }
  }

  async #requests(atOnce: number): Promise<void> {
    const stop = new AbortController()
    const either = AbortSignal.any([this.#signal, stop.signal])
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < this.#patients.length) {
        const from = next
        next += atOnce
        await this.#range(from, Math.min(this.#patients.length, next), either)
      }
    }
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, lane))
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }

  /** One request, or more if a version that came in between takes fewer at once. */
  async #range(from: number, end: number, signal: AbortSignal): Promise<void> {
    for (let at = from; at < end; ) {
      const exchange = await this.#onNewest(
        (session) => session.ask(this.#patients.slice(at, Math.min(end, at + session.patients)), signal),
        signal,
      )
      this.#keep(at, exchange)
      at += exchange.predictions.length
    }
  }
}
