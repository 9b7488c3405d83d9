import { countText, timeText } from "../format.js"
import { Panel, Scrolling } from "../notices.js"
import { percent, rangeText, riskText } from "./risk.js"
import { serverName } from "./server-choice.js"
import type { Asked, Session } from "./session.js"
import { quantile } from "./statistics.js"

const SHOWN = 50

const answerText = ({ risks }: Asked): string => {
  const [first] = risks
  if (risks.length === 1 && first !== undefined) return `${riskText(first)} (${rangeText(first)})`
  const rounded = risks.map((risk) => risk.rounded)
  const at = (share: number): string => percent(quantile(rounded, share) ?? 0)
  return `half of them between ${at(0.25)} % and ${at(0.75)} %`
}

interface HistoryProps {
  readonly asked: readonly Asked[]
  readonly session: Session
}

export const History = ({ asked, session }: HistoryProps) => {
  const severalServers = new Set(asked.map(({ server }) => server)).size > 1
  return (
    <Panel
      id="history"
      title="Asked in this tab"
      wide
      about="Answers only: what you wrote of a patient is not kept. The list is in this tab's memory and gone when you close it."
    >
      {asked.length === 0 ? (
        <p>Nothing yet.</p>
      ) : (
        <>
          <Scrolling label="Asked in this tab">
            <table>
              <thead>
                <tr>
                  <th scope="col">When</th>
                  <th scope="col">Model</th>
                  <th scope="col" className="number">
                    Patients
                  </th>
                  <th scope="col">Risk</th>
                  <th scope="col" className="number">
                    Took
                  </th>
                </tr>
              </thead>
              <tbody>
                {asked.slice(0, SHOWN).map((one) => (
                  <tr key={one.id}>
                    <td>
                      <time>{timeText(one.at)}</time>
                    </td>
                    <td>
                      {one.model}, version {one.version}
                      {severalServers && <span className="exact"> at {serverName(one.server)}</span>}
                    </td>
                    <td className="number">{countText(one.risks.length)}</td>
                    <td>
                      {answerText(one)}
                      {!one.calibrated && <span className="exact"> a score, not calibrated</span>}
                    </td>
                    <td className="number">{one.milliseconds.toFixed(0)} ms</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scrolling>
          <p>
            <button type="button" onClick={() => session.clear()}>
              Forget them all
            </button>
            {asked.length > SHOWN && <span className="aside">the newest {SHOWN} are shown</span>}
          </p>
        </>
      )}
    </Panel>
  )
}
