import fs, { type FileHandle } from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"

/**
 * Counts everything that changes a disk below one folder, and at a chosen place stops the world: that operation and
 * all later ones never happen and never return, as if the process had been killed there. It also keeps what would be
 * left if the power had failed instead: of files what was synced, of folders the names that were.
 */
export interface Faults {
  /** Operations so far, by name, such as "write" or "rename". */
  readonly operations: readonly string[]
  /** Resolves when the chosen place is reached. */
  readonly stopped: Promise<void>
  /** Writes what a power cut would leave to an empty folder. */
  powerCut(into: string, names: "synced" | "all"): Promise<void>
  /** Gives the system's functions back and closes what the stopped world left open. */
  end(): Promise<void>
}

export interface FaultPlan {
  readonly folder: string
  /** The operation, counted from 0, that does not happen any more. */
  readonly at: number
  /** Whether, if that is a write, half of its bytes are written. */
  readonly torn?: boolean
  /** Instead of stopping the world, for real processes. */
  readonly kill?: () => void
}

type Saved = Map<number, Buffer>
type Names = Map<string, { readonly ino: number; readonly folder: boolean }>

const namesIn = async (folder: string): Promise<Names> => {
  const names: Names = new Map()
  for (const entry of await fs.readdir(folder, { withFileTypes: true }))
    names.set(entry.name, {
      ino: (await fs.stat(join(folder, entry.name))).ino,
      folder: entry.isDirectory(),
    })
  return names
}

export const injectFaults = async (plan: FaultPlan): Promise<Faults> => {
  const operations: string[] = []
  const syncedFiles: Saved = new Map()
  const syncedFolders = new Map<number, Names>()
  const handles = new Set<FileHandle>()
  const paths = new WeakMap<object, string>()
  const never = new Promise<never>(() => undefined)
  let signal = (): void => {}
  const stopped = new Promise<void>((resolve) => {
    signal = resolve
  })
  const original = { ...fs }
  const probe = await original.open(plan.folder, "r")
  const prototype = Object.getPrototypeOf(probe) as FileHandle
  await probe.close()
  type Write = (bytes: Uint8Array, from: number, length: number, position: number) => Promise<unknown>
  const methods = {
    write: prototype.write as Write,
    sync: prototype.sync,
    datasync: prototype.datasync,
    truncate: prototype.truncate,
  }
  const inside = (path: unknown): boolean => typeof path === "string" && path.startsWith(plan.folder)

  const reach = (name: string): "go" | "torn" | "stop" => {
    const index = operations.push(name) - 1
    if (index < plan.at) return "go"
    if (index === plan.at && plan.torn === true && name === "write") return "torn"
    return "stop"
  }
  const stop = (): Promise<never> => {
    plan.kill?.()
    signal()
    return never
  }

  for (const name of ["mkdir", "rename", "unlink", "rmdir", "rm"] as const) {
    const real = original[name] as (...args: unknown[]) => Promise<unknown>
    Object.assign(fs, {
      [name]: async (...args: unknown[]) => {
        if (inside(args[0]) && reach(name) !== "go") return stop()
        const result = await real(...args)
        // The numbers of deleted folders are given out again. (All folders are made with `recursive`.)
        if (name === "mkdir" && inside(args[0]) && result !== undefined)
          syncedFolders.delete((await original.stat(args[0] as string)).ino)
        return result
      },
    })
  }
  Object.assign(fs, {
    open: async (path: string, flags?: string, mode?: number) => {
      if (inside(path) && flags?.startsWith("w") && reach("create") !== "go") return stop()
      const handle = await original.open(path, flags, mode)
      if (inside(path)) {
        handles.add(handle)
        paths.set(handle, path)
        if (flags?.startsWith("w")) syncedFiles.delete((await handle.stat()).ino)
      }
      return handle
    },
  })
  syncBuiltinESMExports()

  const remember = async (handle: FileHandle): Promise<void> => {
    const at = await handle.stat()
    if (at.isDirectory()) {
      syncedFolders.set(at.ino, await namesIn(paths.get(handle) as string))
      return
    }
    const bytes = Buffer.alloc(at.size)
    // Read through a second handle: this one may be open for writing only.
    const again = await original.open(`/proc/self/fd/${handle.fd}`, "r")
    await again.read(bytes, 0, bytes.length, 0)
    await again.close()
    syncedFiles.set(at.ino, bytes)
  }
  Object.assign(prototype, {
    async write(this: FileHandle, bytes: Uint8Array, from: number, length: number, position: number) {
      const fate = paths.has(this) ? reach("write") : "go"
      if (fate === "stop") return stop()
      if (fate === "go") return methods.write.call(this, bytes, from, length, position)
      await methods.write.call(this, bytes, from, Math.floor(length / 2), position)
      return stop()
    },
    async truncate(this: FileHandle, length: number) {
      if (paths.has(this) && reach("truncate") !== "go") return stop()
      return methods.truncate.call(this, length)
    },
    async sync(this: FileHandle) {
      if (!paths.has(this)) return methods.sync.call(this)
      if (reach("sync") !== "go") return stop()
      await methods.sync.call(this)
      await remember(this)
    },
    async datasync(this: FileHandle) {
      if (!paths.has(this)) return methods.datasync.call(this)
      if (reach("datasync") !== "go") return stop()
      await methods.datasync.call(this)
      await remember(this)
    },
  })

  return {
    operations,
    stopped,
    async powerCut(into, names) {
      const rebuild = async (from: string | null, ino: number, to: string): Promise<void> => {
        await original.mkdir(to, { recursive: true })
        const entries =
          names === "all" && from !== null ? await namesIn(from) : (syncedFolders.get(ino) ?? new Map())
        for (const [name, entry] of entries) {
          const path = from === null ? null : join(from, name)
          if (entry.folder) await rebuild(path, entry.ino, join(to, name))
          else await original.writeFile(join(to, name), syncedFiles.get(entry.ino) ?? Buffer.alloc(0))
        }
      }
      await rebuild(plan.folder, (await original.stat(plan.folder)).ino, into)
    },
    async end() {
      Object.assign(fs, original)
      syncBuiltinESMExports()
      Object.assign(prototype, methods)
      for (const handle of handles) if (handle.fd >= 0) await handle.close()
    },
  }
}
