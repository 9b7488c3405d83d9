import { writeFile } from "node:fs/promises"
import { cpus } from "node:os"
import {
  BUDGETS,
  type Budget,
  privacyUtility,
  UTILITY_DELTA,
  type UtilityPoint,
} from "../bench/privacy-utility.js"
import { deviationOf, meanOf } from "../bench/statistics.js"
import { utilityPlot } from "../bench/utility-plot.js"
import type { Figures } from "../demo/baselines.js"
import { columns, EndWith, type Format, print } from "./printed.js"

export interface BenchUtilityOptions {
  readonly data: string
  /** Seeds 1 to so many. */
  readonly seeds: number
  /** Where the drawing goes; none if left out. */
  readonly plot?: string
  readonly format: Format
}

const FIGURES = ["accuracy", "balancedAccuracy", "auc"] as const
const NAMES = { local: "noise at each facility", sum: "one noise on the sum" }
/** How far one noise on the sum at epsilon 1 may leave the mean accuracy below training without noise. */
const BAR = 0.01

const of = ({ rows }: UtilityPoint, figure: keyof Figures): readonly (number | null)[] =>
  rows.map(({ mean }) => mean[figure])

const shown = (value: number | null): string => (value === null ? "-" : value.toFixed(3))

const errorOf = (point: UtilityPoint, figure: keyof Figures): number =>
  (deviationOf(of(point, figure)) ?? 0) / Math.sqrt(point.rows.length)

/** `consilium bench privacy-utility`: what budgets leave of a model on the heart data, as a table and a drawing. */
export const benchUtility = async (options: BenchUtilityOptions): Promise<void> => {
  const seeds = Array.from({ length: options.seeds }, (_, i) => i + 1)
  const points = await privacyUtility(options.data, seeds, (line) => process.stderr.write(`${line}\n`))
  const machine = `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, Node.js ${process.versions.node}`
  const date = new Date().toISOString()
  const at = (place: UtilityPoint["place"], budget: Budget): UtilityPoint =>
    points.find((point) => point.place === place && point.budget === budget) as UtilityPoint
  const accuracyOf = (budget: Budget): number => meanOf(of(at("sum", budget), "accuracy")) ?? 0
  const noisy = accuracyOf(1)
  const quiet = Math.max(accuracyOf("none"), accuracyOf("clipping alone"))
  const holds = noisy >= quiet - BAR
  const rows = points.flatMap((point) =>
    FIGURES.map((figure) => ({
      id: `privacy-utility.${point.place}.${String(point.budget)}.${figure}`,
      value: meanOf(of(point, figure)),
      unit: "mean over centres and seeds",
      deviation: deviationOf(of(point, figure)),
      noiseMultiplier: point.noiseMultiplier,
    })),
  )
  if (options.plot !== undefined)
    await writeFile(
      options.plot,
      utilityPlot(
        `Heart disease, four centres: mean AUC, delta ${UTILITY_DELTA}, ${seeds.length} seeds`,
        BUDGETS.map(String),
        (["sum", "local"] as const).map((place) => ({
          name: NAMES[place],
          colour: place === "sum" ? "#1f6f8b" : "#b5542c",
          means: BUDGETS.map((budget) => meanOf(of(at(place, budget), "auc")) ?? 0),
          errors: BUDGETS.map((budget) => errorOf(at(place, budget), "auc")),
        })),
      ),
    )
  print(
    options.format,
    { machine, date, seeds, delta: UTILITY_DELTA, rows, bar: { least: quiet - BAR, value: noisy, holds } },
    [
      `${machine}; ${date}; heart disease, 4 centres, ${seeds.length} seeds, delta ${UTILITY_DELTA}, declared constants`,
      "",
      ...columns(
        ["", "epsilon", "noise multiplier", "accuracy", "sd", "balanced", "sd", "AUC", "sd"],
        points.map((point) => [
          NAMES[point.place],
          String(point.budget),
          point.noiseMultiplier === null ? "-" : point.noiseMultiplier.toFixed(2),
          ...FIGURES.flatMap((figure) => [
            shown(meanOf(of(point, figure))),
            shown(deviationOf(of(point, figure))),
          ]),
        ]),
      ),
      "",
      `One noise on the sum at epsilon 1: mean accuracy ${noisy.toFixed(4)}, without noise ${quiet.toFixed(4)} (the better of the two ways); within ${BAR}: ${holds ? "holds" : "DOES NOT HOLD"}`,
      ...(options.plot === undefined ? [] : [`The drawing is in ${options.plot}.`]),
    ],
  )
  if (!holds) throw new EndWith(1)
}
