import { ConsiliumError } from "@consilium/base/errors"
import { type Architecture, checkParameters } from "./architecture.js"

/** What holds local training near the model that it began with. */
export interface Proximal {
  /** Weight of the term; 0 leaves the steps as they are without it. */
  readonly mu: number
  /** The model it draws towards: the global one of the round. */
  readonly towards: Float64Array
}

/**
 * Refuses a proximal term that no step can be taken with.
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters"
 */
export const checkProximal = (architecture: Architecture, { mu, towards }: Proximal): void => {
  if (!Number.isFinite(mu) || mu < 0)
    throw new ConsiliumError(
      "learning/bad-setting",
      `The proximal weight mu is ${mu}; a finite number of 0 or more was expected.`,
    )
  checkParameters(architecture, towards)
}

/**
 * Adds the gradient of the proximal term to a slope. It reads no example: it depends on the two models alone.
 *
 * Math:   slope += mu (w - towards), the gradient of (mu / 2) |w - towards|^2
 * Shape:  slope, parameters and towards: one length
 * Source: Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith 2020, Federated Optimization in Heterogeneous Networks,
 *         arXiv:1812.06127, equation 2
 */
export const addProximalGradient = (
  slope: Float64Array,
  parameters: Float64Array,
  { mu, towards }: Proximal,
): void => {
  for (let j = 0; j < slope.length; j++)
    slope[j] = (slope[j] as number) + mu * ((parameters[j] as number) - (towards[j] as number))
}
