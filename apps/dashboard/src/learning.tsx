import type { FinalView, MetricsView, StudyView } from "@consilium/node/api/study-view"
import { useState } from "react"
import { countText, figureText, inNameOrder, percentText } from "./format.js"
import { MetricChart } from "./metric-chart.js"
import { latestMetrics, meanOf, type Point, seriesOf } from "./metrics.js"
import { Notice, Panel, Scrolling, Term } from "./notices.js"
import { METRICS, type MetricName, metricNamed } from "./words.js"

interface TableProps {
  /** The one that is drawn; a narrow page has no room for the others. */
  readonly metric: MetricName
  readonly rows: readonly MetricsView[]
  readonly round: number
  readonly marked: string | null
  readonly onMark: (facility: string | null) => void
}

const meanOfRows = (rows: readonly MetricsView[], name: MetricName): number | null => {
  const values = rows.flatMap((row) => row[name] ?? [])
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
}

const Table = ({ metric, rows, round, marked, onMark }: TableProps) => {
  const cell = (name: MetricName): string => (name === metric ? "number" : "number cell-other")
  return (
    <Scrolling label={`Figures of round ${round}`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Facility</th>
            <th scope="col" className="number">
              Test patients
            </th>
            {METRICS.map(({ name, short }) => (
              <th key={name} scope="col" className={cell(name)}>
                {short}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr className="row-mean">
            <th scope="row">
              <span className="swatch swatch-mean" aria-hidden="true" /> mean
            </th>
            <td className="number">{countText(rows.reduce((sum, row) => sum + row.rows, 0))}</td>
            {METRICS.map(({ name }) => (
              <td key={name} className={cell(name)}>
                {figureText(meanOfRows(rows, name))}
              </td>
            ))}
          </tr>
          {rows.map((row) => (
            <tr key={row.facility}>
              <th scope="row">
                <button
                  type="button"
                  className="row-button"
                  aria-pressed={row.facility === marked}
                  onClick={() => onMark(row.facility === marked ? null : row.facility)}
                >
                  <span
                    className={`swatch ${row.facility === marked ? "swatch-marked" : "swatch-facility"}`}
                    aria-hidden="true"
                  />{" "}
                  {row.facility}
                </button>
              </th>
              <td className="number">{countText(row.rows)}</td>
              {METRICS.map(({ name }) => (
                <td key={name} className={cell(name)}>
                  {figureText(row[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
  )
}

/** The end of a study: the common model beside each facility's own copy of it. */
const Finals = ({
  finals,
  metric,
}: {
  readonly finals: readonly FinalView[]
  readonly metric: MetricName
}) => {
  const { short } = metricNamed(metric)
  const tuned = finals.some(({ personal }) => personal !== null)
  return (
    <>
      <p className="exact">
        The final model{tuned && ", and each facility's own copy, trained a little further at home"}.
      </p>
      <Scrolling label="The final model">
        <table>
          <thead>
            <tr>
              <th scope="col">Facility</th>
              <th scope="col" className="number">
                {short}, common model
              </th>
              {tuned && (
                <th scope="col" className="number">
                  {short}, own copy
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {[...finals]
              .sort((a, b) => inNameOrder(a.facility, b.facility))
              .map(({ facility, global, personal }) => (
                <tr key={facility}>
                  <th scope="row">{facility}</th>
                  <td className="number">{global === null ? "kept private" : figureText(global[metric])}</td>
                  {tuned && (
                    <td className="number">
                      {personal === null ? "kept private" : figureText(personal[metric])}
                    </td>
                  )}
                </tr>
              ))}
          </tbody>
        </table>
      </Scrolling>
    </>
  )
}

const sentence = (metric: MetricName, last: Point | undefined): string => {
  if (last === undefined) return ""
  const exact = `(${metricNamed(metric).short.toLowerCase()} ${figureText(last.value)}, mean of the facilities, round ${last.round})`
  if (metric === "accuracy")
    return `The common model is right for ${percentText(last.value)} of test patients ${exact}.`
  if (metric === "auc")
    return `The common model ranks an ill patient above a healthy one ${percentText(last.value)} of the time ${exact.replace("auc", "AUC")}.`
  if (metric === "balancedAccuracy")
    return `With ill and healthy patients counting equally, the common model is right ${percentText(last.value)} of the time ${exact}.`
  return `The predicted chances are ${figureText(last.value)} away from what happened ${exact}.`
}

const MetricChooser = ({
  metric,
  onChoose,
}: {
  readonly metric: MetricName
  readonly onChoose: (metric: MetricName) => void
}) => (
  <fieldset className="choice">
    <legend>Figure to show</legend>
    {METRICS.map(({ name, short }) => (
      <label key={name}>
        <input type="radio" name="metric" checked={metric === name} onChange={() => onChoose(name)} />
        <span>{short}</span>
      </label>
    ))}
  </fieldset>
)

export const Learning = ({ view }: { readonly view: StudyView }) => {
  const [metric, setMetric] = useState<MetricName>("accuracy")
  const [marked, mark] = useState<string | null>(null)
  const series = seriesOf(view.rounds, metric)
  const mean = meanOf(series)
  const latest = latestMetrics(view.rounds)
  const lastRound = Math.max(1, view.plannedRounds, ...view.rounds.map(({ round }) => round))
  // where the last round's figures are known, the common model's final ones repeat them
  const ended = view.finals.some(({ personal }) => personal !== null) || latest === undefined
  const finals = ended ? view.finals : []
  const { short, plain, better } = metricNamed(metric)
  return (
    <Panel
      id="learning"
      title="How good the model is"
      about={
        <>
          Every facility tests the common model on patients of its own that were never trained on. It tells
          only the figures, such as the <Term word="AUC">AUC</Term>.
        </>
      }
    >
      {latest === undefined && finals.length === 0 ? (
        <Notice kind="empty" title="Nothing measured yet">
          <p>Figures come at the end of the first round, from facilities whose policy lets them be told.</p>
        </Notice>
      ) : (
        <>
          <MetricChooser metric={metric} onChoose={setMetric} />
          <p>{sentence(metric, mean.at(-1))}</p>
          <p className="exact">
            {short}: {plain}. {better === "higher" ? "Higher" : "Lower"} is better.
          </p>
          {latest !== undefined && (
            <>
              <MetricChart
                metric={metric}
                series={series}
                mean={mean}
                lastRound={lastRound}
                marked={marked}
              />
              <p className="exact">
                Round {latest.round}, each facility on patients it held back from training. Choose a facility
                to mark its line.
              </p>
              <Table
                metric={metric}
                rows={[...latest.metrics].sort((a, b) => inNameOrder(a.facility, b.facility))}
                round={latest.round}
                marked={marked}
                onMark={mark}
              />
            </>
          )}
          {finals.length > 0 && <Finals finals={finals} metric={metric} />}
        </>
      )}
    </Panel>
  )
}
