import { type Calibration, calibratedProbability } from "@consilium/inference/calibration/calibration"
import type { ExchangeFigures } from "@consilium/inference-client/figures"
import { type Axis, axisOf } from "../chart.js"
import { bytesText, countText, plural, roughText } from "../format.js"
import { Notice, Panel, Scrolling, Term } from "../notices.js"
import { Plot } from "./plot.js"
import { calibrationName } from "./risk.js"
import type { Compared, Session, SessionState } from "./session.js"
import { histogram, quantile } from "./statistics.js"
import { Trouble } from "./trouble.js"
import type { Asking } from "./use-asker.js"
import { incomparableWords } from "./words.js"

const BINS = 20
const PERCENT: Axis = { low: 0, high: 100, ticks: [0, 20, 40, 60, 80, 100] }
const SHARE: Axis = { low: 0, high: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] }

const Distribution = ({ risks }: { readonly risks: readonly number[] }) => {
  const counts = histogram(risks, BINS)
  const most = Math.max(...counts)
  const up = axisOf([0, most], 4, [0, Number.POSITIVE_INFINITY])
  return (
    <Plot
      told={`Risks of ${plural(risks.length, "patient")} in bins of ${100 / BINS} %; the middle one is ${((quantile(risks, 0.5) ?? 0) * 100).toFixed(1)} %.`}
      across={PERCENT}
      up={up}
      acrossName="risk, %"
      upName="patients"
    >
      {({ x, y }) =>
        counts.map((count, bin) => (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: a bin is its place
            key={bin}
            className="histogram"
            x={x((100 * bin) / BINS) + 1}
            y={y(count)}
            width={Math.max(0, x(100 / BINS) - x(0) - 2)}
            height={y(0) - y(count)}
          />
        ))
      }
    </Plot>
  )
}

const STAGES: readonly (readonly [name: string, of: (figures: ExchangeFigures) => number | null])[] = [
  ["Encrypting here", ({ encryptMs }) => encryptMs],
  ["There and back", ({ roundTripMs }) => roundTripMs],
  ["of which the server computed", ({ serverMs }) => serverMs],
  ["Decrypting here", ({ openMs }) => openMs],
]

const ms = (value: number | null): string => (value === null ? "–" : `${value.toFixed(2)} ms`)

const Latency = ({ exchanges }: { readonly exchanges: readonly ExchangeFigures[] }) => (
  <>
    <p className="exact">
      {plural(exchanges.length, "exchange")} with the server. Sent {bytesText(sum(exchanges, "bytesUp"))},
      received {bytesText(sum(exchanges, "bytesDown"))}.
    </p>
    <Scrolling label="Latency">
      <table>
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col" className="number">
              Half within
            </th>
            <th scope="col" className="number">
              95 of 100 within
            </th>
            <th scope="col" className="number">
              Longest
            </th>
          </tr>
        </thead>
        <tbody>
          {STAGES.map(([name, of]) => {
            const values = exchanges.map(of).filter((value) => value !== null)
            return (
              <tr key={name}>
                <th scope="row">{name}</th>
                {[0.5, 0.95, 1].map((share) => (
                  <td key={share} className="number">
                    {ms(quantile(values, share))}
                  </td>
                ))}
              </tr>
            )
          })}
        </tbody>
      </table>
    </Scrolling>
  </>
)

const sum = (exchanges: readonly ExchangeFigures[], of: "bytesUp" | "bytesDown"): number =>
  exchanges.reduce((total, figures) => total + figures[of], 0)

const Scatter = ({ compared, bound }: { readonly compared: readonly Compared[]; readonly bound: number }) => {
  const axis = axisOf(
    compared.flatMap(({ plain, encrypted }) => [plain, encrypted]),
    0.5,
  )
  const worst = Math.max(...compared.map(({ plain, encrypted }) => Math.abs(plain - encrypted)))
  const told = `Logits of ${plural(compared.length, "patient")}, computed in the clear here and on the server encrypted: they differ by at most ${roughText(worst)}.`
  return (
    <>
      <Plot told={told} across={axis} up={axis} acrossName="in the clear, here" upName="encrypted, server">
        {({ x, y }) => (
          <>
            <path className="diagonal" d={`M${x(axis.low)},${y(axis.low)}L${x(axis.high)},${y(axis.high)}`} />
            {compared.map(({ plain, encrypted }, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: pairs have no name
              <circle key={i} className="dot" cx={x(plain)} cy={y(encrypted)} r={3} />
            ))}
          </>
        )}
      </Plot>
      <p>
        The two differ by at most <strong>{roughText(worst)}</strong>;{" "}
        <Term word="Error bound">the proven bound</Term> is {roughText(bound)}.{" "}
        <span className="exact">
          {plural(compared.length, "patient")}. Do not pass differences on: they carry traces of the key.
        </span>
      </p>
    </>
  )
}

const Comparison = ({
  asking,
  session,
  state,
}: {
  readonly asking: Asking
  readonly session: Session
  readonly state: SessionState
}) => {
  const why = incomparableWords(asking.plan)
  return (
    <Panel
      id="comparison"
      title="Plain against encrypted"
      about="Whether computing on encrypted numbers gives what computing in the clear gives."
    >
      {why !== null ? (
        <Notice kind="empty" title="Nothing to compare with">
          <p>{why}</p>
          <p>
            <code>consilium infer evaluate</code> compares the two where the model itself is.
          </p>
        </Notice>
      ) : (
        <>
          <p>
            This model's weights are <Term word="Shared and kept">shared</Term>: one answer tells them. This
            page can take them from an answer, compute your patients in the clear, here in your browser, and
            compare. Nothing more is sent.
          </p>
          <label className="check">
            <input
              type="checkbox"
              checked={state.comparing}
              onChange={(event) => session.compare(event.target.checked)}
            />
            <span>Compare what I ask from now on</span>
          </label>
          {state.incomparable !== null && (
            <Trouble error={state.incomparable} title="The newest answer could not be compared" />
          )}
          {state.comparing && state.compared.length === 0 && (
            <p>Ask about a patient to see the first point.</p>
          )}
          {state.compared.length > 0 && <Scatter compared={state.compared} bound={asking.plan.errorBound} />}
        </>
      )}
    </Panel>
  )
}

const CURVE = Array.from({ length: 121 }, (_, i) => i / 10 - 6)

const CalibrationCurve = ({ calibration }: { readonly calibration: Calibration }) => {
  const across: Axis = { low: -6, high: 6, ticks: [-6, -4, -2, 0, 2, 4, 6] }
  const line = (of: (z: number) => number, x: (z: number) => number, y: (p: number) => number): string =>
    CURVE.map((z, i) => `${i === 0 ? "M" : "L"}${x(z).toFixed(1)},${y(of(z)).toFixed(1)}`).join("")
  return (
    <>
      <Plot
        told={`What the calibration makes of logits: 0 becomes ${calibratedProbability(calibration, 0).toFixed(3)}, without it one half.`}
        across={across}
        up={SHARE}
        acrossName="logit"
        upName="probability"
      >
        {({ x, y }) => (
          <>
            <path className="before" d={line((z) => calibratedProbability(null, z), x, y)} />
            <path className="after" d={line((z) => calibratedProbability(calibration, z), x, y)} />
          </>
        )}
      </Plot>
      <p className="legend">
        <span>
          <span className="swatch swatch-mean" /> with calibration
        </span>
        <span>
          <span className="swatch" /> without
        </span>
      </p>
    </>
  )
}

const CalibrationPanel = ({ calibration }: { readonly calibration: Calibration | null }) => (
  <Panel
    id="calibration"
    title="From the model's number to a probability"
    about={
      <>
        <Term word="Calibration">Calibration</Term> is part of the plan and is done here, after decrypting.
      </>
    }
  >
    {calibration === null ? (
      <Notice kind="warning" title="This model is not calibrated">
        <p>Its numbers rank patients; they are no true probabilities. Ask its operator to calibrate it.</p>
      </Notice>
    ) : (
      <>
        <p>
          {calibrationName(calibration)}
          <span className="exact">
            {" "}
            {calibration.type === "platt" &&
              `slope ${roughText(calibration.slope)}, offset ${roughText(calibration.offset)}`}
            {calibration.type === "temperature" &&
              `logits are divided by ${roughText(calibration.temperature)}`}
            {calibration.type === "isotonic" && `${countText(calibration.probabilities.length)} steps`}
          </span>
        </p>
        <CalibrationCurve calibration={calibration} />
      </>
    )}
  </Panel>
)

interface AnalyticsProps {
  readonly asking: Asking
  readonly session: Session
  readonly state: SessionState
}

/** What was asked of this model in this tab, together. */
export const Analytics = ({ asking, session, state }: AnalyticsProps) => {
  const own = state.asked.filter(({ planHash }) => planHash === asking.planHash)
  const risks = own.flatMap((asked) => asked.risks.map(({ rounded }) => rounded))
  const exchanges = own.flatMap((asked) => asked.exchanges)
  return (
    <div className="panels">
      <Panel id="distribution" title="Risks asked for in this tab" about="Of this version of the model.">
        {risks.length === 0 ? <p>Nothing has been asked yet.</p> : <Distribution risks={risks} />}
      </Panel>
      <Panel
        id="latency"
        title="How long it took"
        about="Of each exchange with the server, as this page measured it."
      >
        {exchanges.length === 0 ? <p>Nothing has been asked yet.</p> : <Latency exchanges={exchanges} />}
      </Panel>
      <Comparison asking={asking} session={session} state={state} />
      <CalibrationPanel calibration={asking.plan.calibration} />
    </div>
  )
}
