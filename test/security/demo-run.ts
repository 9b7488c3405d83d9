import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { DemoReport } from "../../apps/cli/src/demo/report.js"
import { PROGRAM } from "./study-run.js"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The process group that the demo and all it starts are in. */
  readonly group: number
}

/** A demo under way. */
export interface RunningDemo {
  readonly child: ChildProcess
  readonly stderr: () => string
  readonly ended: Promise<Ended>
}

/**
 * Starts `consilium demo` with some switches, in a process group of its own as a terminal would; on the synthetic heart rows,
 * without noise, unless they name a study.
 */
export const startDemo = (...switches: readonly string[]): RunningDemo => {
  const study = switches.includes("--study") ? [] : ["--study", "synthetic-heart"]
  const child = spawn(process.execPath, [PROGRAM, "demo", ...study, ...switches], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  })
  const streams = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const)
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      streams[name] += text
    })
  const ended = once(child, "close").then(([code]) => ({
    code: code as number | null,
    group: child.pid as number,
    ...streams,
  }))
  return { child, stderr: () => streams.stderr, ended }
}

export const demo = (...switches: readonly string[]): Promise<Ended> => startDemo(...switches).ended

/** A demo's report. Its folder is deleted. Rejects unless the demo ends well with one JSON value and nothing else. */
export const demoReport = async (...switches: readonly string[]): Promise<DemoReport> => {
  const { code, stdout, stderr } = await demo(...switches, "--format", "json")
  if (code !== 0) throw new Error(`The demo ended with ${code}:\n${stderr}`)
  const report = JSON.parse(stdout) as DemoReport
  rmSync(report.folder, { recursive: true, force: true })
  if (stdout !== `${JSON.stringify(report)}\n`)
    throw new Error("Standard output holds more than one JSON value.")
  return report
}

/** The processes of a demo that run: the demo and those it started. One that ended and was not yet asked about has ended. */
export const processesOf = (group: number): readonly number[] =>
  execFileSync("ps", ["-A", "-o", "pid=,pgid=,stat="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, of, state]) => Number(of) === group && !state?.startsWith("Z"))
    .map(([pid]) => Number(pid))

/** Milliseconds until no process of a demo runs, or null if one still does after a while. */
export const goneWithin = async (group: number, milliseconds: number): Promise<number | null> => {
  const began = Date.now()
  while (processesOf(group).length > 0) {
    if (Date.now() - began > milliseconds) return null
    await sleep(50)
  }
  return Date.now() - began
}

/** Ends what a demo left behind, if it did. */
export const killAll = (group: number): void => {
  try {
    process.kill(-group, "SIGKILL")
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error
  }
}
