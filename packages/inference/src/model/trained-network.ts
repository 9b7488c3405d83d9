import { type NetworkDescription, networkShape } from "@consilium/learning/network/description"
import { badModel, type ModelLayer, type TrainedModel } from "./model.js"

/**
 * A network of `@consilium/learning` as a model of layers with their numbers. What does nothing outside training is left out.
 *
 * Shape: parameters as `networkShape` places them; dense weights there are inputs x outputs
 * @throws {ConsiliumError} "inference/bad-model" with the layer that cannot be evaluated on ciphertexts
 */
export const trainedNetwork = (
  description: NetworkDescription,
  parameters: ArrayLike<number>,
): TrainedModel => {
  const shape = networkShape(description)
  if (parameters.length !== shape.parameters)
    badModel(`A network of ${shape.parameters} parameters was given ${parameters.length}.`)
  const layers = shape.layers.flatMap(
    ({ layer, input, output, parameterStart }, at): readonly ModelLayer[] => {
      if (layer.kind === "flatten" || layer.kind === "dropout") return []
      if (layer.kind === "square" || layer.kind === "polynomial") return [layer]
      if (layer.kind !== "dense")
        return badModel(`Layer ${at + 1} (${layer.kind}) cannot be evaluated on encrypted patients.`)
      const [inputs, outputs] = [input[0], output[0]]
      const number = (i: number): number => parameters[parameterStart + i] as number
      const weights = Array.from({ length: outputs }, (_, o) =>
        Array.from({ length: inputs }, (_, i) => number(i * outputs + o)),
      )
      return [
        {
          kind: "dense",
          weights,
          biases: Array.from({ length: outputs }, (_, o) => number(inputs * outputs + o)),
        },
      ]
    },
  )
  return { kind: "network", layers }
}
