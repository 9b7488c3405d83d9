import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode, type Encoded, encode } from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { type Digest, sha256 } from "@consilium/base/hash"
import { emptyHead, headerHash, type LogEntry, type LogHead, nextHeader } from "@consilium/federation/log"
import {
  type Envelope,
  envelopeCodec,
  type Message,
  messageCodec,
  pack,
  unpack,
} from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import { routeAt } from "@consilium/federation/routing"
import type { OwnKeys } from "@consilium/federation/suite"
import { nodeSuite } from "../identity/suite.js"
import type { OwnEvent } from "../own-event.js"
import type { JournalBox } from "../store/journal-box.js"
import type { StudyStore } from "../store/study-store.js"
import { Mailbox } from "../transport/mailbox.js"
import { journalCodec } from "./journal-codec.js"
import type { Input, MachineFactory, Reaction, RoleMachine, Work } from "./machine.js"

/** Where a process may be killed in a test: around the one step that makes things durable. */
export type Moment = "before-save" | "after-save" | "after-send"

export interface RunnerOptions {
  readonly study: Digest
  readonly me: Participant
  readonly keys: OwnKeys
  readonly store: StudyStore
  readonly box: JournalBox
  readonly machine: MachineFactory
  readonly now: () => number
  readonly narrate: (line: string) => void
  /** Told what is being done at each moment; the step goes on when it resolves. */
  readonly probe?: ((moment: Moment, what: readonly string[]) => void | Promise<void>) | undefined
}

type Record = Encoded<typeof journalCodec>
type Batch = Extract<Record, { type: "batch" }>
type Snapshot = Extract<Record, { type: "snapshot" }>
type Recorded = Batch["inputs"][number]

interface Waiting {
  readonly input: Recorded
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/** What a batch of inputs led to. */
interface Step {
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

const ROOM_WAIT = 1000
/** How much is handled and saved in one step, beyond its first input. */
const STEP_INPUTS = 256
const STEP_ENVELOPES = 4096
const STEP_BYTES = 64 << 20
/** How many messages below a child that are not signed as they say are taken and logged; then they are refused. */
const MOST_FORGED = 64

/**
 * Runs a role in one study so that a crash at any point changes nothing: everything that comes in is saved together with
 * what it leads to, in one step, before anybody hears of it. After a crash the same inputs lead the machine to the same
 * state, and what was signed for sending is sent from the record, never made again.
 */
export class StudyRunner {
  readonly #options: RunnerOptions
  readonly #machine: RoleMachine
  readonly #taken = new Map<string, number>()
  /** The same as far as it is saved: what a neighbour may be told. */
  readonly #saved = new Map<string, number>()
  readonly #forged = new Map<string, number>()
  readonly #mail = new Map<string, Mailbox>()
  /** Acknowledgements that are not in the journal yet. */
  readonly #news = new Map<string, number>()
  readonly #tasks = new Map<string, Extract<Work, { type: "task" }>>()
  #timer: Extract<Work, { type: "timer" }> | null = null
  #alarm: NodeJS.Timeout | undefined
  #box: JournalBox
  #head: LogHead
  readonly #waiting: Waiting[] = []
  #running = false
  #stopped = false
  #checkpointDue = false
  #ending: string | null = null
  #end: (reason: string) => void = () => undefined
  #fail: (error: unknown) => void = () => undefined
  readonly #listeners = new Set<() => void>()
  /** Why the study ended for this participant. Rejects with the first error that cannot be handled. */
  readonly ended: Promise<string>
  #over = false

  private constructor(options: RunnerOptions, snapshot: Snapshot | null) {
    this.#options = options
    this.#box = options.box
    this.#machine = options.machine(snapshot?.machine ?? null)
    this.#over = snapshot?.over ?? false
    this.#head = (snapshot?.log as LogHead | undefined) ?? emptyHead(options.study)
    for (const { peer, taken, first, held } of snapshot?.edges ?? []) {
      this.#taken.set(toHex(peer), taken)
      this.#saved.set(toHex(peer), taken)
      this.#mail.set(toHex(peer), new Mailbox(first, held))
    }
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve
      this.#fail = reject
    })
    this.ended.catch(() => undefined)
  }

  /**
   * Brings a participant to where it was, from its journal; nothing is sent or started yet.
   * @throws {ConsiliumError} "store/replay-differs" if the record does not lead where it led before
   */
  static async open(options: RunnerOptions): Promise<StudyRunner> {
    let runner: StudyRunner | null = null
    for await (const sealed of options.store.journal()) {
      const record = decode(journalCodec, options.box.open(sealed))
      if (record.type === "snapshot") runner = new StudyRunner(options, record)
      else {
        runner ??= new StudyRunner(options, null)
        runner.#replay(record)
      }
    }
    runner ??= new StudyRunner(options, null)
    await options.box.settle()
    await runner.#checkHead()
    if (runner.#checkpointDue) await runner.#checkpointIfRoom()
    return runner
  }

  get id(): string {
    return toHex(this.#options.study)
  }
  get directory(): Directory {
    return this.#machine.directory
  }
  get signedRoster(): Uint8Array {
    return this.#machine.signedRoster
  }
  get machine(): RoleMachine {
    return this.#machine
  }
  get store(): StudyStore {
    return this.#options.store
  }
  get head(): LogHead {
    return this.#head
  }
  /** Whether the study is over for this participant. */
  get over(): boolean {
    return this.#over
  }
  /** Whether anything was recorded before now. */
  get isNew(): boolean {
    return this.#head.seq === 0 && this.#taken.size === 0
  }

  /** Takes up all that was under way: unfinished work, the deadline, messages that nobody has confirmed. */
  begin(): void {
    for (const task of this.#tasks.values()) this.#run(task)
    if (this.#timer !== null) this.#arm(this.#timer)
    if (this.#over) this.#end("")
  }

  /** What is to go to a neighbour. */
  mailbox(peer: Participant): Mailbox {
    const name = toHex(peer.id)
    let mailbox = this.#mail.get(name)
    if (mailbox === undefined) {
      mailbox = new Mailbox()
      this.#mail.set(name, mailbox)
    }
    return mailbox
  }

  /** Notes how far a neighbour has taken what was sent. */
  acknowledge(peer: Participant, upTo: number): void {
    const mailbox = this.mailbox(peer)
    if (upTo === mailbox.acknowledged) return
    mailbox.acknowledge(upTo)
    this.#news.set(toHex(peer.id), upTo)
  }

  /** Number of the last envelope that was taken from a neighbour, durably. */
  taken(peer: Participant): number {
    return this.#saved.get(toHex(peer.id)) ?? 0
  }

  /**
   * Takes envelopes of a neighbour, in order. They are durable, with all that follows from them, when it resolves;
   * envelopes that were taken before are passed over.
   * @throws {ConsiliumError} "network/gap", "identity/bad-signature" and others; nothing was taken then
   */
  async take(peer: Participant, first: number, envelopes: readonly Envelope[]): Promise<number> {
    if (envelopes.length > 0) await this.#submit({ type: "parcel", peer: peer.id, first, envelopes })
    return this.taken(peer)
  }

  /** Takes something that happened here. */
  async post(event: Uint8Array): Promise<void> {
    await this.#submit({ type: "local", event })
  }

  /** Calls back after every step that was saved. */
  onStep(listen: () => void): () => void {
    this.#listeners.add(listen)
    return () => this.#listeners.delete(listen)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#alarm)
    for (const mailbox of this.#mail.values()) mailbox.close()
    this.#turnAway()
  }

  #turnAway(): void {
    const error = new ConsiliumError("network/stopping", "This participant is stopping.")
    for (const { failed } of this.#waiting.splice(0)) failed(error)
  }

  // --- inputs, one batch after another

  #submit(input: Recorded): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#stopped) {
        failed(new ConsiliumError("network/stopping", "This participant is stopping."))
        return
      }
      this.#waiting.push({ input, done, failed })
      if (!this.#running) void this.#work()
    })
  }

  async #work(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0 && !this.#stopped) {
      const batch = this.#waiting.splice(0, this.#stepSize())
      try {
        await this.#handle(batch)
      } catch (error) {
        // what is in memory may be ahead of what is saved: only a new start can go on
        this.#stopped = true
        for (const { failed } of [...batch, ...this.#waiting.splice(0)]) failed(error)
        this.#fail(error)
      }
    }
    this.#running = false
    // what was put back after it was told to stop
    if (this.#stopped) this.#turnAway()
  }

  /** How many of the inputs that wait make one step: what is saved at once must fit what a store takes at once. */
  #stepSize(): number {
    let envelopes = 0
    let bytes = 0
    const full = this.#waiting.findIndex(({ input }, at) => {
      envelopes += input.type === "parcel" ? input.envelopes.length : 1
      bytes += input.type === "parcel" ? bodyBytes(input.envelopes) : input.event.length
      return at > 0 && (at === STEP_INPUTS || envelopes > STEP_ENVELOPES || bytes > STEP_BYTES)
    })
    return full < 0 ? this.#waiting.length : full
  }

  async #handle(batch: readonly Waiting[]): Promise<void> {
    const step = this.#apply(
      this.#options.now(),
      batch.map(({ input }) => input),
    )
    if (step.inputs.length > 0) {
      const watch = async (moment: Moment): Promise<void> => this.#options.probe?.(moment, named(step))
      await watch("before-save")
      await this.#save(step)
      await watch("after-save")
      await this.#perform(step)
      await watch("after-send")
    }
    for (const { input, done, failed } of batch.slice(0, step.handled)) {
      const error = step.refused.get(input)
      if (error === undefined) done()
      else failed(error)
    }
    if (this.#checkpointDue) await this.#checkpointIfRoom()
    const [next, ...later] = batch.slice(step.handled)
    if (next !== undefined) this.#waiting.unshift({ ...next, input: step.rest ?? next.input }, ...later)
    for (const listen of this.#listeners) listen()
    // last: who waits for the end closes the store
    if (this.#ending !== null) this.#end(this.#ending)
  }

  /** A full disk is waited for: the step is saved as it is once there is room. */
  async #save(step: Step): Promise<void> {
    const acknowledged = [...this.#news].map(([peer, upTo]) => ({ peer: idOf(peer), upTo }))
    this.#news.clear()
    const { at, inputs, sends } = step
    const record: Record = { type: "batch", at, acknowledged, inputs, sends }
    const journal = [this.#box.seal(encode(journalCodec, record))]
    for (let told = false; ; told = true) {
      try {
        await this.#options.store.commit({ journal, entries: step.entries })
        this.#noteSaved(inputs)
        if (told) this.#options.narrate("there is room on the disk again; going on")
        return
      } catch (error) {
        if (!(error instanceof ConsiliumError) || error.code !== "store/full" || this.#stopped) throw error
        if (!told) this.#options.narrate(`${error.message} ${error.remedy}`)
        await new Promise((resolve) => setTimeout(resolve, ROOM_WAIT))
      }
    }
  }

  #noteSaved(inputs: readonly Recorded[]): void {
    for (const input of inputs)
      if (input.type === "parcel")
        this.#saved.set(toHex(input.peer), input.first + input.envelopes.length - 1)
  }

  async #perform(step: Step): Promise<void> {
    for (const { peer, envelope } of step.deliveries) this.#deliver(peer, envelope)
    for (const work of step.work)
      switch (work.type) {
        case "timer":
          this.#arm(work)
          break
        case "task":
          if (this.#tasks.get(work.name) === work) this.#run(work)
          break
        case "act":
          await work.run()
          break
        case "tell":
          this.#options.narrate(work.line)
          break
        case "ended":
          this.#ending = work.reason
          break
        case "checkpoint":
          this.#checkpointDue = true
      }
  }

  #arm(timer: Extract<Work, { type: "timer" }>): void {
    clearTimeout(this.#alarm)
    this.#alarm = setTimeout(() => {
      this.post(timer.event).catch(() => undefined)
    }, timer.milliseconds)
  }

  #run(task: Extract<Work, { type: "task" }>): void {
    task.run().then(
      // once all is over its result is of no use, and may hold what was just erased
      (event) => (this.#over ? undefined : this.post(event).catch(() => undefined)),
      (error) => {
        this.#stopped = true
        this.#fail(error)
      },
    )
  }

  #deliver(peer: string, envelope: Envelope): void {
    const mailbox = this.#mail.get(peer) ?? new Mailbox()
    this.#mail.set(peer, mailbox)
    mailbox.put(envelope)
  }

  /** Without room for a checkpoint the record goes on as it is, and the next step tries again. */
  async #checkpointIfRoom(): Promise<void> {
    try {
      await this.#checkpoint()
    } catch (error) {
      if (!isConsiliumError(error, "store/full")) throw error
      this.#options.narrate(`${error.message} ${error.remedy}`)
    }
  }

  /** Begins the record anew from where things stand; what the past held is gone from the disk afterwards. */
  async #checkpoint(): Promise<void> {
    const machine = this.#machine.snapshot()
    // work that is not done yet has to be found again after a crash, but not once all is over
    if (machine === null || (this.#tasks.size > 0 && !this.#over)) return
    const peers = new Set([...this.#taken.keys(), ...this.#mail.keys()])
    const record: Record = {
      type: "snapshot",
      at: this.#options.now(),
      over: this.#over,
      log: this.#head,
      machine,
      edges: [...peers].map((peer) => ({
        peer: idOf(peer),
        taken: this.#taken.get(peer) ?? 0,
        first: (this.#mail.get(peer)?.acknowledged ?? 0) + 1,
        held: this.#mail.get(peer)?.held ?? [],
      })),
    }
    // encoded before anything is waited for: acknowledgements may come at any time
    const encoded = encode(journalCodec, record)
    this.#news.clear()
    const old = this.#box
    const next = await old.next()
    await this.#options.probe?.("before-save", ["checkpoint"])
    await this.#options.store.checkpoint([next.seal(encoded)])
    this.#checkpointDue = false
    this.#box = next
    await this.#options.probe?.("after-save", ["checkpoint"])
    await next.retire(old)
  }

  // --- coming back

  #replay(batch: Batch): void {
    for (const { peer, upTo } of batch.acknowledged) this.#mail.get(toHex(peer))?.acknowledge(upTo)
    const step = this.#apply(batch.at, batch.inputs, true)
    this.#noteSaved(batch.inputs)
    const same =
      step.refused.size === 0 &&
      step.inputs.length === batch.inputs.length &&
      step.sends.length === batch.sends.length &&
      step.sends.every((send, i) =>
        equalBytes(encode(envelopeCodec, send), encode(envelopeCodec, batch.sends[i] as Envelope)),
      )
    if (!same)
      throw new ConsiliumError(
        "store/replay-differs",
        `The record of ${this.#options.me.name} from ${new Date(batch.at).toISOString()} does not lead to what was sent then.`,
      )
    for (const { peer, envelope } of step.deliveries) this.#deliver(peer, envelope)
    if (wantsCheckpoint(step)) this.#checkpointDue = true
  }

  async #checkHead(): Promise<void> {
    const { store } = this.#options
    let last: LogEntry | null = null
    for await (const entry of store.entries(Math.max(0, store.length - 1))) last = entry
    const agrees =
      store.length === this.#head.seq &&
      (last === null || equalBytes(headerHash(last.header), this.#head.hash))
    if (!agrees)
      throw new ConsiliumError(
        "store/replay-differs",
        `The log of ${this.#options.me.name} holds ${store.length} events; its record leads to ${this.#head.seq}.`,
      )
  }

  // --- what follows from inputs: the same when it happens and when it is replayed

  #apply(at: number, inputs: readonly Recorded[], again = false): Step {
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
    const answered = this.#machine.answers(event)
    if (answered !== null) this.#tasks.delete(answered)
    if (this.#timer !== null && equalBytes(this.#timer.event, event)) this.#timer = null
    step.inputs.push({ type: "local", event })
    this.#react(step, { type: "local", event })
  }

  /** What was taken before is passed over. A replayed parcel was found to be welcome when it came. */
  #parcel(step: Step, input: Extract<Recorded, { type: "parcel" }>, again: boolean): void {
    const peer = toHex(input.peer)
    const taken = this.#taken.get(peer) ?? 0
    try {
      if (input.first > taken + 1)
        throw new ConsiliumError(
          "network/gap",
          `Message ${input.first} of ${this.#nameOf(peer)} came after message ${taken}.`,
        )
      const fresh = input.envelopes.slice(Math.max(0, taken + 1 - input.first))
      if (fresh.length === 0) return
      const fromParent = this.#options.me.parent !== null && equalBytes(input.peer, this.#options.me.parent)
      if (!fromParent && !again) this.#checkWelcome(input.peer, fresh)
      let count = 0
      for (const envelope of fresh) {
        if (fromParent) this.#down(step, envelope)
        else this.#up(step, input.peer, envelope)
        count += 1
        if (!again && wantsCheckpoint(step)) break
      }
      this.#taken.set(peer, taken + count)
      step.inputs.push({ ...input, first: taken + 1, envelopes: fresh.slice(0, count) })
      if (count < fresh.length)
        step.rest = { ...input, first: taken + count + 1, envelopes: fresh.slice(count) }
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      step.refused.set(input, error)
    }
  }

  #nameOf(peer: string): string {
    return this.directory.find(idOf(peer))?.name ?? peer
  }

  #checkWelcome(peer: Uint8Array, envelopes: readonly Envelope[]): void {
    for (const envelope of envelopes) {
      this.#checkOrigin(peer, envelope)
      this.#checkRoom(envelope)
    }
    // evidence is kept, but must not fill the disk
    if ((this.#forged.get(toHex(peer)) ?? 0) < MOST_FORGED) return
    for (const envelope of envelopes) unpack(nodeSuite, this.directory.get(envelope.from), envelope)
  }

  /** A child speaks only for those below it, and in its study. */
  #checkOrigin(peer: Uint8Array, envelope: Envelope): void {
    const { me, study } = this.#options
    const through = this.directory.childToward(me.id, envelope.from)
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
    const { down, up } = routeAt(this.directory, this.#options.me, envelope)
    const targets = [
      ...down.map(({ id }) => id),
      ...(up && this.#options.me.parent ? [this.#options.me.parent] : []),
    ]
    if (targets.some((id) => this.#mail.get(toHex(id))?.overfull))
      throw new ConsiliumError("network/overloaded", "Too much waits for a participant that does not answer.")
  }

  /** From the parent: for this participant, for those below it, or both. */
  #down(step: Step, envelope: Envelope): void {
    const { me, study } = this.#options
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
    const route = routeAt(this.directory, me, envelope)
    if (route.here) {
      const opened = this.#open(step, envelope)
      if (opened === null) return
      this.#react(step, { type: "message", ...opened, envelope })
    }
    // who has just left is still told so, who has just come is told first of all
    const after = routeAt(this.directory, me, envelope)
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
    const { here } = routeAt(this.directory, this.#options.me, envelope)
    this.#react(step, { type: "passing", ...opened, bytes: envelope.body.length, here })
    if (here) this.#react(step, { type: "message", ...opened, envelope })
    else this.#forward(step, envelope)
  }

  #open(step: Step, envelope: Envelope): { readonly from: Participant; readonly message: Message } | null {
    const from = this.directory.find(envelope.from)
    if (from === undefined) return null
    try {
      return { from, message: unpack(nodeSuite, from, envelope) }
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      const evidence = sha256(encode(envelopeCodec, envelope))
      const { code, message: detail } = error
      this.#react(step, { type: "refused", about: from.id, code, detail, evidence })
      return null
    }
  }

  #forward(step: Step, envelope: Envelope): void {
    const { me } = this.#options
    const route = routeAt(this.directory, me, envelope)
    for (const { id } of route.down) step.deliveries.push({ peer: toHex(id), envelope })
    if (route.up && me.parent !== null) step.deliveries.push({ peer: toHex(me.parent), envelope })
  }

  #react(step: Step, input: Input): void {
    const reaction: Reaction = this.#machine.react(input, step.at)
    for (const entry of reaction.entries) this.#log(step, entry)
    const { study, me, keys } = this.#options
    for (const { to, message } of reaction.sends) {
      const envelope = pack(study, me.id, to, message, keys.sign)
      step.sends.push(envelope)
      this.#forward(step, envelope)
    }
    for (const work of reaction.work) {
      step.work.push(work)
      if (work.type === "task") this.#tasks.set(work.name, work)
      if (work.type === "timer") this.#timer = work
      if (work.type === "ended") this.#over = true
    }
  }

  #log(step: Step, { type, actor, body }: OwnEvent): void {
    const { header, head } = nextHeader(this.#head, { at: step.at, actor, type, body })
    this.#head = head
    step.entries.push({ header, body, signature: this.#options.keys.sign(head.hash) })
  }
}

const idOf = (hexId: string): Uint8Array => Uint8Array.from(Buffer.from(hexId, "hex"))

const bodyBytes = (envelopes: readonly Envelope[]): number =>
  envelopes.reduce((sum, { body }) => sum + body.length, 0)

/**
 * Whether a step ends here: what follows waits for the checkpoint. With the next round begun there would be nothing to
 * begin the record anew from, and what the last one held would stay.
 */
const wantsCheckpoint = ({ work }: Step): boolean => work.some(({ type }) => type === "checkpoint")

const messageType = ({ body }: Envelope): string => decode(messageCodec, body).type

/** Names of all that a step does, for those who watch it. */
const named = (step: Step): readonly string[] => [
  ...step.sends.map((envelope) => `send:${messageType(envelope)}`),
  ...step.deliveries.map(({ envelope }) => `pass:${messageType(envelope)}`),
  ...step.entries.map(({ header }) => `log:${header.type}`),
  ...step.work.map((work) => (work.type === "task" ? `task:${work.name.split("/")[0]}` : work.type)),
]
