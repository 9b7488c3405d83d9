import { readFile, stat } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { type TrainedModelFile, trainedModelFromJson } from "@consilium/inference/files/trained-model-file"
import { errno, storeError } from "@consilium/node/store/files"

/** The name of a trained model's file in its folder. */
export const MODEL_FILE = "model.json"

/** A trained model and the path of its file, given by that or by its folder. */
export interface ModelSource {
  readonly path: string
  readonly trained: TrainedModelFile
}

/** @throws {ConsiliumError} "inference/missing-file", "inference/bad-file"; as `trainedModelFromJson` */
export const readTrainedModel = async (given: string): Promise<ModelSource> => {
  const there = await stat(resolve(given)).catch(() => null)
  const path = there?.isDirectory() ? join(resolve(given), MODEL_FILE) : resolve(given)
  const json = await readFile(path, "utf8").catch((error) => {
    if (errno(error) !== "ENOENT") throw storeError(error, `read ${path}`)
    throw new ConsiliumError("inference/missing-file", `${path} is not there.`, {
      remedy: `Give the folder that \`infer train\` wrote, or the path of its ${MODEL_FILE}.`,
      cause: error,
    })
  })
  return { path, trained: trainedModelFromJson(json, path) }
}
