import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { modelFlags, modelHashOf, modelParameters } from "@consilium/federation/model"
import { isNetwork } from "@consilium/federation/network-training"
import type { Study } from "@consilium/federation/study"
import { type CompiledModel, compile } from "@consilium/inference/compile/compile"
import type { TrainedModel } from "@consilium/inference/model/model"
import { trainedNetwork } from "@consilium/inference/model/trained-network"
import type { WeightsMode } from "@consilium/inference/plan/plan"
import type { Feature } from "@consilium/records/features"
import { tableOf } from "../config/table-form.js"
import { inputSchemaOf } from "./input-schema.js"

/** Parameters of the largest network whose plan a leader looks for: beside its rounds, for a second at most. */
const MOST_PARAMETERS = 4096

const notOffered = (message: string, remedy: string): never => {
  throw new ConsiliumError("inference/not-offered", message, { remedy })
}

const trainedOf = (study: Study, parameters: Float64Array): TrainedModel =>
  isNetwork(study)
    ? trainedNetwork(study.model.description, parameters)
    : { kind: "linear", weights: [...parameters.subarray(0, -1)], bias: parameters.at(-1) as number }

/** Which models of studies a leader offers, and how. */
export interface OfferRules {
  readonly weights: WeightsMode
  /** The largest privacy budget, in nats, of a study whose model may be known to all who ask. */
  readonly largestEpsilon: number
}

/**
 * The model of a study as it answers encrypted patients.
 * @param file of the model, as the study's log has it
 * @throws {ConsiliumError} "inference/not-offered" with what stands in the way; "inference/no-plan", "inference/bad-model"
 */
export const compiledStudyModel = (
  study: Study,
  file: Uint8Array,
  round: number,
  { weights, largestEpsilon }: OfferRules,
): CompiledModel => {
  const { privacy, data } = study
  const { features } = study.model
  if (privacy === null)
    return notOffered(
      "It was trained without differential privacy, on figures that each facility scaled by its own mean and deviation.",
      "Train it with differential privacy, whose declared constants scale all facilities' figures alike.",
    )
  if (privacy.epsilon > largestEpsilon)
    return notOffered(
      `Its privacy budget is epsilon ${privacy.epsilon}; this leader offers models of at most ${largestEpsilon}.`,
      "Train it with a smaller budget, or raise inference.largest_epsilon in leader.yaml if the model may be known.",
    )
  if (study.insecureSeed !== null && !study.syntheticData)
    return notOffered(
      "All its noise follows from a public seed, so it protects none of its patients.",
      "Train it without a seed.",
    )
  if (features.length === 0)
    return notOffered("It takes images, which no plan encrypts.", "Train a model on columns of a table.")
  const table = tableOf(features, data?.schema ?? null)
  if (table === null)
    return notOffered(
      "The leader does not know units and ranges of its features: they are of no built-in schema, or mark missing values.",
      "Export the model and compile it by hand with a schema of its own.",
    )
  const schema = inputSchemaOf(
    table.schema,
    features.map((name) => table.features.find((one) => one.name === name) as Feature),
  )
  const parameters = modelParameters(study, file)
  if (isNetwork(study) && parameters.length > MOST_PARAMETERS)
    return notOffered(
      `It has ${parameters.length} parameters; a leader looks for the plans of networks of up to ${MOST_PARAMETERS}.`,
      "Export the model and compile it by hand, where that may take minutes.",
    )
  return compile(trainedOf(study, parameters), schema, {
    model: study.name,
    version: `round-${round}-${toHex(modelHashOf(study, parameters)).slice(0, 8)}`,
    marks: modelFlags(study),
    weights,
    scaling: {
      source: "declared",
      means: privacy.standardise.map(({ mean }) => mean),
      deviations: privacy.standardise.map(({ deviation }) => deviation),
    },
  })
}
