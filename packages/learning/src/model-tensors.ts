import { ConsiliumError } from "@consilium/base/errors"
import { type Architecture, checkArchitecture, checkParameters, tensorShapes } from "./architecture.js"
import { type NetworkDescription, networkShape } from "./network/description.js"
import { checkNetwork, type Network } from "./network/network.js"
import { networkTensors } from "./network/network-file.js"
import { decodeSafetensors, encodeSafetensors, type SafeTensor } from "./safetensors.js"

const LAYOUT = "dense: inputs x outputs; conv2d: height x width x channels in x channels out"

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1)

/** The numbers of tensors that must be exactly those expected, whatever order the file has them in. */
const gather = (
  found: readonly SafeTensor[],
  expected: readonly { readonly name: string; readonly shape: readonly number[] }[],
  width: 4 | 8,
): number[] => {
  const byName = new Map(found.map((tensor) => [tensor.name, tensor]))
  const fits =
    found.length === expected.length &&
    expected.every(({ name, shape }) => {
      const tensor = byName.get(name)
      return tensor?.shape.join() === shape.join() && tensor.values.BYTES_PER_ELEMENT === width
    })
  if (!fits)
    throw new ConsiliumError(
      "model/inconsistent",
      `A file of ${found.length} tensors does not hold the ${expected.length} tensors of the model, in their shapes, as ${8 * width}-bit floats.`,
    )
  return expected.flatMap(({ name }) => [...(byName.get(name) as SafeTensor).values])
}

/**
 * The parameters of a network as a safetensors file of 32-bit floats. The bits of the parameters are kept.
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters" on a network that is none
 */
export const networkToSafetensors = (network: Network): Uint8Array => {
  checkNetwork(network)
  return encodeSafetensors({ tensors: networkTensors(network), metadata: { layout: LAYOUT } })
}

/**
 * A network of a description, with the parameters of a safetensors file.
 * @throws {ConsiliumError} "model/unreadable" on a broken file; "model/inconsistent" if its tensors are not those of the
 *   description; "learning/bad-parameters" if a number is not finite; "learning/bad-setting" on a description that is none
 */
export const networkFromSafetensors = (description: NetworkDescription, file: Uint8Array): Network => {
  const { layers } = networkShape(description)
  const { tensors } = decodeSafetensors(file)
  const expected = layers.flatMap(({ blocks }) => blocks)
  const network: Network = { description, parameters: Float32Array.from(gather(tensors, expected, 4)) }
  checkNetwork(network)
  return network
}

/**
 * The parameters of a logistic regression as a safetensors file of 64-bit floats.
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters"
 */
export const logisticToSafetensors = (architecture: Architecture, parameters: Float64Array): Uint8Array => {
  checkParameters(architecture, parameters)
  let at = 0
  const tensors = tensorShapes(architecture).map(({ name, shape }) => {
    const start = at
    at += sizeOf(shape)
    return { name, shape, values: parameters.subarray(start, at) }
  })
  return encodeSafetensors({ tensors, metadata: {} })
}

/**
 * The parameters of a logistic regression from a safetensors file.
 * @throws {ConsiliumError} "model/unreadable", "model/inconsistent", "learning/bad-parameters", "learning/bad-setting"
 */
export const logisticFromSafetensors = (architecture: Architecture, file: Uint8Array): Float64Array => {
  checkArchitecture(architecture)
  const parameters = Float64Array.from(gather(decodeSafetensors(file).tensors, tensorShapes(architecture), 8))
  checkParameters(architecture, parameters)
  return parameters
}
