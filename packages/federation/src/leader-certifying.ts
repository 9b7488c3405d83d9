import { toHex } from "@consilium/base/bytes"
import { checkCertificate } from "./cosigned.js"
import { openSum } from "./leader-closing.js"
import { beginEpoch } from "./leader-keys.js"
import type { Attempt, Certifying, Epoch, LeaderState, Opening } from "./leader-state.js"
import { answered, type Turn, voidAttempt } from "./leader-turn.js"
import { type Proposal, type SignatureList, type SignedSubmission, submissionDigest } from "./messages.js"
import { openingThreshold, quorum } from "./study.js"
import { schemeOf } from "./sums/protections.js"

export const proposeList = (
  turn: Turn,
  attempt: Attempt,
  members: readonly SignedSubmission[],
  regions: ReadonlyMap<string, Uint8Array>,
  shown: readonly SignedSubmission[],
  epoch: Epoch | null = null,
): Certifying => {
  const { log, unshown } = turn.progress
  const proposal: Proposal = {
    spec: attempt.spec,
    cohort: members.map(({ submission }) => ({
      facility: submission.facility,
      digest: submissionDigest(submission),
    })),
    headSeq: log.seq,
    head: log.hash,
    headers: unshown,
  }
  turn.progress = { ...turn.progress, unshown: [] }
  turn.say({ type: "propose", proposal, submissions: shown })
  turn.timer(attempt.spec, "certifying", turn.context.study.deadlines.answer)
  return {
    phase: "certifying",
    progress: turn.progress,
    attempt,
    epoch,
    proposal,
    regions,
    signatures: new Map(),
  }
}

export const certifyIfComplete = (turn: Turn, state: Certifying): LeaderState =>
  answered(turn, state.attempt, state.signatures) ? certify(turn, state) : state

export const certify = (turn: Turn, state: Certifying): LeaderState => {
  const { directory, study, suite } = turn.context
  const { attempt, proposal, regions } = state
  const signatures = directory.facilities.flatMap(({ id }) => {
    const signature = state.signatures.get(toHex(id))
    return signature === undefined ? [] : [{ facility: id, signature }]
  })
  const needed = quorum(study, directory.facilities.length)
  if (signatures.length < needed)
    return voidAttempt(
      turn,
      attempt,
      `${signatures.length} facilities signed the list; ${needed} of ${directory.facilities.length} are needed`,
    )
  checkCertificate(suite, study, directory, proposal, signatures)
  const { opened } = schemeOf(study, attempt.spec)
  const openers = opened === "named" ? namedOpeners(turn, signatures) : []
  if (openers === null)
    return voidAttempt(
      turn,
      attempt,
      `too few of the facilities that signed hold shares of all keys; ${openingThreshold(study, directory.facilities.length)} are needed to open`,
    )
  // the log up to here was shown with the list, and is signed by its head
  turn.say({ type: "certificate", proposal: { ...proposal, headers: [] }, signatures, openers })
  if (state.epoch !== null) return beginEpoch(turn, state, state.epoch)
  const opening: Opening = {
    phase: "opening",
    progress: turn.progress,
    attempt,
    proposal,
    regions,
    openers,
    partials: new Map(),
  }
  if (opened === null) return openSum(turn, opening)
  turn.timer(attempt.spec, "opening", study.deadlines.answer)
  return opening
}

/** The t first of the signers that hold shares of all keys: whoever signed just now is there to open. Null if they are fewer. */
const namedOpeners = (turn: Turn, signatures: SignatureList): readonly Uint8Array[] | null => {
  const { study, directory } = turn.context
  const holders = new Set(turn.progress.keys.current?.holders.map(toHex))
  const threshold = openingThreshold(study, directory.facilities.length)
  const able = signatures.flatMap(({ facility }) => (holders.has(toHex(facility)) ? [facility] : []))
  return able.length < threshold ? null : able.slice(0, threshold)
}
