import { equalBytes, toHex } from "@consilium/base/bytes"
import { bytes, decode, encode, record, u16, u53 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import {
  checkSuccession,
  Directory,
  MAX_PARTICIPANTS,
  openRoster,
  type Participant,
  rosterCodec,
  signRoster,
} from "@consilium/federation/roster"
import { checkStudy, decodeStudy, encodeStudy, type Study, studyDigest } from "@consilium/federation/study"
import { checkStudyAmong, checkTree, type Enrolled } from "@consilium/federation/study-tree"
import type { SealedFiles } from "../store/sealed.js"
import { nodeSuite } from "./suite.js"

/** A study that the authority keeps, with the newest of its rosters. */
export interface KeptStudy {
  /** The study's digest: 64 hexadecimal digits. */
  readonly id: string
  readonly study: Study
  readonly begunAt: number
  /** Milliseconds since 1970; null while rosters are signed for it. */
  readonly closedAt: number | null
  readonly version: number
  /** The newest signed roster. */
  readonly signed: Uint8Array
  readonly directory: Directory
  /** Names of all who are or were in one of its rosters. */
  readonly everNamed: ReadonlySet<string>
}

/** A roster that was signed just now. */
export interface Signed {
  readonly study: Uint8Array
  readonly version: number
  readonly signed: Uint8Array
}

export interface RostersOptions {
  readonly files: SealedFiles
  readonly keys: { readonly signingKey: Uint8Array; sign(message: Uint8Array): Uint8Array }
  readonly now: () => number
}

const MAX_OPEN_STUDIES = 256

/** One file per signed roster. It is put in place whole and never replaced: a version has one roster only. */
const keptCodec = record({ place: u16, signed: bytes(10 << 20) })
const closedCodec = record({ at: u53 })
const ROSTER = /^roster\.([0-9a-f]{64})\.(\d{10})$/
const rosterFile = (id: string, version: number): string =>
  `roster.${id}.${String(version).padStart(10, "0")}`
const closedFile = (id: string): string => `closed.${id}`

type Entry = KeptStudy & { readonly place: number; readonly first: Uint8Array }

const sameParticipants = (a: readonly Participant[], b: readonly Participant[]): boolean => {
  const bytesOf = (participants: readonly Participant[]): Uint8Array =>
    encode(rosterCodec, { study: new Uint8Array(32), version: 0, issuedAt: 0, participants })
  return a.length === b.length && equalBytes(bytesOf(a), bytesOf(b))
}

const facilitiesOf = (participants: Enrolled): number =>
  participants.filter(({ role }) => role === "facility").length

/**
 * Refuses participants among whom a study could not go on.
 * @throws {ConsiliumError} "round/bad-study" with the numbers
 */
export const checkAmong = (study: Study, participants: Enrolled): void => {
  try {
    checkStudyAmong(study, participants)
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    throw new ConsiliumError(
      "round/bad-study",
      `The study ${JSON.stringify(study.name)} cannot go on among ${facilitiesOf(participants)} facilities: ${error.message}`,
      { remedy: error.remedy, cause: error },
    )
  }
}

/** All signed rosters of all studies of one authority. One change at a time. */
export class Rosters {
  readonly #options: RostersOptions
  /** In the order they began. */
  readonly #studies = new Map<string, Entry>()

  private constructor(options: RostersOptions) {
    this.#options = options
  }

  static async open(options: RostersOptions): Promise<Rosters> {
    const rosters = new Rosters(options)
    const entries = new Map<string, Entry>()
    // in the order of names: of each study the versions from 1 on
    for (const file of await options.files.names()) {
      const [, id, digits] = ROSTER.exec(file) ?? []
      if (id === undefined) continue
      const { place, signed } = decode(keptCodec, (await options.files.get(file)) as Uint8Array)
      const before = entries.get(id)
      const next = rosters.#entry(place, signed, before)
      if (next.id !== id || next.version !== Number(digits) || next.version !== (before?.version ?? 0) + 1)
        throw new ConsiliumError(
          "store/corrupt",
          `The sealed file ${file} holds another roster than its name says.`,
        )
      entries.set(id, next)
    }
    for (const entry of [...entries.values()].sort((a, b) => a.place - b.place)) {
      const closed = await options.files.get(closedFile(entry.id))
      const closedAt = closed === null ? null : decode(closedCodec, closed).at
      rosters.#studies.set(entry.id, { ...entry, closedAt })
    }
    return rosters
  }

  #entry(place: number, signed: Uint8Array, before: Entry | undefined): Entry {
    const { directory, study } = openRoster(nodeSuite, this.#options.keys.signingKey, signed)
    const { version, issuedAt, participants } = directory.roster
    return {
      id: toHex(directory.roster.study),
      study: before?.study ?? decodeStudy(study),
      begunAt: before?.begunAt ?? issuedAt,
      closedAt: before?.closedAt ?? null,
      version,
      signed,
      directory,
      everNamed: new Set([...(before?.everNamed ?? []), ...participants.map(({ name }) => name)]),
      place,
      first: before?.first ?? signed,
    }
  }

  /** The studies, in the order they began. */
  list(): readonly KeptStudy[] {
    return [...this.#studies.values()]
  }

  find(id: string): KeptStudy | undefined {
    return this.#studies.get(id)
  }

  /** Refuses a study that could not begin among these participants. */
  checkBegin(study: Study, participants: readonly Participant[]): void {
    checkStudy(study, facilitiesOf(participants))
    checkTree(study, participants)
    const open = this.list().filter(({ closedAt }) => closedAt === null).length
    if (open >= MAX_OPEN_STUDIES)
      throw new ConsiliumError(
        "identity/too-many-studies",
        `${open} studies are open, as many as the authority keeps.`,
      )
  }

  /** The first signed roster of a study; the one that was signed then, if it began before. */
  async begin(
    study: Study,
    participants: readonly Participant[],
  ): Promise<{ readonly signed: Uint8Array; readonly news: readonly Signed[] }> {
    const digest = studyDigest(study)
    const known = this.#studies.get(toHex(digest))
    if (known !== undefined) return { signed: known.first, news: [] }
    this.checkBegin(study, participants)
    const news = await this.#sign(undefined, encodeStudy(study), digest, participants)
    return { signed: news.signed, news: [news] }
  }

  /**
   * Refuses participants that a study which is open could not go on with.
   * @throws {ConsiliumError} "round/bad-study", "identity/bad-roster"
   */
  checkFollow(participants: readonly Participant[]): void {
    for (const kept of this.#studies.values()) {
      if (kept.closedAt !== null) continue
      checkAmong(kept.study, participants)
      const { roster } = kept.directory
      checkSuccession(kept.directory, new Directory({ ...roster, version: roster.version + 1, participants }))
    }
  }

  /** Signs the next roster of every open study whose newest one has other participants. */
  async follow(participants: readonly Participant[]): Promise<readonly Signed[]> {
    const due = [...this.#studies.values()].filter(
      ({ closedAt, directory }) =>
        closedAt === null && !sameParticipants(directory.roster.participants, participants),
    )
    if (due.length > 0) this.checkFollow(participants)
    const news: Signed[] = []
    for (const kept of due)
      news.push(await this.#sign(kept, encodeStudy(kept.study), kept.directory.roster.study, participants))
    return news
  }

  async #sign(
    before: Entry | undefined,
    encoded: Uint8Array,
    study: Uint8Array,
    participants: readonly Participant[],
  ): Promise<Signed> {
    const { files, keys, now } = this.#options
    const id = toHex(study)
    const version = (before?.version ?? 0) + 1
    const file = rosterFile(id, version)
    const place = before?.place ?? this.#studies.size
    // A write that failed may have left the file in place: then that is the roster of this version.
    const left = await files.get(file)
    const signed =
      left === null
        ? signRoster({ study, version, issuedAt: now(), participants }, encoded, keys.sign)
        : decode(keptCodec, left).signed
    const entry = this.#entry(place, signed, before)
    if (left === null) await files.put(file, encode(keptCodec, { place, signed }))
    this.#studies.set(id, entry)
    return { study, version, signed }
  }

  /** Signs no more rosters for a study. Returns since when. */
  async close(id: string): Promise<number> {
    const kept = this.#studies.get(id) as Entry
    if (kept.closedAt !== null) return kept.closedAt
    const at = this.#options.now()
    await this.#options.files.put(closedFile(id), encode(closedCodec, { at }))
    this.#studies.set(id, { ...kept, closedAt: at })
    return at
  }
}

/** Most participants, newcomers included. */
export const checkRoom = (participants: number): void => {
  if (participants >= MAX_PARTICIPANTS)
    throw new ConsiliumError(
      "identity/bad-invitation",
      `${participants} participants are invited or enrolled, as many as one authority takes.`,
      { remedy: "Set up another authority." },
    )
}
