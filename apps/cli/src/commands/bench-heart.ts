import { cpus } from "node:os"
import { fedHeart, type Method } from "../bench/fed-heart.js"
import { deviationOf, meanOf } from "../bench/statistics.js"
import type { Figures } from "../demo/baselines.js"
import { columns, EndWith, type Format, print } from "./printed.js"

export interface BenchHeartOptions {
  readonly data: string
  readonly seeds: readonly number[]
  readonly format: Format
}

const shown = (value: number | null): string => (value === null ? "-" : value.toFixed(3))

const centresOf = ({ rows }: Method): readonly string[] => rows[0]?.facilities.map(({ name }) => name) ?? []

const overSeeds = ({ rows }: Method, centre: string | null, figure: keyof Figures): (number | null)[] =>
  rows.map((row) =>
    centre === null
      ? row.mean[figure]
      : (row.facilities.find(({ name }) => name === centre)?.[figure] ?? null),
  )

const table = (methods: readonly Method[], figure: keyof Figures): readonly string[] => {
  const centres = centresOf(methods[0] as Method)
  return columns(
    [
      "",
      ...centres,
      "mean of 4",
      "sd over seeds",
      ...(figure === "accuracy" ? ["published", "re-run", "bars"] : []),
    ],
    methods.map((method) => [
      method.name,
      ...centres.map((centre) => shown(meanOf(overSeeds(method, centre, figure)))),
      shown(meanOf(overSeeds(method, null, figure))),
      shown(deviationOf(overSeeds(method, null, figure))),
      ...(figure === "accuracy"
        ? [
            shown(method.published),
            method.rerun === null ? "-" : `${shown(method.rerun.mean)} ± ${shown(method.rerun.deviation)}`,
            method.bars.length === 0 ? "" : method.bars.every(({ holds }) => holds) ? "hold" : "DO NOT HOLD",
          ]
        : []),
    ]),
  )
}

const TITLES: Readonly<Record<keyof Figures, string>> = {
  accuracy: "Accuracy at one half",
  balancedAccuracy: "Balanced accuracy: always one answer has .500",
  auc: "AUC",
}

/** `consilium bench fed-heart`: the published benchmark made again, every strategy beside the published figures. */
export const benchHeart = async ({ data, seeds, format }: BenchHeartOptions): Promise<void> => {
  const methods = await fedHeart(data, seeds, (line) => process.stderr.write(`${line}\n`))
  const machine = `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, Node.js ${process.versions.node}`
  const date = new Date().toISOString()
  const bars = methods.flatMap((method) => method.bars.map((bar) => ({ ...bar, method: method.name })))
  const rows = methods.flatMap((method) =>
    (["accuracy", "balancedAccuracy", "auc"] as const).map((figure) => ({
      id: `fed-heart.${method.id}.${figure}`,
      value: meanOf(overSeeds(method, null, figure)),
      unit: "mean over centres and seeds",
      deviation: deviationOf(overSeeds(method, null, figure)),
      published: figure === "accuracy" ? method.published : null,
      centres: centresOf(method).map((centre) => ({
        centre,
        value: meanOf(overSeeds(method, centre, figure)),
      })),
    })),
  )
  print(format, { machine, date, seeds, rows, bars }, [
    `${machine}; ${date}; seeds ${seeds.join(", ")}`,
    ...(["accuracy", "balancedAccuracy", "auc"] as const).flatMap((figure) => [
      "",
      TITLES[figure],
      ...table(methods, figure).map((line) => `  ${line}`),
    ]),
    "",
    "Bars",
    ...bars.map(
      ({ method, what, value, least, most, holds }) =>
        `  ${method}: ${what} ${value.toFixed(4)}, ${least.toFixed(3)} to ${most.toFixed(3)}: ${holds ? "holds" : "DOES NOT HOLD"}`,
    ),
    "",
    "The models are those that the same studies lead to among processes, to the last bit; they are trained in one process here.",
  ])
  if (!bars.every(({ holds }) => holds)) throw new EndWith(1)
}
