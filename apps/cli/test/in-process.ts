import { main } from "../src/main.js"

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command line in this process; one at a time, since all share its output. */
export const consilium = async (...args: readonly string[]): Promise<Ran> => {
  const said = { stdout: "", stderr: "" }
  const kept = { stdout: process.stdout.write, stderr: process.stderr.write }
  for (const stream of ["stdout", "stderr"] as const)
    process[stream].write = (text) => {
      said[stream] += String(text)
      return true
    }
  try {
    return { code: await main(args), ...said }
  } finally {
    process.stdout.write = kept.stdout
    process.stderr.write = kept.stderr
  }
}
