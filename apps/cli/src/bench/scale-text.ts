import type { ScaleReport, ScaleRow } from "../commands/bench-scale.js"
import { ACTIVITIES } from "./where-time-goes.js"

const cell = (row: ScaleRow | undefined): string => {
  if (row === undefined || row.value === null) return "-"
  const { value, unit } = row
  if (unit === "s") return value >= 10 ? value.toFixed(0) : value.toFixed(value < 0.1 ? 3 : 2)
  return value >= 1000 ? value.toFixed(0) : `${Number(value.toPrecision(3))}`
}

const table = (lines: readonly (readonly string[])[]): readonly string[] => {
  const widths = (lines[0] ?? []).map((_, at) => Math.max(...lines.map((line) => (line[at] ?? "").length)))
  return lines.map((line) =>
    line
      .map((text, at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)))
      .join("  "),
  )
}

const shown = (row: ScaleRow): string => `${row.id.padEnd(52)} ${cell(row).padStart(10)} ${row.unit}`

const MEASURES = ["round", "cpu", ...ACTIVITIES, "set-up", "peak-rss", "signatures", "signatures-different"]

/** The figures for a person: one table for how work grows, one for what two and three tiers mean to the leader. */
export const scaleText = ({ machine, date, load, rows }: ScaleReport): string => {
  const find = (id: string): ScaleRow | undefined => rows.find((row) => row.id === id)
  const sizes = [
    ...new Set(rows.flatMap(({ id }) => /^scale\.\w+\.\d+(?=\.round$)/.exec(id)?.[0] ?? [])),
  ].filter((size) => find(`${size}.round`)?.value !== null)
  const growth = rows.filter(({ id }) => id.includes(".growth."))
  const missing = rows.filter(({ value, note }) => value === null && note !== undefined)
  const tiers = rows.filter(({ id }) => id.startsWith("tiers."))
  const processes = rows.filter(({ id }) => id.startsWith("processes."))
  const lines = [
    `${machine}; ${date}; load ${load.map((one) => one.toFixed(1)).join(" before, ")} after`,
    "",
    "One process, four fogs, 14 parameters. Seconds per round; of the rounds after the first.",
    "`round` is what a watch shows, `cpu` the processor time of all participants together, and under it where that goes.",
    "A signature that several participants check is checked once: `signatures` says how often all of them were to check one.",
    "",
    ...table([
      ["", ...sizes.map((size) => size.slice("scale.".length))],
      ...MEASURES.map((measure) => [measure, ...sizes.map((size) => cell(find(`${size}.${measure}`)))]),
    ]),
    "",
    ...growth.map((row) => `${row.id.padEnd(40)} n^${cell(row)}`),
    ...missing.map(({ id, note }) => `${id.padEnd(40)} ${note}`),
    "",
    "What comes to the leader, without fogs and with them",
    "",
    ...tiers.map(shown),
    "",
    ...(processes.length === 0 ? [] : ["A process for each participant; the largest of the facilities'", ""]),
    ...processes.map(shown),
    "",
  ]
  return `${lines.join("\n")}\n`
}
