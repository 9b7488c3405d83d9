/**
 * Compiles this folder's AssemblyScript into `src/kernel/engine-wasm.generated.ts`, which holds the WebAssembly as
 * hexadecimal text.
 *
 *     node packages/learning/assembly/build.mjs           writes the generated file
 *     node packages/learning/assembly/build.mjs --check   fails if it is not what the sources compile to
 *
 * The module imports its memory. Whether that memory may be shared between threads is one bit of the import; the
 * sources are compiled both ways, and the place of that bit is written down beside the text.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { main } from "assemblyscript/asc"

const HERE = fileURLToPath(new URL(".", import.meta.url))
const ENTRY = "engine.ts"
const FILE = join(HERE, "..", "src", "kernel", "engine-wasm.generated.ts")
const OPTIONS =
  "--runtime stub --noAssert --enable simd -O3 --converge --importMemory --initialMemory 1 --maximumMemory 65536"
const SHARED = `${OPTIONS} --enable threads --sharedMemory`

const compile = async (options) => {
  let binary = null
  const { error, stderr } = await main(
    [ENTRY, "--outFile", "out.wasm", "--baseDir", HERE, ...options.split(" ")],
    {
      writeFile: (name, contents) => {
        if (name === "out.wasm") binary = contents
      },
      readFile: (name, base) => {
        try {
          return readFileSync(join(base, name), "utf8")
        } catch {
          return null
        }
      },
      listFiles: () => [],
    },
  )
  if (error !== null || binary === null) throw new Error(`${ENTRY} does not compile: ${stderr.toString()}`)
  return Buffer.from(binary)
}

const own = await compile(OPTIONS)
const shared = await compile(SHARED)
const differing = [...own.keys()].filter((at) => own[at] !== shared[at])
const [flag] = differing
if (own.length !== shared.length || differing.length !== 1 || own[flag] !== 1 || shared[flag] !== 3)
  throw new Error("The module for shared memory differs in more than the flag of its memory.")

const lines = own
  .toString("hex")
  .match(/.{1,100}/g)
  .map((line) => `  "${line}"`)
const text =
  `/** WebAssembly of assembly/${ENTRY}; remake it with assembly/build.mjs. */\n` +
  `export const ENGINE_WASM =\n${lines.join(" +\n")}\n\n` +
  `/** The byte that is 1 for a memory of one's own, 3 for a shared one. */\n` +
  `export const MEMORY_FLAG = ${flag}\n`

process.stderr.write(`${own.length} bytes of WebAssembly\n`)
if (process.argv[2] !== "--check") writeFileSync(FILE, text)
else if (readFileSync(FILE, "utf8") !== text) {
  process.stderr.write(`${FILE} is not what assembly/${ENTRY} compiles to.\n`)
  process.exitCode = 1
}
