import { resolve } from "node:path"
import type { LayerProof } from "@consilium/inference/compile/refusal"
import type { Packing, WeightsMode } from "@consilium/inference/plan/plan"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { COMPILED_FILES, writeCompiledFolder } from "@consilium/node/inference/model-folder"
import { planView } from "@consilium/node/inference/plan-view"
import { columns, type Format, print } from "../commands/printed.js"
import { compileTrained } from "./compile-trained.js"
import { readTrainedModel } from "./model-source.js"
import { parameterLines } from "./plan-text.js"

interface CompileArguments {
  readonly model: string
  readonly out: string
  readonly weights: WeightsMode
  readonly largestError?: number
  readonly packing?: Packing
  readonly format: Format
}

const bits = (value: bigint): string => `2^${Math.log2(Number(value)).toFixed(1)}`

const proofLines = (proof: readonly LayerProof[]): readonly string[] =>
  columns(
    ["  layer", "range over all declared patients", "largest number", "room"],
    proof.map(({ layer, low, high, largest, room }) => [
      `  ${layer}`,
      `${low.toPrecision(3)} to ${high.toPrecision(3)}`,
      bits(largest),
      bits(room),
    ]),
  )

/** Compiles a trained model and writes the folder that servers and askers use. */
export const inferCompile = async ({
  model: given,
  out,
  weights,
  largestError,
  packing,
  format,
}: CompileArguments): Promise<void> => {
  const { trained } = await readTrainedModel(given)
  const compiled = compileTrained(trained, {
    weights,
    ...(largestError === undefined ? {} : { largestError }),
    ...(packing === undefined ? {} : { packing }),
  })
  const folder = resolve(out)
  await writeCompiledFolder(folder, compiled)
  const view = planView(new PreparedPlan(compiled.plan))
  const proof = compiled.proof.map(({ largest, room, ...layer }) => ({
    ...layer,
    largest: String(largest),
    room: String(room),
  }))
  print(format, { folder, files: Object.values(COMPILED_FILES), plan: view, proof }, [
    `${trained.name}, version ${trained.version}, for encrypted patients`,
    ...parameterLines(view),
    "",
    "Why nothing overflows: whole numbers stay below the room, noise included.",
    ...proofLines(compiled.proof),
    "",
    `Written   ${folder}: ${COMPILED_FILES.plan} and ${COMPILED_FILES.view} are public, ${COMPILED_FILES.model} and ${COMPILED_FILES.proof} tell the weights.`,
    `Next:     consilium infer plan --plan ${out}`,
  ])
}
