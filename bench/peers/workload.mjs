/** Reads a workload: its sizes, first parameters, rows and targets, as `bench/learning/own.mjs` wrote them. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export const readWorkload = (folder, name) => {
  const sizes = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"))
  const bytes = new Uint8Array(readFileSync(join(folder, `${name}.f32`)))
  const floats = new Float32Array(bytes.buffer)
  const inputs = sizes.parameters + sizes.rows * sizes.columns
  return {
    ...sizes,
    parameters: floats.subarray(0, sizes.parameters),
    inputs: floats.subarray(sizes.parameters, inputs),
    targets: floats.subarray(inputs),
  }
}
