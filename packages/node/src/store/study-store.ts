import type { LogEntry } from "@consilium/federation/log"

/**
 * What a participant keeps of one study, durably.
 *
 * The event log is what the study's history is: append only, never shortened. The journal is what the participant needs to
 * come back after a crash: everything that came in and went out since the last checkpoint, opaque to the store (it is
 * sealed by whoever writes it).
 */
export interface StudyStore {
  /**
   * Makes a step durable: all of it is there when the promise resolves, and after a crash all of it or nothing.
   * @throws {ConsiliumError} "store/full" if there is no room; nothing was added and the store can be used on.
   *   "log/not-extending" if the entries do not continue the log
   */
  commit(step: StoreStep): Promise<void>
  /** Replaces the journal by these records, in one step like `commit`; what it held is no longer on disk afterwards. */
  checkpoint(journal: readonly Uint8Array[]): Promise<void>
  /** The journal's records since the last checkpoint, in order. */
  journal(): AsyncIterable<Uint8Array>
  /** Number of the log's last event; 0 for an empty log. */
  readonly length: number
  /** The log's events after the one numbered `after`, in order, as of the call. */
  entries(after?: number): AsyncIterable<LogEntry>
}

export interface StoreStep {
  readonly journal: readonly Uint8Array[]
  readonly entries: readonly LogEntry[]
}

/** The studies of one participant. One process at a time: lock the data folder first. */
export interface Stores {
  /** The store of a study, by its digest (32 bytes); made if it is not there. The same object for the same study. */
  study(digest: Uint8Array): Promise<StudyStore>
  close(): Promise<void>
}
