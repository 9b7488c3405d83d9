// Builds the pages into dist/page, the folder that the leader serves, or into the folder that is given: the live page, and
// below predict/ the prediction page with its worker. Scripts, style sheets and nothing inline, so that a strict content
// security policy lets them through.
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

process.env.NODE_ENV = "production"
const { build } = await import("vite")
const here = dirname(fileURLToPath(import.meta.url))
const folder = resolve(process.argv[2] ?? join(here, "dist", "page"))

const page = (root, outDir) =>
  build({
    configFile: false,
    root,
    // relative, so that the page may be served below any path
    base: "./",
    logLevel: "warn",
    // other workspaces from their sources: what was built of them may be older
    resolve: { conditions: ["source", "module", "browser", "production"] },
    worker: { format: "es" },
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: false,
      reportCompressedSize: false,
      chunkSizeWarningLimit: 700,
      rolldownOptions: {
        // "use client" is for rendering on a server, which does not happen here
        onLog: (level, log, report) => log.code !== "MODULE_LEVEL_DIRECTIVE" && report(level, log),
      },
    },
  })

await page(here, folder)
await page(join(here, "predict"), join(folder, "predict"))
