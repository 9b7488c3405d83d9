import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { type MessageOf, type SignedSubmission, submissionMessage } from "./messages.js"
import type { Participant } from "./roster.js"
import { checkLedgerNamed } from "./submissions.js"
import { protectionOf } from "./sums/protections.js"
import type { SumSetting } from "./sums/secure-sum.js"

/** A protected update at the parent that will add it, with what its facility signed. */
export interface HeldUpdate {
  readonly submission: SignedSubmission
  readonly payload: Uint8Array
}
/** By facility. */
export type HeldUpdates = ReadonlyMap<string, HeldUpdate>

/**
 * The updates with one more, after checking that it is its facility's own, signed, and one that can be added. The same
 * update again changes nothing.
 * @throws {ConsiliumError} "identity/bad-signature"; "privacy/no-ledger-head"; "sharing/..."; "round/equivocation" if the facility sent another
 */
export const withUpdate = (
  setting: SumSetting,
  held: HeldUpdates,
  from: Participant,
  { submission, payload }: MessageOf<"update">,
): HeldUpdates => {
  const { facility, direct } = submission.submission
  const fits =
    equalBytes(facility, from.id) &&
    direct !== null &&
    equalBytes(direct, sha256(payload)) &&
    setting.suite.verify(from.signingKey, submissionMessage(submission.submission), submission.signature)
  if (!fits)
    throw new ConsiliumError(
      "identity/bad-signature",
      `An update of ${from.name} does not match its signed digest.`,
    )
  checkLedgerNamed(setting.study, from, submission.submission)
  protectionOf(setting.study).added?.add(setting, [payload])
  const before = held.get(toHex(from.id))
  if (before === undefined) return new Map(held).set(toHex(from.id), { submission, payload })
  if (equalBytes(before.payload, payload)) return held
  throw new ConsiliumError(
    "round/equivocation",
    `${from.name} sent two different updates in one attempt; both are dropped.`,
  )
}

/** The updates without those of a facility that contradicted itself. */
export const withoutUpdateOf = (held: HeldUpdates, { id }: Participant): HeldUpdates => {
  const updates = new Map(held)
  updates.delete(toHex(id))
  return updates
}

/** Whether every facility below a node has sent its update or sits out. */
export const allSent = (
  children: readonly Participant[],
  held: HeldUpdates,
  out: { has(facility: string): boolean },
): boolean =>
  children.every(({ id, role }) => role !== "facility" || held.has(toHex(id)) || out.has(toHex(id)))

/** The sum of what is held, and the submissions it is of, in the order of their facilities; null for a protection that adds nothing. */
export const sumOfHeld = (
  setting: SumSetting,
  held: HeldUpdates,
): { readonly submissions: readonly SignedSubmission[]; readonly sum: Uint8Array } | null => {
  const { added } = protectionOf(setting.study)
  if (added === null) return null
  const inOrder = [...held].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, update]) => update)
  return {
    submissions: inOrder.map(({ submission }) => submission),
    sum: added.add(
      setting,
      inOrder.map(({ payload }) => payload),
    ),
  }
}
