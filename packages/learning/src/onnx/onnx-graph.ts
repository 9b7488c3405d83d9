import { concatBytes } from "@consilium/base/bytes"
import { message, number, numbers, text } from "./protobuf.js"

/** Numbers of types of data: TensorProto.DataType. */
const TYPES = { float: 1, int64: 7, double: 11 } as const
export type OnnxType = "float" | "double"

/** A side of a shape: a length, or the name of one that is free. */
export type Side = number | string

// field numbers from onnx.proto3, IR version 8
const MODEL = { irVersion: 1, producer: 2, producerVersion: 3, graph: 7, operators: 8, metadata: 14 }
const OPERATORS = { domain: 1, version: 2 }
const ENTRY = { key: 1, value: 2 }
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 }
const NODE = { input: 1, output: 2, name: 3, operator: 4, attribute: 5 }
const ATTRIBUTE = { name: 1, float: 2, integer: 3, integers: 8, type: 20 }
const ATTRIBUTE_TYPES = { float: 1, integer: 2, integers: 7 }
const TENSOR = { dims: 1, dataType: 2, name: 8, raw: 9 }
const VALUE = { name: 1, type: 2 }
const IR_VERSION = 8
const OPERATOR_VERSION = 17

const FIXED32 = 5

/** Attributes of a node: one whole number, several, or a fraction. */
export type Attributes = Readonly<Record<string, number | readonly number[] | { readonly fraction: number }>>

const attribute = (name: string, value: Attributes[string]): Uint8Array => {
  if (typeof value === "number")
    return concatBytes(
      text(ATTRIBUTE.name, name),
      number(ATTRIBUTE.integer, value),
      number(ATTRIBUTE.type, ATTRIBUTE_TYPES.integer),
    )
  if (Array.isArray(value))
    return concatBytes(
      text(ATTRIBUTE.name, name),
      numbers(ATTRIBUTE.integers, value),
      number(ATTRIBUTE.type, ATTRIBUTE_TYPES.integers),
    )
  const fraction = new Uint8Array(5)
  fraction[0] = 8 * ATTRIBUTE.float + FIXED32
  new DataView(fraction.buffer).setFloat32(1, (value as { fraction: number }).fraction, true)
  return concatBytes(text(ATTRIBUTE.name, name), fraction, number(ATTRIBUTE.type, ATTRIBUTE_TYPES.float))
}

const valueInfo = (name: string, type: OnnxType, shape: readonly Side[]): Uint8Array => {
  const sides = shape.map((side) => message(1, typeof side === "number" ? number(1, side) : text(2, side)))
  return concatBytes(
    text(VALUE.name, name),
    message(VALUE.type, message(1, number(1, TYPES[type]), message(2, ...sides))),
  )
}

/** Collects an ONNX graph, node after node. All numbers of the graph have one type. */
export class OnnxGraph {
  readonly #type: OnnxType
  readonly #nodes: Uint8Array[] = []
  readonly #constants: Uint8Array[] = []
  readonly #inputs: Uint8Array[] = []
  readonly #outputs: Uint8Array[] = []
  #values = 0

  constructor(type: OnnxType) {
    this.#type = type
  }

  input(name: string, shape: readonly Side[]): string {
    this.#inputs.push(message(GRAPH.input, valueInfo(name, this.#type, shape)))
    return name
  }

  /** Gives a value out under a name. */
  output(value: string, name: string, shape: readonly Side[]): void {
    this.node("Identity", [value], {}, name)
    this.#outputs.push(message(GRAPH.output, valueInfo(name, this.#type, shape)))
  }

  /** Adds a node and gives the name of its output. */
  node(
    operator: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    name = this.#next(),
  ): string {
    this.#nodes.push(
      message(
        GRAPH.node,
        ...inputs.map((input) => text(NODE.input, input)),
        text(NODE.output, name),
        text(NODE.name, `make ${name}`),
        text(NODE.operator, operator),
        ...Object.entries(attributes).map(([key, value]) => message(NODE.attribute, attribute(key, value))),
      ),
    )
    return name
  }

  /** Adds numbers of the graph's type, and gives their name. */
  constant(values: ArrayLike<number>, shape: readonly number[], name = this.#next()): string {
    const width = this.#type === "float" ? 4 : 8
    const raw = new Uint8Array(width * values.length)
    const view = new DataView(raw.buffer)
    for (let i = 0; i < values.length; i++)
      if (width === 4) view.setFloat32(4 * i, values[i] as number, true)
      else view.setFloat64(8 * i, values[i] as number, true)
    return this.#tensor(TYPES[this.#type], raw, shape, name)
  }

  /** Adds whole numbers, such as a shape; -1 stands for "what is left". */
  integers(values: readonly number[]): string {
    const raw = new Uint8Array(8 * values.length)
    const view = new DataView(raw.buffer)
    values.forEach((value, i) => {
      view.setBigInt64(8 * i, BigInt(value), true)
    })
    return this.#tensor(TYPES.int64, raw, [values.length], this.#next())
  }

  #tensor(type: number, raw: Uint8Array, shape: readonly number[], name: string): string {
    this.#constants.push(
      message(
        GRAPH.initializer,
        numbers(TENSOR.dims, shape),
        number(TENSOR.dataType, type),
        text(TENSOR.name, name),
        message(TENSOR.raw, raw),
      ),
    )
    return name
  }

  #next(): string {
    return `value-${this.#values++}`
  }

  /** The bytes of the ONNX file. */
  file(name: string, metadata: Readonly<Record<string, string>>): Uint8Array {
    return concatBytes(
      number(MODEL.irVersion, IR_VERSION),
      text(MODEL.producer, "consilium"),
      message(
        MODEL.graph,
        ...this.#nodes,
        text(GRAPH.name, name),
        ...this.#constants,
        ...this.#inputs,
        ...this.#outputs,
      ),
      message(MODEL.operators, text(OPERATORS.domain, ""), number(OPERATORS.version, OPERATOR_VERSION)),
      ...Object.entries(metadata).map(([key, value]) =>
        message(MODEL.metadata, text(ENTRY.key, key), text(ENTRY.value, value)),
      ),
    )
  }
}
