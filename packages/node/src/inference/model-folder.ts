import { join, resolve } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import type { CompiledModel } from "@consilium/inference/compile/compile"
import {
  type ServerModel,
  serverModelFromBytes,
  serverModelToBytes,
} from "@consilium/inference/files/server-model"
import { type InferencePlan, planFromBytes, planHash, planToBytes } from "@consilium/inference/plan/plan"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import {
  makePrivateFolder,
  readIfThere,
  readPrivateFile,
  storeError,
  writeFileAtomic,
} from "../store/files.js"
import { planView, planViewSchema } from "./plan-view.js"

/**
 * A compiled model on disk. The plan is public, as bytes and in words; the model in whole numbers and the proof tell of the weights
 * and are for their owner alone.
 */
export const COMPILED_FILES = {
  plan: "plan.bin",
  view: "plan.json",
  model: "server-model.bin",
  proof: "proof.json",
} as const

const jsonBytes = (value: unknown): Uint8Array =>
  utf8(`${JSON.stringify(value, (_, one) => (typeof one === "bigint" ? one.toString() : one), 1)}\n`)

/**
 * Writes a compiled model into a folder, over an older one. Each file appears whole; the plan comes last, so that after a crash on the
 * way the model is refused as another plan's rather than taken.
 *
 * @throws {ConsiliumError} "store/full", "store/failed"
 */
export const writeCompiledFolder = async (folder: string, compiled: CompiledModel): Promise<void> => {
  const { plan, proof } = compiled
  const files: readonly (readonly [string, Uint8Array])[] = [
    [COMPILED_FILES.model, serverModelToBytes(compiled)],
    [COMPILED_FILES.proof, jsonBytes({ plan: toHex(planHash(plan)), layers: proof })],
    [COMPILED_FILES.view, jsonBytes(planView(new PreparedPlan(plan)))],
    [COMPILED_FILES.plan, planToBytes(plan)],
  ]
  const path = resolve(folder)
  try {
    await makePrivateFolder(path)
    for (const [name, bytes] of files) await writeFileAtomic(join(path, name), bytes)
  } catch (error) {
    throw storeError(error, `write the compiled model into ${path}`)
  }
}

const missing = (folder: string, name: string): never => {
  throw new ConsiliumError("inference/missing-file", `${join(folder, name)} is not there.`, {
    remedy: "Give a folder that `infer compile` wrote, with all of its files.",
  })
}

const viewHead = planViewSchema.pick({ hash: true }).strip()

/** The hash that the plan in words names; null if the file is not there. */
const viewedHash = async (folder: string): Promise<string | null> => {
  const path = join(folder, COMPILED_FILES.view)
  const bytes = await readIfThere(path)
  if (bytes === null) return null
  try {
    return viewHead.parse(JSON.parse(Buffer.from(bytes).toString("utf8"))).hash
  } catch (cause) {
    throw new ConsiliumError("inference/bad-file", `${path} is not JSON with a hash.`, { cause })
  }
}

/**
 * The public half of a compiled folder. The plan in words may be missing, but not be another's.
 *
 * @throws {ConsiliumError} "inference/missing-file", "inference/bad-file"; "inference/other-plan" with both hashes; as `planFromBytes`
 */
export const readCompiledPlan = async (folder: string): Promise<InferencePlan> => {
  const path = resolve(folder)
  const bytes = (await readIfThere(join(path, COMPILED_FILES.plan))) ?? missing(path, COMPILED_FILES.plan)
  const plan = planFromBytes(bytes)
  const [expected, found] = [toHex(planHash(plan)), await viewedHash(path)]
  if (found !== null && found !== expected)
    throw new ConsiliumError(
      "inference/other-plan",
      `${join(path, COMPILED_FILES.view)} tells of plan ${found}; ${COMPILED_FILES.plan} is plan ${expected}.`,
      { remedy: "Keep the files of one compilation together, or compile the model again." },
    )
  return plan
}

/**
 * What a server needs of a compiled folder.
 *
 * @throws {ConsiliumError} as `readCompiledPlan` and `serverModelFromBytes`; "store/open-permissions" if others than its owner can
 *   read the model
 */
export const readCompiledFolder = async (folder: string): Promise<ServerModel> => {
  const path = resolve(folder)
  const plan = await readCompiledPlan(path)
  const bytes = await readPrivateFile(join(path, COMPILED_FILES.model)).catch((error) => {
    throw storeError(error, `read ${join(path, COMPILED_FILES.model)}`)
  })
  return { plan, integers: serverModelFromBytes(bytes ?? missing(path, COMPILED_FILES.model), plan) }
}
