import { readFileSync } from "node:fs"

/** Clock ticks a second, as every Linux counts them for programs. */
const TICKS = 100

/** Milliseconds of processor time that a process has had; null where the system does not show it. */
export const processorMs = (pid: number): number | null => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS
  } catch {
    return null
  }
}
