import type { EvaluationView, StatisticsView, StudyView } from "@consilium/node/api/study-view"
import { countText, figureText, roughText } from "./format.js"
import { Panel, Scrolling } from "./notices.js"

/** `counts` says which numbers have the noise. */
const NoiseLine = ({ counts, noise }: { readonly counts: string; readonly noise: number }) =>
  noise === 0 ? null : (
    <p className="exact">
      {counts} noise of {noise.toFixed(1)} rows (standard deviation), paid for by each facility's budget.
    </p>
  )

const Heads = ({ first, numbers }: { readonly first: string; readonly numbers: readonly string[] }) => (
  <thead>
    <tr>
      <th scope="col">{first}</th>
      {numbers.map((name) => (
        <th key={name} scope="col" className="number">
          {name}
        </th>
      ))}
    </tr>
  </thead>
)

const Evaluations = ({ evaluations }: { readonly evaluations: readonly EvaluationView[] }) => (
  <>
    <p>The common model on all held-out patients as one group.</p>
    <Scrolling label="Evaluations of all held-out patients together">
      <table>
        <Heads first="Round" numbers={["Patients", "Ill", "AUC", "±", "Accuracy", "Balanced"]} />
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
    <NoiseLine
      counts="Patients and ill add up counts of bins, each with"
      noise={evaluations.at(-1)?.noise ?? 0}
    />
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
        <Heads first="Feature" numbers={["Mean", "Deviation", "25 %", "50 %", "75 %"]} />
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
    <NoiseLine counts="Every count carries" noise={statistics.noise} />
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
