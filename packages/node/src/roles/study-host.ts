import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type Directory, openRoster, type Participant } from "@consilium/federation/roster"
import { checkStudy, decodeStudy, type Study, studyAmong, studyDigest } from "@consilium/federation/study"
import { nodeSuite } from "../identity/suite.js"
import { makePrivateFolder, writeFileAtomic } from "../store/files.js"
import { openJournalBox } from "../store/journal-box.js"
import type { Stores } from "../store/study-store.js"
import type { RoleMachine } from "./machine.js"
import { type Membership, ROSTER_FILE, readIfThere } from "./membership.js"
import { type RunnerOptions, StudyRunner } from "./study-runner.js"

/** A study that a participant takes part in. */
export interface Member {
  readonly study: Study
  /** The roster it began with here, as the authority signed it. */
  readonly directory: Directory
  readonly signedRoster: Uint8Array
  readonly me: Participant
}

export interface Hosted<M extends RoleMachine = RoleMachine> {
  readonly study: Study
  readonly folder: string
  readonly runner: StudyRunner
  readonly machine: M
}

export interface HostOptions<M extends RoleMachine> {
  readonly membership: Membership
  readonly stores: Stores
  readonly machine: (member: Member, snapshot: Uint8Array | null) => M
  readonly narrate: (line: string) => void
  readonly probe?: RunnerOptions["probe"]
  /** Called once for each study, as soon as it is brought to where it was: to begin its traffic. */
  readonly adopted: (hosted: Hosted<M>) => void | Promise<void>
}

/** Folder of the studies in a participant's data folder; each has the first 16 digits of its digest as its name. */
export const studiesFolder = (dataFolder: string): string => join(dataFolder, "studies")
export const studyFolder = (dataFolder: string, id: string): string =>
  join(studiesFolder(dataFolder), id.slice(0, 16))

/** The studies of one participant: those in its data folder, and those that come while it runs. */
export class StudyHost<M extends RoleMachine> {
  readonly #options: HostOptions<M>
  readonly #hosted = new Map<string, Hosted<M>>()
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: HostOptions<M>) {
    this.#options = options
  }

  /** In the order they were taken up. */
  get studies(): readonly Hosted<M>[] {
    return [...this.#hosted.values()]
  }

  /** Takes up every study of the data folder where a crash or a stop has left it. */
  async resume(): Promise<void> {
    const folder = studiesFolder(this.#options.membership.folder)
    await makePrivateFolder(folder)
    const rosters: Uint8Array[] = []
    for (const name of (await readdir(folder)).sort()) {
      const signed = await readIfThere(join(folder, name, ROSTER_FILE))
      if (signed !== null) rosters.push(signed)
    }
    // the order in which the authority began them
    const issued = (signed: Uint8Array): number => this.#open(signed).directory.roster.issuedAt
    for (const signed of rosters.sort((a, b) => issued(a) - issued(b))) await this.adopt(signed)
  }

  /**
   * Takes up a study that the authority has signed; one that is known already stays as it is.
   * @throws {ConsiliumError} "identity/bad-roster", "round/bad-study" and what opening its store can throw
   */
  adopt(signed: Uint8Array): Promise<Hosted<M>> {
    const next = this.#queue.then(() => this.#adopt(signed))
    this.#queue = next.catch(() => undefined)
    return next
  }

  stop(): void {
    for (const { runner } of this.studies) runner.stop()
  }

  #open(signed: Uint8Array): { readonly directory: Directory; readonly study: Study } {
    const opened = openRoster(nodeSuite, this.#options.membership.kit.authorityKey, signed)
    const study = decodeStudy(opened.study)
    if (!equalBytes(studyDigest(study), opened.directory.roster.study))
      throw new ConsiliumError(
        "identity/bad-roster",
        "The roster is of another study than the one that came with it.",
      )
    return { directory: opened.directory, study }
  }

  async #adopt(signed: Uint8Array): Promise<Hosted<M>> {
    const { membership, stores, machine: factory, narrate, probe, adopted } = this.#options
    const { directory, study } = this.#open(signed)
    const digest = directory.roster.study
    const id = toHex(digest)
    const known = this.#hosted.get(id)
    if (known !== undefined) return known
    const facilities = directory.facilities.length
    checkStudy(studyAmong(study, facilities), facilities)
    const me = directory.get(membership.me.id)
    const folder = studyFolder(membership.folder, id)
    await makePrivateFolder(folder)
    let made: M | null = null
    const runner = await StudyRunner.open({
      study: studyDigest(study),
      me,
      keys: membership.keys,
      store: await stores.study(digest),
      box: await openJournalBox(membership.sealed, digest),
      machine: (snapshot) => {
        made = factory({ study, directory, signedRoster: signed, me }, snapshot)
        return made
      },
      now: Date.now,
      narrate,
      probe,
    })
    // written last: a study whose roster is here has a store that opens
    if ((await readIfThere(join(folder, ROSTER_FILE))) === null)
      await writeFileAtomic(join(folder, ROSTER_FILE), signed)
    const hosted: Hosted<M> = { study, folder, runner, machine: made as unknown as M }
    this.#hosted.set(id, hosted)
    if (runner.over) narrate(`the study ${study.name} is over here`)
    runner.begin()
    await adopted(hosted)
    return hosted
  }
}
