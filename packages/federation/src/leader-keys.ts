import { equalBytes, toHex } from "@consilium/base/bytes"
import { type Encoded, encode, record, text } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { zeroTestHolds, zeroTestId } from "@consilium/lattice/threshold/zero-check"
import { proposeList } from "./leader-certifying.js"
import type { Attempt, Epoch, LeaderEvent, LeaderState, Opening, Testing } from "./leader-state.js"
import { announce, settingOf, type Turn, voidAttempt } from "./leader-turn.js"
import { type MessageOf, messageCodec, type SignedSubmission } from "./messages.js"
import type { Participant } from "./roster.js"
import { isKeyed, openingThreshold } from "./study.js"
import { ceremonyOf, thresholdParameters } from "./sums/lattice-parameters.js"

// The key ceremony after its shares are checked: a test of every key, then a certified list, then the epoch.

/** Type of the event by which a person asks for new keys. */
export const ROTATION_ASKED = "key-rotation-asked"
export const rotationCodec = record({ by: text(64), reason: text(1024) })
export type RotationAsked = Encoded<typeof rotationCodec>

/** Notes that the next round is to begin with a ceremony. */
export const rotate = (
  turn: Turn,
  state: LeaderState,
  { by, reason }: Extract<LeaderEvent, { type: "rotate" }>,
): LeaderState => {
  if (!isKeyed(turn.context.study) || state.phase === "closed" || state.phase === "aborted") {
    turn.tell("no keys are changed: the study has none, or is over")
    return state
  }
  turn.record(ROTATION_ASKED, turn.context.me.id, encode(rotationCodec, { by, reason }))
  turn.progress = { ...turn.progress, rotation: `${by} asked for it: ${reason}` }
  turn.tell(`${by} asked for new keys; the next round begins with a ceremony`)
  return state
}

/** A facility that has no key and says so comes back with a ceremony before the next round, unless it cheated or fails every test. */
export const noteLeftOut = (turn: Turn, from: Participant, { code }: MessageOf<"refusal">): void => {
  const { current } = turn.progress.keys
  if (code !== "keys/left-out" || current === null || turn.progress.rotation !== null) return
  const failures = current.failed.get(toHex(from.id)) ?? 0
  if (current.excluded.some((id) => equalBytes(id, from.id)) || failures >= turn.context.study.attempts)
    return
  turn.progress = { ...turn.progress, rotation: `${from.name} has no key in this epoch` }
}

/** What the check of all shares came to. */
export interface Dealt {
  readonly submissions: ReadonlyMap<string, SignedSubmission>
  readonly challenge: Uint8Array
  readonly dealers: readonly Uint8Array[]
  readonly holders: readonly Uint8Array[]
  readonly excluded: readonly Uint8Array[]
}

/**
 * Asks every dealer to encrypt zero under the key it shared, and t holders to open that. Others open in each ceremony, so
 * that somebody who opens falsely does not keep an honest dealer out for ever.
 */
export const testKeys = (turn: Turn, attempt: Attempt, dealt: Dealt): Testing => {
  const { study, directory } = turn.context
  const threshold = openingThreshold(study, directory.facilities.length)
  const { holders } = dealt
  const first = attempt.spec.epoch % holders.length
  const chosen = new Set(Array.from({ length: threshold }, (_, i) => (first + i) % holders.length))
  const openers = holders.filter((_, i) => chosen.has(i))
  turn.say({ type: "key-test", spec: attempt.digest, dealers: dealt.dealers, openers })
  turn.timer(attempt.spec, "testing", study.deadlines.answer)
  return { phase: "testing", progress: turn.progress, attempt, ...dealt, openers, tested: new Map() }
}

export const withTest = (
  state: Testing,
  from: Participant,
  message: MessageOf<"key-tested">,
): Testing["tested"] => {
  const before = state.tested.get(toHex(from.id))
  if (before && !equalBytes(encode(messageCodec, before), encode(messageCodec, message)))
    throw new ConsiliumError("round/equivocation", `${from.name} answered one test of keys twice.`)
  return new Map(state.tested).set(toHex(from.id), message)
}

export const testedIfComplete = (turn: Turn, state: Testing): LeaderState => {
  const { tested, attempt } = state
  const waiting = [...state.dealers, ...state.openers]
    .map(toHex)
    .filter((id) => !tested.has(id) && !attempt.out.has(id))
  return waiting.length === 0 ? finishTest(turn, state) : state
}

/** Proposes the dealers whose keys are what they shared. */
export const finishTest = (turn: Turn, state: Testing): LeaderState => {
  const { study, directory } = turn.context
  const { attempt, submissions, challenge, openers, tested } = state
  const silent = openers.filter((id) => (tested.get(toHex(id))?.answers.length ?? 0) === 0)
  if (silent.length > 0)
    return voidAttempt(
      turn,
      attempt,
      `${silent.length} of the ${openers.length} facilities that were to test the keys did not answer`,
    )
  const setting = settingOf(turn, attempt)
  const parameters = thresholdParameters(setting)
  const id = zeroTestId(parameters, ceremonyOf(setting), challenge)
  const active = openers.map((opener) => directory.pointOf(opener))
  const failed = new Map<string, number>()
  const sound = state.dealers.filter((dealer) => {
    const test = tested.get(toHex(dealer))?.test ?? null
    // who is silent is left out for now, and comes back
    if (test === null) return false
    const answers = openers.flatMap((opener) =>
      (tested.get(toHex(opener))?.answers ?? []).flatMap((answer) =>
        equalBytes(answer.dealer, dealer)
          ? [{ point: directory.pointOf(opener), opening: answer.opening }]
          : [],
      ),
    )
    if (zeroTestHolds(parameters, id, directory.pointOf(dealer), test, active, answers)) return true
    const before = turn.progress.keys.current?.failed.get(toHex(dealer)) ?? 0
    failed.set(toHex(dealer), before + 1)
    turn.record("dealer-excluded", dealer, challenge)
    turn.tell(
      `the test of ${directory.get(dealer).name}'s key failed: it shared another one, or somebody tested falsely`,
    )
    return false
  })
  if (sound.length < study.cohort.minCohort)
    return voidAttempt(
      turn,
      attempt,
      `${sound.length} facilities have keys that can be used; ${study.cohort.minCohort} are needed`,
    )
  const members = sound.map((dealer) => submissions.get(toHex(dealer)) as SignedSubmission)
  const epoch: Epoch = {
    epoch: attempt.spec.epoch,
    roster: attempt.spec.roster,
    dealers: sound,
    holders: state.holders,
    excluded: state.excluded,
    failed,
    since: turn.at,
    openings: 0,
  }
  return proposeList(turn, attempt, members, new Map(), [], epoch)
}

/** The list of dealers is certified: the epoch begins, and with it the round that waited for it. */
export const beginEpoch = (turn: Turn, { attempt }: Pick<Opening, "attempt">, epoch: Epoch): LeaderState => {
  const { pending } = turn.progress.keys
  turn.progress = { ...turn.progress, keys: { epoch: epoch.epoch, current: epoch, pending: null } }
  turn.tell(
    `epoch ${epoch.epoch} begins: ${epoch.dealers.length} keys, ${epoch.holders.length} facilities hold shares of all`,
  )
  return announce(turn, pending ?? { purpose: "update", round: attempt.spec.round, attempt: 1 })
}
