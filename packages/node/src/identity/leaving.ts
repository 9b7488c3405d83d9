import { type Encoded, encode, fixedBytes, record, text, u53 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { isoTime, timestamp } from "@consilium/base/units"
import { ed25519Verify } from "./suite.js"

/** A facility's signed wish to take part no more. The authority keeps it, so that its log shows who asked. */
export const leaveCodec = record({ name: text(64), at: u53, signature: fixedBytes(64) })
export type Leave = Encoded<typeof leaveCodec>

const wordCodec = record({ caFingerprint: fixedBytes(32), name: text(64), at: u53 })

/** What the signing key signs: it names the authority and the time, and no study, for who leaves leaves them all. */
export const leaveMessage = (caFingerprint: Uint8Array, name: string, at: number): Uint8Array =>
  hash("leave", encode(wordCodec, { caFingerprint, name, at }))

/** How far the clocks of a facility and of the authority may be apart. */
const WINDOW_MS = 2 * 3_600_000

/**
 * Checks that a wish to leave is signed by a participant's key.
 * @throws {ConsiliumError} "identity/bad-request"
 */
export const checkLeave = (
  caFingerprint: Uint8Array,
  member: { readonly name: string; readonly signingKey: Uint8Array },
  leave: Leave,
): void => {
  const message = leaveMessage(caFingerprint, leave.name, leave.at)
  if (leave.name !== member.name || !ed25519Verify(member.signingKey, message, leave.signature))
    throw new ConsiliumError(
      "identity/bad-request",
      `The request to leave is not signed by the signing key of ${member.name}.`,
      { remedy: "Ask from the facility's own data folder." },
    )
}

/** @throws {ConsiliumError} "identity/stale-request" if it was signed too long before or after `now` */
export const checkLeaveTime = (leave: Leave, now: number): void => {
  if (Math.abs(now - leave.at) > WINDOW_MS)
    throw new ConsiliumError(
      "identity/stale-request",
      `The request of ${leave.name} to leave was signed at ${isoTime(timestamp(Math.min(leave.at, 8.64e15)))}; it is ${isoTime(timestamp(now))}.`,
    )
}
