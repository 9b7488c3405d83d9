import { ConsiliumError } from "@consilium/base/errors"
import type { Prediction } from "@consilium/inference/client/asker"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import type { Patient } from "@consilium/inference/schema/patient"
import type { ExchangeFigures } from "./figures.js"
import { OwnKeys } from "./keys/own-keys.js"
import type { KeyPlace } from "./keys/plan-keys.js"
import { checkAll, type ManyAnswered, type ManyOptions, ManyPatients, NEVER } from "./many-patients.js"
import { checkSameQuestions } from "./same-questions.js"
import { Connection, type ConnectionOptions } from "./server/connection.js"
import { getModels, ModelRoutes, type ModelView } from "./server/routes.js"
import { checkHash } from "./server/served-plan.js"
import { Session } from "./session.js"
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

export interface PrepareOptions {
  /** How many blanks are kept ready: one is used for each request. */
  readonly blanks?: number
  readonly signal?: AbortSignal
}
const BLANKS = 2

/** A prediction with what it cost. */
export interface Answered extends Prediction {
  readonly figures: ExchangeFigures
}

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
  async prepare({ blanks = BLANKS, signal = NEVER }: PrepareOptions = {}): Promise<void> {
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
  async predictMany(patients: readonly Patient[], options: ManyOptions = {}): Promise<ManyAnswered> {
    const session = this.#session
    checkAll(session, patients)
    const many = new ManyPatients(patients, (work, signal) => this.#repeating(work, signal), options)
    return many.ask(session.patients)
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
