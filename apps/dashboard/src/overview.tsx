import type { StudyView } from "@consilium/node/api/study-view"
import { capital, countText, dateTimeText, durationText, numberWord, plural, shortHash } from "./format.js"
import { Notice, Panel, Term } from "./notices.js"
import { isOver } from "./timeline.js"
import {
  ceremonyPhaseWords,
  markWords,
  phaseWords,
  protectionWords,
  stateWords,
  strategyWords,
} from "./words.js"

/** What is going on, in one sentence. */
const summary = (view: StudyView): string => {
  const facilities = view.participants.filter(
    (p) => p.role === "facility" && p.leftAfterRound === null,
  ).length
  const who = `${capital(numberWord(facilities))} ${facilities === 1 ? "hospital or clinic" : "hospitals and clinics"}`
  const closed = view.rounds.filter(({ phase }) => phase === "closed").length
  switch (view.state) {
    case "waiting":
      return `${who} will train one model together. The first round begins when everybody is there.`
    case "running": {
      const ceremony = view.keys?.ceremonies.at(-1)
      if (ceremony !== undefined && !isOver(ceremony))
        return `${who} are making new keys, before round ${ceremony.round} of ${view.plannedRounds}: ${ceremonyPhaseWords(ceremony.phase)}.`
      const round = view.rounds.at(-1)
      if (round === undefined) return `${who} are training one model together.`
      const now = isOver(round) ? "is over" : `is under way: ${phaseWords(round.phase)}`
      return `${who} are training one model together. Round ${round.round} of ${view.plannedRounds} ${now}.`
    }
    case "complete":
      return `${who} have trained one model together in ${plural(closed, "round")}. No records left any of them.`
    case "aborted":
      return `The study was stopped after ${plural(closed, "finished round")}.`
  }
}

const Progress = ({ view }: { readonly view: StudyView }) => {
  const closed = view.rounds.filter(({ phase }) => phase === "closed").length
  const label = `${closed} of ${plural(view.plannedRounds, "round")} finished`
  return (
    <div className="progress">
      <progress aria-label={label} value={closed} max={Math.max(1, view.plannedRounds)} />
      <span>{label}</span>
    </div>
  )
}

/** Most measured values that are named. */
const NAMED = 20
const featureList = (features: readonly string[]): string => {
  const more = features.length - NAMED
  return features.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${countText(more)} more` : "")
}

const Model = ({ model }: Pick<StudyView, "model">) => (
  <>
    <p>
      {capital(model.kind.replaceAll("-", " "))} on{" "}
      {model.features.length === 0
        ? "images"
        : `${plural(model.features.length, "measured value")} of each patient`}
    </p>
    <p className="exact">
      {plural(model.parameters, "parameter")}
      {model.features.length > 0 && `: ${featureList(model.features)}`}
    </p>
  </>
)

export const Overview = ({ view }: { readonly view: StudyView }) => {
  const protection = protectionWords(view)
  const strategy = strategyWords(view.strategy)
  const length =
    view.startedAt !== null && view.updatedAt !== null
      ? durationText(Date.parse(view.updatedAt) - Date.parse(view.startedAt))
      : null
  return (
    <Panel id="overview" title={view.name} wide>
      <p className="lead">
        <span className={`badge badge-${view.state}`}>{stateWords(view.state)}</span> {summary(view)}
      </p>
      {view.reason !== null && (
        <Notice
          kind={view.state === "complete" ? "warning" : "error"}
          title={view.state === "complete" ? "Why it ended early" : "Why it was stopped"}
        >
          <p>{view.reason}</p>
        </Notice>
      )}
      {view.marks.length > 0 && (
        <Notice kind="warning" title="Know this of every figure on this page">
          <ul>
            {view.marks.map((mark) => {
              const { plain, term } = markWords(mark)
              return (
                <li key={mark}>
                  {plain} {term !== null && <span className="exact">({term})</span>}
                </li>
              )
            })}
          </ul>
        </Notice>
      )}
      <Progress view={view} />
      <dl className="facts">
        <div>
          <dt>How updates are protected</dt>
          <dd>
            <p>{protection.plain}</p>
            {protection.term !== null && (
              <p className="exact">
                {view.protection === "plain" ? (
                  protection.term
                ) : (
                  <Term word="Threshold (t)">{protection.term}</Term>
                )}
              </p>
            )}
          </dd>
        </div>
        <div>
          <dt>What is trained</dt>
          <dd>
            <Model model={view.model} />
          </dd>
        </div>
        <div>
          <dt>How the model moves</dt>
          <dd>
            <p>{capital(strategy.plain)}</p>
            {strategy.term !== null && <p className="exact">{strategy.term}</p>}
          </dd>
        </div>
        <div>
          <dt>When</dt>
          <dd>
            <p>{view.startedAt === null ? "Not begun" : `Began ${dateTimeText(view.startedAt)}`}</p>
            {view.updatedAt !== null && (
              <p className="exact">
                last event {dateTimeText(view.updatedAt)}
                {length !== null && `, ${length} in all`}
              </p>
            )}
          </dd>
        </div>
        <div>
          <dt>What can be checked later</dt>
          <dd>
            <p>
              {countText(view.log.events)} {view.log.events === 1 ? "entry" : "entries"} in a{" "}
              <Term word="Log">log</Term> that cannot be changed unseen
            </p>
            <p className="exact" title={view.log.head}>
              head <code>{shortHash(view.log.head)}</code>
            </p>
          </dd>
        </div>
      </dl>
    </Panel>
  )
}
