import { axisOf, pathOf, roundTicks } from "./chart.js"
import { figureText } from "./format.js"
import { Gridlines } from "./gridlines.js"
import type { Point, Series } from "./metrics.js"
import { useWidth } from "./use-width.js"
import { type MetricName, metricNamed } from "./words.js"

const HEIGHT = 260
const MARGIN = { left: 44, right: 14, top: 12, bottom: 34 }

interface ChartProps {
  readonly metric: MetricName
  readonly series: readonly Series[]
  readonly mean: readonly Point[]
  readonly lastRound: number
  readonly marked: string | null
}

export const MetricChart = ({ metric, series, mean, lastRound, marked }: ChartProps) => {
  const [place, width] = useWidth<HTMLDivElement>()
  const values = series.flatMap(({ points }) => points.map(({ value }) => value))
  const axis = axisOf(values, 0.1, metric === "logLoss" ? [0, Number.POSITIVE_INFINITY] : [0, 1])
  const [inner, tall] = [width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom]
  const x = (round: number): number =>
    MARGIN.left + (lastRound > 1 ? ((round - 1) / (lastRound - 1)) * inner : inner / 2)
  const y = (value: number): number => MARGIN.top + (1 - (value - axis.low) / (axis.high - axis.low)) * tall
  const { short } = metricNamed(metric)
  const [first, last] = [mean[0], mean.at(-1)]
  const told =
    first === undefined || last === undefined
      ? `${short}: nothing measured yet`
      : `${short} over the rounds: the mean over facilities went from ${figureText(first.value)} in round ${first.round} to ${figureText(last.value)} in round ${last.round}.`
  const line = (points: readonly Point[], name: string) => (
    <g className={name}>
      <path d={pathOf(points, x, y)} />
      {points.map(({ round, value }) => (
        <circle key={round} cx={x(round)} cy={y(value)} r={name === "line-mean" ? 3.5 : 2.5} />
      ))}
    </g>
  )
  return (
    <div className="chart" ref={place}>
      {width > 0 && (
        <svg width={width} height={HEIGHT} role="img" aria-label={told}>
          <Gridlines ticks={axis.ticks} y={y} left={MARGIN.left} right={width - MARGIN.right} />
          {roundTicks(lastRound, Math.max(2, Math.floor(inner / 36))).map((tick) => (
            <text key={tick} className="tick" x={x(tick)} y={HEIGHT - MARGIN.bottom + 18} textAnchor="middle">
              {tick}
            </text>
          ))}
          <text className="tick" x={width - MARGIN.right} y={HEIGHT - 2} textAnchor="end">
            round
          </text>
          {series
            .filter(({ facility }) => facility !== marked)
            .map(({ facility, points }) => (
              <g key={facility}>{line(points, "line-facility")}</g>
            ))}
          {line(mean, "line-mean")}
          {series
            .filter(({ facility }) => facility === marked)
            .map(({ facility, points }) => (
              <g key={facility}>{line(points, "line-marked")}</g>
            ))}
        </svg>
      )}
    </div>
  )
}
