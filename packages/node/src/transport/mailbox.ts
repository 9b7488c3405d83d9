import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { Milliseconds } from "@consilium/base/units"
import { type Envelope, envelopeCodec } from "@consilium/federation/messages"

/** Most bytes and envelopes that wait for one neighbour before more is refused. */
const MAX_BYTES = 256 << 20
const MAX_ENVELOPES = 32_768

/** What an envelope adds to an encoded parcel beyond its body. */
const ENVELOPE_OVERHEAD = encode(envelopeCodec, {
  study: new Uint8Array(32),
  from: new Uint8Array(16),
  to: new Uint8Array(16),
  body: new Uint8Array(0),
  signature: new Uint8Array(64),
}).length

/** How much goes into one parcel; a single envelope that is larger goes alone. */
export interface ParcelLimit {
  readonly envelopes: number
  readonly bytes: number
}

/**
 * What is to go to one neighbour, until the neighbour has said that it has it. Numbers rise by one over the whole study,
 * through restarts of either side, so nothing is lost or taken twice.
 */
export class Mailbox {
  #first: number
  readonly #held: Envelope[]
  #bytes = 0
  readonly #waiting = new Set<() => void>()
  #closed = false

  /** A mailbox whose first envelope has this number. */
  constructor(first = 1, held: readonly Envelope[] = []) {
    this.#first = first
    this.#held = [...held]
    for (const { body } of held) this.#bytes += body.length
  }

  put(envelope: Envelope): void {
    this.#held.push(envelope)
    this.#bytes += envelope.body.length
    this.#wake()
  }

  /** Whether the neighbour is so far behind that nothing more should be accepted for it. */
  get overfull(): boolean {
    return this.#bytes > MAX_BYTES || this.#held.length > MAX_ENVELOPES
  }

  /** Number of the last envelope that the neighbour is known to have. */
  get acknowledged(): number {
    return this.#first - 1
  }

  get held(): readonly Envelope[] {
    return this.#held
  }

  get empty(): boolean {
    return this.#held.length === 0
  }

  /**
   * Forgets what the neighbour has.
   * @throws {ConsiliumError} "network/gap" if it has less than it once had, or more than was ever sent
   */
  acknowledge(upTo: number): void {
    const last = this.#first + this.#held.length - 1
    if (upTo < this.#first - 1 || upTo > last)
      throw new ConsiliumError(
        "network/gap",
        `A neighbour says it has everything up to message ${upTo}; it had ${this.#first - 1}, and ${last} were sent.`,
      )
    for (const { body } of this.#held.splice(0, upTo - this.#first + 1)) this.#bytes -= body.length
    this.#first = upTo + 1
    if (this.empty) this.#wake()
  }

  /**
   * What is there to be sent, at once if there is something, else within the time. An envelope that alone exceeds the
   * limit makes the same parcel whenever it is asked for, whatever else waits.
   */
  async next(
    limit: ParcelLimit,
    milliseconds: Milliseconds,
  ): Promise<{ readonly first: number; readonly envelopes: readonly Envelope[] }> {
    if (this.empty) await this.#change(milliseconds)
    const envelopes: Envelope[] = []
    let bytes = 0
    for (const envelope of this.#held) {
      bytes += ENVELOPE_OVERHEAD + envelope.body.length
      if (envelopes.length > 0 && (envelopes.length === limit.envelopes || bytes > limit.bytes)) break
      envelopes.push(envelope)
    }
    return { first: this.#first, envelopes }
  }

  /** Resolves once everything was acknowledged, or after some time. */
  async drained(milliseconds: Milliseconds): Promise<void> {
    const until = Date.now() + milliseconds
    while (!this.empty && !this.#closed && Date.now() < until)
      await this.#change((until - Date.now()) as Milliseconds)
  }

  /** Lets everyone who waits go, and nobody wait from now on. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #change(milliseconds: Milliseconds): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds)
      this.#waiting.add(wake)
    })
  }
}
