import { type CompiledModel, type CompileOptions, compile } from "@consilium/inference/compile/compile"
import type { TrainedModelFile } from "@consilium/inference/files/trained-model-file"

/** A trained model's plan and server half, with all that its file says of it. */
export const compileTrained = (
  { model, schema, name, version, scaling, calibration, training }: TrainedModelFile,
  options: Pick<CompileOptions, "weights" | "largestError" | "packing">,
): CompiledModel =>
  compile(model, schema, {
    model: name,
    version,
    marks: training?.synthetic ? ["synthetic-data"] : [],
    scaling,
    calibration,
    ...options,
  })
