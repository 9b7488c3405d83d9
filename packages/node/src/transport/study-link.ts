import { setTimeout as sleep } from "node:timers/promises"
import { decode, encode } from "@consilium/base/encoding"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import type { Envelope } from "@consilium/federation/messages"
import type { Participant } from "@consilium/federation/roster"
import type { Mailbox } from "./mailbox.js"
import type { ParentLink } from "./parent-link.js"
import { parcelCodec, receiptCodec } from "./wire.js"

/** A study as the child's side of an edge needs it. */
export interface LinkedStudy {
  readonly id: string
  mailbox(peer: Participant): Mailbox
  acknowledge(peer: Participant, upTo: number): void
  taken(peer: Participant): number
  take(peer: Participant, first: number, envelopes: readonly Envelope[]): Promise<number>
}

const BATCH = 256
const LONG: Milliseconds = milliseconds(3_600_000)

/** One study's traffic over the link to the parent: it posts what there is to say and polls for what there is for it. */
export class StudyLink {
  readonly #link: ParentLink
  readonly #parent: Participant
  readonly #study: LinkedStudy
  readonly #path: string
  #leaving = false

  constructor(link: ParentLink, parent: Participant, study: LinkedStudy) {
    this.#link = link
    this.#parent = parent
    this.#study = study
    this.#path = `/v1/studies/${study.id}/messages`
  }

  /** Runs until `leave`, or until the link is closed. Rejects only if the study cannot take what comes. */
  async run(): Promise<void> {
    await Promise.all([this.#poll(), this.#post()])
  }

  /** Stops polling, sends what is left and tells the parent what was received, within some time. */
  async leave(patience: Milliseconds): Promise<void> {
    this.#leaving = true
    const deadline = Date.now() + patience
    await this.#study.mailbox(this.#parent).drained(patience)
    const told = this.#link
      .request("GET", `${this.#path}?after=${this.#study.taken(this.#parent)}&wait=0`, null)
      .catch(() => undefined)
    await Promise.race([told, sleep(Math.max(100, deadline - Date.now()), undefined, { ref: false })])
    this.#study.mailbox(this.#parent).close()
  }

  async #poll(): Promise<void> {
    while (!this.#leaving && !this.#link.closed) {
      const after = this.#study.taken(this.#parent)
      const answer = await this.#link.persistently("GET", `${this.#path}?after=${after}`, null)
      if (answer === null) return
      const { first, envelopes } = decode(parcelCodec, answer)
      if (envelopes.length > 0) await this.#study.take(this.#parent, first, envelopes)
    }
  }

  async #post(): Promise<void> {
    const mailbox = this.#study.mailbox(this.#parent)
    while (!this.#link.closed) {
      const parcel = await mailbox.next(BATCH, LONG)
      if (parcel.envelopes.length === 0) {
        if (this.#leaving) return
        continue
      }
      const answer = await this.#link.persistently("POST", this.#path, encode(parcelCodec, parcel))
      if (answer === null) return
      this.#study.acknowledge(this.#parent, decode(receiptCodec, answer).taken)
    }
  }
}
