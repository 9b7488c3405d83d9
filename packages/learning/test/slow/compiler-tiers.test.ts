import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { GOLDEN_TRAININGS, goldenHash } from "@consilium/learning/network/golden"
import { expect, it } from "vitest"

const NAMES = Object.keys(GOLDEN_TRAININGS) as (keyof typeof GOLDEN_TRAININGS)[]

it.each([
  ["the first compiler only", ["--liftoff", "--no-wasm-tier-up"]],
  ["the optimising compiler only", ["--no-liftoff"]],
  ["processors without AVX", ["--no-enable-avx"]],
  ["processors without AVX, the first compiler only", ["--no-enable-avx", "--liftoff", "--no-wasm-tier-up"]],
  ["no compiler for JavaScript", ["--no-opt", "--no-sparkplug"]],
])("gives the golden hashes with %s", (_, flags) => {
  const program = fileURLToPath(new URL("./print-golden.mjs", import.meta.url))
  const found = execFileSync(process.execPath, [...flags, program, ...NAMES], { encoding: "utf8" })
  expect(found.trim().split("\n")).toEqual(NAMES.map((name) => goldenHash(name)))
})
