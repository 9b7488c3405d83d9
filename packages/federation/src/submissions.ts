import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { type RoundSpec, type SignedSubmission, type Submission, submissionDigest } from "./messages.js"
import { isPrivate } from "./privacy-plan.js"
import type { Participant } from "./roster.js"
import type { Study } from "./study.js"

/**
 * What is made of patients in a study with differential privacy names the ledger that it is charged to; no other submission names one.
 * @throws {ConsiliumError} "privacy/no-ledger-head"
 */
export const checkLedgerNamed = (
  study: Study,
  { name }: Participant,
  { ledger }: Submission,
  purpose: RoundSpec["purpose"] = "update",
): void => {
  if ((ledger !== null) === (purpose !== "keys" && isPrivate(study))) return
  throw new ConsiliumError(
    "privacy/no-ledger-head",
    ledger === null
      ? `An update of ${name} in a study with differential privacy does not say where its charge stands in the privacy ledger.`
      : `A submission of ${name} names a privacy ledger although it costs no privacy.`,
  )
}

/** The challenge for a list: it depends on every digest, so no dealer knew it when it dealt. */
export const challengeFor = (spec: Uint8Array, listed: ReadonlyMap<string, SignedSubmission>): Uint8Array =>
  hash(
    "share-challenge",
    spec,
    ...[...listed.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { submission }]) => submissionDigest(submission)),
  )
