/** Lines across a picture, each with its number at the left. */
export const Gridlines = ({
  ticks,
  y,
  left,
  right,
}: {
  readonly ticks: readonly number[]
  readonly y: (tick: number) => number
  /** Where lines begin and end, in pixels. */
  readonly left: number
  readonly right: number
}) =>
  ticks.map((tick) => (
    <g key={tick} className="grid">
      <line x1={left} x2={right} y1={y(tick)} y2={y(tick)} />
      <text x={left - 8} y={y(tick)} dy="0.35em" textAnchor="end">
        {tick}
      </text>
    </g>
  ))
