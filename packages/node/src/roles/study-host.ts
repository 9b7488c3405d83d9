import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Directory, Participant } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { checkStudyAmong } from "@consilium/federation/study-tree"
import { openJournalBox } from "../store/journal-box.js"
import type { Stores } from "../store/study-store.js"
import type { SignedStudy } from "./checks.js"
import type { RoleMachine } from "./machine.js"
import type { Standing } from "./membership.js"
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
  readonly runner: StudyRunner
  readonly machine: M
}

export interface HostOptions<M extends RoleMachine> {
  readonly membership: Standing
  readonly stores: Stores
  readonly machine: (member: Member, snapshot: Uint8Array | null) => M
  readonly narrate: (line: string) => void
  readonly probe?: RunnerOptions["probe"]
  /** Called once for each study, as soon as it is brought to where it was: to begin its traffic. */
  readonly adopted: (hosted: Hosted<M>) => void | Promise<void>
}

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
    const rosters = [...(await this.#options.membership.shelf.all())]
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

  #open(signed: Uint8Array): SignedStudy {
    const { checks, authorityKey } = this.#options.membership
    const opened = checks.roster(authorityKey, signed)
    if (!equalBytes(studyDigest(opened.study), opened.directory.roster.study))
      throw new ConsiliumError(
        "identity/bad-roster",
        "The roster is of another study than the one that came with it.",
      )
    return opened
  }

  /** Lines about every study but the first begin with its name. */
  #narratorOf({ name }: Study): (line: string) => void {
    const { narrate } = this.#options
    return this.#hosted.size === 0 ? narrate : (line) => narrate(`${name}: ${line}`)
  }

  async #adopt(signed: Uint8Array): Promise<Hosted<M>> {
    const { membership, stores, machine: factory, probe, adopted } = this.#options
    const { directory, study } = this.#open(signed)
    const digest = directory.roster.study
    const id = toHex(digest)
    const known = this.#hosted.get(id)
    if (known !== undefined) return known
    checkStudyAmong(study, directory.roster.participants)
    const me = directory.get(membership.me.id)
    const narrate = this.#narratorOf(study)
    await membership.shelf.prepare(id)
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
      checks: membership.checks,
      now: Date.now,
      narrate,
      probe,
    })
    // kept last: a study whose roster is here has a store that opens
    await membership.shelf.keep(id, signed)
    const hosted: Hosted<M> = { study, runner, machine: made as unknown as M }
    this.#hosted.set(id, hosted)
    if (runner.over) narrate(`the study ${study.name} is over here`)
    runner.begin()
    await adopted(hosted)
    return hosted
  }
}
