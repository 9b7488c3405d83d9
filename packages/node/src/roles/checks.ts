import { type Envelope, type Message, unpack } from "@consilium/federation/messages"
import { type Directory, openRoster, type Participant } from "@consilium/federation/roster"
import { decodeStudy, type Study } from "@consilium/federation/study"
import type { CryptoSuite } from "@consilium/federation/suite"
import { nodeSuite } from "../identity/suite.js"

/** How a participant checks what it is shown. Checks follow from what is shown alone, so a process may remember them. */
export interface Checks {
  readonly suite: CryptoSuite
  /** @throws {ConsiliumError} "identity/bad-roster", "encoding/..." */
  roster(authorityKey: Uint8Array, signed: Uint8Array): SignedStudy
  /** @throws {ConsiliumError} "identity/bad-signature", "encoding/..." */
  message(from: Participant, envelope: Envelope): Message
}

/** A study and who is enrolled in it, as the authority signed them. */
export interface SignedStudy {
  readonly directory: Directory
  readonly study: Study
}

/** Checks everything each time, on the platform's cryptography. */
export const nodeChecks: Checks = {
  suite: nodeSuite,
  roster(authorityKey, signed) {
    const { directory, study } = openRoster(nodeSuite, authorityKey, signed)
    return { directory, study: decodeStudy(study) }
  },
  message: (from, envelope) => unpack(nodeSuite, from, envelope),
}
