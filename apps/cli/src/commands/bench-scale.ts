import { spawn } from "node:child_process"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { ConsiliumError } from "@consilium/base/errors"
import type { Protection } from "@consilium/federation/study"
import { runInProcesses } from "../bench/scale-in-processes.js"
import type { ScaleRequest, ScaleResult } from "../bench/scale-run.js"
import { scaleText } from "../bench/scale-text.js"

/** One figure. What was not measured has no value, and a note that says why. */
export interface ScaleRow {
  readonly id: string
  readonly value: number | null
  readonly unit: string
  readonly note?: string
}

export interface ScaleReport {
  readonly machine: string
  readonly date: string
  /** Processes that wanted a processor, as the system counts them, before and after. */
  readonly load: readonly [number, number]
  readonly quick: boolean
  readonly rows: readonly ScaleRow[]
}

export interface BenchScaleOptions {
  readonly quick?: boolean
  readonly format: "text" | "json"
}

/** What is measured of each protection; where every facility deals to every other, work grows with the square of their number. */
const SIZES: Readonly<Record<string, readonly number[]>> = {
  plain: [100, 300, 1000],
  shamir: [25, 50, 100],
  masked: [25, 50, 100],
  ckks: [25, 50],
}
const QUICK_SIZES: typeof SIZES = { plain: [12, 24], shamir: [6, 12], masked: [6], ckks: [6] }
const FOGS = 4
/** Facilities with and without fogs between them and the leader. */
const TIERS = [12, 48]
const QUICK_TIERS = [6]
const TIER_PROTECTIONS: readonly Protection[] = ["shamir", "masked", "ckks"]

const WORKER = fileURLToPath(new URL("../bench/scale-process.js", import.meta.url))

const tell = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const measured = (request: ScaleRequest): Promise<ScaleResult> =>
  new Promise((resolve, reject) => {
    // everybody's journals and logs are in this one process
    const child = spawn(process.execPath, ["--max-old-space-size=12000", WORKER, JSON.stringify(request)], {
      stdio: ["ignore", "pipe", "pipe"],
    })
    let out = ""
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8")
    })
    child.stderr.on("data", (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-600)
    })
    child.once("error", reject)
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(out) as ScaleResult)
      else
        reject(
          new ConsiliumError(
            "cli/bench-failed",
            `The measuring of ${request.facilities} facilities under ${request.protection} ended: ${said}`,
          ),
        )
    })
  })

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN
}

/** The first round compiles the code that it runs. */
const warm = <T>(rounds: readonly T[]): readonly T[] => (rounds.length > 1 ? rounds.slice(1) : rounds)

const rowsOf = (result: ScaleResult): readonly ScaleRow[] => {
  const { protection, facilities, rounds, spent, cpuSeconds } = result
  const id = (what: string): string => `scale.${protection}.${facilities}.${what}`
  const each = cpuSeconds / Math.max(1, rounds - 1)
  const sampled = spent.reduce((sum, [, seconds]) => sum + seconds, 0)
  return [
    { id: id("round"), value: median(warm(result.seconds)), unit: "s" },
    { id: id("cpu"), value: each, unit: "s" },
    ...spent.map(([activity, seconds]) => ({
      id: id(activity),
      value: sampled === 0 ? 0 : (seconds / sampled) * each,
      unit: "s",
    })),
    { id: id("set-up"), value: result.setUpSeconds, unit: "s" },
    { id: id("peak-rss"), value: result.peakRss / 1e6, unit: "MB" },
    { id: id("signatures"), value: result.signatures.asked / rounds, unit: "checks" },
    { id: id("signatures-different"), value: result.signatures.different / rounds, unit: "checks" },
  ]
}

/** How processor time of a round grows: the exponent of the number of facilities, from one size to the next. */
const growthOf = (results: readonly ScaleResult[]): readonly ScaleRow[] =>
  results.slice(1).map((next, i) => {
    const before = results[i] as ScaleResult
    const perRound = ({ cpuSeconds, rounds }: ScaleResult): number => cpuSeconds / Math.max(1, rounds - 1)
    const power = Math.log(perRound(next) / perRound(before)) / Math.log(next.facilities / before.facilities)
    return {
      id: `scale.${next.protection}.growth.${before.facilities}-${next.facilities}`,
      value: power,
      unit: "power of n",
    }
  })

const scaleRows = async (sizes: typeof SIZES, quick: boolean): Promise<readonly ScaleRow[]> => {
  const rows: ScaleRow[] = []
  for (const [protection, numbers] of Object.entries(sizes)) {
    const results: ScaleResult[] = []
    for (const facilities of numbers) {
      tell(`measuring ${facilities} facilities under ${protection} ...`)
      results.push(
        await measured({
          protection: protection as Protection,
          facilities,
          fogs: Math.min(FOGS, facilities),
          rounds: quick || facilities > 500 ? 2 : 3,
        }),
      )
    }
    rows.push(...results.flatMap(rowsOf), ...growthOf(results), ...leftOut(protection, numbers, quick))
  }
  return rows
}

const WHY_NOT =
  "every facility deals to every other: n (n - 1) sealed shares, and a list that names each of them, to all"

const leftOut = (protection: string, numbers: readonly number[], quick: boolean): readonly ScaleRow[] =>
  quick || protection === "plain"
    ? []
    : (SIZES.plain as readonly number[])
        .filter((facilities) => !numbers.includes(facilities))
        .map((facilities) => ({
          id: `scale.${protection}.${facilities}.round`,
          value: null,
          unit: "s",
          note: `not measured: ${protection === "ckks" ? "in the key ceremony " : ""}${WHY_NOT}`,
        }))

const tierRows = async (numbers: readonly number[], quick: boolean): Promise<readonly ScaleRow[]> => {
  const rows: ScaleRow[] = []
  const rounds = quick ? 2 : 3
  for (const protection of quick ? TIER_PROTECTIONS.slice(0, 1) : TIER_PROTECTIONS)
    for (const facilities of numbers)
      for (const fogs of [0, Math.min(FOGS, facilities)]) {
        tell(`measuring ${facilities} facilities with ${fogs} fogs under ${protection} ...`)
        const request = { protection, facilities, fogs, rounds }
        const result = await measured(request)
        const id = (what: string): string => `tiers.${protection}.${facilities}.fogs-${fogs}.${what}`
        rows.push(
          { id: id("leader-in"), value: median(result.leaderIn), unit: "B/round" },
          { id: id("leader-children"), value: result.leaderChildren, unit: "edges" },
        )
        if (quick || facilities !== numbers[0] || protection !== TIER_PROTECTIONS[0]) continue
        tell(`the same in ${facilities + fogs + 2} processes ...`)
        const real = await runInProcesses(request)
        rows.push(
          { id: id("processes.leader-in"), value: median(real.leaderIn), unit: "B/round" },
          {
            id: id("processes.connections"),
            value: real.connections,
            unit: "TCP",
            ...(real.connections === null ? { note: "this system does not tell" } : {}),
          },
          {
            id: id("processes.same"),
            value: Number(real.modelHash === result.modelHash && `${real.leaderIn}` === `${result.leaderIn}`),
            unit: "1 = same model, same bytes",
          },
        )
      }
  return rows
}

const MANY_PROCESSES = 50

/** A facility's process among many on one machine. */
const processRows = async (): Promise<readonly ScaleRow[]> => {
  tell(`measuring ${MANY_PROCESSES} facility processes ...`)
  const { facilities, setUpSeconds, seconds } = await runInProcesses({
    protection: "shamir",
    facilities: MANY_PROCESSES,
    fogs: FOGS,
    rounds: 3,
  })
  const id = (what: string): string => `processes.shamir.${MANY_PROCESSES}.${what}`
  const most = (values: readonly number[]): number | null =>
    values.length === 0 ? null : Math.max(...values) / 1e6
  const note = facilities.length === 0 ? { note: "this system does not tell" } : {}
  return [
    { id: id("facility-rss"), value: most(facilities.map(({ peakRss }) => peakRss)), unit: "MB", ...note },
    { id: id("facility-pss"), value: most(facilities.map(({ pss }) => pss)), unit: "MB", ...note },
    { id: id("set-up"), value: setUpSeconds, unit: "s" },
    { id: id("round"), value: median(warm(seconds)), unit: "s" },
  ]
}

/** Measures whole federations in one process, and prints how their work grows with the number of facilities. */
export const benchScale = async ({ quick = false, format }: BenchScaleOptions): Promise<void> => {
  const before = loadavg()[0] ?? 0
  const rows = [
    ...(await scaleRows(quick ? QUICK_SIZES : SIZES, quick)),
    ...(await tierRows(quick ? QUICK_TIERS : TIERS, quick)),
    ...(quick ? [] : await processRows()),
  ]
  const report: ScaleReport = {
    machine: `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, Node.js ${process.versions.node}`,
    date: new Date().toISOString(),
    load: [before, loadavg()[0] ?? 0],
    quick,
    rows,
  }
  process.stdout.write(format === "json" ? `${JSON.stringify(report)}\n` : scaleText(report))
}
