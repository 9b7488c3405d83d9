import { existsSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { hash, sha256 } from "@consilium/base/hash"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import { emptyHead, type LogHead, type LogHeader, nextHeader } from "@consilium/federation/log"
import { type Message, type MessageOf, messageCodec, pack } from "@consilium/federation/messages"
import { type Directory, EVERYONE, openRoster, type Participant } from "@consilium/federation/roster"
import { decodeStudy, type Study, studyDigest } from "@consilium/federation/study"
import { fetchRoster } from "@consilium/node/identity/enrol-client"
import { nodeSuite } from "@consilium/node/identity/suite"
import type { Membership } from "@consilium/node/roles/membership"
import type { ReservedAddress } from "@consilium/node/transport/address"
import { ParentServer } from "@consilium/node/transport/parent-server"
import { type Delivery, OpenDoor } from "./open-door.js"

type Sign = (message: Uint8Array) => Uint8Array

/** One thing that was tried, and what each facility it went to answered. */
export interface Tried {
  readonly scenario: string
  readonly answers: Readonly<Record<string, string>>
  /** Digest of the message that was sent, hexadecimal; null where more than a message of the leader's was forged. */
  readonly evidence: string | null
}

const HONEST_WAIT = 60_000
const REFUSAL_WAIT = 10_000
const QUIET_WAIT = 300
const ROSTER_WAIT = 60_000
const LAST_WORDS: Milliseconds = milliseconds(10_000)
const ANSWERS = new Set([
  "submit",
  "update",
  "opening",
  "verdict",
  "key-tested",
  "signature",
  "partial",
  "report",
  "final-report",
  "refusal",
])

/**
 * A leader with a real kit, a real certificate and real sockets that does what it likes. It speaks every message of
 * the protocol, true or false, to whom it wants, and keeps all that comes back.
 */
export class HostileLeader {
  readonly membership: Membership
  readonly study: Study
  readonly directory: Directory
  readonly tried: Tried[] = []
  readonly #door: OpenDoor
  #server: ParentServer | null = null
  /** The log that this leader shows. */
  head: LogHead
  readonly headers: LogHeader[] = []

  constructor(membership: Membership) {
    const { kit, signedRoster } = membership
    const { directory, study } = openRoster(nodeSuite, kit.authorityKey, signedRoster)
    this.membership = membership
    this.directory = directory
    this.study = decodeStudy(study)
    this.head = emptyHead(studyDigest(this.study))
    this.#door = new OpenDoor(directory, signedRoster)
  }

  async start(): Promise<void> {
    const { me, identity, address, folder } = this.membership
    this.#server = await ParentServer.start({
      me,
      identity,
      address: address as ReservedAddress,
      uploads: join(folder, "uploads"),
      studies: () => [this.#door],
    })
  }

  async close(): Promise<void> {
    await this.#door.drained(LAST_WORDS)
    this.#door.close()
    await this.#server?.close()
  }

  get inbox(): readonly Delivery[] {
    return this.#door.inbox
  }

  /** Resolves when a file is in this leader's data folder. */
  async awaitFile(name: string): Promise<void> {
    while (!existsSync(join(this.membership.folder, name))) await sleep(20)
  }

  /** The authority's next roster, once there is one. */
  async nextRoster(): Promise<Uint8Array> {
    const { kit, identity } = this.membership
    const study = studyDigest(this.study)
    const after = this.directory.roster.version
    const times = { now: Date.now, patienceMs: ROSTER_WAIT }
    for (const deadline = Date.now() + ROSTER_WAIT; Date.now() < deadline; ) {
      const signed = await fetchRoster(kit, identity, { study, after, ...times })
      if (signed !== null) return signed
    }
    throw new Error("The authority signed no other roster.")
  }

  get names(): readonly string[] {
    return this.directory.facilities.map(({ name }) => name)
  }

  // --- sending

  /** A message to some participants, each in an envelope of its own, through their fogs. */
  tell(names: readonly string[], message: Message): void {
    for (const name of names) this.#send(this.directory.named(name).id, message)
  }

  broadcast(message: Message): void {
    this.#send(EVERYONE, message)
  }

  #send(to: Uint8Array, message: Message): void {
    const { me, keys } = this.membership
    this.#door.put(pack(this.directory.roster.study, me.id, to, message, keys.sign))
  }

  /** Sends any bytes as the body of an envelope, in any study's and anybody's name, signed by any key. */
  forge(
    to: Uint8Array,
    forged: {
      readonly body: Uint8Array
      readonly study?: Uint8Array
      readonly from?: Participant
      readonly sign?: Sign
    },
  ): void {
    const { me, keys } = this.membership
    const open = {
      study: forged.study ?? this.directory.roster.study,
      from: (forged.from ?? me).id,
      to,
      body: forged.body,
    }
    const signature = (forged.sign ?? keys.sign)(hash("envelope", open.study, open.from, open.to, open.body))
    this.#door.put({ ...open, signature })
  }

  /** Logs a message as an honest leader would, then sends it to everyone. */
  say(message: Message): void {
    this.log(message)
    this.broadcast(message)
  }

  /** Logs a message without sending it. */
  log(message: Message): void {
    const event = {
      at: Date.now(),
      actor: this.membership.me.id,
      type: message.type,
      body: encode(messageCodec, message),
    }
    const { header, head } = nextHeader(this.head, event)
    this.headers.push(header)
    this.head = head
  }

  // --- answers

  /** The first answer of each facility since a mark, waiting up to some time for those that have not answered. */
  async #since(mark: number, names: readonly string[], wait: number): Promise<ReadonlyMap<string, Delivery>> {
    const deadline = Date.now() + wait
    for (;;) {
      const first = new Map<string, Delivery>()
      for (const delivery of this.inbox.slice(mark))
        if (ANSWERS.has(delivery.message.type) && !first.has(delivery.from.name))
          first.set(delivery.from.name, delivery)
      const answers = new Map([...first].filter(([name]) => names.includes(name)))
      if (answers.size === names.length || Date.now() > deadline) return answers
      await sleep(10)
    }
  }

  /** Sends a message and expects an answer of one type from each facility; anything else ends the script. */
  async ask<T extends Message["type"]>(
    message: Message,
    type: T,
    names: readonly string[] = this.names,
    told: readonly string[] = names,
  ): Promise<ReadonlyMap<string, MessageOf<T>>> {
    const mark = this.inbox.length
    if (told.length === this.names.length) this.say(message)
    else {
      this.log(message)
      this.tell(told, message)
    }
    const answers = await this.#since(mark, names, HONEST_WAIT)
    const out = new Map<string, MessageOf<T>>()
    for (const name of names) {
      const answer = answers.get(name)?.message
      if (answer?.type !== type)
        throw new Error(
          `${name} answered an honest ${message.type} with ${answer ? spoken(answer) : "nothing"}, not with ${type}.`,
        )
      out.set(name, answer as MessageOf<T>)
    }
    return out
  }

  /** Sends what must be refused, and notes what each facility answers. */
  async attack(scenario: string, message: Message, names: readonly string[] = this.names): Promise<void> {
    const mark = this.inbox.length
    this.tell(names, message)
    this.#note(scenario, names, await this.#since(mark, names, REFUSAL_WAIT), digestOf(message))
  }

  /** Sends what must go unanswered. */
  async expectSilence(
    scenario: string,
    message: Message,
    names: readonly string[] = this.names,
  ): Promise<void> {
    const mark = this.inbox.length
    this.tell(names, message)
    await this.silence(scenario, mark, names, digestOf(message))
  }

  /** Notes what is answered to something forged: nothing. A late answer would show in what came in all. */
  async silence(
    scenario: string,
    mark: number,
    names: readonly string[] = this.names,
    evidence: string | null = null,
  ): Promise<void> {
    await sleep(QUIET_WAIT)
    this.#note(
      scenario,
      names,
      new Map(
        this.inbox
          .slice(mark)
          .filter(({ message }) => ANSWERS.has(message.type))
          .map((d) => [d.from.name, d]),
      ),
      evidence,
    )
  }

  note(scenario: string, answers: Readonly<Record<string, string>>, evidence: string | null = null): void {
    this.tried.push({ scenario, answers, evidence })
  }

  #note(
    scenario: string,
    names: readonly string[],
    answers: ReadonlyMap<string, Delivery>,
    evidence: string | null,
  ): void {
    this.note(
      scenario,
      Object.fromEntries(
        names.map((name) => {
          const answer = answers.get(name)?.message
          return [name, answer ? spoken(answer) : "nothing"]
        }),
      ),
      evidence,
    )
  }

  /** Resolves when something has come since a mark; false if it does not. */
  async comes(mark: number, wanted: (delivery: Delivery) => boolean): Promise<boolean> {
    const deadline = Date.now() + REFUSAL_WAIT
    while (!this.inbox.slice(mark).some(wanted)) {
      if (Date.now() > deadline) return false
      await sleep(10)
    }
    return true
  }

  /** How many messages of a type came. */
  count(wanted: (message: Message) => boolean): number {
    return this.inbox.filter(({ message }) => wanted(message)).length
  }

  /** How many partial openings came, by the digest they answer. */
  partials(): Readonly<Record<string, number>> {
    const out: Record<string, number> = {}
    for (const { message } of this.inbox)
      if (message.type === "partial") out[toHex(message.digest)] = (out[toHex(message.digest)] ?? 0) + 1
    return out
  }
}

const digestOf = (message: Message): string => toHex(sha256(encode(messageCodec, message)))

const spoken = (message: Message): string => {
  if (message.type === "refusal") return `refused: ${message.code}`
  if (message.type === "final-report" && message.head === null) return "final-report without a signature"
  if (message.type === "report") return message.metrics === null ? "report without figures" : "report"
  return message.type
}
