import { readFile } from "node:fs/promises"

/** Memory of a process, bytes. */
export interface ProcessMemory {
  /** The most that was resident so far. */
  readonly peakRss: number
  /** Resident now, pages that processes share counted in parts. */
  readonly pss: number
}

const kilobytes = (text: string, name: string): number =>
  1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN)

/** What Linux says of a process; null where it says nothing. */
export const processMemory = async (pid: number): Promise<ProcessMemory | null> => {
  try {
    const [status, maps] = await Promise.all([
      readFile(`/proc/${pid}/status`, "utf8"),
      readFile(`/proc/${pid}/smaps_rollup`, "utf8"),
    ])
    const memory = { peakRss: kilobytes(status, "VmHWM"), pss: kilobytes(maps, "Pss") }
    return Number.isFinite(memory.peakRss) && Number.isFinite(memory.pss) ? memory : null
  } catch {
    return null
  }
}
