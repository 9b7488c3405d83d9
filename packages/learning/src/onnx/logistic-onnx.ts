import { digestHex } from "@consilium/base/hash"
import type { Architecture } from "../architecture.js"
import { parameterHash } from "../model-file.js"
import { OnnxGraph } from "./onnx-graph.js"

/**
 * A logistic regression as an ONNX file (operators of version 17, 64-bit floats). Input: `inputs`, rows x inputs. Outputs:
 * `outputs`, the logits, and `predictions`, the probabilities of label 1, each rows x 1.
 *
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters"
 */
export const logisticToOnnx = (architecture: Architecture, parameters: Float64Array): Uint8Array => {
  const hash = digestHex(parameterHash(architecture, parameters))
  const { inputs } = architecture
  const graph = new OnnxGraph("double")
  const rows = graph.input("inputs", ["rows", inputs])
  const weights = graph.constant(parameters.subarray(0, inputs), [inputs, 1], "weights")
  const bias = graph.constant(parameters.subarray(inputs), [1], "bias")
  const logits = graph.node("Add", [graph.node("MatMul", [rows, weights]), bias])
  graph.output(logits, "outputs", ["rows", 1])
  graph.output(graph.node("Sigmoid", [logits]), "predictions", ["rows", 1])
  return graph.file("logistic-regression", { parameterHash: hash })
}
