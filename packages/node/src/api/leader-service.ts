import type { LogEntry } from "@consilium/federation/log"
import type { Directory } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import type { RotationAnswer, RotationWish } from "./key-schemas.js"
import type { StopDecision, Stopped } from "./stop-schemas.js"

/** A study as the leader's process offers it to its API: its log, durable and in order, and the models it led to. */
export interface StudyHandle {
  /** Digest of the study, 64 hexadecimal digits. */
  readonly id: string
  readonly study: Study
  /** Everybody who ever took part, newest roster first. */
  rosters(): readonly Directory[]
  readonly length: number
  entries(after?: number): AsyncIterable<LogEntry>
  /** Resolves when the log is longer than `after`, or when the signal aborts. */
  grown(after: number, signal: AbortSignal): Promise<void>
  /** The model file whose parameters have this hash (64 hexadecimal digits). @throws {ConsiliumError} "store/missing" */
  model(hash: string): Promise<Uint8Array>
  /**
   * Ends the study in good order, once; `via` is what the leader knows the person by.
   * @throws {ConsiliumError} "round/over" if it ended otherwise
   */
  stop(decision: StopDecision, via: string): Promise<Stopped>
  /**
   * Asks that the next round begin with new keys.
   * @throws {ConsiliumError} "keys/none" in a study without keys, "keys/no-round" if no round follows
   */
  rotateKeys(wish: RotationWish): Promise<RotationAnswer>
}

/** What the API needs of the process it is in. */
export interface LeaderService {
  readonly name: string
  /** In the order they began. */
  studies(): readonly StudyHandle[]
  /**
   * Has the authority sign a new study among the present participants, and starts it.
   * @throws {ConsiliumError} if the authority refuses, or this leader is ending
   */
  startStudy(study: Study): Promise<StudyHandle>
  /** Whether the leader can take requests: its store is open and its studies are loaded. */
  ready(): boolean
}
