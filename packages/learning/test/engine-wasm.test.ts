import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { fromHex } from "@consilium/base/bytes"
import { ENGINE_WASM } from "@consilium/learning/kernel/engine-wasm.generated"
import { referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import { wasmKernel } from "@consilium/learning/kernel/wasm-kernel"
import { expect, it } from "vitest"

it("the committed WebAssembly is what the sources compile to", () => {
  const build = fileURLToPath(new URL("../assembly/build.mjs", import.meta.url))
  execFileSync(process.execPath, [build, "--check"], { stdio: "pipe" })
})

it("is small, and has the functions of the plain JavaScript kernel and no others", () => {
  expect(fromHex(ENGINE_WASM).length).toBeLessThan(24 * 1024)
  const names = (kernel: object): string[] =>
    Object.keys(kernel)
      .filter((name) => name !== "memory")
      .sort()
  expect(names(wasmKernel(64))).toEqual(names(referenceKernel(64)))
})
