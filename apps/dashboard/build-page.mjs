// Builds the page into dist/page, the folder that the leader serves, or into the folder that is given: one script, one
// style sheet, nothing inline, so that a content security policy of 'self' alone lets it through.
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

process.env.NODE_ENV = "production"
const { build } = await import("vite")
const root = dirname(fileURLToPath(import.meta.url))

await build({
  configFile: false,
  root,
  // relative, so that the page may be served below any path
  base: "./",
  logLevel: "warn",
  build: {
    outDir: resolve(process.argv[2] ?? join(root, "dist", "page")),
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
