/** The only place of this package that touches the platform: WebAssembly, as Node and browsers offer it alike. */
interface WebAssemblyPlatform {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object
    readonly Instance: new (module: object, imports: object) => { readonly exports: object }
    readonly Memory: new (limits: {
      readonly initial: number
      readonly maximum: number
      readonly shared: boolean
    }) => object
  }
}

const platform = globalThis as unknown as WebAssemblyPlatform

/** A compiled WebAssembly module, from which instances are made. */
export type WasmModule = object & { readonly __compiled: "wasm" }

/** A WebAssembly memory; one whose buffer is a SharedArrayBuffer can be posted to other threads. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike
}

/** Compiles WebAssembly at once; meant for modules of a few kilobytes. */
export const compileWasm = (bytes: Uint8Array): WasmModule =>
  new platform.WebAssembly.Module(bytes) as WasmModule

/** A memory of a fixed number of pages of 64 KiB, all zero. */
export const newWasmMemory = (pages: number, shared: boolean): WasmMemory =>
  new platform.WebAssembly.Memory({ initial: pages, maximum: pages, shared }) as WasmMemory

/** A fresh instance; the caller vouches for the type of the exports. */
export const instantiateWasm = <Exports extends object>(module: WasmModule, imports: object): Exports =>
  new platform.WebAssembly.Instance(module, imports).exports as Exports
