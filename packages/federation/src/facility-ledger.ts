import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { toLeader } from "./facility-rules.js"
import type {
  FacilityContext,
  FacilityEffect,
  FacilityState,
  FacilityStep,
  Memory,
  ShownLedgerHead,
  Submissions,
} from "./facility-state.js"
import { checkLedgerEvidence } from "./ledger-evidence.js"
import { contradiction, withHeadSeen } from "./ledger-witness.js"
import { type Cohort, certificateDigest, type MessageOf, messageCodec, type Proposal } from "./messages.js"

// The privacy ledgers: this facility's own, beside what the leader has seen of it, and those of the others.

/** Asks the leader what it knows of this facility's ledger. */
export const onAskLedger = (
  context: FacilityContext,
  state: FacilityState,
  nonce: Uint8Array,
): FacilityStep => {
  if (state.phase === "ended") return { state, effects: [] }
  return {
    state: { ...state, memory: { ...state.memory, asked: nonce } },
    effects: [toLeader(context, { type: "ledger-asked", nonce })],
  }
}

/** What the leader knows. Evidence that does not hold is a security event and says nothing of the ledger. */
export const onLedgerKnown = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"ledger-known">,
): FacilityStep => {
  const { nonce, evidence } = message
  const { asked } = state.memory
  if (asked === null || !equalBytes(asked, nonce))
    throw new ConsiliumError("round/stale", "An answer about the privacy ledger is not to the last question.")
  const heads: ShownLedgerHead[] = []
  const security: FacilityEffect[] = []
  for (const one of evidence)
    try {
      heads.push(checkLedgerEvidence(context, one))
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      const { code, message: detail } = error
      const about = context.directory.leader.id
      security.push({
        type: "security",
        code,
        about,
        evidence: sha256(encode(messageCodec, message)),
        detail,
      })
    }
  return {
    state: { ...state, memory: { ...state.memory, asked: null } },
    effects: [...security, { type: "ledger-shown", nonce, heads }],
  }
}

/** The facility in a list whose ledger does not follow what was seen of it, with what is wrong, or null. */
export const setBackIn = (
  { directory, me }: FacilityContext,
  { witness }: Memory,
  cohort: Cohort,
  listed: Submissions,
): { readonly facility: Uint8Array; readonly name: string; readonly wrong: string } | null => {
  for (const { facility } of cohort) {
    const head = listed.get(toHex(facility))?.submission.ledger ?? null
    // its own ledger a facility compares with its own entries
    const wrong = head && !equalBytes(facility, me.id) ? contradiction(witness, facility, head) : null
    if (wrong !== null) return { facility, name: directory.get(facility).name, wrong }
  }
  return null
}

/** Refuses to sign a list that holds a facility whose ledger was set back. */
export const refuseSetBack = (
  context: FacilityContext,
  state: FacilityState,
  proposal: Proposal,
  { facility, name, wrong }: NonNullable<ReturnType<typeof setBackIn>>,
): FacilityStep => {
  const { purpose, round, attempt } = proposal.spec
  const code = "privacy/peer-ledger-set-back"
  const detail = `The privacy ledger of ${name} was set back: ${wrong}. What it spent before may be forgotten, so no list with it is signed.`
  return {
    state,
    effects: [
      { type: "security", code, about: facility, evidence: certificateDigest(proposal), detail },
      toLeader(context, { type: "refusal", purpose, round, attempt, code, reason: detail }),
    ],
  }
}

/** A memory that has seen the ledgers of a list. */
export const withLedgersSeen = (memory: Memory, cohort: Cohort, listed: Submissions): Memory => {
  let { witness } = memory
  for (const { facility } of cohort) {
    const head = listed.get(toHex(facility))?.submission.ledger ?? null
    if (head !== null) witness = withHeadSeen(witness, facility, head)
  }
  return witness === memory.witness ? memory : { ...memory, witness }
}

/** This facility's own head on a certified list, as others now hold it. */
export const ownHeadOn = (
  { me }: FacilityContext,
  { cohort }: Proposal,
  listed: Submissions,
): readonly FacilityEffect[] => {
  const head = listed.get(toHex(me.id))?.submission.ledger ?? null
  if (head === null || !cohort.some(({ facility }) => equalBytes(facility, me.id))) return []
  return [{ type: "ledger-shown", nonce: null, heads: [{ ...head, certified: true }] }]
}
