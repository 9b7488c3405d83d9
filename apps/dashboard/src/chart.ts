import type { Point } from "./metrics.js"

export interface Axis {
  readonly low: number
  readonly high: number
  readonly ticks: readonly number[]
}

/** Steps that people count in: 1, 2 or 5 times a power of ten. */
const roundStep = (rough: number): number => {
  const power = 10 ** Math.floor(Math.log10(rough))
  const factor = [1, 2, 5, 10].find((f) => f * power >= rough * (1 - 1e-9)) ?? 10
  return factor * power
}

/** An axis around values, no shorter than `shortest` and, where a range is given, not beyond it. */
export const axisOf = (
  values: readonly number[],
  shortest: number,
  range: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
): Axis => {
  let low = Math.min(...values)
  let high = Math.max(...values)
  if (values.length === 0) [low, high] = [0, shortest]
  if (high - low < shortest) {
    const middle = (low + high) / 2
    ;[low, high] = [middle - shortest / 2, middle + shortest / 2]
  }
  const step = roundStep((high - low) / 4)
  low = Math.max(range[0], Math.floor(low / step + 1e-9) * step)
  high = Math.min(range[1], Math.ceil(high / step - 1e-9) * step)
  const count = Math.round((high - low) / step)
  return {
    low,
    high,
    ticks: Array.from({ length: count + 1 }, (_, i) => Number((low + i * step).toPrecision(12))),
  }
}

/** Whole rounds to name under a chart: the first, the last, and as many between as there is room for. */
export const roundTicks = (last: number, most: number): readonly number[] => {
  if (last <= most) return Array.from({ length: last }, (_, i) => i + 1)
  const step = Math.max(1, roundStep(last / most))
  const ticks = [1]
  for (let tick = step; tick < last - step / 2; tick += step) if (tick > 1) ticks.push(tick)
  return [...ticks, last]
}

/** A drawn line through points. */
export const pathOf = (
  points: readonly Point[],
  x: (round: number) => number,
  y: (value: number) => number,
): string =>
  points
    .map(({ round, value }, i) => `${i === 0 ? "M" : "L"}${x(round).toFixed(1)},${y(value).toFixed(1)}`)
    .join("")
