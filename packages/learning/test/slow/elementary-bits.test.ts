import { referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import { wasmKernel } from "@consilium/learning/kernel/wasm-kernel"
import { expect, it } from "vitest"

/** 2^18 numbers at a time. */
const COUNT = 1 << 18

it.each([
  ["exp", -20, 20],
  ["log", 2 ** -10, 16],
  ["sigmoid", -20, 20],
] as const)("%s has the same bits on both kernels at 2^24 places", (name, from, to) => {
  const [x, y] = [64, 64 + 4 * COUNT]
  const kernels = [wasmKernel, referenceKernel].map((make) => make(y + 4 * COUNT)) as [
    ReturnType<typeof wasmKernel>,
    ReturnType<typeof wasmKernel>,
  ]
  let differing = 0
  for (let block = 0; block < 64; block++) {
    for (const kernel of kernels) {
      for (let i = 0; i < COUNT; i++)
        kernel.floats[x / 4 + i] = from + ((to - from) * (block * COUNT + i)) / (64 * COUNT)
      kernel[name](COUNT, x, y)
    }
    const [wasm, reference] = kernels
    for (let i = y / 4; i < y / 4 + COUNT; i++) if (wasm.integers[i] !== reference.integers[i]) differing++
  }
  expect(differing).toBe(0)
})
