/** What a browser runs: the golden trainings, on both kernels. */
import { referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import { GOLDEN_TRAININGS, goldenHash } from "@consilium/learning/network/golden"

const names = Object.keys(GOLDEN_TRAININGS) as (keyof typeof GOLDEN_TRAININGS)[]
Object.assign(globalThis, {
  goldenHashes: names.map((name) => ({
    name,
    wasm: goldenHash(name),
    plain: goldenHash(name, referenceKernel),
  })),
})
