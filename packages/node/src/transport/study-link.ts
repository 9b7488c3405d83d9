import { setTimeout as sleep } from "node:timers/promises"
import { decode, encode } from "@consilium/base/encoding"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import type { Envelope } from "@consilium/federation/messages"
import type { Participant } from "@consilium/federation/roster"
import type { EdgeLink } from "./edge-link.js"
import type { Mailbox } from "./mailbox.js"
import { CHUNK_BYTES, PARCEL_OVERHEAD, parcelCodec, receiptCodec } from "./wire.js"

/** A study as the child's side of an edge needs it. */
export interface LinkedStudy {
  readonly id: string
  mailbox(peer: Participant): Mailbox
  acknowledge(peer: Participant, upTo: number): void
  taken(peer: Participant): number
  take(peer: Participant, first: number, envelopes: readonly Envelope[]): Promise<number>
}

/** A parcel fits one request, unless it is a single envelope that does not. */
const PARCEL_UP = { envelopes: 256, bytes: CHUNK_BYTES - PARCEL_OVERHEAD }
const LONG: Milliseconds = milliseconds(3_600_000)

/**
 * One study's traffic over the link to the parent: it posts what there is to say and polls for what there is for it.
 * Whatever fails, a refusal as well, is told and tried again.
 */
export class StudyLink {
  readonly #link: EdgeLink
  readonly #parent: Participant
  readonly #study: LinkedStudy
  #leaving = false

  constructor(link: EdgeLink, parent: Participant, study: LinkedStudy) {
    this.#link = link
    this.#parent = parent
    this.#study = study
  }

  /** Runs until `leave`, or until the link is closed. */
  async run(): Promise<void> {
    await Promise.all([this.#poll(), this.#post()])
  }

  /** Stops polling, sends what is left and tells the parent what was received, within some time. */
  async leave(patience: Milliseconds): Promise<void> {
    this.#leaving = true
    const deadline = Date.now() + patience
    await this.#study.mailbox(this.#parent).drained(patience)
    const told = this.#link
      .poll(this.#study.id, this.#study.taken(this.#parent), false)
      .catch(() => undefined)
    await Promise.race([told, sleep(Math.max(100, deadline - Date.now()), undefined, { ref: false })])
    this.#study.mailbox(this.#parent).close()
  }

  async #poll(): Promise<void> {
    const { id } = this.#study
    while (!this.#leaving && !this.#link.closed)
      await this.#link.persistently(async () => {
        const parcel = await this.#link.poll(id, this.#study.taken(this.#parent), true)
        const { first, envelopes } = decode(parcelCodec, parcel)
        if (envelopes.length > 0) await this.#study.take(this.#parent, first, envelopes)
      })
  }

  async #post(): Promise<void> {
    const mailbox = this.#study.mailbox(this.#parent)
    while (!this.#link.closed) {
      const { first, envelopes } = await mailbox.next(PARCEL_UP, LONG)
      if (envelopes.length === 0) {
        if (this.#leaving) return
        continue
      }
      const parcel = encode(parcelCodec, { first, envelopes })
      await this.#link.persistently(async () => {
        const receipt = await this.#link.post(this.#study.id, first, parcel)
        this.#study.acknowledge(this.#parent, decode(receiptCodec, receipt).taken)
      })
    }
  }
}
