// Builds the TypeScript sources when they have changed since the last build. Shared by the bootstrap and the
// `consilium` program; only built-in modules, plain ES2019.
// biome-ignore-all lint/style/useNodejsImportProtocol: an old Node does not know the prefix
import crypto from "crypto"
import fs from "fs"
import { join, relative } from "path"
import { runChild } from "./child.mjs"
import { withLock } from "./lock.mjs"

export const say = (text) => {
  process.stderr.write(`${text}\n`)
}

const stateFolder = (root) => join(root, ".consilium")

/** Runs `work` while no other process installs or builds in this folder. */
export const alone = (root, work) => {
  const lock = join(stateFolder(root), "bootstrap.lock")
  const onWait = () =>
    say(`Another process is setting up this folder; waiting for it (if there is none, delete ${lock}) ...`)
  return withLock(lock, onWait, work)
}

/** What to tell the user about a failure of the set-up itself. */
export const explain = (error) => {
  if (["EACCES", "EPERM", "EROFS", "ENOSPC"].includes(error.code))
    return (
      `The set-up of Consilium cannot write to its folder (${error.message}).\n` +
      "  remedy: use a copy of the folder that you may write to, on a disk with a gigabyte to spare."
    )
  return error.stack || String(error)
}

const list = (folder) => {
  try {
    return fs.readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (error.code === "ENOENT") return []
    throw error
  }
}

const packageFolders = (root) => {
  const folders = []
  for (const group of ["packages", "apps"])
    for (const entry of list(join(root, group)))
      if (entry.isDirectory() && fs.existsSync(join(root, group, entry.name, "tsconfig.json")))
        folders.push(join(root, group, entry.name))
  return folders.sort()
}

const filesUnder = (folder, into) => {
  for (const entry of list(folder)) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) filesUnder(path, into)
    else into.push(path)
  }
}

const digestOf = (root, inputs) => {
  const digest = crypto.createHash("sha256")
  for (const path of inputs.sort()) {
    if (!fs.existsSync(path)) continue
    const stat = fs.statSync(path)
    digest.update(`${relative(root, path)}\n${stat.size}\n${stat.mtimeMs}\n`)
  }
  return digest.digest("hex")
}

/** What a workspace may have for browsers, each built by a script of its own: pages, or modules for other people's pages. */
const FOR_BROWSERS = [
  {
    script: "build-page.mjs",
    frame: ["index.html", join("predict", "index.html")],
    built: join("dist", "page", "predict", "index.html"),
  },
  { script: "build-bundle.mjs", frame: [], built: join("dist", "bundle", "consilium-inference.js") },
]
const forBrowsers = (folder) => FOR_BROWSERS.filter(({ script }) => fs.existsSync(join(folder, script)))
const browserFrame = (folder, { script, frame }) => [script].concat(frame).map((name) => join(folder, name))
const browserStamp = (folder, { script }) => join(folder, "dist", `.${script}-stamp`)

/**
 * A digest of everything a build depends on: the name, size and time of each source and configuration file. Unlike the
 * newest time alone it also notices files that were deleted, or put back with an older time.
 */
export const sourceState = (root) => {
  const inputs = []
  for (const name of [
    "package.json",
    "tsconfig.json",
    "tsconfig.base.json",
    "node_modules/typescript/package.json",
  ])
    inputs.push(join(root, name))
  for (const folder of packageFolders(root)) {
    inputs.push(join(folder, "package.json"))
    for (const entry of list(folder))
      if (/^tsconfig.*\.json$/.test(entry.name)) inputs.push(join(folder, entry.name))
    filesUnder(join(folder, "src"), inputs)
    for (const part of forBrowsers(folder))
      inputs.push(join(root, "package-lock.json"), ...browserFrame(folder, part))
  }
  return digestOf(root, inputs)
}

/** A workspace's folder, and those of the workspaces that it depends on. */
const withDependencies = (root, folder, found = new Set()) => {
  if (found.has(folder)) return found
  found.add(folder)
  const { dependencies = {} } = JSON.parse(fs.readFileSync(join(folder, "package.json"), "utf8"))
  for (const name of Object.keys(dependencies))
    if (name.startsWith("@consilium/"))
      withDependencies(root, join(root, "packages", name.slice("@consilium/".length)), found)
  return found
}

/** What a part for browsers is built from: sources, those of the workspaces below too, and what is installed. */
const browserState = (root, folder, part) => {
  const inputs = [join(root, "package-lock.json"), ...browserFrame(folder, part)]
  for (const source of withDependencies(root, folder)) {
    inputs.push(join(source, "package.json"))
    filesUnder(join(source, "src"), inputs)
  }
  return digestOf(root, inputs)
}

const stampFile = (root) => join(stateFolder(root), "build-stamp")

export const isBuilt = (root) => {
  for (const folder of packageFolders(root))
    if (
      !fs.existsSync(join(folder, "dist", ".tsbuildinfo")) ||
      !forBrowsers(folder).every(({ built }) => fs.existsSync(join(folder, built)))
    )
      return false
  try {
    return fs.readFileSync(stampFile(root), "utf8") === sourceState(root)
  } catch {
    return false
  }
}

/** A file's text, or null where there is none. */
export const readText = (path) => {
  try {
    return fs.readFileSync(path, "utf8")
  } catch (error) {
    if (error.code === "ENOENT") return null
    throw error
  }
}

/** Builds the parts for browsers whose sources have changed. Resolves to 0, or to the exit code of the first that failed. */
const buildForBrowsers = async (root, options, holding) => {
  for (const folder of packageFolders(root))
    for (const part of forBrowsers(folder)) {
      const state = browserState(root, folder, part)
      const built = fs.existsSync(join(folder, part.built))
      if (built && readText(browserStamp(folder, part)) === state) continue
      const code = await runChild(process.execPath, [join(folder, part.script)], options, holding)
      if (code !== 0) return code
      fs.writeFileSync(browserStamp(folder, part), state)
    }
  return 0
}

/** Builds now, under the lock. Resolves to the exit code of the compiler, or of what is built for browsers. */
const build = async (root, holding) => {
  const began = Date.now()
  const state = sourceState(root)
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc")
  say("Building Consilium ...")
  // the compiler reports on stdout, which belongs to the command that runs afterwards
  const options = { cwd: root, stdio: ["ignore", 2, 2] }
  const compiled = await runChild(process.execPath, [compiler, "-b"], options, holding)
  const code = compiled === 0 ? await buildForBrowsers(root, options, holding) : compiled
  if (code === 0) {
    fs.writeFileSync(stampFile(root), state)
    say(`Built in ${((Date.now() - began) / 1000).toFixed(1)} s.`)
  } else say("The build failed; its messages are above.")
  return code
}

/** Builds if anything has changed since the last build; resolves to 0, or to the exit code of what failed. */
export const buildWhenStale = async (root) => {
  if (isBuilt(root)) return 0
  return alone(root, (holding) => (isBuilt(root) ? 0 : build(root, holding)))
}
