import { join } from "node:path"
import { newSecretKey } from "@consilium/base/random"
import { type Envelope, type Message, pack, unpack } from "@consilium/federation/messages"
import type { Directory } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { directoryOf, keysFor, testStudy } from "../../federation/test/members.js"
import { nodeSuite } from "../src/identity/suite.js"
import { type Moment, type RunnerOptions, StudyRunner } from "../src/roles/study-runner.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { memoryStores } from "../src/store/memory-stores.js"
import { SealedFiles } from "../src/store/sealed.js"
import type { Stores, StudyStore } from "../src/store/study-store.js"
import { type HearingMachine, hearing, type MachineOptions, textOf } from "./runner-machine.js"

export const STUDY = testStudy(4)
export const DIGEST = studyDigest(STUDY)
/** A leader, two fogs; clinic-1 and clinic-3 are below fog-1. */
export const DIRECTORY: Directory = directoryOf(STUDY, 4, 2)

export const message = (from: string, to: string, said: Message, study: Uint8Array = DIGEST): Envelope =>
  pack(study, DIRECTORY.named(from).id, DIRECTORY.named(to).id, said, keysFor(from).sign)

/** What an envelope says, in words. */
export const words = (envelope: Envelope): string => {
  const from = DIRECTORY.get(envelope.from)
  return `${from.name}: ${textOf(unpack(nodeSuite, from, envelope))}`
}

const key = newSecretKey()

/** Where a participant keeps what it has: it outlives its runners. */
export class Bench {
  readonly name: string
  readonly #folder: string
  #stores: Stores
  readonly #reopened: ((folder: string) => Promise<Stores>) | null
  readonly narrated: string[] = []
  readonly #study: Study
  readonly #directory: Directory
  /** Milliseconds that the clock of this participant is wrong by. */
  skew = 0

  private constructor(
    name: string,
    folder: string,
    stores: Stores,
    reopened: ((folder: string) => Promise<Stores>) | null,
    study: Study,
    directory: Directory,
  ) {
    this.#study = study
    this.#directory = directory
    this.name = name
    this.#folder = folder
    this.#stores = stores
    this.#reopened = reopened
  }

  /** With stores in memory, or in a folder, opened anew for every runner. */
  static async at(
    folder: string,
    name = "fog-1",
    stores: ((folder: string) => Promise<Stores>) | null = null,
    study: Study = STUDY,
    directory: Directory = DIRECTORY,
  ): Promise<Bench> {
    const opened = await (stores?.(join(folder, "stores")) ?? memoryStores())
    return new Bench(name, folder, opened, stores, study, directory)
  }

  store(): Promise<StudyStore> {
    return this.#stores.study(studyDigest(this.#study))
  }

  /** A runner where the last one has left things; that one must not be used any more. */
  async open(options: Partial<RunnerOptions> & { readonly machineOptions?: MachineOptions } = {}) {
    if (this.#reopened !== null) {
      await this.#stores.close()
      this.#stores = await this.#reopened(join(this.#folder, "stores"))
    }
    const { machineOptions, ...rest } = options
    const study = studyDigest(this.#study)
    const make = hearing(this.#directory, machineOptions)
    let machine: HearingMachine | null = null
    const runner = await StudyRunner.open({
      study,
      me: this.#directory.named(this.name),
      keys: keysFor(this.name),
      store: await this.store(),
      box: await openJournalBox(await SealedFiles.open(join(this.#folder, "sealed"), key), study),
      machine: (snapshot) => {
        machine = make(snapshot) as HearingMachine
        return machine
      },
      now: () => Date.now() + this.skew,
      narrate: (line) => this.narrated.push(line),
      ...rest,
    })
    return { runner, machine: machine as unknown as HearingMachine }
  }

  close(): Promise<void> {
    return this.#stores.close()
  }
}

/** A probe that lets a runner stand still for ever at the n-th moment of a kind from now. */
export class Freezer {
  #left: { readonly moment: Moment; n: number } | null = null
  #frozen: () => void = () => undefined
  /** Resolves when the runner stands still. */
  frozen: Promise<"frozen"> = new Promise(() => undefined)

  at(moment: Moment, n = 1): void {
    this.#left = { moment, n }
    this.frozen = new Promise((resolve) => {
      this.#frozen = () => resolve("frozen")
    })
  }

  /** Another runner takes over. */
  thaw(): void {
    this.#left = null
    this.frozen = new Promise(() => undefined)
  }

  readonly probe = (moment: Moment): void | Promise<void> => {
    if (this.#left === null || this.#left.moment !== moment) return undefined
    this.#left.n -= 1
    if (this.#left.n > 0) return undefined
    this.#left = null
    this.#frozen()
    return new Promise(() => undefined)
  }
}

/** Resolves when a runner has finished the step that is next, with its checkpoint. */
export const stepped = (runner: StudyRunner): Promise<void> =>
  new Promise((resolve) => {
    const forget = runner.onStep(() => {
      forget()
      resolve()
    })
  })

/** A store with some of its methods changed. */
export const changed = (store: StudyStore, changes: Partial<StudyStore>): StudyStore => ({
  commit: (step) => store.commit(step),
  checkpoint: (journal) => store.checkpoint(journal),
  journal: () => store.journal(),
  entries: (after) => store.entries(after),
  get length() {
    return changes.length ?? store.length
  },
  ...("commit" in changes ? { commit: changes.commit as StudyStore["commit"] } : {}),
  ...("checkpoint" in changes ? { checkpoint: changes.checkpoint as StudyStore["checkpoint"] } : {}),
})

export const until = async (holds: () => boolean, what = "it"): Promise<void> => {
  const deadline = Date.now() + 15_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen within 15 s`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
