import type { ReactNode } from "react"
import type { Axis } from "../chart.js"
import { Gridlines } from "../gridlines.js"
import { useWidth } from "../use-width.js"

const HEIGHT = 260
const MARGIN = { left: 48, right: 14, top: 12, bottom: 40 }

export interface PlotScale {
  readonly x: (value: number) => number
  readonly y: (value: number) => number
}

interface PlotProps {
  /** What the picture shows, in a sentence. */
  readonly told: string
  readonly across: Axis
  readonly up: Axis
  readonly acrossName: string
  readonly upName: string
  readonly format?: (tick: number) => string
  readonly children: (scale: PlotScale) => ReactNode
}

const along = ({ low, high }: Axis, value: number): number =>
  high > low ? (value - low) / (high - low) : 0.5

/** A frame with two axes, as wide as there is room. */
export const Plot = ({ told, across, up, acrossName, upName, format = String, children }: PlotProps) => {
  const [place, width] = useWidth<HTMLDivElement>()
  const [inner, tall] = [width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom]
  const x = (value: number): number => MARGIN.left + along(across, value) * inner
  const y = (value: number): number => MARGIN.top + (1 - along(up, value)) * tall
  const few = across.ticks.filter((_, i) => inner > 300 || i % 2 === 0)
  return (
    <div className="chart" ref={place}>
      {width > 0 && (
        <svg width={width} height={HEIGHT} role="img" aria-label={told}>
          <Gridlines ticks={up.ticks} y={y} left={MARGIN.left} right={width - MARGIN.right} />
          {few.map((tick) => (
            <text key={tick} x={x(tick)} y={HEIGHT - MARGIN.bottom + 18} textAnchor="middle">
              {format(tick)}
            </text>
          ))}
          <text x={width - MARGIN.right} y={HEIGHT - 4} textAnchor="end">
            {acrossName}
          </text>
          <text x={0} y={HEIGHT - 4}>
            ↑ {upName}
          </text>
          {children({ x, y })}
        </svg>
      )}
    </div>
  )
}
