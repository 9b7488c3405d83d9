import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync, readSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { Hit, Scanner } from "./scanner.js"

interface Region {
  readonly from: number
  readonly to: number
}

const PAGE = 4096
const PORTION = 8 << 20
const ZEROS = Buffer.alloc(PAGE)

/** Readable memory that is the process's own: heaps, stacks, anonymous and private pages; not code or mapped files. */
const regionsOf = (pid: number): readonly Region[] =>
  readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)\s*(.*)$/.exec(line)
      if (match === null) return []
      const [, from, to, rights, inode, name] = match as unknown as readonly [
        string,
        string,
        string,
        string,
        string,
        string,
      ]
      const own = inode === "0" || rights[1] === "w"
      if (rights[0] !== "r" || !own || /^\[(vvar|vdso|vsyscall)/.test(name)) return []
      return [{ from: Number.parseInt(from, 16), to: Number.parseInt(to, 16) }]
    })

/** The bytes of a region from a place on; null where the system has none to show. */
const readAt = (memory: number, portion: Buffer, from: number, length: number): number | null => {
  try {
    return readSync(memory, portion, 0, length, from)
  } catch (error) {
    if (["EIO", "EFAULT"].includes((error as { code?: string }).code ?? "")) return null
    throw error
  }
}

const stateOf = (pid: number): string => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? ""

/** Stops a process until `resume`; resolves when it stands still. */
export const pause = async (pid: number): Promise<void> => {
  process.kill(pid, "SIGSTOP")
  while (process.platform === "linux" && stateOf(pid) !== "T") await sleep(5)
}

export const resume = (pid: number): void => {
  process.kill(pid, "SIGCONT")
}

export interface MemoryScan {
  readonly hits: readonly Hit[]
  readonly bytes: number
}

/** Where something was ever written: much of what a process reserves is zeros. Each run with a margin for needles that end in some. */
const writtenIn = (portion: Buffer, length: number, margin: number): readonly Region[] => {
  const runs: { from: number; to: number }[] = []
  for (let at = 0; at < length; at += PAGE) {
    const end = Math.min(at + PAGE, length)
    if (portion.compare(ZEROS, 0, end - at, at, end) === 0) continue
    const [from, to] = [Math.max(0, at - margin), Math.min(length, end + margin)]
    const last = runs.at(-1)
    if (last !== undefined && from <= last.to) last.to = to
    else runs.push({ from, to })
  }
  return runs
}

/** Searches the memory of a running process, which stands still meanwhile. */
export const scanMemory = async (scanner: Scanner, pid: number, where: string): Promise<MemoryScan> => {
  await pause(pid)
  const memory = openSync(`/proc/${pid}/mem`, "r")
  try {
    const portion = Buffer.alloc(PORTION)
    const hits = new Map<string, Hit>()
    let bytes = 0
    for (const { from, to } of regionsOf(pid))
      for (let at = from; at < to; ) {
        const length = readAt(memory, portion, at, Math.min(PORTION, to - at)) ?? 0
        if (length === 0) {
          at += PAGE
          continue
        }
        bytes += length
        for (const run of writtenIn(portion, length, scanner.overlap))
          for (const hit of scanner.scan(
            portion.subarray(run.from, run.to),
            `${where} ${(at + run.from).toString(16)}`,
            false,
          ))
            if (!hits.has(hit.secret)) hits.set(hit.secret, hit)
        at += at + length < to ? Math.max(PAGE, length - scanner.overlap) : length
      }
    return { hits: [...hits.values()], bytes }
  } finally {
    closeSync(memory)
    resume(pid)
  }
}

/** Why the memory of a child process cannot be read here; null if it can. */
export const whyNoMemory = async (): Promise<string | null> => {
  if (process.platform !== "linux") return `there is no /proc/<pid>/mem on ${process.platform}`
  const child = spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"], { stdio: "ignore" })
  try {
    const memory = openSync(`/proc/${child.pid}/mem`, "r")
    try {
      const [region] = regionsOf(child.pid as number)
      if (region === undefined) return "a child process shows no memory"
      return readAt(memory, Buffer.alloc(16), region.from, 16) === 16
        ? null
        : "a child's memory reads as nothing"
    } finally {
      closeSync(memory)
    }
  } catch (error) {
    return `/proc/<pid>/mem cannot be read (${(error as { code?: string }).code ?? String(error)})`
  } finally {
    child.kill("SIGKILL")
  }
}
