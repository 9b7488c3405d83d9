import { milliseconds } from "@consilium/base/units"
import type { LeaderState } from "./leader-state.js"
import type { Turn } from "./leader-turn.js"
import { modelFile } from "./model.js"

/** Names the one timer that belongs to no attempt. */
export const FINISH_TIMER = "finishing"

/** Shows everybody the model that the study ends with, and asks for their figures on it and signatures of the log's head. */
export const showLastModel = (turn: Turn, round: number): LeaderState => {
  const { study } = turn.context
  const { log: head, unshown, parameters } = turn.progress
  turn.progress = { ...turn.progress, unshown: [] }
  turn.say({
    type: "finish",
    rounds: round,
    model: modelFile(study, parameters, round),
    head: { ...head, headers: unshown },
  })
  turn.effects.push({
    type: "timer",
    name: FINISH_TIMER,
    milliseconds: milliseconds(study.deadlines.collect),
  })
  return { phase: "finishing", progress: turn.progress, head, finals: new Map() }
}
