import { execFileSync } from "node:child_process"
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"

/** Whether a command ends well. */
export const works = (command: string, ...given: readonly string[]): boolean => {
  try {
    execFileSync(command, given, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** Whether the size of a running process's files can be limited. */
export const canLimit = works("prlimit", "--pid", String(process.pid))

const sizeOf = (path: string): number =>
  statSync(path).isDirectory()
    ? Math.max(0, ...readdirSync(path).map((name) => sizeOf(join(path, name))))
    : statSync(path).size

/** Lets a process make no file longer than the largest of a folder is now. */
export const limitFiles = (pid: number, folder: string): number => {
  const largest = sizeOf(folder)
  execFileSync("prlimit", ["--pid", String(pid), `--fsize=${largest}:`])
  return largest
}

export const liftLimit = (pid: number): void => {
  execFileSync("prlimit", ["--pid", String(pid), "--fsize=unlimited:"])
}

/** A folder with a disk of its own. */
export class SmallDisk {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Null where this user may not mount one. */
  static mount(folder: string, megabytes: number): SmallDisk | null {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return works("mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "tmpfs", folder)
      ? new SmallDisk(folder)
      : null
  }

  get #ballast(): string {
    return join(this.folder, "ballast")
  }

  /** Writes until there is no room for one more byte. */
  fill(): void {
    const file = openSync(this.#ballast, "w")
    try {
      for (let piece = 1 << 20; piece > 0; )
        try {
          writeSync(file, new Uint8Array(piece))
        } catch (error) {
          if ((error as { code?: string }).code !== "ENOSPC") throw error
          piece >>= 1
        }
    } finally {
      closeSync(file)
    }
  }

  makeRoom(): void {
    rmSync(this.#ballast)
  }

  unmount(): void {
    execFileSync("umount", [this.folder])
  }
}
