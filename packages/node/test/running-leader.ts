import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { newSecretKey } from "@consilium/base/random"
import type { Directory } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import {
  authorityKey,
  directoryOf,
  keysFor,
  rosterOf,
  type StudyChanges,
  signed,
  suite,
  testStudy,
} from "../../federation/test/members.js"
import { HostedLeader } from "../src/roles/hosted-leader.js"
import { LeaderMachine, leaderStart, NO_LEDGERS } from "../src/roles/leader-machine.js"
import { type RunnerOptions, StudyRunner } from "../src/roles/study-runner.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { memoryStores } from "../src/store/memory-stores.js"
import { SealedFiles } from "../src/store/sealed.js"
import type { StudyStore } from "../src/store/study-store.js"

const FACILITIES = 4
const FOGS = 2

/** A leader's study under way in this process: it has announced its first round, and nobody answers. */
export class RunningLeader {
  readonly study: Study
  readonly directory: Directory
  readonly #folder: string
  readonly #sealed: SealedFiles
  readonly #store: StudyStore
  #runner: StudyRunner | null = null
  #machine: LeaderMachine | null = null

  private constructor(study: Study, folder: string, sealed: SealedFiles, store: StudyStore) {
    this.study = study
    this.directory = directoryOf(study, FACILITIES, FOGS)
    this.#folder = folder
    this.#sealed = sealed
    this.#store = store
  }

  static async begin(changes: StudyChanges = {}): Promise<RunningLeader> {
    const folder = await mkdtemp(join(tmpdir(), "running-leader-"))
    const study = testStudy(FACILITIES, changes)
    const sealed = await SealedFiles.open(join(folder, "sealed"), newSecretKey())
    const leader = new RunningLeader(study, folder, sealed, await memoryStores().study(studyDigest(study)))
    await leader.open()
    await leader.runner.post(leaderStart())
    return leader
  }

  /** Brings the leader to where its record says it was, as a process does that starts again. */
  async open(probe?: RunnerOptions["probe"]): Promise<void> {
    this.#runner?.stop()
    const { study, directory } = this
    const me = directory.leader
    const keys = keysFor(me.name)
    const context = { study, directory, me, keys, suite, authorityKey }
    this.#runner = await StudyRunner.open({
      study: studyDigest(study),
      me,
      keys,
      store: this.#store,
      box: await openJournalBox(this.#sealed, studyDigest(study)),
      machine: () => {
        this.#machine = new LeaderMachine(
          context,
          signed(rosterOf(study, FACILITIES, FOGS), study),
          NO_LEDGERS,
        )
        return this.#machine
      },
      now: () => 1_800_000_000_000,
      narrate: () => undefined,
      probe,
    })
    this.#runner.begin()
  }

  get runner(): StudyRunner {
    if (this.#runner === null) throw new Error("The leader is not open.")
    return this.#runner
  }
  get machine(): LeaderMachine {
    if (this.#machine === null) throw new Error("The leader is not open.")
    return this.#machine
  }
  get handle(): HostedLeader {
    const { study, runner, machine } = this
    return new HostedLeader({ study, runner, machine }, this.directory)
  }

  async close(): Promise<void> {
    this.runner.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
