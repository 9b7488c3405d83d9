import { digestHex } from "@consilium/base/hash"
import {
  type LayerDescription,
  type NetworkShape,
  networkShape,
  type PlacedLayer,
} from "../network/description.js"
import type { Network } from "../network/network.js"
import { networkParameterHash, networkTensors } from "../network/network-file.js"
import { OnnxGraph } from "./onnx-graph.js"

const GROUP_NORM_EPSILON = 1e-5

/** A value of the graph, and in which order its axes lie: images are turned to channels-first where ONNX wants them so. */
interface Value {
  readonly name: string
  readonly channelsFirst: boolean
}

/** height x width x in x out to out x in x height x width. */
const channelsFirstWeights = (weights: Float32Array, shape: readonly number[]): Float32Array => {
  const [height = 0, width = 0, ins = 0, outs = 0] = shape
  const out = new Float32Array(weights.length)
  let at = 0
  for (let o = 0; o < outs; o++)
    for (let i = 0; i < ins; i++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) out[at++] = weights[((y * width + x) * ins + i) * outs + o] as number
  return out
}

const firstly = (graph: OnnxGraph, { name, channelsFirst }: Value): string =>
  channelsFirst ? name : graph.node("Transpose", [name], { perm: [0, 3, 1, 2] })

const polynomial = (graph: OnnxGraph, x: string, coefficients: readonly number[]): string => {
  const number = (value: number): string => graph.constant([value], [])
  const degree = coefficients.length - 1
  let value = number(coefficients[degree] as number)
  if (degree === 0) return graph.node("Add", [graph.node("Mul", [x, number(0)]), value])
  for (let at = degree - 1; at >= 0; at--)
    value = graph.node("Add", [graph.node("Mul", [value, x]), number(coefficients[at] as number)])
  return value
}

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>

const addLayer = (graph: OnnxGraph, placed: PlacedLayer, tensors: Tensors, x: Value): Value => {
  const { layer, input, blocks } = placed
  const tensor = (part: number) => {
    const { name } = blocks[part] as { name: string }
    return { name, ...(tensors.get(name) as { shape: readonly number[]; values: Float32Array }) }
  }
  const constant = (part: number, shape?: readonly number[]): string => {
    const { name, shape: own, values } = tensor(part)
    return graph.constant(values, shape ?? own, name)
  }
  const same = (name: string): Value => ({ name, channelsFirst: x.channelsFirst })
  const pool = (
    operator: string,
    { size, stride }: LayerDescription & { kind: "max-pool" | "average-pool" },
  ): Value => ({
    name: graph.node(operator, [firstly(graph, x)], { kernel_shape: size, strides: stride }),
    channelsFirst: true,
  })
  switch (layer.kind) {
    case "dense":
      return same(graph.node("Gemm", [x.name, constant(0), constant(1)]))
    case "conv2d": {
      const { name, shape, values } = tensor(0)
      const [height = 0, width = 0, ins = 0, outs = 0] = shape
      const weights = graph.constant(channelsFirstWeights(values, shape), [outs, ins, height, width], name)
      const attributes = { kernel_shape: layer.size, strides: layer.stride, pads: layer.padding }
      const result = graph.node("Conv", [firstly(graph, x), weights, constant(1)], attributes)
      return { name: result, channelsFirst: true }
    }
    case "max-pool":
      return pool("MaxPool", layer)
    case "average-pool":
      return pool("AveragePool", layer)
    case "group-norm": {
      const channels = input[input.length - 1] as number
      const images = input.length === 3
      const from = images ? firstly(graph, x) : x.name
      const grouped = graph.node("Reshape", [from, graph.integers([0, layer.groups, -1])])
      const [one, none] = [1, 0].map((value) =>
        graph.constant(new Float32Array(layer.groups).fill(value), [layer.groups]),
      ) as [string, string]
      const normal = graph.node("InstanceNormalization", [grouped, one, none], {
        epsilon: { fraction: GROUP_NORM_EPSILON },
      })
      const back = images ? [0, channels, input[0], input[1] as number] : [0, channels]
      const restored = graph.node("Reshape", [normal, graph.integers(back)])
      const sides = images ? [channels, 1, 1] : [channels]
      const name = graph.node("Add", [graph.node("Mul", [restored, constant(0, sides)]), constant(1, sides)])
      return { name, channelsFirst: images }
    }
    case "relu":
      return same(graph.node("Relu", [x.name]))
    case "square":
      return same(graph.node("Mul", [x.name, x.name]))
    case "polynomial":
      return same(polynomial(graph, x.name, layer.coefficients))
    case "flatten": {
      if (input.length === 1) return x
      const lastly = x.channelsFirst ? graph.node("Transpose", [x.name], { perm: [0, 2, 3, 1] }) : x.name
      return { name: graph.node("Flatten", [lastly], { axis: 1 }), channelsFirst: false }
    }
    case "dropout":
      return x
  }
}

const addPredictions = (graph: OnnxGraph, outputs: string, network: Network, shape: NetworkShape): void => {
  const { loss } = network.description
  const sides = ["rows", shape.outputs]
  graph.output(outputs, "outputs", sides)
  if (loss === "sigmoid-cross-entropy") graph.output(graph.node("Sigmoid", [outputs]), "predictions", sides)
  if (loss === "softmax-cross-entropy")
    graph.output(graph.node("Softmax", [outputs], { axis: 1 }), "predictions", sides)
}

/**
 * A network as an ONNX file (operators of version 17, 32-bit floats), for programs that know nothing of this one. Input:
 * `inputs`, any number of rows in the network's own form (images line by line, channels of a pixel together). Outputs:
 * `outputs`, as `networkOutputs`, and, but for the squared error, `predictions`, as `networkPredictions`. Dropout layers
 * are left out, group-norm is written as an instance normalisation of its groups. The file names the network's parameter
 * hash.
 *
 * Source: ONNX 1.12 (IR version 8, operator set 17)
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters" on a network that is none
 */
export const networkToOnnx = (network: Network): Uint8Array => {
  const parameterHash = digestHex(networkParameterHash(network))
  const { description } = network
  const shape = networkShape(description)
  const graph = new OnnxGraph("float")
  const tensors: Tensors = new Map(networkTensors(network).map((tensor) => [tensor.name, tensor]))
  let value: Value = { name: graph.input("inputs", ["rows", ...description.input]), channelsFirst: false }
  for (const placed of shape.layers) value = addLayer(graph, placed, tensors, value)
  addPredictions(graph, value.name, network, shape)
  return graph.file("network", { parameterHash })
}
