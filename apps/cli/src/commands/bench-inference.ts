import { cpus, loadavg } from "node:os"
import { type InferenceRow, measureInference } from "../bench/inference.js"
import { columns, type Format, print } from "./printed.js"

export interface BenchInferenceOptions {
  readonly quick?: boolean
  readonly format: Format
}

const rounded = (value: number): number => Math.round(10 * value) / 10

const figure = (value: number): string => {
  if (value === 0 || value >= 1000) return String(Math.round(value))
  return value < 1e-3 ? value.toExponential(1) : value.toPrecision(3)
}

const cellsOf = ({ id, value, unit, best, bar, met, note }: InferenceRow): readonly string[] => [
  id,
  value === null ? "-" : figure(value),
  value === null ? (note ?? "") : unit,
  best === undefined ? "" : `best ${figure(best)}`,
  bar === undefined ? "" : `${bar}: ${met ? "met" : "NOT MET"}`,
]

/** `consilium bench inference`: encrypted predictions over TLS, and SEAL on the same models and patients. */
export const benchInference = async ({ quick = false, format }: BenchInferenceOptions): Promise<void> => {
  const load = (): number => rounded(loadavg()[0] as number)
  const before = load()
  const { rows, peer } = await measureInference(quick, (line) => process.stderr.write(`${line}\n`))
  const machine = `${cpus()[0]?.model.trim() ?? "unknown"}, ${cpus().length} cores, Node.js ${process.versions.node}`
  const report = { machine, date: new Date().toISOString(), load: [before, load()], quick, peer, rows }
  print(format, report, [
    `${machine}; ${report.date}; load ${report.load.join(" before, ")} after; ${peer}`,
    ...(quick ? ["A quick run: the figures only show that it works."] : []),
    ...columns(["", "", "", "", ""], rows.map(cellsOf)).slice(1),
  ])
}
