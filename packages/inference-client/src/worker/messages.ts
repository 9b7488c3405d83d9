import type { ErrorCode } from "@consilium/base/error-codes"
import type { Prediction } from "@consilium/inference/client/asker"
import type { BlankParts } from "@consilium/inference/client/blank"
import type { KeyUpload } from "../keys/plan-keys.js"

/**
 * What a page and its key worker tell each other. No message has a field for a patient or for a secret key: the page is given blanks,
 * and gives back answers that only the worker can open.
 */
export interface Tasks {
  /** A place for the keys of a plan, given by its public bytes. */
  readonly begin: { readonly ask: { readonly plan: Uint8Array }; readonly reply: null }
  readonly key: { readonly ask: { readonly nonce: Uint8Array }; readonly reply: KeyUpload }
  readonly blank: {
    readonly ask: Readonly<Record<never, never>>
    readonly reply: { readonly blank: number; readonly parts: BlankParts }
  }
  readonly open: {
    readonly ask: { readonly blank: number; readonly answer: Uint8Array; readonly patients: number }
    readonly reply: readonly Prediction[]
  }
  readonly discard: { readonly ask: { readonly blank: number }; readonly reply: null }
  readonly end: { readonly ask: Readonly<Record<never, never>>; readonly reply: null }
}
export type TaskName = keyof Tasks

/** A task of the page; `place` names the plan that it is about. */
export type TaskMessage = {
  readonly [N in TaskName]: {
    readonly id: number
    readonly place: number
    readonly task: N
  } & Tasks[N]["ask"]
}[TaskName]

/** What a failure is told as. */
export interface FailureMessage {
  readonly code: ErrorCode | null
  readonly message: string
  readonly remedy: string | null
}

export type ReplyMessage =
  | { readonly id: number; readonly reply: Tasks[TaskName]["reply"] }
  | { readonly id: number; readonly failure: FailureMessage }

/** One end of a pair: a worker, the inside of one, or a port of a channel. */
export interface MessageEnd {
  postMessage(message: unknown, transfer: Transferable[]): void
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void
}
