import type { EvaluationView, StatisticsView, StudyView } from "@consilium/node/api/study-view"
import { countText, figureText, roughText } from "./format.js"
import { Panel, Scrolling } from "./notices.js"

const NoiseLine = ({ noise }: { readonly noise: number }) =>
  noise === 0 ? null : (
    <p className="exact">
      Every count carries noise of {noise.toFixed(1)} rows (standard deviation), paid for by each facility's
      budget.
    </p>
  )

const Evaluations = ({ evaluations }: { readonly evaluations: readonly EvaluationView[] }) => (
  <>
    <p>The common model on all held-out patients as one group.</p>
    <Scrolling label="Evaluations of all held-out patients together">
      <table>
        <thead>
          <tr>
            <th scope="col">Round</th>
            <th scope="col" className="number">
              Patients
            </th>
            <th scope="col" className="number">
              Ill
            </th>
            <th scope="col" className="number">
              AUC
            </th>
            <th scope="col" className="number">
              ±
            </th>
            <th scope="col" className="number">
              Accuracy
            </th>
            <th scope="col" className="number">
              Balanced
            </th>
          </tr>
        </thead>
        <tbody>
          {evaluations.map((one) => (
            <tr key={one.round}>
              <th scope="row">{one.round}</th>
              <td className="number">{countText(one.rows)}</td>
              <td className="number">{countText(one.positives)}</td>
              <td className="number">{figureText(one.auc)}</td>
              <td className="number">{figureText(one.aucError)}</td>
              <td className="number">{figureText(one.accuracy)}</td>
              <td className="number">{figureText(one.balancedAccuracy)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
    <p className="exact">± is how far grouping scores into bins may move the AUC.</p>
    <NoiseLine noise={evaluations.at(-1)?.noise ?? 0} />
  </>
)

const Statistics = ({ statistics }: { readonly statistics: StatisticsView }) => (
  <>
    <p>
      All training patients as one group: {countText(statistics.rows)}, of which{" "}
      {countText(statistics.positives)} are ill. The last three columns are the values that a quarter, half
      and three quarters of them lie below.
    </p>
    <Scrolling label="Statistics of all training patients together">
      <table>
        <thead>
          <tr>
            <th scope="col">Feature</th>
            <th scope="col" className="number">
              Mean
            </th>
            <th scope="col" className="number">
              Deviation
            </th>
            <th scope="col" className="number">
              25 %
            </th>
            <th scope="col" className="number">
              50 %
            </th>
            <th scope="col" className="number">
              75 %
            </th>
          </tr>
        </thead>
        <tbody>
          {statistics.features.map(({ feature, mean, deviation, quartiles }) => (
            <tr key={feature}>
              <th scope="row">{feature}</th>
              {[mean, deviation, ...(quartiles ?? [null, null, null])].map((value, i) => (
                // the columns are fixed
                // biome-ignore lint/suspicious/noArrayIndexKey: a column has no other name
                <td key={i} className="number">
                  {value === null ? "–" : roughText(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
    <NoiseLine noise={statistics.noise} />
  </>
)

/** What was counted of all facilities' patients together; nothing where the study counts nothing. */
export const Figures = ({ view }: { readonly view: StudyView }) => {
  const { statistics, evaluations } = view.figures
  if (statistics === null && evaluations.length === 0) return null
  return (
    <Panel
      id="figures"
      title="All patients together"
      about="Facilities count, and only the sum of their counts over a signed list is opened. Nobody sees a facility's own part."
    >
      {evaluations.length > 0 && <Evaluations evaluations={evaluations} />}
      {statistics !== null && <Statistics statistics={statistics} />}
    </Panel>
  )
}
