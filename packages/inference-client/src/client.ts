import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { Prediction } from "@consilium/inference/client/asker"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import type { ExchangeFigures } from "./figures.js"
import { OwnKeys } from "./keys/own-keys.js"
import type { KeyPlace } from "./keys/plan-keys.js"
import { checkSameQuestions } from "./same-questions.js"
import { Connection, type ConnectionOptions } from "./server/connection.js"
import { getModels, ModelRoutes, type ModelView } from "./server/routes.js"
import { checkHash } from "./server/served-plan.js"
import { type Exchange, Session } from "./session.js"
import { FetchTransport } from "./transport/fetch-transport.js"
import { isRefusal } from "./transport/problem.js"
import type { Transport } from "./transport/transport.js"
import { unlessAborted } from "./transport/within-time.js"

export interface ServerOptions extends ConnectionOptions {
  /** How requests travel: by `fetch`, unless told. The client closes it. */
  readonly transport?: Transport
  readonly signal?: AbortSignal
}

export interface ClientOptions extends ServerOptions {
  /** The model's id; may be left out where the server offers one. */
  readonly model?: string
  /** The hash of the one plan that is wanted, 64 hexadecimal digits; then no other version is taken. */
  readonly plan?: string
  /** Where secret keys are: in this thread, unless told. The client closes it. */
  readonly keys?: KeyPlace
}

/** A prediction with what it cost. */
export interface Answered extends Prediction {
  readonly figures: ExchangeFigures
}

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

/** Up to so many requests go one by one; more are sent as batches. */
const FEW_REQUESTS = 8
/** Requests on their way at the same time. */
const AT_ONCE = 4
/** Bytes of requests in one batch. */
const BATCH_BYTES = 8 << 20
const MOST_IN_BATCH = 256

const NEVER = new AbortController().signal

const offeredModel = (models: readonly ModelView[]): string => {
  const offered = models.filter((model) => model.offered)
  const [only] = offered
  if (only !== undefined && offered.length === 1) return only.id
  throw new ConsiliumError(
    "inference/no-model",
    offered.length === 0
      ? "The server offers no model."
      : `The server offers several models: ${offered.map(({ id }) => id).join(", ")}.`,
    { remedy: offered.length === 0 ? "Ask its operator." : "Name one of them as `model`." },
  )
}

interface ClientParts {
  readonly model: string
  readonly connection: Connection
  readonly routes: ModelRoutes
  readonly keys: KeyPlace
  readonly pinned: string | null
  readonly session: Session
}

/**
 * Asks a model on a server about encrypted patients. The server sees no patient, no answer and no secret key.
 *
 *     const client = await InferenceClient.connect("https://leader:8443", { model: "heart-disease" })
 *     const { probability } = await client.predict({ age: 63, sex: "male" })
 */
export class InferenceClient {
  /** The model's id at the server. */
  readonly model: string
  readonly #parts: ClientParts
  #session: Session
  #renewing: Promise<Session> | null = null
  /** How many blanks `prepare` was asked to keep ready. */
  #blanks = 0

  private constructor(parts: ClientParts) {
    this.model = parts.model
    this.#parts = parts
    this.#session = parts.session
  }

  /**
   * The models of a server, those that are not offered with why.
   * @throws {ConsiliumError} "network/...", "api/...", "inference/malformed"
   */
  static async models(address: string, options: ServerOptions = {}): Promise<readonly ModelView[]> {
    const { transport = new FetchTransport(), signal = NEVER } = options
    const connection = new Connection(address, transport, options)
    try {
      return await getModels(connection, signal)
    } finally {
      connection.close()
    }
  }

  /**
   * Fetches the plan of a model and checks it: that it is the one that is named, and that its parameters are secure.
   * @throws {ConsiliumError} "network/...", "api/..."; "inference/no-model", "inference/not-offered"; "inference/other-plan" if the plan is not
   *   what it is said to be; "lattice/insecure" and what else `checkPlan` refuses
   */
  static async connect(address: string, options: ClientOptions = {}): Promise<InferenceClient> {
    const { transport = new FetchTransport(), keys = new OwnKeys(), signal = NEVER } = options
    const pinned = options.plan === undefined ? null : checkHash(options.plan)
    const connection = new Connection(address, transport, options)
    try {
      const model = options.model ?? offeredModel(await getModels(connection, signal))
      const routes = new ModelRoutes(connection, model)
      const served = await routes.plan(pinned, signal)
      const session = await Session.begin(served, routes, keys)
      return new InferenceClient({ model, connection, routes, keys, pinned, session })
    } catch (error) {
      connection.close()
      keys.close()
      throw error
    }
  }

  /** What is agreed with the server, as it is now: public, and without a weight. */
  get plan(): InferencePlan {
    return this.#session.served.plan
  }
  /** The hash of the plan, 64 hexadecimal digits. */
  get planHash(): string {
    return this.#session.served.hash
  }
  /** What an answer tells its asker of the model, in plain words of the server's. */
  get reveals(): string {
    return this.#session.served.reveals
  }

  /**
   * Makes ready what needs no patient: the key, if the plan needs one, and blanks, of which so many are kept ready from now on.
   * `predict` then only encodes, sends and opens.
   */
  async prepare({
    blanks = 2,
    signal = NEVER,
  }: {
    readonly blanks?: number
    readonly signal?: AbortSignal
  } = {}) {
    this.#blanks = blanks
    await this.#repeating((session) => session.prepare(blanks, signal), signal)
  }

  /**
   * The probability for one patient.
   * @throws {ConsiliumError} "inference/bad-patient" before anything is encrypted or sent; "inference/bad-answer"; what the server refuses, under
   *   its code; "network/..."; the signal's reason
   */
  async predict(
    patient: Patient,
    { signal = NEVER }: { readonly signal?: AbortSignal } = {},
  ): Promise<Answered> {
    const { predictions, figures } = await this.#repeating(
      (session) => session.ask([patient], signal),
      signal,
    )
    return { ...(predictions[0] as Prediction), figures }
  }

  /**
   * The probabilities for any number of patients: in few requests at the same time, or as batches, which the server answers when it has time.
   * @throws {ConsiliumError} as `predict`; nothing is sent if one patient is refused
   */
  async predictMany(
    patients: readonly Patient[],
    { signal = NEVER, onProgress = () => undefined }: ManyOptions = {},
  ): Promise<ManyAnswered> {
    this.#check(patients)
    const predictions: Prediction[] = new Array(patients.length)
    const exchanges: ExchangeFigures[] = []
    let done = 0
    const keep = (from: number, exchange: Exchange): void => {
      exchange.predictions.forEach((prediction, i) => {
        predictions[from + i] = prediction
      })
      exchanges.push(exchange.figures)
      done += exchange.predictions.length
      onProgress(done, patients.length, exchange.figures)
    }
    if (Math.ceil(patients.length / this.plan.patients) > FEW_REQUESTS)
      await this.#batches(patients, signal, keep)
    else await this.#requests(patients, signal, keep)
    return { predictions, exchanges }
  }

  async #batches(
    patients: readonly Patient[],
    signal: AbortSignal,
    keep: (from: number, exchange: Exchange) => void,
  ): Promise<void> {
    for (let from = 0; from < patients.length; ) {
      const exchange = await this.#repeating((session) => {
        const requests = Math.max(1, Math.min(MOST_IN_BATCH, Math.floor(BATCH_BYTES / session.requestBytes)))
        return session.askBatch(patients.slice(from, from + requests * session.patients), signal)
      }, signal)
      keep(from, exchange)
      from += exchange.predictions.length
    }
  }

  async #requests(
    patients: readonly Patient[],
    signal: AbortSignal,
    keep: (from: number, exchange: Exchange) => void,
  ): Promise<void> {
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < patients.length) {
        const [from, end] = [next, Math.min(patients.length, next + this.plan.patients)]
        next = end
        // a version that came in between may take fewer at once
        for (let at = from; at < end; ) {
          const exchange = await this.#repeating(
            (session) => session.ask(patients.slice(at, Math.min(end, at + session.patients)), either),
            either,
          )
          keep(at, exchange)
          at += exchange.predictions.length
        }
      }
    }
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, lane))
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }

  /** Refuses patients before anything is encrypted, by their place. */
  #check(patients: readonly Patient[]): void {
    const reader = new PatientReader(this.plan.schema)
    patients.forEach((patient, i) => {
      try {
        reader.units(patient).fill(0)
      } catch (error) {
        if (!isConsiliumError(error)) throw error
        const { code, message, remedy } = error
        throw new ConsiliumError(code, `Patient ${i + 1} of ${patients.length}: ${message}`, { remedy })
      }
    })
  }

  /** Work on the newest version; once more after another version came, and once more after the server forgot the key. */
  async #repeating<T>(work: (session: Session) => Promise<T>, signal: AbortSignal): Promise<T> {
    let [otherPlan, unknownKey] = [false, false]
    for (;;) {
      this.#parts.connection.lifetime.throwIfAborted()
      const session = this.#session
      const attempt = session.attempt
      try {
        return await work(session)
      } catch (error) {
        if (isRefusal(error, "inference/other-plan") && !otherPlan) {
          otherPlan = true
          await unlessAborted(this.#renew(session), signal)
        } else if (isRefusal(error, "inference/unknown-key") && !unknownKey) {
          unknownKey = true
          session.forgetKey(attempt)
        } else throw error
      }
    }
  }

  /** Takes the version that the server has now, unless somebody did already. */
  #renew(old: Session): Promise<Session> {
    if (old !== this.#session) return Promise.resolve(this.#session)
    this.#renewing ??= this.#newer(old).finally(() => {
      this.#renewing = null
    })
    return this.#renewing
  }

  async #newer(old: Session): Promise<Session> {
    const { routes, keys, pinned } = this.#parts
    const served = await routes.plan(pinned, routes.lifetime)
    checkSameQuestions(old.served.plan, served.plan)
    const session = await Session.begin(served, routes, keys)
    this.#session = session
    old.retire()
    // whoever asks next waits for no more than it needs; the rest is made meanwhile
    if (this.#blanks > 0) session.prepare(this.#blanks, routes.lifetime).catch(() => undefined)
    return session
  }

  /** Ends what is under way, closes connections and erases every key. */
  close(): void {
    const { connection, keys } = this.#parts
    connection.close()
    this.#session.close()
    keys.close()
  }
}
