import type { Prediction } from "@consilium/inference/client/asker"
import type { Patient } from "@consilium/inference/schema/patient"
import type { ExchangeFigures } from "@consilium/inference-client/figures"
import { isComparable, type PlainModel, plainModelOf } from "./plain-model.js"
import { type Risk, riskOf } from "./risk.js"
import type { Asking } from "./use-asker.js"

/** One asking, without the patients: they are forgotten once they are answered. */
export interface Asked {
  readonly id: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly from: "form" | "file"
  /** The server's address. */
  readonly server: string
  readonly model: string
  readonly version: string
  readonly planHash: string
  readonly calibrated: boolean
  readonly risks: readonly Risk[]
  readonly exchanges: readonly ExchangeFigures[]
  /** Milliseconds from the click to the opened answer. */
  readonly milliseconds: number
}

/** The logits of one patient, computed in the clear here and on the server encrypted. */
export interface Compared {
  readonly plain: number
  readonly encrypted: number
}

export interface SessionState {
  /** Newest first. */
  readonly asked: readonly Asked[]
  /** Whether answers are compared with plain computing. */
  readonly comparing: boolean
  readonly compared: readonly Compared[]
  /** Why the newest answer could not be compared. */
  readonly incomparable: unknown
}

const KEPT = 500
const KEPT_PAIRS = 2048
const NOTHING: SessionState = { asked: [], comparing: false, compared: [], incomparable: null }

interface FileOptions {
  readonly signal: AbortSignal
  readonly onProgress: (done: number) => void
}

/** What was asked in this tab. It is nowhere else, and gone when the tab is closed. */
export class Session {
  readonly #listeners = new Set<() => void>()
  #state = NOTHING
  #next = 1
  #plain: { readonly planHash: string; readonly model: PlainModel } | null = null

  readonly state = (): SessionState => this.#state

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #set(change: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of this.#listeners) listener()
  }

  /** @throws {ConsiliumError} as `InferenceClient.predict` */
  async ask(asking: Asking, patient: Patient): Promise<Asked> {
    const began = performance.now()
    const answered = await asking.client.predict(patient)
    return this.#keep(asking, "form", [patient], [answered], [answered.figures], began)
  }

  /** @throws {ConsiliumError} as `InferenceClient.predictMany` */
  async askAll(asking: Asking, patients: readonly Patient[], options: FileOptions): Promise<Asked> {
    const began = performance.now()
    const { predictions, exchanges } = await asking.client.predictMany(patients, options)
    return this.#keep(asking, "file", patients, predictions, exchanges, began)
  }

  #keep(
    asking: Asking,
    from: Asked["from"],
    patients: readonly Patient[],
    predictions: readonly Prediction[],
    exchanges: readonly ExchangeFigures[],
    began: number,
  ): Asked {
    const milliseconds = performance.now() - began
    // the version may have changed while it was asked
    const { plan, planHash } = asking.client
    const asked: Asked = {
      id: this.#next++,
      at: Date.now(),
      from,
      server: asking.address,
      model: asking.client.model,
      version: plan.version,
      planHash,
      calibrated: plan.calibration !== null,
      risks: predictions.map((prediction) => riskOf(plan, prediction)),
      exchanges,
      milliseconds,
    }
    this.#set({ asked: [asked, ...this.#state.asked].slice(0, KEPT) })
    if (this.#state.comparing && isComparable(plan)) this.#compare(asking, patients, predictions)
    return asked
  }

  #compare({ client, log }: Asking, patients: readonly Patient[], predictions: readonly Prediction[]): void {
    try {
      if (this.#plain?.planHash !== client.planHash) {
        if (log.last === null) return
        this.#plain = { planHash: client.planHash, model: plainModelOf(client.plan, log.last) }
      }
      const { model } = this.#plain
      const pairs = patients.map((patient, i) => ({
        plain: model.logit(patient),
        encrypted: (predictions[i] as Prediction).logit,
      }))
      const compared = [...pairs.reverse(), ...this.#state.compared].slice(0, KEPT_PAIRS)
      this.#set({ compared, incomparable: null })
    } catch (error) {
      this.#set({ incomparable: error })
    }
  }

  compare(comparing: boolean): void {
    this.#set(comparing ? { comparing } : { comparing, compared: [], incomparable: null })
  }

  /** Forgets everything that was asked. */
  clear(): void {
    this.#plain = null
    this.#set({ asked: [], compared: [], incomparable: null })
  }
}
