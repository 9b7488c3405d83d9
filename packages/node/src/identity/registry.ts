import { equalBytes, fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import {
  Directory,
  type Participant,
  parentsOf,
  participantId,
  type Role,
} from "@consilium/federation/roster"
import { decodeStudy, type Study, studyDigest } from "@consilium/federation/study"
import type { SealedFiles } from "../store/sealed.js"
import {
  type Act,
  type ActLog,
  certificateAct,
  closedAct,
  enrolledAct,
  invitedAct,
  leftAct,
  rosterAct,
} from "./acts.js"
import type { CertificateAuthority } from "./ca.js"
import type { EnrolRequest } from "./enrol-message.js"
import { type Enrolled, type Enrolments, hasLeft, type Member, openEnrolments } from "./enrolment.js"
import type { ParticipantKeys } from "./keys.js"
import { loadTickets, type Ticket } from "./kit.js"
import { checkLeave, checkLeaveTime, type Leave } from "./leaving.js"
import { checkAmong, checkRoom, type KeptStudy, Rosters, type Signed } from "./rosters.js"
import type { Peer } from "./tls.js"

/** A place in the tree of participants, as a study file or an invitation names it. */
export interface Seat {
  readonly name: string
  readonly role: Role
  readonly parent: string | null
}

export interface RegistryOptions {
  readonly authority: CertificateAuthority
  readonly keys: ParticipantKeys
  readonly files: SealedFiles
  readonly log: ActLog
  /** The study that begins when all of its participants have enrolled. */
  readonly first: { readonly study: Study; readonly participants: readonly Seat[] }
  readonly validityDays: number
  readonly now: () => number
  readonly narrate: (line: string) => void
}

const participantOf = (member: Enrolled): Participant => ({
  id: participantId(member.name),
  name: member.name,
  role: member.role,
  parent: member.parent === null ? null : participantId(member.parent),
  address: member.address,
  signingKey: member.signingKey,
  sealingKey: member.sealingKey,
  tlsKeyHash: member.tlsKeyHash,
})

const nobody: Omit<Enrolled, keyof Seat> = {
  address: "",
  signingKey: new Uint8Array(32),
  sealingKey: new Uint8Array(32),
  tlsKeyHash: new Uint8Array(32),
}

/**
 * What the authority decides: who takes part, and which rosters say so. Everything is saved before it is answered; what a
 * crash left undone (a roster not yet signed, an act not yet logged) is done when the registry is opened again.
 */
export class Registry {
  readonly #options: RegistryOptions
  readonly #firstId: string
  readonly #rosters: Rosters
  #enrolments: Enrolments | undefined
  #queue: Promise<unknown> = Promise.resolve()
  readonly #waiting = new Set<() => void>()

  private constructor(options: RegistryOptions, rosters: Rosters) {
    this.#options = options
    this.#rosters = rosters
    this.#firstId = toHex(studyDigest(options.first.study))
  }

  /** @throws {ConsiliumError} "identity/bad-roster" if the participants of the first study are no tree */
  static async open(options: RegistryOptions): Promise<Registry> {
    const { authority, files, first, keys, now, validityDays } = options
    const participants = first.participants.map((seat) => participantOf({ ...seat, ...nobody }))
    new Directory({ study: studyDigest(first.study), version: 1, issuedAt: 0, participants })
    const registry = new Registry(options, await Rosters.open({ files, keys, now }))
    registry.#enrolments = await openEnrolments({
      authority,
      files,
      tickets: await loadTickets(files),
      validityDays,
      now,
      admit: (newcomer) => registry.#admit(newcomer),
      addressFixed: (name) => registry.#rosters.list().some(({ everNamed }) => everNamed.has(name)),
    })
    await registry.#inTurn(() => registry.#settle(registry.#allActs()))
    return registry
  }

  get #members(): Enrolments {
    return this.#enrolments as Enrolments
  }

  /** The first study, once it has begun. It stays the first, whatever is done to the study file later. */
  get #first(): KeptStudy | undefined {
    return this.#rosters.list()[0]
  }

  get #present(): readonly Member[] {
    return this.#members.members().filter(({ left }) => left === null)
  }

  /** Work that changes something, one piece after another. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => undefined)
    return done
  }

  #allActs(): readonly Act[] {
    return [
      ...this.#members.tickets().map(invitedAct),
      ...this.#members
        .members()
        .flatMap((member) => [
          enrolledAct(member),
          certificateAct(member.name, member.certificate),
          ...(member.left === null ? [] : [leftAct(member.left)]),
        ]),
      ...this.#rosters
        .list()
        .flatMap(({ directory, version, signed, closedAt }) => [
          rosterAct(directory.leader.id, directory.roster.study, version, signed),
          ...(closedAt === null ? [] : [closedAct(directory.leader.id, directory.roster.study, closedAt)]),
        ]),
    ]
  }

  /** Brings rosters and log in line with who is enrolled. */
  async #settle(acts: readonly Act[]): Promise<void> {
    const { first, log, now, narrate } = this.#options
    const news: Signed[] = []
    const present = this.#present
    if (this.#first === undefined) {
      const seats = first.participants.map(({ name }) => present.find((member) => member.name === name))
      const all = seats.filter((member) => member !== undefined)
      if (all.length === seats.length) {
        news.push(...(await this.#rosters.begin(first.study, all.map(participantOf))).news)
        narrate(`all ${all.length} participants have enrolled; the roster is signed`)
      }
    }
    if (this.#first !== undefined)
      for (let more = await this.#follow(); more.length > 0; more = await this.#follow()) news.push(...more)
    await log.record(now(), [...acts, ...news.map((signed) => this.#rosterAct(signed))])
    if (news.length > 0) this.#wake()
  }

  async #follow(): Promise<readonly Signed[]> {
    const news = await this.#rosters.follow(this.#present.map(participantOf))
    for (const { study, version } of news)
      this.#options.narrate(`roster ${version} of study ${toHex(study)} is signed`)
    return news
  }

  #rosterAct({ study, version, signed }: Signed): Act {
    return rosterAct(
      (this.#rosters.find(toHex(study)) as KeptStudy).directory.leader.id,
      study,
      version,
      signed,
    )
  }

  /** Refuses a newcomer that an open study, or the one that is to begin, could not go on with. */
  #admit(newcomer: Enrolled): void {
    const { study, participants } = this.#options.first
    const seated = new Set(participants.map(({ name }) => name))
    if (this.#first !== undefined) this.#rosters.checkFollow([...this.#present, newcomer].map(participantOf))
    else if (!seated.has(newcomer.name))
      checkAmong(
        study,
        [...participants, ...this.#present.filter(({ name }) => !seated.has(name)), newcomer].map(placeOf),
      )
  }

  /**
   * The enrolled participant that a certificate belongs to.
   * @throws {ConsiliumError} "identity/unknown-participant", "identity/wrong-role", "identity/has-left"
   */
  caller(peer: Peer, rules: { readonly role?: Role; readonly evenIfLeft?: boolean } = {}): Member {
    const member = this.#members.find(peer.name)
    if (member === undefined || member.role !== peer.role || !equalBytes(member.tlsKeyHash, peer.tlsKeyHash))
      throw new ConsiliumError(
        "identity/unknown-participant",
        `The certificate of ${peer.name} is not one of an enrolled participant.`,
      )
    if (rules.role !== undefined && member.role !== rules.role)
      throw new ConsiliumError(
        "identity/wrong-role",
        `Only a ${rules.role} may ask for this; ${member.name} is a ${member.role}.`,
      )
    if (member.left !== null && rules.evenIfLeft !== true) throw hasLeft(member)
    return member
  }

  enrol(request: EnrolRequest): Promise<string> {
    return this.#inTurn(async () => {
      const certificate = await this.#members.enrol(request)
      const member = this.#members.find(request.name) as Member
      await this.#settle([enrolledAct(member), certificateAct(member.name, certificate)])
      return certificate
    })
  }

  renew(peer: Peer, csr: string): Promise<string> {
    return this.#inTurn(async () => {
      const member = this.caller(peer)
      const certificate = await this.#members.renew(member, csr)
      await this.#settle([certificateAct(member.name, certificate)])
      return certificate
    })
  }

  /**
   * The newest signed roster, if it is newer than `after`, of a study; without one, of the first that names the caller.
   * @throws {ConsiliumError} "identity/unknown-study" if there is no such study or it does not name the caller
   */
  newest(peer: Peer, study: string | null, after: number): Uint8Array | null {
    const { name } = this.caller(peer, { evenIfLeft: true })
    const kept =
      study === null
        ? this.#rosters.list().find(({ everNamed }) => everNamed.has(name))
        : this.#rosters.find(study)
    if (kept?.everNamed.has(name)) return kept.version > after ? kept.signed : null
    if (study === null || (this.#first === undefined && study === this.#firstId)) return null
    throw unknownStudy(study)
  }

  /** The studies whose rosters name the caller, or did. */
  studiesOf(peer: Peer): readonly KeptStudy[] {
    const { name } = this.caller(peer, { evenIfLeft: true })
    return this.#rosters.list().filter(({ everNamed }) => everNamed.has(name))
  }

  /** The first roster of a study that the leader proposes, among all who are present. */
  propose(peer: Peer, encoded: Uint8Array): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      this.caller(peer, { role: "leader" })
      const study = decodeStudy(encoded)
      if (this.#rosters.find(toHex(studyDigest(study))) === undefined) this.#mustHaveBegun()
      const { signed, news } = await this.#rosters.begin(study, this.#present.map(participantOf))
      if (news.length > 0) this.#options.narrate(`the study ${JSON.stringify(study.name)} has begun`)
      await this.#settle(news.map((one) => this.#rosterAct(one)))
      if (news.length > 0) this.#wake()
      return signed
    })
  }

  /** Signs no more rosters for a study. */
  closeStudy(peer: Peer, id: string): Promise<KeptStudy> {
    return this.#inTurn(async () => {
      const { name } = this.caller(peer, { role: "leader" })
      if (this.#first === undefined && id === this.#firstId) this.#mustHaveBegun()
      if (this.#rosters.find(id) === undefined) throw unknownStudy(id)
      const at = await this.#rosters.close(id)
      await this.#settle([closedAct(participantId(name), fromHex(id), at)])
      return this.#rosters.find(id) as KeptStudy
    })
  }

  /**
   * Grants a facility's wish to leave: the next rosters leave it out.
   * @throws {ConsiliumError} "cohort/too-small" if too few would remain for a study that is open
   */
  leave(peer: Peer, leave: Leave): Promise<Leave> {
    return this.#inTurn(async () => {
      const member = this.caller(peer, { role: "facility", evenIfLeft: true })
      checkLeave(this.#options.authority.fingerprint, member, leave)
      if (member.left === null) {
        checkLeaveTime(leave, this.#options.now())
        this.#mustHaveBegun()
        this.#checkWithout(member)
        await this.#members.leave(leave)
        this.#options.narrate(`${member.name} leaves`)
      }
      const { left } = this.#members.find(member.name) as Member
      await this.#settle([leftAct(left as Leave)])
      return left as Leave
    })
  }

  #checkWithout(member: Member): void {
    const rest = this.#present.filter((other) => other !== member)
    try {
      this.#rosters.checkFollow(rest.map(participantOf))
    } catch (error) {
      if (!(error instanceof ConsiliumError) || error.code !== "round/bad-study") throw error
      const facilities = rest.filter(({ role }) => role === "facility").length
      throw new ConsiliumError(
        "cohort/too-small",
        `If ${member.name} leaves, ${facilities} facilities remain. ${error.message}`,
        { remedy: "Leave when the study is closed, or when others have joined.", cause: error },
      )
    }
  }

  #mustHaveBegun(): void {
    if (this.#first !== undefined) return
    const missing = this.#options.first.participants.filter(
      ({ name }) => this.#members.find(name) === undefined,
    )
    throw new ConsiliumError(
      "identity/roster-pending",
      `${missing.length} of ${this.#options.first.participants.length} participants of the first study have not enrolled yet.`,
    )
  }

  /**
   * Refuses an invitation for a place that a newcomer cannot have.
   * @throws {ConsiliumError} "identity/name-taken", "identity/bad-invitation"
   */
  checkInvitation({ name, role, parent }: Seat, authorityName: string): void {
    const wrong = (message: string): never => {
      throw new ConsiliumError("identity/bad-invitation", message)
    }
    if (name === authorityName || this.#members.find(name) !== undefined)
      throw new ConsiliumError(
        "identity/name-taken",
        `${name} is enrolled, was enrolled, or is the authority.`,
      )
    const { participants } = this.#options.first
    const seat = participants.find((other) => other.name === name)
    if (this.#first === undefined && seat !== undefined) {
      if (seat.role !== role || seat.parent !== parent)
        wrong(`The study file names ${name} as a ${seat.role} under ${seat.parent ?? "nobody"}.`)
      return
    }
    if (role !== "facility" && role !== "fog") wrong(`A ${role} cannot be invited; a study has one.`)
    const wanted = parentsOf(role)
    const candidates: readonly Seat[] = this.#first === undefined ? participants : this.#present
    if (!candidates.some((other) => other.name === parent && wanted.includes(other.role)))
      wrong(
        `The parent of the ${role} ${name} must be ${role === "fog" ? "the leader" : "a fog or the leader"} that takes part; ${parent ?? "nobody"} is none.`,
      )
    const names = new Set([...this.#members.tickets(), ...this.#members.members()].map((other) => other.name))
    if (!names.has(name)) checkRoom(names.size)
  }

  /** Makes a newcomer's kit good. Its place is checked again: others may have been faster. */
  invite(ticket: Ticket, authorityName: string): Promise<void> {
    return this.#inTurn(async () => {
      this.checkInvitation(ticket, authorityName)
      await this.#members.invite(ticket)
      await this.#settle([invitedAct(ticket)])
    })
  }

  members(): readonly Member[] {
    return this.#members.members()
  }

  tickets(): readonly Ticket[] {
    return this.#members.tickets()
  }

  studies(): readonly KeptStudy[] {
    return this.#rosters.list()
  }

  /** Whether the first study has begun, and whether it is the one of the study file. */
  get begun(): "no" | "as-in-file" | "other-than-file" {
    if (this.#first === undefined) return "no"
    return this.#first.id === this.#firstId ? "as-in-file" : "other-than-file"
  }

  /** Resolves when rosters have been signed, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener("abort", done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener("abort", done, { once: true })
      if (signal.aborted) done()
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  /** Waits for work under way, then closes the log. */
  async close(): Promise<void> {
    await this.#queue
    await this.#options.log.close()
  }
}

/** A seat as a roster would name it. */
const placeOf = ({ name, role, parent }: Seat) => ({
  id: participantId(name),
  name,
  role,
  parent: parent === null ? null : participantId(parent),
})

const unknownStudy = (id: string): ConsiliumError =>
  new ConsiliumError("identity/unknown-study", `There is no study ${id} that names the caller.`)
