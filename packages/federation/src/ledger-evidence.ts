import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { checkCosigned } from "./cosigned.js"
import type { ShownLedgerHead } from "./facility-state.js"
import { type LedgerEvidence, submissionDigest, submissionMessage } from "./messages.js"
import { openRoster, type Participant } from "./roster.js"
import { decodeStudy } from "./study.js"
import type { CryptoSuite } from "./suite.js"

/** Who checks evidence: the facility that it is about. */
interface Checker {
  readonly suite: CryptoSuite
  readonly me: Participant
  /** Signs rosters. */
  readonly authorityKey: Uint8Array
}

const forged = (message: string, cause?: unknown): ConsiliumError =>
  new ConsiliumError("privacy/forged-evidence", message, { cause })

/**
 * The head of a facility's ledger that evidence shows. The facility must have signed it, under the key that a roster of the
 * authority names for it; a certificate must hold as well, so that nobody passes off as certified what was not.
 * @throws {ConsiliumError} "privacy/forged-evidence"
 */
export const checkLedgerEvidence = (
  { suite, me, authorityKey }: Checker,
  { roster, submission: signed, certificate }: LedgerEvidence,
): ShownLedgerHead => {
  const { submission, signature } = signed
  const opened = (() => {
    try {
      return openRoster(suite, authorityKey, roster)
    } catch (cause) {
      throw forged("What is shown of this facility's privacy ledger names no roster of the authority.", cause)
    }
  })()
  const { directory } = opened
  const then = directory.find(me.id)
  if (
    submission.ledger === null ||
    then?.role !== "facility" ||
    !equalBytes(submission.facility, me.id) ||
    !suite.verify(then.signingKey, submissionMessage(submission), signature)
  )
    throw forged("What is shown of this facility's privacy ledger is not signed by this facility.")
  if (certificate === null) return { ...submission.ledger, certified: false }
  const { signed: over } = certificate
  const listed =
    over.type === "certificate" &&
    equalBytes(over.spec, submission.spec) &&
    over.cohort.some(
      ({ facility, digest }) =>
        equalBytes(facility, me.id) && equalBytes(digest, submissionDigest(submission)),
    )
  if (!listed) throw forged("What is shown of this facility's privacy ledger is not on the list beside it.")
  try {
    checkCosigned(suite, decodeStudy(opened.study), directory, certificate)
  } catch (cause) {
    if (!(cause instanceof ConsiliumError)) throw cause
    throw forged("What is shown of this facility's privacy ledger as certified is not.", cause)
  }
  return { ...submission.ledger, certified: true }
}
