import type { Participant } from "@consilium/federation/roster"
import type { StudyDoor } from "./study-door.js"

/**
 * A participant's side of the edge to its parent, whatever carries it. Parcels and receipts are encoded as in `wire.ts`.
 * What fails is told by a rejection; whether the parent took it shows when it is asked again.
 */
export interface EdgeLink {
  readonly closed: boolean
  /** The studies that the parent has for this participant, each as a signed roster; waits for more than it knows of, if it knows any. */
  studies(known: number): Promise<readonly Uint8Array[]>
  /** Hands over a parcel whose envelopes are numbered from `first`; gives the receipt. */
  post(study: string, first: number, parcel: Uint8Array): Promise<Uint8Array>
  /** The parcel of what waits for this participant after some number; waits for something to come unless told not to. */
  poll(study: string, after: number, wait: boolean): Promise<Uint8Array>
  /** Repeats something until it is done; null once this link is closed. */
  persistently<T>(attempt: () => Promise<T>): Promise<T | null>
  close(): void
}

/** How one participant reaches its parent, and is reached by its children. */
export interface Edges {
  link(parent: Participant, onConnection: (up: boolean, detail: string) => void): EdgeLink
  serve(studies: () => readonly StudyDoor[]): Promise<{ close(): Promise<void> }>
}
