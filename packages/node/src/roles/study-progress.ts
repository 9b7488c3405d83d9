import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode, type Encoded, encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, sha256 } from "@consilium/base/hash"
import { type LogEntry, type LogHead, nextHeader } from "@consilium/federation/log"
import {
  type Envelope,
  envelopeCodec,
  type Message,
  messageCodec,
  pack,
} from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import { routeAt } from "@consilium/federation/routing"
import type { OwnKeys } from "@consilium/federation/suite"
import type { OwnEvent } from "../own-event.js"
import { Mailbox } from "../transport/mailbox.js"
import { type Checks, nodeChecks } from "./checks.js"
import type { journalCodec } from "./journal-codec.js"
import type { Input, Reaction, RoleMachine, Work } from "./machine.js"

type Batch = Extract<Encoded<typeof journalCodec>, { type: "batch" }>
/** An input as it is recorded. */
export type Recorded = Batch["inputs"][number]

/** What a batch of inputs led to. */
export interface Step {
  readonly at: number
  /** Inputs that were taken, without what was taken before. */
  readonly inputs: Recorded[]
  readonly sends: Envelope[]
  readonly deliveries: { readonly peer: string; readonly envelope: Envelope }[]
  readonly entries: LogEntry[]
  readonly work: Work[]
  /** Inputs that were not taken, with the reason. */
  readonly refused: Map<Recorded, ConsiliumError>
  /** How many of the inputs are done with, and what is left of the next one. */
  handled: number
  rest: Recorded | null
}

/** How many messages below a child that are not signed as they say are taken and logged; then they are refused. */
const MOST_FORGED = 64

/** Whose progress it is. */
interface Own {
  readonly study: Digest
  readonly me: Participant
  readonly keys: OwnKeys
  readonly checks?: Checks
}

/**
 * Where a participant stands in a study: its machine, its edges, the head of its log, and what is still to be done. What
 * follows from an input is the same when it happens and when it is replayed.
 */
export class StudyProgress {
  readonly #own: Own
  readonly #checks: Checks
  readonly machine: RoleMachine
  /** Number of the last envelope taken from each neighbour. */
  readonly taken = new Map<string, number>()
  readonly mail = new Map<string, Mailbox>()
  readonly tasks = new Map<string, Extract<Work, { type: "task" }>>()
  readonly #forged = new Map<string, number>()
  timer: Extract<Work, { type: "timer" }> | null = null
  head: LogHead
  over: boolean

  constructor(own: Own, machine: RoleMachine, head: LogHead, over: boolean) {
    this.#own = own
    this.#checks = own.checks ?? nodeChecks
    this.machine = machine
    this.head = head
    this.over = over
  }

  mailbox(peer: string): Mailbox {
    const mailbox = this.mail.get(peer) ?? new Mailbox()
    this.mail.set(peer, mailbox)
    return mailbox
  }

  deliver({ deliveries }: Step): void {
    for (const { peer, envelope } of deliveries) this.mailbox(peer).put(envelope)
  }

  apply(at: number, inputs: readonly Recorded[], again = false): Step {
    const step: Step = {
      at,
      inputs: [],
      sends: [],
      deliveries: [],
      entries: [],
      work: [],
      refused: new Map(),
      handled: 0,
      rest: null,
    }
    for (const input of inputs) {
      if (input.type === "local") this.#local(step, input.event)
      else this.#parcel(step, input, again)
      if (step.rest !== null) break
      step.handled += 1
      if (!again && wantsCheckpoint(step)) break
    }
    return step
  }

  #local(step: Step, event: Uint8Array): void {
    const answered = this.machine.answers(event)
    if (answered !== null) this.tasks.delete(answered)
    if (this.timer !== null && equalBytes(this.timer.event, event)) this.timer = null
    step.inputs.push({ type: "local", event })
    this.#react(step, { type: "local", event })
  }

  /** What was taken before is passed over. A replayed parcel was found to be welcome when it came. */
  #parcel(step: Step, input: Extract<Recorded, { type: "parcel" }>, again: boolean): void {
    const peer = toHex(input.peer)
    const taken = this.taken.get(peer) ?? 0
    try {
      if (input.first > taken + 1)
        throw new ConsiliumError(
          "network/gap",
          `Message ${input.first} of ${this.#nameOf(peer)} came after message ${taken}.`,
        )
      const fresh = input.envelopes.slice(Math.max(0, taken + 1 - input.first))
      if (fresh.length === 0) return
      const fromParent = this.#own.me.parent !== null && equalBytes(input.peer, this.#own.me.parent)
      if (!fromParent && !again) this.#checkWelcome(input.peer, fresh)
      let count = 0
      for (const envelope of fresh) {
        if (fromParent) this.#down(step, envelope)
        else this.#up(step, input.peer, envelope)
        count += 1
        if (!again && wantsCheckpoint(step)) break
      }
      this.taken.set(peer, taken + count)
      step.inputs.push({ ...input, first: taken + 1, envelopes: fresh.slice(0, count) })
      if (count < fresh.length)
        step.rest = { ...input, first: taken + count + 1, envelopes: fresh.slice(count) }
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      step.refused.set(input, error)
    }
  }

  #nameOf(peer: string): string {
    return this.machine.directory.find(idOf(peer))?.name ?? peer
  }

  #checkWelcome(peer: Uint8Array, envelopes: readonly Envelope[]): void {
    for (const envelope of envelopes) {
      this.#checkOrigin(peer, envelope)
      this.#checkRoom(envelope)
    }
    // evidence is kept, but must not fill the disk
    if ((this.#forged.get(toHex(peer)) ?? 0) < MOST_FORGED) return
    for (const envelope of envelopes)
      this.#checks.message(this.machine.directory.get(envelope.from), envelope)
  }

  /** A child speaks only for those below it, and in its study. */
  #checkOrigin(peer: Uint8Array, envelope: Envelope): void {
    const { me, study } = this.#own
    const through = this.machine.directory.childToward(me.id, envelope.from)
    if (through === undefined || !equalBytes(through.id, peer))
      throw new ConsiliumError(
        "identity/bad-signature",
        `${this.#nameOf(toHex(peer))} sent a message in the name of somebody who is not below it.`,
      )
    if (!equalBytes(envelope.study, study))
      throw new ConsiliumError(
        "round/unexpected",
        `${this.#nameOf(toHex(peer))} sent a message of another study.`,
      )
  }

  /** A neighbour that is away for long must not fill this participant's memory through another. */
  #checkRoom(envelope: Envelope): void {
    const { down, up } = routeAt(this.machine.directory, this.#own.me, envelope)
    const targets = [...down.map(({ id }) => id), ...(up && this.#own.me.parent ? [this.#own.me.parent] : [])]
    if (targets.some((id) => this.mail.get(toHex(id))?.overfull))
      throw new ConsiliumError("network/overloaded", "Too much waits for a participant that does not answer.")
  }

  /** From the parent: for this participant, for those below it, or both. */
  #down(step: Step, envelope: Envelope): void {
    const { me, study } = this.#own
    if (!equalBytes(envelope.study, study)) {
      // a parent cannot be turned away as a child can: what it should not have sent is evidence, and goes no further
      const detail = "A message of another study came from the parent."
      const evidence = sha256(encode(envelopeCodec, envelope))
      this.#react(step, {
        type: "refused",
        about: me.parent as Uint8Array,
        code: "round/unexpected",
        detail,
        evidence,
      })
      return
    }
    const route = routeAt(this.machine.directory, me, envelope)
    if (route.here) {
      const opened = this.#open(step, envelope)
      if (opened === null) return
      this.#react(step, { type: "message", ...opened, envelope })
    }
    // who has just left is still told so, who has just come is told first of all
    const after = routeAt(this.machine.directory, me, envelope)
    const receivers = new Map([...route.down, ...after.down].map((child) => [toHex(child.id), child]))
    for (const peer of receivers.keys()) step.deliveries.push({ peer, envelope })
  }

  /** From a child. */
  #up(step: Step, child: Uint8Array, envelope: Envelope): void {
    const opened = this.#open(step, envelope)
    if (opened === null) {
      this.#forged.set(toHex(child), (this.#forged.get(toHex(child)) ?? 0) + 1)
      return
    }
    const { here } = routeAt(this.machine.directory, this.#own.me, envelope)
    this.#react(step, { type: "passing", ...opened, bytes: envelope.body.length, here })
    if (here) this.#react(step, { type: "message", ...opened, envelope })
    else this.#forward(step, envelope)
  }

  #open(step: Step, envelope: Envelope): { readonly from: Participant; readonly message: Message } | null {
    const from = this.machine.directory.find(envelope.from)
    if (from === undefined) return null
    try {
      return { from, message: this.#checks.message(from, envelope) }
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      const evidence = sha256(encode(envelopeCodec, envelope))
      const { code, message: detail } = error
      this.#react(step, { type: "refused", about: from.id, code, detail, evidence })
      return null
    }
  }

  #forward(step: Step, envelope: Envelope, directory: Directory = this.machine.directory): void {
    const { me } = this.#own
    const route = routeAt(directory, me, envelope)
    for (const { id } of route.down) step.deliveries.push({ peer: toHex(id), envelope })
    if (route.up && me.parent !== null) step.deliveries.push({ peer: toHex(me.parent), envelope })
  }

  #react(step: Step, input: Input): void {
    let { directory } = this.machine
    const reaction: Reaction = this.machine.react(input, step.at)
    for (const entry of reaction.entries) this.#log(step, entry)
    const { study, me, keys } = this.#own
    for (const { to, message } of reaction.sends) {
      const envelope = pack(study, me.id, to, message, keys.sign)
      step.sends.push(envelope)
      this.#forward(step, envelope, directory)
      if (message.type !== "roster") continue
      // who has just come is told as well; what was said before was for those of before
      const before = new Set(routeAt(directory, me, envelope).down.map(({ id }) => toHex(id)))
      directory = this.machine.directory
      for (const { id } of routeAt(directory, me, envelope).down)
        if (!before.has(toHex(id))) step.deliveries.push({ peer: toHex(id), envelope })
    }
    for (const work of reaction.work) {
      step.work.push(work)
      if (work.type === "task") this.tasks.set(work.name, work)
      if (work.type === "timer") this.timer = work
      if (work.type === "ended") this.over = true
    }
  }

  #log(step: Step, { type, actor, body }: OwnEvent): void {
    const { header, head } = nextHeader(this.head, { at: step.at, actor, type, body })
    this.head = head
    step.entries.push({ header, body, signature: this.#own.keys.sign(head.hash) })
  }
}

export const idOf = (hexId: string): Uint8Array => Uint8Array.from(Buffer.from(hexId, "hex"))

/**
 * Whether a step ends here: what follows waits for the checkpoint. With the next round begun there would be nothing to
 * begin the record anew from, and what the last one held would stay.
 */
export const wantsCheckpoint = ({ work }: Step): boolean => work.some(({ type }) => type === "checkpoint")

const messageType = ({ body }: Envelope): string => decode(messageCodec, body).type

/** Names of all that a step does, for those who watch it. */
export const named = (step: Step): readonly string[] => [
  ...step.sends.map((envelope) => `send:${messageType(envelope)}`),
  ...step.deliveries.map(({ envelope }) => `pass:${messageType(envelope)}`),
  ...step.entries.map(({ header }) => `log:${header.type}`),
  ...step.work.map((work) => (work.type === "task" ? `task:${work.name.split("/")[0]}` : work.type)),
]
