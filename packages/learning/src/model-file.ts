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
  type Architecture,
  architectureCodec,
  checkParameters,
  MAX_INPUTS,
  tensorShapes,
} from "./architecture.js"
import {
  checkProvenance,
  contentHash,
  inconsistent,
  MODEL_MAGIC,
  openModel,
  type Provenance,
  provenanceCodec,
  sealModel,
} from "./model-container.js"

/** A model as it is stored and handed on. */
export interface Model {
  readonly architecture: Architecture
  readonly parameters: Float64Array
  /** The name of each input column, in order. */
  readonly featureNames: readonly string[]
  readonly provenance: Provenance
}

const VERSION = 1

const littleEndian = (values: Float64Array): Uint8Array => {
  const out = new Uint8Array(8 * values.length)
  const view = new DataView(out.buffer)
  // + 0: a negative zero is written as zero, so that equal models have equal bytes
  for (let i = 0; i < values.length; i++) view.setFloat64(8 * i, (values[i] as number) + 0, true)
  return out
}

const fromLittleEndian = (data: Uint8Array): Float64Array => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  return Float64Array.from({ length: data.length / 8 }, (_, i) => view.getFloat64(8 * i, true))
}

/**
 * The hash by which two trainings are compared: of what the model computes and of nothing else. The same training
 * under another protection, study name or day has the same parameter hash if and only if it gave the same model to the
 * last bit.
 *
 * Math:  SHA-256-framed("model-parameters", canonical architecture, parameters as little-endian doubles)
 * Shape: parameters: parameterCount(architecture)
 * @throws {ConsiliumError} "learning/bad-parameters" if the parameters do not fit or are not finite
 */
export const parameterHash = (architecture: Architecture, parameters: Float64Array): Digest => {
  checkParameters(architecture, parameters)
  return hash("model-parameters", encode(architectureCodec, architecture), littleEndian(parameters))
}

const tensorCodec = record({
  name: text(64),
  shape: list(u32, 8),
  dtype: oneOf("f64"),
  data: bytes(8 * MAX_INPUTS),
})

const bodyCodec = record({
  magic: fixedBytes(MODEL_MAGIC.length),
  version: u16,
  architecture: architectureCodec,
  tensors: list(tensorCodec, 16),
  featureNames: list(text(256), MAX_INPUTS),
  provenance: provenanceCodec,
})

const checkModel = (model: Model): void => {
  checkParameters(model.architecture, model.parameters)
  const { featureNames, provenance } = model
  const { inputs } = model.architecture
  if (featureNames.length !== inputs)
    inconsistent(`A model of ${inputs} inputs has ${featureNames.length} feature names.`)
  if (new Set(featureNames).size !== featureNames.length || featureNames.includes(""))
    inconsistent("A feature name is empty or given twice.")
  checkProvenance(provenance)
}

const modelBody = (model: Model): Uint8Array => {
  checkModel(model)
  let at = 0
  const tensors = tensorShapes(model.architecture).map(({ name, shape }) => {
    const length = shape.reduce((product, size) => product * size, 1)
    at += length
    return {
      name,
      shape,
      dtype: "f64" as const,
      data: littleEndian(model.parameters.subarray(at - length, at)),
    }
  })
  const { architecture, featureNames, provenance } = model
  return encode(bodyCodec, {
    magic: MODEL_MAGIC,
    version: VERSION,
    architecture,
    tensors,
    featureNames,
    provenance,
  })
}

/**
 * The content hash of a model file: it covers everything in it, names and provenance too, and is the address under
 * which the model is stored. To compare what two models compute, use `parameterHash`.
 *
 * Math: SHA-256-framed("model-file", all bytes of the file but its last 32)
 */
export const modelHash = (model: Model): Digest => contentHash(modelBody(model))

/**
 * The canonical file of a model: one byte string per model, its content hash as the last 32 bytes.
 * @throws {ConsiliumError} "learning/bad-parameters", "model/inconsistent" or "encoding/bad-value" on a model that
 *   cannot be written
 */
export const encodeModel = (model: Model): Uint8Array => sealModel(modelBody(model))

/**
 * The model of a file; every byte string that `encodeModel` would not have written is refused.
 * @throws {ConsiliumError} "model/unreadable" on a foreign, newer, cut or altered file; "model/inconsistent",
 *   "learning/bad-parameters" or "encoding/malformed" on one whose hash is right but whose content is not
 */
export const decodeModel = (file: Uint8Array): Model => {
  const { architecture, tensors, featureNames, provenance } = decode(bodyCodec, openModel(file, VERSION))
  const expected = tensorShapes(architecture)
  const wrong = tensors.some(({ name, shape, data }, i) => {
    const wanted = expected[i]
    const size = shape.reduce((product, length) => product * length, 1)
    return name !== wanted?.name || shape.join() !== wanted.shape.join() || data.length !== 8 * size
  })
  if (wrong || tensors.length !== expected.length)
    inconsistent("The tensors of a model file are not those of its architecture.")
  const parameters = fromLittleEndian(concatBytes(...tensors.map(({ data }) => data)))
  if (parameters.some((value) => Object.is(value, -0))) inconsistent("A parameter is a negative zero.")
  const model: Model = { architecture, parameters, featureNames, provenance }
  checkModel(model)
  return model
}
