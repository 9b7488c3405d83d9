import type { Evaluation, Quality } from "./evaluation.js"

const share = (value: number | null): string => (value === null ? "-" : value.toFixed(4))
const small = (value: number): string => (value === 0 ? "0" : value.toExponential(1))
const time = (ms: number): string => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
const size = (bytes: number): string => {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(2)} MB`
}

const QUALITY_ROWS: readonly (readonly [string, keyof Quality])[] = [
  ["accuracy", "accuracy"],
  ["AUC (ranking of patients)", "auc"],
  ["Brier score", "brier"],
  ["calibration error (ECE)", "expectedCalibrationError"],
]

const aligned = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = rows.reduce<readonly number[]>(
    (found, row) => row.map((cell, column) => Math.max(cell.length, found[column] ?? 0)),
    [],
  )
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join("  ")
      .trimEnd(),
  )
}

/** An evaluation as text for a terminal: two tables, then the warnings, one a line. */
export const evaluationText = (evaluation: Evaluation): string => {
  const { n, requests, latencyMs, bytes, warnings } = evaluation
  const agreeing = Math.round(evaluation.classAgreement * n)
  return [
    ...aligned([
      [`${n} patients`, "plain", "encrypted"],
      ...QUALITY_ROWS.map(([name, key]) => [
        name,
        share(evaluation.plain[key]),
        share(evaluation.encrypted[key]),
      ]),
    ]),
    "",
    ...aligned([
      ["same answer both ways", `${agreeing} of ${n}`],
      ["largest logit error", small(evaluation.maxLogitError)],
      ["mean logit error", small(evaluation.meanLogitError)],
      ["requests", String(requests)],
      ["time of a request, half at most", time(latencyMs.p50)],
      ["time of a request, 95 % at most", time(latencyMs.p95)],
      ["sent per request", size(bytes.up)],
      ["received per request", size(bytes.down)],
      ["keys sent once", bytes.keys === 0 ? "none" : size(bytes.keys)],
      ["calibration", evaluation.calibration ?? "none"],
    ]),
    ...(warnings.length === 0 ? [] : ["", ...warnings.map(({ message }) => `Note: ${message}`)]),
  ].join("\n")
}
