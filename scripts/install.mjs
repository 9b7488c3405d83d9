// Installs the dependencies when they are missing or differ from the lock file. Only built-in modules, plain ES2019.
// biome-ignore-all lint/style/useNodejsImportProtocol: an old Node does not know the prefix
import crypto from "crypto"
import fs from "fs"
import { basename, join } from "path"
import { alone, readText, say } from "./build.mjs"
import { runChild } from "./child.mjs"

const stampFile = (root) => join(root, "node_modules", ".consilium-lock")

const wantedStamp = (root) => {
  const digest = crypto
    .createHash("sha256")
    .update(fs.readFileSync(join(root, "package-lock.json")))
    .digest("hex")
  // some packages hold programs for one platform only
  return `${digest} ${process.platform}-${process.arch}\n`
}

/**
 * True if npm's own record of what it installed, written at the end of an install, agrees with the lock file: then an
 * install by hand needs no repetition.
 */
const installedByHand = (root) => {
  const record = readText(join(root, "node_modules", ".package-lock.json"))
  if (record === null) return false
  const installed = JSON.parse(record).packages
  const wanted = JSON.parse(fs.readFileSync(join(root, "package-lock.json"), "utf8")).packages
  for (const path of Object.keys(wanted)) {
    if (!path.includes("node_modules/")) continue
    const [want, have] = [wanted[path], installed[path]]
    if (have === undefined) {
      if (want.optional || want.devOptional) continue
      return false
    }
    if (have.version !== want.version || have.integrity !== want.integrity) return false
    if (!fs.existsSync(join(root, path, "package.json"))) return false
  }
  return true
}

export const isInstalled = (root) => {
  const stamp = wantedStamp(root)
  if (readText(stampFile(root)) === stamp) return true
  if (!installedByHand(root)) return false
  fs.writeFileSync(stampFile(root), stamp)
  return true
}

/** How to start npm: the one that runs this script if there is one, else the one on the path. */
const npmCommand = () => {
  const running = process.env.npm_execpath
  if (running && /^npm(-cli)?\.[cm]?js$/.test(basename(running)) && fs.existsSync(running))
    return { command: process.execPath, args: [running], shell: false }
  const windows = process.platform === "win32"
  return { command: windows ? "npm.cmd" : "npm", args: [], shell: windows }
}

const install = async (root, holding) => {
  const began = Date.now()
  const npm = npmCommand()
  say("Installing the dependencies of Consilium (once; it takes a minute or so) ...")
  // the compiler and the test runner are development dependencies, which a production setting would leave out
  const switches = ["--include=dev", "--no-audit", "--no-fund", "--loglevel=error", "--json=false"]
  let code
  try {
    // npm reports on stdout, which belongs to the command that runs afterwards
    const options = { cwd: root, shell: npm.shell, stdio: ["ignore", 2, 2] }
    code = await runChild(npm.command, npm.args.concat("ci", switches), options, holding)
  } catch (error) {
    say(
      `npm cannot be started (${error.code || error.message}).\n` +
        "  remedy: install npm, which comes with Node.js (https://nodejs.org), so that `npm --version` answers.",
    )
    return 1
  }
  if (code === 0) {
    fs.mkdirSync(join(root, "node_modules"), { recursive: true })
    fs.writeFileSync(stampFile(root), wantedStamp(root))
    say(`Installed in ${((Date.now() - began) / 1000).toFixed(0)} s.`)
  } else
    say(
      "npm could not install the dependencies; its messages are above.\n" +
        "  remedy: check the network and the proxy settings (`npm config get proxy`), then run the command again.",
    )
  return code
}

/** Installs if anything is missing or out of date; resolves to 0, or to npm's exit code. */
export const installWhenStale = async (root) => {
  if (isInstalled(root)) return 0
  return alone(root, (holding) => (isInstalled(root) ? 0 : install(root, holding)))
}
