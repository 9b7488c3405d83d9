import { ConsiliumError } from "@consilium/base/errors"

/** What corrects the drift of one facility's steps: where its own rows pull on average, and where everybody's do. */
export interface Correction {
  /** The facility's own control variate, c_i. */
  readonly own: Float64Array
  /** The common one, c. */
  readonly common: Float64Array
}

/**
 * Refuses control variates that do not fit a model of so many parameters.
 * @throws {ConsiliumError} "learning/bad-parameters"
 */
export const checkCorrection = ({ own, common }: Correction, parameters: number): void => {
  for (const values of [own, common])
    if (values.length !== parameters || !values.every(Number.isFinite))
      throw new ConsiliumError(
        "learning/bad-parameters",
        `A control variate of ${values.length} values does not fit ${parameters} parameters, or is not finite.`,
      )
}

/**
 * Adds the correction to a slope. It reads no example: it depends on the two control variates alone.
 *
 * Math:   slope += c - c_i
 * Shape:  slope, own and common: one length
 * Source: Karimireddy, Kale, Mohri, Reddi, Stich and Suresh 2020, SCAFFOLD: Stochastic Controlled Averaging for Federated
 *         Learning, arXiv:1910.06378, algorithm 1, line 10
 */
export const addCorrection = (slope: Float64Array, { own, common }: Correction): void => {
  for (let j = 0; j < slope.length; j++)
    slope[j] = (slope[j] as number) + ((common[j] as number) - (own[j] as number))
}
