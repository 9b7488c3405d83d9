import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import {
  type CosignedHead,
  certificateDigest,
  digestOfCertificate,
  finalHeadDigest,
  type Proposal,
  type SignatureList,
  specDigest,
} from "./messages.js"
import type { Directory } from "./roster.js"
import { quorum, type Study } from "./study.js"
import type { CryptoSuite } from "./suite.js"

/**
 * Checks that more than (n + c) / 2 of the enrolled facilities signed a digest.
 * @throws {ConsiliumError} "cohort/uncertified" with the count of valid signatures
 */
const checkQuorum = (
  suite: CryptoSuite,
  study: Study,
  directory: Directory,
  digest: Uint8Array,
  signatures: SignatureList,
): void => {
  const signers = new Set<string>()
  for (const { facility, signature } of signatures) {
    const signer = directory.find(facility)
    if (signer?.role === "facility" && suite.verify(signer.signingKey, digest, signature))
      signers.add(toHex(facility))
  }
  const needed = quorum(study, directory.facilities.length)
  if (signers.size < needed)
    throw new ConsiliumError(
      "cohort/uncertified",
      `The list carries ${signers.size} valid signatures of enrolled facilities; ${needed} of ${directory.facilities.length} are needed.`,
    )
}

/** @throws {ConsiliumError} "cohort/uncertified" unless a quorum of the enrolled facilities signed the proposal */
export const checkCertificate = (
  suite: CryptoSuite,
  study: Study,
  directory: Directory,
  proposal: Proposal,
  signatures: SignatureList,
): void => checkQuorum(suite, study, directory, certificateDigest(proposal), signatures)

/** Whether two proposals ask for the same certificate. */
export const sameProposal = (a: Proposal, b: Proposal): boolean =>
  equalBytes(certificateDigest(a), certificateDigest(b))

/** The head of the leader's log that a certificate has signed along with its list. */
export const headOfCertificate = (proposal: Proposal, signatures: SignatureList): CosignedHead => ({
  seq: proposal.headSeq,
  hash: proposal.head,
  signed: { type: "certificate", spec: specDigest(proposal.spec), cohort: proposal.cohort },
  roster: proposal.spec.roster,
  signatures,
})

/**
 * Checks that a quorum of the facilities of a roster signed a head of the leader's log.
 * @throws {ConsiliumError} "cohort/uncertified"; "identity/bad-roster" if the head names another roster
 */
export const checkCosigned = (
  suite: CryptoSuite,
  study: Study,
  directory: Directory,
  head: CosignedHead,
): void => {
  if (!equalBytes(head.roster, directory.digest))
    throw new ConsiliumError(
      "identity/bad-roster",
      "A co-signed head names another roster than the one given.",
    )
  const digest =
    head.signed.type === "final"
      ? finalHeadDigest(directory.roster.study, head.seq, head.hash)
      : digestOfCertificate(head.signed.spec, head.signed.cohort, head.seq, head.hash)
  checkQuorum(suite, study, directory, digest, head.signatures)
}
