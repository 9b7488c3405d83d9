import type { BudgetView, StudyView } from "@consilium/node/api/study-view"
import {
  capital,
  countText,
  dateTimeText,
  inNameOrder,
  oddsText,
  paceText,
  percentText,
  plural,
  roughText,
} from "./format.js"
import { Notice, Panel, Scrolling, Term } from "./notices.js"
import { noisePlaceWords, protectedWords, roomWords } from "./words.js"

type FacilityBudget = BudgetView["facilities"][number]

/** What is spent as a bar, and the budget as a mark on it. */
const Spent = ({ epsilon, cap, most }: { epsilon: number; cap: number; most: number }) => (
  <span className="budget-bar">
    <span
      className={epsilon / cap >= 0.8 ? "bar bar-near" : "bar"}
      style={{ width: `${(epsilon / most) * 100}%` }}
    />
    <span className="budget-mark" style={{ left: `${(cap / most) * 100}%` }} />
  </span>
)

const Ledger = ({ budget, facilities }: { budget: BudgetView; facilities: readonly FacilityBudget[] }) => {
  const cap = budget.epsilon
  const most = Math.max(...facilities.map(({ epsilon }) => epsilon), cap)
  return (
    <Scrolling label="Privacy spent by each facility">
      <table className="budget-table">
        <thead>
          <tr>
            <th scope="col">Facility</th>
            <th scope="col" className="number">
              <Term word="Epsilon (ε)">Epsilon</Term>
            </th>
            <td className="bar-cell" />
            <th scope="col" className="number">
              Used
            </th>
            <th scope="col" className="number">
              Rounds that still fit
            </th>
          </tr>
        </thead>
        <tbody>
          {facilities.map(({ facility, epsilon, updates, room }) => (
            <tr key={facility}>
              <th scope="row">{facility}</th>
              <td className="number">
                <span title={`exactly ${epsilon}, in ${plural(updates, "update")}`}>
                  {roughText(epsilon)}
                </span>
              </td>
              <td className="bar-cell" aria-hidden="true">
                <Spent epsilon={epsilon} cap={cap} most={most} />
              </td>
              <td className="number">{percentText(epsilon / cap)}</td>
              <td className="number">{roomWords(room)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
  )
}

/** When the first budget ends, if rounds go on as they came. */
const Forecast = ({ budget, facilities }: { budget: BudgetView; facilities: readonly FacilityBudget[] }) => {
  const { roundsPerDay } = budget
  if (roundsPerDay === null || facilities.every(({ room }) => room === null)) return null
  const [first] = facilities
    .flatMap(({ facility, reachedAt }) => (reachedAt === null ? [] : [{ facility, reachedAt }]))
    .sort((a, b) => (a.reachedAt < b.reachedAt ? -1 : 1))
  return (
    <p>
      At the pace so far, {paceText(roundsPerDay)},{" "}
      {first === undefined
        ? "no budget is used up before the last planned round."
        : `${first.facility} is the first whose budget is used up: about ${dateTimeText(first.reachedAt)}.`}
    </p>
  )
}

const Warnings = ({ facilities }: { readonly facilities: readonly FacilityBudget[] }) => {
  // the same sentence holds for many facilities
  const told = new Map<string, string[]>()
  for (const { facility, warnings } of facilities)
    for (const says of warnings) told.set(says, [...(told.get(says) ?? []), facility])
  return (
    told.size > 0 && (
      <Notice kind="warning" title="Budgets that are nearly used up">
        <ul>
          {[...told].map(([says, who]) => (
            <li key={says}>
              <strong>{who.join(", ")}</strong>: {says}
            </li>
          ))}
        </ul>
      </Notice>
    )
  )
}

const Rules = ({ budget }: { readonly budget: BudgetView }) => {
  const { epsilon, delta, unit, noise, noiseMultiplier, maxGradNorm, sampleRate } = budget
  const { releasesPerRound, mechanism } = budget
  return (
    <dl className="facts privacy-facts">
      <div>
        <dt>Who is protected</dt>
        <dd>
          <p>{protectedWords(unit)}</p>
          {budget.exactMetrics && (
            <p className="exact">
              Not those whose records are only tested on: each facility's own figures on them have no noise.
            </p>
          )}
        </dd>
      </div>
      <div>
        <dt>The study’s budget</dt>
        <dd>
          <p>What each facility may spend at most; then it sits out.</p>
          <p className="exact">
            <Term word="Epsilon (ε)">epsilon</Term> {epsilon}, <Term word="Delta (δ)">delta</Term>{" "}
            <span title={oddsText(delta)}>{roughText(delta)}</span>
          </p>
        </dd>
      </div>
      <div>
        <dt>The noise</dt>
        <dd>
          <p>{noisePlaceWords(noise)}</p>
          <p className="exact">
            <Term word="Noise multiplier">noise multiplier</Term> {roughText(noiseMultiplier)}, gradients
            clipped to {roughText(maxGradNorm)}
          </p>
        </dd>
      </div>
      {sampleRate < 1 && (
        <div>
          <dt>How many patients a step draws</dt>
          <dd>
            <p>About {percentText(sampleRate)} of them, by chance, anew for every step.</p>
            <p className="exact">
              sample rate {sampleRate}, {countText(releasesPerRound)}{" "}
              {releasesPerRound === 1 ? "noisy release" : "noisy releases"} a round
            </p>
          </dd>
        </div>
      )}
      <div className="privacy-mechanism">
        <dt>Each noisy release, exactly</dt>
        <dd>
          <p className="exact">{capital(mechanism)}.</p>
        </dd>
      </div>
    </dl>
  )
}

export const Privacy = ({ view }: { readonly view: StudyView }) => {
  const { budget } = view
  const facilities = [...(budget?.facilities ?? [])].sort((a, b) => inNameOrder(a.facility, b.facility))
  return (
    <Panel
      id="privacy"
      title="How much could be learned of one patient"
      about="Training can add noise so that the model says nearly the same with or without any one patient. How near is counted, and the count only ever rises."
    >
      {budget === null ? (
        <Notice kind="empty" title="This study trains without differential privacy">
          <p>
            No noise is added, so no <Term word="Epsilon (ε)">epsilon</Term> can be stated. Single updates are
            kept from view by the protection named above; the finished model itself makes no promise about
            single patients.
          </p>
        </Notice>
      ) : (
        <>
          <Warnings facilities={facilities} />
          <p>Spent so far in this study; the mark on each bar is the budget.</p>
          <Ledger budget={budget} facilities={facilities} />
          <Forecast budget={budget} facilities={facilities} />
          <Rules budget={budget} />
          <p className="exact">
            As the leader’s log implies. Each facility’s own ledger is what counts: it also holds what got
            lost on its way, other studies, and caps by month.
          </p>
        </>
      )}
    </Panel>
  )
}
