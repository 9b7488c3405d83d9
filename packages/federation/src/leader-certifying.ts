import { toHex } from "@consilium/base/bytes"
import { checkCertificate } from "./cosigned.js"
import { openSum } from "./leader-closing.js"
import type { Attempt, Certifying, LeaderState, Opening } from "./leader-state.js"
import { answered, type Turn, voidAttempt } from "./leader-turn.js"
import { type Proposal, type SignedSubmission, submissionDigest } from "./messages.js"
import { quorum } from "./study.js"
import { protectionOf } from "./sums/protections.js"

export const proposeList = (
  turn: Turn,
  attempt: Attempt,
  members: readonly SignedSubmission[],
  regions: ReadonlyMap<string, Uint8Array>,
  shown: readonly SignedSubmission[],
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
  turn.say({ type: "certificate", proposal, signatures })
  const opening: Opening = {
    phase: "opening",
    progress: turn.progress,
    attempt,
    proposal,
    regions,
    partials: new Map(),
  }
  if (protectionOf(study).opened === null) return openSum(turn, opening)
  turn.timer(attempt.spec, "opening", study.deadlines.answer)
  return opening
}
