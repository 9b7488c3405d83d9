import { timeText } from "../format.js"
import { Notice, Term } from "../notices.js"
import { meaningOf, rangeMeaning, rangeText, riskText } from "./risk.js"
import { RiskGauge } from "./risk-gauge.js"
import type { Asked } from "./session.js"
import type { Asking } from "./use-asker.js"

interface ResultProps {
  readonly asked: Asked | null
  readonly asking: Asking
  /** Whether the form was changed since. */
  readonly changed: boolean
  /** Whether the newest question got no answer. */
  readonly failed: boolean
}

/** Why an answer is not that of what the page shows beside it; null if it is. */
const outdatedWords = (asked: Asked, { asking, changed, failed }: ResultProps): string | null => {
  if (failed) return "This is the answer to the question before"
  if (changed) return "You have changed the form since: this is the answer for what it said before"
  return asked.planHash === asking.planHash
    ? null
    : `This answer is of version ${asked.version}; the model has been replaced since`
}

/** The answer to the newest question of the form. It is always on the page, so that screen readers notice when it fills. */
export const Result = (props: ResultProps) => {
  const { asked, asking } = props
  const risk = asked?.risks[0]
  const { plan, planHash } = asking
  const outdated = asked === null ? null : outdatedWords(asked, props)
  return (
    <div className="result" role="status" aria-label="Answer" data-asked={asked?.id ?? 0}>
      {asked === null || risk === undefined ? (
        <p className="about">
          Nothing has been asked yet. Fill in the form: the patient is encrypted here, in your browser, and
          only encrypted numbers leave it.
        </p>
      ) : (
        <>
          {outdated !== null && <Notice kind="stale" title={outdated} />}
          <RiskGauge risk={risk} />
          <p className="lead">
            Risk <strong>{riskText(risk)}</strong> ({rangeText(risk)})
          </p>
          {asked.planHash === planHash && (
            <>
              <p className={plan.calibration === null ? "caution" : undefined}>
                {meaningOf(plan.calibration, risk).plain}{" "}
                <span className="exact">
                  <Term word="Calibration">{meaningOf(plan.calibration, risk).term}</Term>
                </span>
              </p>
              <p className="exact">
                {rangeMeaning(plan.errorBound)} <Term word="Error bound">Error bound</Term>
              </p>
            </>
          )}
          <p className="exact">
            Model {asked.model}, version {asked.version}, at {timeText(asked.at)}, after{" "}
            {asked.milliseconds.toFixed(0)} ms. It helps to decide; it does not decide.
          </p>
        </>
      )}
    </div>
  )
}
