import { fromHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { compileWasm, instantiateWasm, newWasmMemory, type WasmMemory, type WasmModule } from "../platform.js"
import { ENGINE_WASM, MEMORY_FLAG } from "./engine-wasm.generated.js"
import { type Kernel, type KernelFunctions, memoryViews } from "./kernel.js"

const PAGE = 65_536
const MOST_PAGES = 65_536
const SHARED = 3

let own: WasmModule | null = null
let shared: WasmModule | null = null

const engineModule = (sharing: boolean): WasmModule => {
  const known = sharing ? shared : own
  if (known !== null) return known
  const bytes = fromHex(ENGINE_WASM)
  if (sharing) bytes[MEMORY_FLAG] = SHARED
  const compiled = compileWasm(bytes)
  if (sharing) shared = compiled
  else own = compiled
  return compiled
}

/**
 * Memory for kernels, of at least so many bytes, all zero. Shared memory can be posted to other threads, which attach to
 * it with `attachWasmKernel`.
 * @throws {ConsiliumError} "learning/bad-setting" if it is more than WebAssembly can address (4 GiB)
 */
export const newKernelMemory = (bytes: number, sharing = false): WasmMemory => {
  const pages = Math.max(1, Math.ceil(bytes / PAGE))
  if (!(pages <= MOST_PAGES))
    throw new ConsiliumError(
      "learning/bad-setting",
      `Training needs ${bytes} bytes of memory; WebAssembly has ${PAGE * MOST_PAGES}.`,
      { remedy: "Lower the batch size, or train on fewer rows at a time." },
    )
  return newWasmMemory(pages, sharing)
}

/** The WebAssembly kernel on a memory made by `newKernelMemory`, perhaps in another thread. */
export const attachWasmKernel = (memory: WasmMemory): Kernel => {
  const sharing = memory.buffer[Symbol.toStringTag] === "SharedArrayBuffer"
  const functions = instantiateWasm<KernelFunctions>(engineModule(sharing), { env: { memory } })
  return { ...functions, ...memoryViews(memory.buffer) }
}

/** The WebAssembly kernel on a memory of its own. */
export const wasmKernel = (bytes: number): Kernel => attachWasmKernel(newKernelMemory(bytes))
