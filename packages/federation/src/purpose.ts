import { type Encoded, oneOf } from "@consilium/base/encoding"
import { type Digest, hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"

/**
 * What an attempt is for: a round's updates; the keys of a new epoch; or figures of all facilities' patients together, as
 * a sum like any other: statistics before the first round, and how a round's model does on those held out.
 */
export const purposeCodec = oneOf("update", "keys", "statistics", "evaluation")
export type Purpose = Encoded<typeof purposeCodec>
export type FiguresPurpose = Extract<Purpose, "statistics" | "evaluation">

export const isFigures = (purpose: Purpose): purpose is FiguresPurpose =>
  purpose === "statistics" || purpose === "evaluation"

/** The place of an attempt's purpose in a study: statistics are of round 0, an evaluation follows its round's update. */
const stageOf = ({ purpose, round }: Place): number => 2 * round + (purpose === "evaluation" ? 1 : 0)

/** Where an attempt stands among those of its study. */
export interface Place {
  readonly purpose: Purpose
  readonly round: number
  readonly attempt: number
}

/** Whether one attempt comes before another. */
export const isEarlier = (a: Place, b: Place): boolean =>
  stageOf(a) < stageOf(b) || (stageOf(a) === stageOf(b) && a.attempt < b.attempt)

/** Earlier than every attempt. */
export const NOTHING_YET: Place = { purpose: "update", round: 0, attempt: 0 }

/**
 * What the sum of an attempt tells of: updates from a model, or figures with it. Two sums about one thing show the
 * difference of their cohorts, so the rules of redone rounds go by it.
 */
export const subjectOf = ({
  purpose,
  model,
}: {
  readonly purpose: Purpose
  readonly model: Uint8Array
}): Digest | Uint8Array => (isFigures(purpose) ? hash("figures-subject", utf8(purpose), model) : model)

/** What an attempt is called in a line for a person. */
export const attemptName = ({ purpose, round, attempt }: Place): string => {
  const number = attempt === 1 ? "" : `, attempt ${attempt}`
  if (purpose === "statistics") return `the statistics before training${number}`
  if (purpose === "evaluation") return `the evaluation of round ${round}${number}`
  return `round ${round}, attempt ${attempt}`
}
