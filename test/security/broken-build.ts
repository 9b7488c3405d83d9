import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { ROOT, workspaces } from "../source-tree.js"

/** A change to the compiled code of one file, such as a mistake or an attacker would make it. */
export interface Patch {
  /** From the root: `packages/privacy/dist/dp-optimizer.js`. */
  readonly file: string
  /** Stands in the file exactly once. */
  readonly from: string
  readonly to: string
}

/** Links to all that a folder of modules holds but the project's own packages. */
const linkForeign = (from: string, to: string): void => {
  if (!existsSync(from)) return
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from))
    if (name !== "@consilium" && !name.startsWith("consilium-"))
      symlinkSync(join(from, name), join(to, name), "junction")
}

/**
 * A copy of what is built, with patches: own packages are copied, so that every import between them stays inside, and
 * foreign ones linked. Gives the copy's folder, which is the caller's to delete.
 */
export const brokenBuild = (patches: readonly Patch[]): string => {
  const folder = mkdtempSync(join(tmpdir(), "consilium-broken-"))
  linkForeign(join(ROOT, "node_modules"), join(folder, "node_modules"))
  for (const { folder: own, manifest } of workspaces()) {
    if (own.startsWith("apps/") && own !== "apps/cli") continue
    mkdirSync(join(folder, own), { recursive: true })
    for (const part of ["package.json", "dist"])
      cpSync(join(ROOT, own, part), join(folder, own, part), { recursive: true })
    linkForeign(join(ROOT, own, "node_modules"), join(folder, own, "node_modules"))
    const link = join(folder, "node_modules", manifest.name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(folder, own), link, "junction")
  }
  for (const { file, from, to } of patches) {
    const path = join(folder, file)
    const text = readFileSync(path, "utf8")
    const found = text.split(from).length - 1
    if (found !== 1) throw new Error(`"${from}" stands in ${file} ${found} times; the patch wants one.`)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
  }
  return folder
}

/** The program in a copy. */
export const programOf = (folder: string): string => join(folder, "apps/cli/dist/process.js")
