import { ConsiliumError } from "@consilium/base/errors"
import type { LeaderState } from "@consilium/federation/leader-state"
import { isKeyed } from "@consilium/federation/study"
import type { RotationAnswer, RotationWish } from "../api/key-schemas.js"
import { type LeaderMachine, leaderRotate } from "./leader-machine.js"
import type { Hosted } from "./study-host.js"

/** The next round that can begin with new keys; null where none begins any more. */
const nextRound = (state: LeaderState): number | null => {
  if (state.phase === "announced") return 1
  if (!("attempt" in state)) return null
  const { pending } = state.progress.keys
  // a round that waits for a ceremony can wait for another; a redone one goes on under the keys it began with
  if (pending !== null) return pending.attempt === 1 ? pending.round : pending.round + 1
  return state.attempt.spec.round + 1
}

/**
 * Asks that the next round begin with new keys. The wish is saved before this resolves; where a ceremony is due before that
 * round already, nothing is added to it.
 * @throws {ConsiliumError} "keys/none" in a study without keys, "keys/no-round" if no round follows
 */
export const rotateKeys = async (
  { runner, machine }: Pick<Hosted<LeaderMachine>, "runner" | "machine">,
  wish: RotationWish,
): Promise<RotationAnswer> => {
  const { study } = machine
  if (!isKeyed(study))
    throw new ConsiliumError(
      "keys/none",
      `The study ${study.name} is protected by ${study.protection}, which has no keys that could be changed.`,
    )
  const { state } = machine
  const round = runner.over ? null : nextRound(state)
  if (round === null || round > study.rounds)
    throw new ConsiliumError(
      "keys/no-round",
      round === null
        ? `The study ${study.name} is over; its keys are destroyed.`
        : `Round ${study.rounds} of ${study.rounds} of the study ${study.name} is under way: no round follows that could have new keys.`,
    )
  const { rotation, keys } = state.progress
  const answer = { id: runner.id, name: study.name, epoch: keys.current?.epoch ?? 0, beforeRound: round }
  if (rotation !== null) return { ...answer, asked: false, why: rotation }
  await runner.post(leaderRotate(wish))
  return { ...answer, asked: true, why: `${wish.by} asked for it: ${wish.reason}` }
}
