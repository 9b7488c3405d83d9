import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode, type Encoded, encode } from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { Digest } from "@consilium/base/hash"
import { emptyHead, headerHash, type LogEntry, type LogHead } from "@consilium/federation/log"
import { type Envelope, envelopeCodec } from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import type { OwnKeys } from "@consilium/federation/suite"
import type { JournalBox } from "../store/journal-box.js"
import type { StudyStore } from "../store/study-store.js"
import { Mailbox } from "../transport/mailbox.js"
import type { Checks } from "./checks.js"
import { journalCodec } from "./journal-codec.js"
import type { MachineFactory, RoleMachine, Work } from "./machine.js"
import { idOf, named, type Recorded, type Step, StudyProgress, wantsCheckpoint } from "./study-progress.js"

/** Where a process may be killed in a test: around the one step that makes things durable. */
export type Moment = "before-save" | "after-save" | "after-send"

export interface RunnerOptions {
  readonly study: Digest
  readonly me: Participant
  readonly keys: OwnKeys
  readonly store: StudyStore
  readonly box: JournalBox
  readonly machine: MachineFactory
  /** Checks everything anew unless told. */
  readonly checks?: Checks
  readonly now: () => number
  readonly narrate: (line: string) => void
  /** Told what is being done at each moment; the step goes on when it resolves. */
  readonly probe?: ((moment: Moment, what: readonly string[]) => void | Promise<void>) | undefined
}

type Record = Encoded<typeof journalCodec>
type Batch = Extract<Record, { type: "batch" }>
type Snapshot = Extract<Record, { type: "snapshot" }>

interface Waiting {
  readonly input: Recorded
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

const ROOM_WAIT = 1000
/** How much is handled and saved in one step, beyond its first input. */
const STEP_INPUTS = 256
const STEP_ENVELOPES = 4096
const STEP_BYTES = 64 << 20
/**
 * Runs a role in one study so that a crash at any point changes nothing: everything that comes in is saved together with
 * what it leads to, in one step, before anybody hears of it. After a crash the same inputs lead the machine to the same
 * state, and what was signed for sending is sent from the record, never made again.
 */
export class StudyRunner {
  readonly #options: RunnerOptions
  readonly #progress: StudyProgress
  /** What was taken from each neighbour as far as it is saved: what a neighbour may be told. */
  readonly #saved = new Map<string, number>()
  /** Acknowledgements that are not in the journal yet. */
  readonly #news = new Map<string, number>()
  #alarm: NodeJS.Timeout | undefined
  #box: JournalBox
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
  private constructor(options: RunnerOptions, snapshot: Snapshot | null) {
    this.#options = options
    this.#box = options.box
    const head = (snapshot?.log as LogHead | undefined) ?? emptyHead(options.study)
    const machine = options.machine(snapshot?.machine ?? null)
    this.#progress = new StudyProgress(options, machine, head, snapshot?.over ?? false)
    for (const { peer, taken, first, held } of snapshot?.edges ?? []) {
      this.#progress.taken.set(toHex(peer), taken)
      this.#saved.set(toHex(peer), taken)
      this.#progress.mail.set(toHex(peer), new Mailbox(first, held))
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
    return this.#progress.machine.directory
  }
  get signedRoster(): Uint8Array {
    return this.#progress.machine.signedRoster
  }
  get machine(): RoleMachine {
    return this.#progress.machine
  }
  get store(): StudyStore {
    return this.#options.store
  }
  get head(): LogHead {
    return this.#progress.head
  }
  /** Whether the study is over for this participant. */
  get over(): boolean {
    return this.#progress.over
  }
  /** Whether anything was recorded before now. */
  get isNew(): boolean {
    return this.#progress.head.seq === 0 && this.#progress.taken.size === 0
  }

  /** Takes up all that was under way: unfinished work, the deadline, messages that nobody has confirmed. */
  begin(): void {
    for (const task of this.#progress.tasks.values()) this.#run(task)
    if (this.#progress.timer !== null) this.#arm(this.#progress.timer)
    if (this.#progress.over) this.#end("")
  }

  /** What is to go to a neighbour. */
  mailbox(peer: Participant): Mailbox {
    return this.#progress.mailbox(toHex(peer.id))
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
    for (const mailbox of this.#progress.mail.values()) mailbox.close()
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
    const step = this.#progress.apply(
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
    this.#progress.deliver(step)
    for (const work of step.work)
      switch (work.type) {
        case "timer":
          this.#arm(work)
          break
        case "task":
          if (this.#progress.tasks.get(work.name) === work) this.#run(work)
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
      (event) => (this.#progress.over ? undefined : this.post(event).catch(() => undefined)),
      (error) => {
        this.#stopped = true
        this.#fail(error)
      },
    )
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
    const machine = this.#progress.machine.snapshot()
    // work that is not done yet has to be found again after a crash, but not once all is over
    if (machine === null || (this.#progress.tasks.size > 0 && !this.#progress.over)) return
    const peers = new Set([...this.#progress.taken.keys(), ...this.#progress.mail.keys()])
    const record: Record = {
      type: "snapshot",
      at: this.#options.now(),
      over: this.#progress.over,
      log: this.#progress.head,
      machine,
      edges: [...peers].map((peer) => ({
        peer: idOf(peer),
        taken: this.#progress.taken.get(peer) ?? 0,
        first: (this.#progress.mail.get(peer)?.acknowledged ?? 0) + 1,
        held: this.#progress.mail.get(peer)?.held ?? [],
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
    for (const { peer, upTo } of batch.acknowledged) this.#progress.mail.get(toHex(peer))?.acknowledge(upTo)
    const step = this.#progress.apply(batch.at, batch.inputs, true)
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
    this.#progress.deliver(step)
    if (wantsCheckpoint(step)) this.#checkpointDue = true
  }

  async #checkHead(): Promise<void> {
    const { store } = this.#options
    let last: LogEntry | null = null
    for await (const entry of store.entries(Math.max(0, store.length - 1))) last = entry
    const agrees =
      store.length === this.#progress.head.seq &&
      (last === null || equalBytes(headerHash(last.header), this.#progress.head.hash))
    if (!agrees)
      throw new ConsiliumError(
        "store/replay-differs",
        `The log of ${this.#options.me.name} holds ${store.length} events; its record leads to ${this.#progress.head.seq}.`,
      )
  }
}

const bodyBytes = (envelopes: readonly Envelope[]): number =>
  envelopes.reduce((sum, { body }) => sum + body.length, 0)
