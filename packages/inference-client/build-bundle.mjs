// Builds the client for use outside of this repository, into dist/bundle or the folder that is given: one module for pages
// and one for the worker that holds their keys. Both stand alone; WebAssembly is inside.
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "vite"

const root = dirname(fileURLToPath(import.meta.url))
const outDir = resolve(process.argv[2] ?? join(root, "dist", "bundle"))
const parts = {
  "consilium-inference": join(root, "src", "bundle.ts"),
  "consilium-inference-worker": join(root, "src", "worker", "entry.ts"),
}

for (const [name, entry] of Object.entries(parts))
  await build({
    configFile: false,
    root,
    logLevel: "warn",
    resolve: { conditions: ["source", "browser", "import", "default"] },
    build: {
      outDir,
      emptyOutDir: false,
      target: "es2022",
      reportCompressedSize: false,
      lib: { entry, formats: ["es"], fileName: () => `${name}.js` },
    },
  })
