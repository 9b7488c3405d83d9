// Makes docs/reference/config.md from the schemas of configuration files: `node scripts/config-page.mjs --write`.
import { writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { alone } from "./build.mjs"
import { runChild } from "./child.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const pageFile = join(root, "docs", "reference", "config.md")

const buildNode = (holding) => {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc")
  const options = { cwd: root, stdio: ["ignore", 2, 2] }
  return runChild(process.execPath, [compiler, "-b", "packages/node"], options, holding)
}

const main = async () => {
  const built = await alone(root, buildNode)
  if (built !== 0) return built
  const page = join(root, "packages", "node", "dist", "config", "config-page.js")
  const { configPage } = await import(pathToFileURL(page).href)
  if (process.argv.includes("--write")) writeFileSync(pageFile, configPage())
  else process.stdout.write(configPage())
  return 0
}

process.exitCode = await main()
