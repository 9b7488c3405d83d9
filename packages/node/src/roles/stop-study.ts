import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Stop } from "@consilium/federation/leader-stop"
import type { StopDecision, Stopped } from "../api/stop-schemas.js"
import { cutTo } from "../one-line.js"
import { type LeaderMachine, leaderStop } from "./leader-machine.js"
import type { Hosted } from "./study-host.js"

/**
 * Ends a study in good order. The decision, and all that follows from it, is saved before this resolves; a study that was
 * stopped before stays as it was, and the first decision is given again.
 * @throws {ConsiliumError} "round/over" if the study ended otherwise
 */
export const stopStudy = async (
  { runner, machine }: Pick<Hosted<LeaderMachine>, "runner" | "machine">,
  { by, reason }: StopDecision,
  via: string,
): Promise<Stopped> => {
  if (!runner.over) await runner.post(leaderStop({ by, via: cutTo(320, via), reason }))
  const { state, study } = machine
  if (state.phase === "aborted" && state.stopped !== undefined)
    return stoppedOf(runner.id, study.name, state.stopped)
  throw new ConsiliumError(
    "round/over",
    `The study ${study.name} is over: ${state.phase === "aborted" ? state.reason : "it is complete."}`,
  )
}

const stoppedOf = (id: string, name: string, { rounds, model, by, via, reason }: Stop): Stopped => ({
  id,
  name,
  closedRounds: rounds,
  modelHash: toHex(model),
  by,
  via,
  reason,
})
