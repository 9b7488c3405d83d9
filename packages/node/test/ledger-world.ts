import { cp, mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { newSecretKey, type SecretKey } from "@consilium/base/random"
import { milliseconds } from "@consilium/base/units"
import type { LogEntry } from "@consilium/federation/log"
import {
  envelopeCodec,
  type LedgerEvidence,
  type Message,
  messageCodec,
  type Submission,
} from "@consilium/federation/messages"
import type { LocalPolicy } from "@consilium/federation/policy"
import { type Participant, participantId } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import {
  authorityKey,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  suite,
  testPolicy,
  toyRecords,
} from "../../federation/test/members.js"
import { PrivacyLedger } from "../src/privacy-ledger.js"
import { FacilityMachine, type LocalRecords, newBeginning } from "../src/roles/facility-machine.js"
import { FogMachine } from "../src/roles/fog-machine.js"
import { LeaderLedgers } from "../src/roles/leader-ledgers.js"
import { type KnownLedgers, LeaderMachine, leaderStart } from "../src/roles/leader-machine.js"
import { joinLedgers } from "../src/roles/ledger-joining.js"
import type { RoleMachine } from "../src/roles/machine.js"
import { RoundSecrets } from "../src/roles/round-secrets.js"
import { type RunnerOptions, StudyRunner } from "../src/roles/study-runner.js"
import { makePrivateFolder } from "../src/store/files.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { memoryStores } from "../src/store/memory-stores.js"
import { SealedFiles } from "../src/store/sealed.js"
import { openSegmentStores } from "../src/store/segment-stores.js"
import type { Stores } from "../src/store/study-store.js"

const ALL = { envelopes: 100, bytes: 1 << 30 }

export interface RunningStudy {
  readonly id: string
  readonly study: Study
  readonly runner: StudyRunner
  readonly machine: RoleMachine
}

/** One participant's process: it ends with `stop`, or is left where it is, as by SIGKILL. */
export interface Process {
  readonly name: string
  readonly stores: Stores
  readonly sealed: SealedFiles
  readonly studies: Map<string, RunningStudy>
  /** Present at a facility. */
  readonly ledger: PrivacyLedger | null
  readonly lines: string[]
}

export interface WorldOptions {
  readonly place: string
  readonly facilities?: number
  readonly fogs?: number
  readonly policy?: (facility: string) => Partial<LocalPolicy>
  /** What a leader answers instead of what it has seen. */
  readonly lie?: (facility: Uint8Array, known: readonly LedgerEvidence[]) => readonly LedgerEvidence[]
  /** Whether the leader answers facilities that ask about their ledgers. */
  readonly answers?: () => boolean
  readonly probe?: (name: string) => RunnerOptions["probe"]
  readonly now?: () => number
}

/** Participants in processes of their own with their own stores on disk; what they say is carried by hand. */
export class LedgerWorld {
  readonly options: WorldOptions
  readonly processes = new Map<string, Process>()
  readonly #known: Study[] = []
  readonly #memory = new Map<string, Stores>()
  readonly #keys = new Map<string, SecretKey>()
  readonly facilities: number
  readonly fogs: number

  constructor(options: WorldOptions) {
    this.options = options
    this.facilities = options.facilities ?? 4
    this.fogs = options.fogs ?? 2
  }

  get names(): readonly string[] {
    const named = (what: string, count: number) => Array.from({ length: count }, (_, i) => `${what}-${i + 1}`)
    return ["leader", ...named("fog", this.fogs), ...named("clinic", this.facilities)]
  }

  folderOf(name: string): string {
    return join(this.options.place, name)
  }

  /** A study of everybody; it begins with whoever runs. */
  async add(study: Study): Promise<void> {
    this.#known.push(study)
    for (const process of this.processes.values()) await this.#takeUp(process, study)
    const leader = this.processes.get("leader")?.studies.get(toHex(studyDigest(study)))
    if (leader?.runner.isNew) await leader.runner.post(leaderStart())
  }

  async start(name: string): Promise<Process> {
    const folder = this.folderOf(name)
    await makePrivateFolder(folder)
    const key = this.#keys.get(name) ?? newSecretKey()
    this.#keys.set(name, key)
    const { month: cap, lifetime = null } = testPolicy(this.options.policy?.(name)).privacy
    const now = this.options.now ?? Date.now
    const process: Process = {
      name,
      stores: await this.#storesOf(name),
      sealed: await SealedFiles.open(join(folder, "sealed"), key),
      studies: new Map(),
      ledger: name.startsWith("clinic")
        ? new PrivacyLedger({ facility: participantId(name), cap, lifetime, now })
        : null,
      lines: [],
    }
    this.processes.set(name, process)
    for (const study of this.#known) await this.#takeUp(process, study)
    process.ledger?.opened()
    for (const { machine } of process.studies.values())
      if (machine instanceof FacilityMachine) await machine.reserveUnsent()
    return process
  }

  /** What clinic-1 stores is on disk, where a test can go back in time; of the others it is enough that it lasts. */
  async #storesOf(name: string): Promise<Stores> {
    if (name === "clinic-1") return openSegmentStores(join(this.folderOf(name), "studies"))
    const stores = this.#memory.get(name) ?? memoryStores()
    this.#memory.set(name, stores)
    return { study: (digest) => stores.study(digest), close: async () => undefined }
  }

  async startAll(): Promise<void> {
    for (const name of this.names) await this.start(name)
  }

  process(name: string): Process {
    const process = this.processes.get(name)
    if (process === undefined) throw new Error(`${name} does not run.`)
    return process
  }

  /** Ends a process: whatever is not saved is lost. */
  async stop(name: string): Promise<void> {
    const { studies, stores } = this.process(name)
    this.processes.delete(name)
    for (const { runner } of studies.values()) runner.stop()
    await stores.close()
  }

  async stopAll(): Promise<void> {
    for (const name of [...this.processes.keys()]) await this.stop(name)
  }

  /** Copies a stopped participant's folder away, or back over it. */
  async backUp(name: string, to: string): Promise<void> {
    await cp(this.folderOf(name), join(this.options.place, to), { recursive: true })
  }
  async restore(name: string, from: string): Promise<void> {
    await rm(this.folderOf(name), { recursive: true, force: true })
    await cp(join(this.options.place, from), this.folderOf(name), { recursive: true })
  }
  /** Deletes what a stopped participant's studies have left, but not its keys. */
  async deleteStudies(name: string): Promise<void> {
    await rm(join(this.folderOf(name), "studies"), { recursive: true, force: true })
    await mkdir(join(this.folderOf(name), "studies"), { recursive: true })
  }

  async deleteStudy(name: string, study: Study): Promise<void> {
    const id = toHex(studyDigest(study)).slice(0, 16)
    await rm(join(this.folderOf(name), "studies", id), { recursive: true })
  }

  /** A person starts a facility's ledger anew, in the log of a study. */
  async beginAnew(name: string, study: Study): Promise<void> {
    const { ledger, studies } = this.process(name)
    const { runner } = studies.get(toHex(studyDigest(study))) as RunningStudy
    if (ledger === null) throw new Error(`${name} has no ledger.`)
    const place = await ledger.placeOfBeginning(runner.id)
    const what = { type: "reset", by: "A. Person", reason: "the disk is lost" } as const
    await runner.post(newBeginning({ place, what }))
  }

  async #takeUp(process: Process, study: Study): Promise<void> {
    const { name, stores, sealed, lines } = process
    const directory = directoryOf(study, this.facilities, this.fogs)
    const me = directory.named(name)
    const digest = studyDigest(study)
    let machine: RoleMachine | null = null
    const runner = await StudyRunner.open({
      study: digest,
      me,
      keys: keysFor(name),
      store: await stores.study(digest),
      box: await openJournalBox(sealed, digest),
      machine: (snapshot) => {
        machine = this.#machineOf(process, me, study, snapshot)
        return machine
      },
      now: this.options.now ?? Date.now,
      narrate: (line) => lines.push(line),
      probe: this.options.probe?.(name),
    })
    const running: RunningStudy = { id: runner.id, study, runner, machine: machine as unknown as RoleMachine }
    process.studies.set(running.id, running)
    if (process.ledger === null) {
      runner.begin()
      return
    }
    runner.begin()
    await process.ledger.read(runner.id, runner.store)
    const all = () =>
      [...process.studies.values()].map((one) => ({ ...one, machine: one.machine as FacilityMachine }))
    await joinLedgers(process.ledger, { ...running, machine: running.machine as FacilityMachine }, all)
  }

  #machineOf(process: Process, me: Participant, study: Study, snapshot: Uint8Array | null): RoleMachine {
    const directory = directoryOf(study, this.facilities, this.fogs)
    const context = { study, directory, me, suite, keys: keysFor(me.name), authorityKey }
    const roster = signed(rosterOf(study, this.facilities, this.fogs), study)
    if (me.role === "leader") return new LeaderMachine(context, roster, this.#ledgersOf(process))
    if (me.role === "fog") return new FogMachine(context, roster, snapshot)
    const rows = 20
    const holdOut = toyRecords(`${me.name} later`, 3, 10)
    const records: LocalRecords = {
      featureNames: study.model.features,
      train: toyRecords(me.name, 3, rows),
      holdOut,
      trainRaw: {
        ...toyRecords(me.name, 3, rows),
        names: study.model.features,
        patients: Uint32Array.from({ length: rows }, (_, i) => i),
      },
      holdOutRaw: {
        ...holdOut,
        names: study.model.features,
        patients: Uint32Array.from({ length: 10 }, (_, i) => i),
      },
      patients: Uint32Array.from({ length: rows }, (_, i) => i),
      preparation: "declared",
    }
    const policy = testPolicy(this.options.policy?.(me.name))
    return new FacilityMachine(
      { ...context, policy },
      records,
      new RoundSecrets(process.sealed, study, me.name),
      process.ledger as PrivacyLedger,
      roster,
      snapshot,
    )
  }

  #ledgersOf(process: Process): KnownLedgers {
    const gathered = new LeaderLedgers(() =>
      [...process.studies.values()].map(({ id, study, runner, machine }) => ({
        id,
        study,
        firstRoster: (machine as LeaderMachine).firstRoster,
        length: runner.store.length,
        entries: (after) => runner.store.entries(after),
      })),
    )
    return {
      of: async (facility) => {
        if (this.options.answers?.() === false) await new Promise(() => undefined)
        const known = await gathered.of(facility)
        return this.options.lie?.(facility, known) ?? known
      },
    }
  }

  /** Carries what waits on one side of an edge to the other; whether there was anything. */
  async #carry(from: Process, to: Process, id: string): Promise<boolean> {
    const [sender, receiver] = [from.studies.get(id), to.studies.get(id)]
    if (sender === undefined || receiver === undefined) return false
    const directory = sender.machine.directory
    const [a, b] = [directory.named(from.name), directory.named(to.name)]
    try {
      sender.runner.acknowledge(b, receiver.runner.taken(a))
      const { first, envelopes } = await sender.runner.mailbox(b).next(ALL, milliseconds(0))
      if (envelopes.length === 0) return false
      sender.runner.acknowledge(b, await receiver.runner.take(a, first, envelopes))
      return true
    } catch {
      // a process that was left in the middle, or one whose numbers are of another time
      return false
    }
  }

  /** Carries messages until something holds. */
  async until(holds: () => boolean, what = "it holds"): Promise<void> {
    const deadline = Date.now() + 60_000
    while (!holds()) {
      if (Date.now() > deadline) throw new Error(`Not within a minute: ${what}.`)
      let carried = false
      for (const process of [...this.processes.values()])
        for (const { id, machine } of process.studies.values()) {
          const me = machine.directory.named(process.name)
          const parent = me.parent && this.processes.get(machine.directory.get(me.parent).name)
          if (!parent) continue
          const up = await this.#carry(process, parent, id)
          carried = (await this.#carry(parent, process, id)) || up || carried
        }
      if (!carried) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  leaderOf(study: Study): LeaderMachine {
    return this.process("leader").studies.get(toHex(studyDigest(study)))?.machine as LeaderMachine
  }
  machineOf(name: string, study: Study): FacilityMachine {
    return this.process(name).studies.get(toHex(studyDigest(study)))?.machine as FacilityMachine
  }
  isOver(study: Study): boolean {
    const { phase } = this.leaderOf(study).state
    return phase === "closed" || phase === "aborted"
  }

  /** The facilities of each closed round, by name. */
  cohorts(study: Study): readonly (readonly string[])[] {
    const { closed, directory } = this.leaderOf(study).state.progress
    return closed.map(({ cohort }) => cohort.map((id) => directory.get(id).name).sort())
  }

  /** What a participant's own log of a study holds. */
  async log(name: string, study: Study): Promise<readonly LogEntry[]> {
    const entries: LogEntry[] = []
    const store = await this.process(name).stores.study(studyDigest(study))
    for await (const entry of store.entries()) entries.push(entry)
    return entries
  }

  /** What a facility has submitted, as the leader logged it. */
  async submissions(name: string, study: Study): Promise<readonly Submission[]> {
    const id = toHex(participantId(name))
    return (await this.log("leader", study)).flatMap(({ header, body }) => {
      if (header.type !== "region") return []
      const message = decode(messageCodec, decode(envelopeCodec, body).body)
      if (message.type !== "region") return []
      return message.submissions.flatMap(({ submission }) =>
        toHex(submission.facility) === id ? [submission] : [],
      )
    })
  }

  /** The refusals that the leader logged. */
  async refusals(
    study: Study,
  ): Promise<readonly { readonly by: string; readonly code: string; readonly reason: string }[]> {
    const { directory } = this.leaderOf(study).state.progress
    return (await this.log("leader", study)).flatMap(({ header, body }) => {
      if (header.type !== "refusal") return []
      const message: Message = decode(messageCodec, decode(envelopeCodec, body).body)
      if (message.type !== "refusal") return []
      const { code, reason } = message
      return [{ by: directory.get(header.actor).name, code, reason }]
    })
  }
}
