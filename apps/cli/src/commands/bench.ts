import { existsSync } from "node:fs"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { ConsiliumError } from "@consilium/base/errors"

/** One figure. `value` is null where a part is not installed; `unit` then says so. */
export interface BenchRow {
  readonly id: string
  readonly value: number | null
  readonly unit: string
  /** Of a time, which is a median: the best run. */
  readonly best?: number
  /** What the figure must not exceed at a million values and ten facilities. */
  readonly bar?: number
  /** The same figure of the peer, and the peer's over ours; of times, best against best. */
  readonly peer?: number
  readonly ratio?: number
}

interface SumsBench {
  measureSums(options: {
    readonly values: number
    readonly facilities: number
    readonly tell?: (part: string) => void
  }): Promise<readonly BenchRow[]>
}

export interface BenchSumsOptions {
  readonly values: number
  readonly facilities: number
  readonly format: "text" | "json"
}

/** The measuring code stands beside the packages it measures, and is no part of an installed program. */
const loadSumsBench = async (): Promise<SumsBench> => {
  const place = new URL("../../../../bench/sums/measure.mjs", import.meta.url)
  if (!existsSync(fileURLToPath(place)))
    throw new ConsiliumError("cli/not-available", "The benchmarks are part of the source tree only.", {
      remedy: "Clone the repository and run the command there.",
    })
  return (await import(place.href)) as SumsBench
}

const line = ({ id, value, unit, best, bar, peer, ratio }: BenchRow): string => {
  if (value === null) return `${id.padEnd(32)} ${unit}`
  const figure = value >= 1e6 ? value.toExponential(3) : value.toFixed(value < 100 ? 2 : 0)
  return (
    `${id.padEnd(32)} ${figure.padStart(12)} ${unit.padEnd(12)}` +
    (best === undefined ? "" : ` best ${best.toFixed(1)}`) +
    (bar === undefined ? "" : ` bar ${bar}`) +
    (peer === undefined || ratio === undefined
      ? ""
      : ` node-seal ${peer.toFixed(1)}, ${ratio.toFixed(1)} times`)
  )
}

/** Measures the secure sums, one thread, and prints the figures; sums that are not exact end it with an error. */
export const benchSums = async ({ values, facilities, format }: BenchSumsOptions): Promise<void> => {
  const bench = await loadSumsBench()
  const rows = await bench.measureSums({
    values,
    facilities,
    tell: (part) => process.stderr.write(`measuring ${part} ...\n`),
  })
  const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, node: process.versions.node }
  const report = { machine, date: new Date().toISOString(), values, facilities, rows }
  process.stdout.write(
    format === "json"
      ? `${JSON.stringify(report)}\n`
      : `${[`${machine.cpu}, Node.js ${machine.node}, one thread`, ...rows.map(line)].join("\n")}\n`,
  )
}
