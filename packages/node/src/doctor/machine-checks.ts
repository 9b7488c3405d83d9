import { randomBytes } from "node:crypto"
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { isoTime, timestamp } from "@consilium/base/units"
import { errno, storeError } from "../store/files.js"
import { cacheFolder } from "../store/pglite-image.js"
import { LOOPBACK, reserveAddress } from "../transport/address.js"
import { roomOf } from "./disk-room.js"
import { type Check, type Finding, notChecked, note, passed } from "./finding.js"
import { listenerOf } from "./port-holder.js"

const NEEDED = [20, 19] as const

export const nodeVersion = (version: string): Check => ({
  id: "node",
  async run() {
    const [major = 0, minor = 0] = version.split(".").map(Number)
    if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]))
      throw new ConsiliumError("cli/old-node", `This is Node.js ${version}; ${NEEDED.join(".")} is needed.`)
    return passed(`Node.js ${version}.`)
  },
})

/** Whether the program is built from the sources of a clone; null where it is installed without sources. */
export const freshBuild = (clone: string | null): Check => ({
  id: "build",
  async run() {
    if (clone === null) return passed("An installed program, which needs no build.")
    const { isBuilt } = (await import(pathToFileURL(join(clone, "scripts/build.mjs")).href)) as {
      isBuilt(root: string): boolean
    }
    if (!isBuilt(clone))
      throw new ConsiliumError("cli/stale-build", `The sources in ${clone} are not the ones that were built.`)
    return passed("The program is built from the sources as they are.")
  },
})

/** Without asking anybody, a clock can only be told wrong where it is behind something that has happened. */
export const clock = (now: () => number, lastKnown: number): Check => ({
  id: "clock",
  async run() {
    const says = `It is ${isoTime(timestamp(now()))} by this machine's clock`
    if (now() < lastKnown)
      return note(
        `${says}, before ${isoTime(timestamp(lastKnown))}, when this program was built.`,
        "Set the clock, and let a time service keep it right: certificates and deadlines depend on it.",
      )
    return notChecked(
      `${says}; no time server is asked. Compare it with another clock: certificates start an hour early, more is refused.`,
    )
  },
})

const LEAST_FILES = 1024

/** @param limits a file in the form of /proc/self/limits */
export const fileLimit = (limits: string): Check => ({
  id: "open-files",
  async run() {
    const text = await readFile(limits, "utf8").catch(() => "")
    const limit = /^Max open files\s+(\S+)/m.exec(text)?.[1]
    if (limit === undefined) return notChecked("This system does not say how many files may be open.")
    if (limit === "unlimited" || Number(limit) >= LEAST_FILES)
      return passed(`This process may open ${limit} files.`)
    throw new ConsiliumError(
      "store/few-files",
      `This process may open ${limit} files; ${LEAST_FILES} are needed.`,
    )
  },
})

const LEAST_ENTROPY = 128

/** @param available a file in the form of /proc/sys/kernel/random/entropy_avail, in bits */
export const entropy = (available: string): Check => ({
  id: "entropy",
  async run() {
    if (equalBytes(randomBytes(32), randomBytes(32)))
      throw new ConsiliumError("random/little-entropy", "The random generator gave the same 32 bytes twice.")
    const bits = Number((await readFile(available, "utf8").catch(() => "")).trim() || Number.NaN)
    if (Number.isNaN(bits)) return passed("The random generator answers.")
    if (bits < LEAST_ENTROPY)
      throw new ConsiliumError(
        "random/little-entropy",
        `The random generator has ${bits} bits; ${LEAST_ENTROPY} are needed.`,
      )
    return passed(`The random generator answers and has ${bits} bits.`)
  },
})

export const loopback = (hosts: readonly string[] = LOOPBACK): Check => ({
  id: "loopback",
  async run() {
    const there: string[] = []
    for (const host of hosts)
      try {
        await (await reserveAddress([host], [0])).close()
        there.push(host)
      } catch (error) {
        if (!isConsiliumError(error, "network/port-taken")) throw error
      }
    const missing = hosts.filter((host) => !there.includes(host))
    if (there.length === 0)
      throw new ConsiliumError("network/no-loopback", `Nobody can listen on ${hosts.join(" or ")}.`)
    return missing.length === 0
      ? passed(`Both ${there.join(" and ")} can be listened on.`)
      : note(`Only ${there.join(" and ")} can be listened on, not ${missing.join(" and ")}; that is enough.`)
  },
})

export interface PortOptions {
  readonly id?: string
  readonly hosts?: readonly string[]
  /** Whether nothing else will do: then a port that is taken is a problem. */
  readonly only?: boolean
}

/** Whether a port is free, or who has it. */
export const portFree = (port: number, what: string, options: PortOptions = {}): Check => {
  const { id = `port-${port}`, hosts = LOOPBACK, only = false } = options
  return {
    id,
    async run() {
      try {
        for (const host of hosts) await (await reserveAddress([host], [port])).close()
      } catch (error) {
        if (!isConsiliumError(error, "network/port-taken")) throw error
        const { code } = (error.cause ?? {}) as { readonly code?: unknown }
        // one of the two families may not be there at all
        if (code !== "EADDRINUSE" && code !== "EACCES") return passed(`Port ${port} is free: ${what}.`)
        const holder = await listenerOf(port)
        const who =
          code === "EACCES" ? "not open to this user" : `taken${holder === null ? "" : ` by ${holder}`}`
        const says = `Port ${port}, ${what}, is ${who}`
        if (only) throw new ConsiliumError("network/port-taken", `${says}.`)
        return note(
          `${says}; a free one is taken instead.`,
          `Stop what listens there if it is to be ${port}.`,
        )
      }
      return passed(`Port ${port} is free: ${what}.`)
    },
  }
}

/** Whether files can be made in a folder, or in the nearest folder above it that is there. */
export const writable = (id: string, folder: string): Check => ({
  id,
  async run() {
    let place = folder
    while (!(await isThere(place)) && dirname(place) !== place) place = dirname(place)
    try {
      const made = await mkdtemp(join(place, ".consilium-doctor-"))
      await writeFile(join(made, "try"), "x")
      await rm(made, { recursive: true })
    } catch (error) {
      throw storeError(error, `write to ${place}`)
    }
    return passed(`Files can be written to ${place}.`)
  },
})

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    (error) => errno(error) !== "ENOENT" && errno(error) !== "ENOTDIR",
  )

/** Which of some programs this user's PATH has: the project's tests and some deployments use them, the program does not. */
export const programs = (
  id: string,
  names: readonly string[],
  use: string,
  path = process.env.PATH ?? "",
): Check => ({
  id,
  async run() {
    for (const folder of path.split(delimiter))
      for (const name of names)
        if (folder !== "" && (await isThere(join(folder, name)))) return passed(`${name} is here, ${use}.`)
    return note(`None of ${names.join(", ")} is here, ${use}; nothing else needs it.`)
  },
})

export const diskRoom = (id: string, folder: string): Check => ({
  id,
  run: async (): Promise<Finding> => roomOf(folder),
})

export interface Machine {
  /** The folder of the clone that this program is built in; null for an installed one. */
  readonly clone: string | null
  /** When this program was built, milliseconds since 1970. */
  readonly built: number
}

/** What can be said of a machine without any role's configuration. */
export const machineChecks = ({ clone, built }: Machine): readonly Check[] => [
  nodeVersion(process.versions.node),
  freshBuild(clone),
  diskRoom("disk", clone ?? tmpdir()),
  clock(Date.now, built),
  fileLimit("/proc/self/limits"),
  entropy("/proc/sys/kernel/random/entropy_avail"),
  loopback(),
  portFree(8001, "where `leader start` serves its API and page"),
  portFree(8443, "where a leader that `init` lays out listens for its fogs, or for facilities"),
  writable("temporary-folder", tmpdir()),
  writable("cache-folder", cacheFolder()),
  programs("chromium", ["chromium", "chromium-browser", "google-chrome"], "which the tests of the page use"),
  programs("postgresql", ["postgres", "psql"], "which a leader may use instead of its own database"),
]
