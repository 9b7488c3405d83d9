import { concatBytes } from "@consilium/base/bytes"
import {
  bytes,
  decode,
  encode,
  fixedBytes,
  list,
  oneOf,
  record,
  text,
  u16,
  u32,
} from "@consilium/base/encoding"
import { type Digest, hash } from "@consilium/base/hash"
import {
  checkProvenance,
  contentHash,
  inconsistent,
  MODEL_MAGIC,
  openModel,
  type Provenance,
  provenanceCodec,
  sealModel,
} from "../model-container.js"
import { MAX_SIZE, networkShape } from "./description.js"
import { descriptionCodec } from "./description-codec.js"
import { checkNetwork, type Network } from "./network.js"

/** A network as it is stored and handed on. */
export interface NetworkModel {
  readonly network: Network
  /** The name of each input, in order; empty for inputs that have none, such as pixels. */
  readonly inputNames: readonly string[]
  readonly provenance: Provenance
}

/** What `modelFileVersion` gives for the file of a network. */
export const NETWORK_VERSION = 2

const littleEndian = (values: Float32Array): Uint8Array => {
  const out = new Uint8Array(4 * values.length)
  const view = new DataView(out.buffer)
  // + 0: a negative zero is written as zero, so that equal models have equal bytes
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, (values[i] as number) + 0, true)
  return out
}

/**
 * The hash by which two trainings of a network are compared: of what it computes and of nothing else.
 *
 * Math: SHA-256-framed("network-parameters", canonical description, parameters as little-endian 32-bit floats)
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters" on a network that is none
 */
export const networkParameterHash = (network: Network): Digest => {
  checkNetwork(network)
  return hash(
    "network-parameters",
    encode(descriptionCodec, network.description),
    littleEndian(network.parameters),
  )
}

const bodyCodec = record({
  magic: fixedBytes(MODEL_MAGIC.length),
  version: u16,
  description: descriptionCodec,
  tensors: list(
    record({ name: text(64), shape: list(u32, 8), dtype: oneOf("f32"), data: bytes(4 * MAX_SIZE) }),
    512,
  ),
  inputNames: list(text(256), MAX_SIZE),
  provenance: provenanceCodec,
})

const checkModel = ({ network, inputNames, provenance }: NetworkModel): void => {
  checkNetwork(network)
  const { inputs } = networkShape(network.description)
  if (inputNames.length !== 0 && inputNames.length !== inputs)
    inconsistent(`A network of ${inputs} inputs has ${inputNames.length} input names.`)
  if (new Set(inputNames).size !== inputNames.length || inputNames.includes(""))
    inconsistent("An input name is empty or given twice.")
  checkProvenance(provenance)
}

/** The blocks of a network's parameters, with the numbers of each as a view of the flat array. */
export const networkTensors = ({
  description,
  parameters,
}: Network): readonly { name: string; shape: readonly number[]; values: Float32Array }[] => {
  let at = 0
  return networkShape(description).layers.flatMap(({ blocks }) =>
    blocks.map(({ name, shape }) => {
      const start = at
      at += shape.reduce((product, side) => product * side, 1)
      return { name, shape, values: parameters.subarray(start, at) }
    }),
  )
}

const modelBody = (model: NetworkModel): Uint8Array => {
  checkModel(model)
  const { network, inputNames, provenance } = model
  return encode(bodyCodec, {
    magic: MODEL_MAGIC,
    version: NETWORK_VERSION,
    description: network.description,
    tensors: networkTensors(network).map(({ name, shape, values }) => ({
      name,
      shape,
      dtype: "f32" as const,
      data: littleEndian(values),
    })),
    inputNames,
    provenance,
  })
}

/** The content hash of a network's file, under which it is stored. It covers names and provenance too. */
export const networkModelHash = (model: NetworkModel): Digest => contentHash(modelBody(model))

/**
 * The canonical file of a network: one byte string per model, its content hash as the last 32 bytes.
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters", "model/inconsistent" or
 *   "encoding/bad-value" on a model that cannot be written
 */
export const encodeNetworkModel = (model: NetworkModel): Uint8Array => sealModel(modelBody(model))

/**
 * The network of a file; every byte string that `encodeNetworkModel` would not have written is refused.
 * @throws {ConsiliumError} "model/unreadable" on a foreign, cut or altered file, or one of another kind of model;
 *   "model/inconsistent", "learning/bad-setting", "learning/bad-parameters", "encoding/malformed" or "encoding/too-large"
 *   on one whose hash is right but whose content is not
 */
export const decodeNetworkModel = (file: Uint8Array): NetworkModel => {
  const { description, tensors, inputNames, provenance } = decode(bodyCodec, openModel(file, NETWORK_VERSION))
  const expected = networkShape(description).layers.flatMap(({ blocks }) => blocks)
  const wrong = tensors.some(({ name, shape, data }, i) => {
    const wanted = expected[i]
    const size = shape.reduce((product, side) => product * side, 1)
    return name !== wanted?.name || shape.join() !== wanted.shape.join() || data.length !== 4 * size
  })
  if (wrong || tensors.length !== expected.length)
    inconsistent("The tensors of a model file are not those of its network.")
  const data = concatBytes(...tensors.map((tensor) => tensor.data))
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const parameters = Float32Array.from({ length: data.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
  if (parameters.some((value) => Object.is(value, -0))) inconsistent("A parameter is a negative zero.")
  const model: NetworkModel = { network: { description, parameters }, inputNames, provenance }
  checkModel(model)
  return model
}
