/** What the threads that evaluate are told, and tell. Nothing of it is secret but the model. */

export type ToWorker =
  | {
      readonly kind: "model"
      readonly plan: string
      readonly planBytes: Uint8Array
      readonly model: Uint8Array
    }
  | {
      readonly kind: "key"
      readonly plan: string
      readonly id: string
      readonly nonce: Uint8Array
      readonly bytes: Uint8Array
    }
  /** A key that an asker has just uploaded; what it is for is asked later. */
  | {
      readonly kind: "check"
      readonly job: number
      readonly plan: string
      readonly nonce: Uint8Array
      readonly bytes: Uint8Array
    }
  | {
      readonly kind: "answer"
      readonly job: number
      readonly plan: string
      readonly request: Uint8Array
      readonly keyId: string | null
    }

export type FromWorker =
  | { readonly kind: "checked"; readonly job: number; readonly id: string }
  | { readonly kind: "answer"; readonly job: number; readonly answer: Uint8Array; readonly ms: number }
  /** The thread does not have the model or the key, or no longer has it. */
  | { readonly kind: "needs"; readonly job: number; readonly what: "model" | "key" }
  | {
      readonly kind: "refused"
      readonly job: number
      readonly code: string
      readonly message: string
      readonly remedy: string
    }
