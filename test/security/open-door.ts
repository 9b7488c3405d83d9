import { toHex } from "@consilium/base/bytes"
import type { Milliseconds } from "@consilium/base/units"
import { type Envelope, type Message, unpack } from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import { routeAt } from "@consilium/federation/routing"
import { nodeSuite } from "@consilium/node/identity/suite"
import { Mailbox } from "@consilium/node/transport/mailbox"
import type { StudyDoor } from "@consilium/node/transport/study-door"

/** A message that came, and whose it is. */
export interface Delivery {
  readonly from: Participant
  readonly message: Message
}

/**
 * A study as a leader without a machine offers it: what is for the leader is kept, what is for others is passed on, and
 * nothing is checked but signatures.
 */
export class OpenDoor implements StudyDoor {
  readonly id: string
  readonly directory: Directory
  readonly signedRoster: Uint8Array
  readonly inbox: Delivery[] = []
  readonly #mail = new Map<string, Mailbox>()
  readonly #taken = new Map<string, number>()

  constructor(directory: Directory, signedRoster: Uint8Array) {
    this.directory = directory
    this.signedRoster = signedRoster
    this.id = toHex(directory.roster.study)
  }

  mailbox(child: Participant): Mailbox {
    const held = this.#mail.get(child.name) ?? new Mailbox()
    this.#mail.set(child.name, held)
    return held
  }

  acknowledge(child: Participant, upTo: number): void {
    this.mailbox(child).acknowledge(upTo)
  }

  async take(child: Participant, first: number, envelopes: readonly Envelope[]): Promise<number> {
    const before = this.#taken.get(child.name) ?? 0
    for (const envelope of envelopes.slice(Math.max(0, before + 1 - first))) this.#arrived(envelope)
    const taken = Math.max(before, first + envelopes.length - 1)
    this.#taken.set(child.name, taken)
    return taken
  }

  /** Sends an envelope on its way down. */
  put(envelope: Envelope): void {
    for (const child of routeAt(this.directory, this.directory.leader, envelope).down)
      this.mailbox(child).put(envelope)
  }

  /** Resolves when every child has all that was put, or after some time. */
  async drained(patience: Milliseconds): Promise<void> {
    await Promise.all([...this.#mail.values()].map((mailbox) => mailbox.drained(patience)))
  }

  /** Lets every child that waits for something go. */
  close(): void {
    for (const mailbox of this.#mail.values()) mailbox.close()
  }

  #arrived(envelope: Envelope): void {
    const { here } = routeAt(this.directory, this.directory.leader, envelope)
    if (here) {
      const from = this.directory.get(envelope.from)
      this.inbox.push({ from, message: unpack(nodeSuite, from, envelope) })
    } else this.put(envelope)
  }
}
