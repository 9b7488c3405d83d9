import { equalBytes } from "@consilium/base/bytes"
import type { Made, Memory } from "./facility-state.js"
import type { RoundSpec } from "./messages.js"
import { isFigures, type Purpose, subjectOf } from "./purpose.js"

// What a facility has made for an attempt and keeps for a redone one: integers of an update, or of figures.

type About = Pick<RoundSpec, "purpose" | "model">

const placeOf = (purpose: Purpose): "trained" | "counted" => (isFigures(purpose) ? "counted" : "trained")

/** The integers that were made for an attempt like this one, if any are kept. */
export const madeFor = (memory: Memory, spec: About): Made | null => {
  const made = memory[placeOf(spec.purpose)]
  return made !== null && equalBytes(made.model, subjectOf(spec)) ? made : null
}

export const withMade = (memory: Memory, spec: About, made: Omit<Made, "model">): Memory => ({
  ...memory,
  [placeOf(spec.purpose)]: { ...made, model: subjectOf(spec) },
})

/** The memory of a facility that protects these integers no more. */
export const withoutMade = (memory: Memory, purpose: Purpose): Memory => ({
  ...memory,
  [placeOf(purpose)]: null,
})

/** Charges of a study with one more, for what was made for an attempt. */
export const withCharge = (memory: Memory, purpose: Purpose): Pick<Memory, "charges" | "figures"> => {
  const { charges, figures } = memory
  if (purpose === "statistics")
    return { charges, figures: { ...figures, statistics: figures.statistics + 1 } }
  if (purpose === "evaluation")
    return { charges, figures: { ...figures, evaluations: figures.evaluations + 1 } }
  return { charges: charges + 1, figures }
}
