import { ConsiliumError } from "@consilium/base/errors"
import type { SecretKey } from "@consilium/base/random"
import type { Examples } from "@consilium/learning/data"
import type { RoundSpec } from "../messages.js"
import { isFigures } from "../purpose.js"
import type { Study } from "../study.js"
import { roundStream } from "../training.js"
import { countScores } from "./evaluation.js"
import { withNoiseShare } from "./figures-vector.js"
import { countStatistics, type RowsToCount } from "./statistics.js"

export interface FiguresWork {
  readonly study: Study
  readonly spec: Pick<RoundSpec, "purpose" | "round" | "attempt" | "model">
  /** The model that is evaluated. */
  readonly parameters: Float64Array
  /** Training rows in the units of the records. */
  readonly train: RowsToCount
  /** Held-out rows as the model takes them, and whose each is. */
  readonly holdOut: Examples
  readonly holdOutPatients: ArrayLike<number>
  readonly secret: SecretKey
}

/**
 * A facility's part in figures of all facilities: counted on its own records, with its share of noise where the study has
 * privacy. Pure: the same inputs give the same numbers.
 *
 * @throws {ConsiliumError} "round/unexpected" if the study declares no such figures; "round/too-many-rows"
 */
export const countFigures = (work: FiguresWork): Int32Array => {
  const { study, spec, secret } = work
  const { purpose } = spec
  const counted = countedFor(work)
  if (counted === null || !isFigures(purpose))
    throw new ConsiliumError("round/unexpected", "Figures were asked for that the study does not declare.")
  return withNoiseShare(study, purpose, counted, roundStream(study, spec, secret, `${purpose}-noise`))
}

const countedFor = ({ study, spec, parameters, train, holdOut, holdOutPatients }: FiguresWork) => {
  const { statistics, evaluation } = study
  if (spec.purpose === "statistics" && statistics !== null)
    return countStatistics({ ...study, statistics }, train)
  if (spec.purpose === "evaluation" && evaluation !== null)
    return countScores({ ...study, evaluation }, parameters, holdOut, holdOutPatients)
  return null
}
