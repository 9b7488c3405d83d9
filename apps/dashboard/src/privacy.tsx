import type { PrivacyView, StudyView } from "@consilium/node/api/study-view"
import { inNameOrder, oddsText, roughText } from "./format.js"
import { Notice, Panel, Scrolling, Term } from "./notices.js"

type Spent = PrivacyView & { readonly epsilon: number }

const Ledger = ({ spent }: { readonly spent: readonly Spent[] }) => {
  const most = Math.max(...spent.map(({ epsilon }) => epsilon), Number.MIN_VALUE)
  return (
    <Scrolling label="Privacy spent by each facility">
      <table>
        <thead>
          <tr>
            <th scope="col">Facility</th>
            <th scope="col" className="number">
              <Term word="Epsilon (ε)">Epsilon</Term>
            </th>
            <td className="bar-cell" />
            <th scope="col" className="number">
              <Term word="Delta (δ)">Delta</Term>
            </th>
          </tr>
        </thead>
        <tbody>
          {spent.map(({ facility, epsilon, delta }) => (
            <tr key={facility}>
              <th scope="row">{facility}</th>
              <td className="number">{roughText(epsilon)}</td>
              <td className="bar-cell" aria-hidden="true">
                <span className="bar" style={{ width: `${(epsilon / most) * 100}%` }} />
              </td>
              <td className="number">
                {delta === null ? "–" : <span title={oddsText(delta)}>{roughText(delta)}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
  )
}

export const Privacy = ({ view }: { readonly view: StudyView }) => {
  const ledger = [...view.privacy].sort((a, b) => inNameOrder(a.facility, b.facility))
  const spent = ledger.filter((one): one is Spent => one.epsilon !== null)
  const without = ledger.filter(({ epsilon }) => epsilon === null)
  return (
    <Panel
      id="privacy"
      title="How much could be learned of one patient"
      about="Training can add noise so that the model says nearly the same with or without any one patient. How near is counted, and the count only ever rises."
    >
      {spent.length === 0 ? (
        <Notice kind="empty" title="This study trains without differential privacy">
          <p>
            No noise is added, so no <Term word="Epsilon (ε)">epsilon</Term> can be stated. Single updates are
            kept from view by the protection named above; the finished model itself makes no promise about
            single patients.
          </p>
        </Notice>
      ) : (
        <>
          <p>Spent so far; the bars compare the facilities with each other.</p>
          <Ledger spent={spent} />
          {without.length > 0 && (
            <p>
              Trained without noise, so without a figure: {without.map(({ facility }) => facility).join(", ")}
              .
            </p>
          )}
        </>
      )}
    </Panel>
  )
}
