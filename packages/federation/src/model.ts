import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { PrfStream, SecretKey } from "@consilium/base/random"
import { initialParameters } from "@consilium/learning/architecture"
import type { Provenance } from "@consilium/learning/model-container"
import { decodeModel, encodeModel, parameterHash } from "@consilium/learning/model-file"
import { descriptionCodec } from "@consilium/learning/network/description-codec"
import { initialNetwork } from "@consilium/learning/network/network"
import {
  decodeNetworkModel,
  encodeNetworkModel,
  networkParameterHash,
} from "@consilium/learning/network/network-file"
import { applyUpdate, type ServerState } from "@consilium/learning/server-optimiser"
import { serverOptimiserOf } from "./leader-state.js"
import { isNetwork, networkOf } from "./network-training.js"
import { type Study, studyDigest } from "./study.js"
import { architectureOf } from "./training.js"

/** The model every study starts from: public, and the same for everyone who knows the study's nonce. */
export const initialModel = (study: Study): Float64Array => {
  const random = new PrfStream(new SecretKey(study.nonce), "initial-weights")
  return isNetwork(study)
    ? Float64Array.from(initialNetwork(study.model.description, random).parameters)
    : initialParameters(architectureOf(study), random)
}

/**
 * The global model after a round, and what the server's rule remembers. A network's parameters are rounded to the 32 bits of
 * its model file, so that whoever reads the file goes on from the same numbers.
 *
 * @throws {ConsiliumError} "learning/bad-parameters", "learning/diverged"
 */
export const moveModel = (
  study: Study,
  server: ServerState,
  parameters: Float64Array,
  meanUpdate: Float64Array,
): { readonly parameters: Float64Array; readonly state: ServerState } => {
  const moved = applyUpdate(serverOptimiserOf(study), server, parameters, meanUpdate)
  if (!isNetwork(study)) return moved
  const rounded = moved.parameters.map((value) => Math.fround(value) + 0)
  if (!rounded.every(Number.isFinite))
    throw new ConsiliumError("learning/diverged", "A parameter of the network would overflow 32 bits.")
  return { ...moved, parameters: rounded }
}

/** What must be known of every model of a study. */
export const modelFlags = ({ insecureSeed, syntheticData }: Study): readonly string[] => [
  ...(insecureSeed === null ? [] : ["insecure-seed"]),
  ...(syntheticData ? ["synthetic-data"] : []),
]

const provenanceOf = (study: Study, round: number): Provenance => ({
  study: toHex(studyDigest(study)),
  round,
  flags: modelFlags(study),
})

/** A model as it travels and is stored, marked for what it is. */
export const modelFile = (study: Study, parameters: Float64Array, round: number): Uint8Array =>
  isNetwork(study)
    ? encodeNetworkModel({
        network: networkOf(study, parameters),
        inputNames: study.model.features,
        provenance: provenanceOf(study, round),
      })
    : encodeModel({
        architecture: architectureOf(study),
        parameters,
        featureNames: study.model.features,
        provenance: provenanceOf(study, round),
      })

const wrongModel = (): ConsiliumError =>
  new ConsiliumError("round/wrong-model", "The model is not of the study's architecture.")

/**
 * The parameters of a model file, if it is of the study's architecture.
 * @throws {ConsiliumError} "round/wrong-model", "model/..."
 */
export const modelParameters = (study: Study, file: Uint8Array): Float64Array => {
  if (isNetwork(study)) {
    const { network } = decodeNetworkModel(file)
    const bytesOf = (description: typeof network.description): Uint8Array =>
      encode(descriptionCodec, description)
    if (!equalBytes(bytesOf(network.description), bytesOf(study.model.description))) throw wrongModel()
    return Float64Array.from(network.parameters)
  }
  const model = decodeModel(file)
  if (
    model.architecture.kind !== study.model.kind ||
    model.architecture.inputs !== study.model.features.length
  )
    throw wrongModel()
  return model.parameters
}

/** The parameter hash by which rounds name their models. */
export const modelHashOf = (study: Study, parameters: Float64Array): Uint8Array =>
  isNetwork(study)
    ? networkParameterHash(networkOf(study, parameters))
    : parameterHash(architectureOf(study), parameters)
