import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, uniformUnit } from "@consilium/base/random"
import { type NetworkDescription, networkShape } from "./description.js"

/** A network: what it computes, and its parameters, layer by layer, as one flat array. */
export interface Network {
  readonly description: NetworkDescription
  readonly parameters: Float32Array
}

/**
 * Refuses a network that is not one, or whose parameters do not fit it or are not finite.
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters"
 */
export const checkNetwork = ({ description, parameters }: Network): void => {
  const { parameters: count } = networkShape(description)
  if (parameters.length !== count)
    throw new ConsiliumError(
      "learning/bad-parameters",
      `The network has ${count} parameters, not ${parameters.length}.`,
    )
  const at = parameters.findIndex((value) => !Number.isFinite(value))
  if (at >= 0)
    throw new ConsiliumError("learning/bad-parameters", `Parameter ${at} of ${count} is not a finite number.`)
}

/** How widely first weights are spread: "he" suits layers before a ReLU, "glorot" all others. */
export type Spread = "he" | "glorot"

/**
 * A network to begin with, the same for everybody who has the same seed: biases and betas 0, gammas 1.
 *
 * Math:   weights uniform on [-b, b); he: b = sqrt(6 / fanIn); glorot: b = sqrt(6 / (fanIn + fanOut))
 * Source: He et al. 2015, arXiv:1502.01852; Glorot and Bengio 2010
 * @throws {ConsiliumError} "learning/bad-setting"
 */
export const initialNetwork = (
  description: NetworkDescription,
  random: RandomSource,
  spread: Spread = "he",
): Network => {
  const shape = networkShape(description)
  if (spread !== "he" && spread !== "glorot")
    throw new ConsiliumError("learning/bad-setting", `"${String(spread)}" is no spread of weights.`)
  const parameters = new Float32Array(shape.parameters)
  let at = 0
  for (const { blocks } of shape.layers)
    for (const { name, shape: sides, fanIn, fanOut } of blocks) {
      const end = at + sides.reduce((product, side) => product * side, 1)
      const bound = Math.sqrt(6 / (spread === "he" ? fanIn : fanIn + fanOut))
      for (; at < end; at++)
        parameters[at] = fanIn > 0 ? (2 * uniformUnit(random) - 1) * bound : name.endsWith(".gamma") ? 1 : 0
    }
  return { description, parameters }
}
