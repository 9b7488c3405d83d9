/**
 * Compiles this folder's AssemblyScript into the files named in TARGETS, which hold the WebAssembly as hexadecimal text.
 *
 *     node packages/lattice/assembly/build.mjs                  writes the generated files
 *     node packages/lattice/assembly/build.mjs --check          fails if they are not what the sources compile to
 *     node packages/lattice/assembly/build.mjs --print <entry>  prints the hexadecimal text of one entry file
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { main } from "assemblyscript/asc"

const HERE = fileURLToPath(new URL(".", import.meta.url))
const TARGETS = [
  {
    entry: "ring.ts",
    name: "RING_WASM",
    file: "ring/ring-wasm.generated.ts",
  },
  {
    entry: "sums.ts",
    name: "SUMS_WASM",
    file: "sums/sums-wasm.generated.ts",
  },
]
const OPTIONS = "--runtime stub --noAssert --enable simd -O3 --converge --initialMemory 1".split(" ")

const compile = async (entry) => {
  let binary = null
  const { error, stderr } = await main([entry, "--outFile", "out.wasm", "--baseDir", HERE, ...OPTIONS], {
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
  })
  if (error !== null || binary === null) throw new Error(`${entry} does not compile: ${stderr.toString()}`)
  return Buffer.from(binary).toString("hex")
}

const moduleText = (name, entry, hex) => {
  const lines = hex.match(/.{1,100}/g).map((line) => `  "${line}"`)
  return `/** WebAssembly of assembly/${entry}; remake it with assembly/build.mjs. */\nexport const ${name} =\n${lines.join(" +\n")}\n`
}

const [mode, entry] = process.argv.slice(2)
if (mode === "--print") process.stdout.write(await compile(entry))
else
  for (const target of TARGETS) {
    const text = moduleText(target.name, target.entry, await compile(target.entry))
    const path = join(HERE, "..", "src", target.file)
    if (mode !== "--check") writeFileSync(path, text)
    else if (readFileSync(path, "utf8") !== text) {
      process.stderr.write(`src/${target.file} is not what assembly/${target.entry} compiles to.\n`)
      process.exitCode = 1
    }
  }
