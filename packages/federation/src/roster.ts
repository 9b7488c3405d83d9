import { compareBytes, equalBytes, toHex } from "@consilium/base/bytes"
import {
  bytes,
  decode,
  type Encoded,
  encode,
  fixedBytes,
  nullable,
  oneOf,
  record,
  sortedBy,
  text,
  u32,
  u53,
} from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import type { CryptoSuite } from "./suite.js"

/** Most participants of one study. */
export const MAX_PARTICIPANTS = 4096

/** A participant's id: 16 bytes, the same in every study that uses the name. */
export const participantId = (name: string): Uint8Array => hash("participant", utf8(name)).slice(0, 16)

/** The receiver that stands for every facility and fog below the sender. */
export const EVERYONE: Uint8Array = new Uint8Array(16)

export const roleCodec = oneOf("authority", "leader", "fog", "facility")
export type Role = Encoded<typeof roleCodec>

const participantCodec = record({
  id: fixedBytes(16),
  name: text(64),
  role: roleCodec,
  /** Whom it talks to; null for the authority and the leader. */
  parent: nullable(fixedBytes(16)),
  /** "host:port" of a participant that listens, else empty. */
  address: text(256),
  signingKey: fixedBytes(32),
  sealingKey: fixedBytes(32),
  /** SHA-256 of the public key of its TLS certificate. */
  tlsKeyHash: fixedBytes(32),
})
export type Participant = Encoded<typeof participantCodec>

export const rosterCodec = record({
  study: fixedBytes(32),
  /** 1 for the roster a study begins with; every change makes the next. */
  version: u32,
  issuedAt: u53,
  participants: sortedBy(participantCodec, (p) => p.id, MAX_PARTICIPANTS),
})
export type Roster = Encoded<typeof rosterCodec>

const signedRosterCodec = record({ roster: bytes(8 << 20), study: bytes(1 << 20), signature: fixedBytes(64) })

/** A signed roster as it travels. */
export const signedRosterBytes = bytes(10 << 20)

const rosterMessage = (roster: Uint8Array, study: Uint8Array): Uint8Array => hash("roster", roster, study)

/** Bytes of a roster and the study it belongs to, signed by the authority. */
export const signRoster = (
  roster: Roster,
  study: Uint8Array,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array => {
  const encoded = encode(rosterCodec, roster)
  return encode(signedRosterCodec, { roster: encoded, study, signature: sign(rosterMessage(encoded, study)) })
}

/**
 * The roster and the study's bytes, after checking the authority's signature.
 * @throws {ConsiliumError} "identity/bad-roster" if the signature or the tree of participants is wrong, or the study is
 *   not the one that the roster names
 */
export const openRoster = (
  suite: CryptoSuite,
  authorityKey: Uint8Array,
  signed: Uint8Array,
): { readonly directory: Directory; readonly study: Uint8Array } => {
  const { roster, study, signature } = decode(signedRosterCodec, signed)
  if (!suite.verify(authorityKey, rosterMessage(roster, study), signature))
    throw new ConsiliumError("identity/bad-roster", "The roster is not signed by the authority of the kit.")
  const directory = new Directory(decode(rosterCodec, roster))
  if (!equalBytes(directory.roster.study, hash("study", study)))
    throw new ConsiliumError(
      "identity/bad-roster",
      "The roster is of another study than the one that came with it.",
    )
  return { directory, study }
}

/**
 * Refuses a roster that does not follow another: facilities may come and go and fogs may come, but nobody who stays
 * changes, and the study and its leader are the same.
 * @throws {ConsiliumError} "identity/bad-roster"
 */
export const checkSuccession = (before: Directory, next: Directory): void => {
  const wrong = (message: string): never => {
    throw new ConsiliumError("identity/bad-roster", message)
  }
  if (!equalBytes(before.roster.study, next.roster.study)) wrong("The next roster is of another study.")
  if (next.roster.version <= before.roster.version)
    wrong(`Roster ${next.roster.version} does not come after roster ${before.roster.version}.`)
  for (const old of before.roster.participants) {
    const now = next.find(old.id)
    if (now === undefined) {
      if (old.role !== "facility") wrong(`The next roster leaves out the ${old.role} ${old.name}.`)
    } else if (!equalBytes(encode(participantCodec, old), encode(participantCodec, now)))
      wrong(`The next roster changes the entry of ${old.name}.`)
  }
}

/** Whom a role may talk to. */
export const parentsOf = (role: Role): readonly Role[] =>
  role === "facility" ? ["fog", "leader"] : role === "fog" ? ["leader"] : []

/** Who is enrolled, who talks to whom. Immutable. */
export class Directory {
  readonly roster: Roster
  /** What a round's announcement names the roster by. */
  readonly digest: Digest
  readonly leader: Participant
  /** Facilities in the order of their ids: the fixed order of everything that is listed or added. */
  readonly facilities: readonly Participant[]
  readonly fogs: readonly Participant[]
  readonly #byId: ReadonlyMap<string, Participant>
  readonly #children: ReadonlyMap<string, readonly Participant[]>

  constructor(roster: Roster) {
    this.roster = roster
    this.digest = hash("roster-digest", encode(rosterCodec, roster))
    this.#byId = new Map(roster.participants.map((p) => [toHex(p.id), p]))
    const wrong = (message: string): never => {
      throw new ConsiliumError("identity/bad-roster", message)
    }
    const leaders = roster.participants.filter((p) => p.role === "leader")
    this.leader = leaders[0] ?? wrong("The roster names no leader.")
    if (leaders.length !== 1) wrong(`The roster names ${leaders.length} leaders.`)
    this.facilities = roster.participants.filter((p) => p.role === "facility")
    this.fogs = roster.participants.filter((p) => p.role === "fog")
    const children = new Map<string, Participant[]>()
    for (const p of roster.participants) {
      if (!equalBytes(p.id, participantId(p.name))) wrong(`The id of ${p.name} does not belong to its name.`)
      const allowed = parentsOf(p.role)
      const parent = p.parent === null ? undefined : this.#byId.get(toHex(p.parent))
      if (allowed.length === 0 ? p.parent !== null : parent === undefined || !allowed.includes(parent.role))
        wrong(
          `The ${p.role} ${p.name} must have ${allowed.length === 0 ? "no parent" : `a ${allowed.join(" or the ")} as its parent`}.`,
        )
      if (parent === undefined) continue
      const siblings = children.get(toHex(parent.id))
      if (siblings === undefined) children.set(toHex(parent.id), [p])
      else siblings.push(p)
    }
    this.#children = children
  }

  find(id: Uint8Array): Participant | undefined {
    return this.#byId.get(toHex(id))
  }

  /** @throws {ConsiliumError} "identity/unknown-participant" */
  get(id: Uint8Array): Participant {
    const found = this.find(id)
    if (!found)
      throw new ConsiliumError("identity/unknown-participant", `${toHex(id)} is not enrolled in this study.`)
    return found
  }

  named(name: string): Participant {
    return this.get(participantId(name))
  }

  childrenOf(id: Uint8Array): readonly Participant[] {
    return this.#children.get(toHex(id)) ?? []
  }

  /** A facility's place among the facilities, from 1: its evaluation point in secret sharing. */
  pointOf(facility: Uint8Array): number {
    const at = this.facilities.findIndex((p) => compareBytes(p.id, facility) === 0)
    if (at < 0)
      throw new ConsiliumError(
        "identity/unknown-participant",
        `${toHex(facility)} is no facility of this study.`,
      )
    return at + 1
  }

  /** The child of `node` through which `target` is reached, or undefined if it is not below `node`. */
  childToward(node: Uint8Array, target: Uint8Array): Participant | undefined {
    for (
      let at = this.find(target);
      at !== undefined;
      at = at.parent === null ? undefined : this.find(at.parent)
    )
      if (at.parent !== null && equalBytes(at.parent, node)) return at
    return undefined
  }
}
