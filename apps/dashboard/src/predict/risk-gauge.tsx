import { type Risk, rangeText, riskText } from "./risk.js"

const RADIUS = 80
const CENTRE = { x: 100, y: 96 }

const pointAt = (share: number, radius: number): string => {
  const angle = Math.PI * (1 - share)
  return `${(CENTRE.x + radius * Math.cos(angle)).toFixed(2)},${(CENTRE.y - radius * Math.sin(angle)).toFixed(2)}`
}

const arc = (from: number, to: number): string =>
  `M${pointAt(from, RADIUS)}A${RADIUS},${RADIUS} 0 0 1 ${pointAt(to, RADIUS)}`

/** A probability on a half circle from 0 to 100 %. It has one colour throughout: what is a high risk is not for a gauge to say. */
export const RiskGauge = ({ risk }: { readonly risk: Risk }) => (
  <svg
    className="gauge"
    viewBox="0 0 200 118"
    role="img"
    aria-label={`${riskText(risk)}, ${rangeText(risk)}`}
  >
    <path className="gauge-track" d={arc(0, 1)} />
    <path className="gauge-value" d={arc(0, Math.max(risk.rounded, 0.001))} />
    {[risk.low, risk.high].map((end, i) => (
      // the ends of a range may be the same
      // biome-ignore lint/suspicious/noArrayIndexKey: two places that stay two
      <path key={i} className="gauge-end" d={`M${pointAt(end, RADIUS - 11)}L${pointAt(end, RADIUS + 11)}`} />
    ))}
    <text className="gauge-number" x={CENTRE.x} y={CENTRE.y - 8} textAnchor="middle">
      {riskText(risk)}
    </text>
    <text x={CENTRE.x - RADIUS} y={CENTRE.y + 18} textAnchor="middle">
      0 %
    </text>
    <text x={CENTRE.x + RADIUS} y={CENTRE.y + 18} textAnchor="middle">
      100 %
    </text>
  </svg>
)
