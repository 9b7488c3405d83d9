/** The only place of this package that touches the platform: WebAssembly, as Node and browsers offer it alike. */
interface WebAssemblyPlatform {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object
    readonly Instance: new (module: object, imports: object) => { readonly exports: object }
  }
}

/** A compiled WebAssembly module, from which instances are made. */
export type WasmModule = object & { readonly __compiled: "wasm" }

/** Compiles WebAssembly at once; meant for modules of a few kilobytes. */
export const compileWasm = (bytes: Uint8Array): WasmModule =>
  new (globalThis as unknown as WebAssemblyPlatform).WebAssembly.Module(bytes) as WasmModule

/** A fresh instance with memory of its own; the caller vouches for the type of the exports. */
export const instantiateWasm = <Exports extends object>(module: WasmModule, imports: object): Exports =>
  new (globalThis as unknown as WebAssemblyPlatform).WebAssembly.Instance(module, imports).exports as Exports
