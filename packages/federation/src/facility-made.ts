import { equalBytes } from "@consilium/base/bytes"
import { isOpened } from "./facility-rules.js"
import type { FacilityContext, Made, Memory } from "./facility-state.js"
import type { RoundSpec } from "./messages.js"
import { isPrivate } from "./privacy-plan.js"
import { isFigures, type Purpose, subjectOf } from "./purpose.js"
import type { Study } from "./study.js"
import { isNoiseOnSum } from "./sum-noise.js"

// What a facility has made for an attempt and keeps for a redone one: integers of an update, or of figures.

type About = Pick<RoundSpec, "purpose" | "model">

const placeOf = (purpose: Purpose): "trained" | "counted" => (isFigures(purpose) ? "counted" : "trained")

/** The integers that were made for an attempt like this one, if any are kept. */
export const madeFor = (memory: Memory, spec: About): Made | null => {
  const made = memory[placeOf(spec.purpose)]
  return made !== null && equalBytes(made.model, subjectOf(spec)) ? made : null
}

/** Whether what a facility sends for a purpose has a share of the noise on the sum, and no noise that is enough alone. */
export const sendsShare = (study: Study, purpose: Purpose): boolean =>
  isNoiseOnSum(study) || (isFigures(purpose) && isPrivate(study))

export const withMade = (
  context: FacilityContext,
  memory: Memory,
  spec: About,
  made: Omit<Made, "model">,
): Memory => ({
  ...(madeFor(memory, spec) === null ? withoutMade(context, memory, spec.purpose) : memory),
  [placeOf(spec.purpose)]: { ...made, model: subjectOf(spec) },
})

/**
 * The memory of a facility that protects these integers no more. A share of noise that was sent counts as opened then, by
 * itself, so that none is drawn again for the same sum: of two, both charged to this facility, the mean would be all that
 * it adds to what the sums tell of the others, and they are charged once.
 */
export const withoutMade = ({ study, me }: FacilityContext, memory: Memory, purpose: Purpose): Memory => {
  const made = memory[placeOf(purpose)]
  const rest: Memory = { ...memory, [placeOf(purpose)]: null }
  if (!made?.charged || !sendsShare(study, purpose) || isOpened(memory, made.model, me)) return rest
  const { round, attempt } = memory.last
  return { ...rest, opened: [...memory.opened, { model: made.model, round, attempt, facilities: [me.id] }] }
}

/** The memory of a facility whose shares of noise ended: nobody draws on with those that were sent, so all draw anew. */
export const withoutShares = (study: Study, memory: Memory): Memory => ({
  ...memory,
  trained: sendsShare(study, "update") ? null : memory.trained,
  counted: sendsShare(study, "evaluation") ? null : memory.counted,
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
