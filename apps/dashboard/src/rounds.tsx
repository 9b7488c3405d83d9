import type { RoundView, StudyView } from "@consilium/node/api/study-view"
import { useState } from "react"
import { durationText, inNameOrder, shortHash, timeText } from "./format.js"
import { Notice, Panel, Term } from "./notices.js"
import { bandsOf, isOver, lanesOf, MARK_SIZE, markSign, marksOf, roundEnd, roundKey } from "./timeline.js"
import { useWidth } from "./use-width.js"
import { phaseWords, STEPS, stepWords } from "./words.js"

const roundLength = (round: RoundView): string => durationText(roundEnd(round) - Date.parse(round.startedAt))

const sign = (round: RoundView): string =>
  round.phase === "closed" ? "✓" : round.phase === "void" ? "✕" : "…"
const roundState = (round: RoundView): string =>
  round.phase === "closed" ? "finished" : round.phase === "void" ? "given up" : "under way"

interface ChooserProps {
  readonly rounds: readonly RoundView[]
  readonly shown: RoundView
  readonly onChoose: (key: string | null) => void
}

const RoundChooser = ({ rounds, shown, onChoose }: ChooserProps) => (
  <ol className="chips" aria-label="Rounds">
    {rounds.map((round, i) => {
      const key = roundKey(round)
      const attempt = round.attempt > 1 ? `, attempt ${round.attempt}` : ""
      return (
        <li key={key}>
          <button
            type="button"
            className={`chip chip-${isOver(round) ? round.phase : "open"}`}
            aria-pressed={round === shown}
            // the newest round is followed, not held on to
            onClick={() => onChoose(i === rounds.length - 1 ? null : key)}
          >
            <span className="visually-hidden">
              Round {round.round}
              {attempt}, {roundState(round)}, {roundLength(round)}
            </span>
            <span aria-hidden="true">
              {round.round}
              {round.attempt > 1 && <small> try {round.attempt}</small>} <b>{sign(round)}</b>
            </span>
          </button>
        </li>
      )
    })}
  </ol>
)

const Lanes = ({ round, names }: { readonly round: RoundView; readonly names: readonly string[] }) => {
  const [place, width] = useWidth<HTMLDivElement>()
  const facilities = new Set(names)
  const bands = bandsOf(round, width)
  return (
    <div className="lanes">
      <div className="lane lane-head" aria-hidden="true">
        <span className="lane-name" />
        <div className="track" ref={place}>
          {bands.map(({ phase, x, width: wide, milliseconds }) => (
            <span
              key={phase}
              className={`band band-${phase}`}
              style={{ left: x, width: wide }}
              title={`${phaseWords(phase)}, ${durationText(milliseconds)}`}
            >
              {wide >= 92 && phaseWords(phase)}
            </span>
          ))}
        </div>
      </div>
      <ul>
        {lanesOf(round, names).map((lane) => (
          <li key={lane.name} className="lane">
            <span className="lane-name">{lane.name}</span>
            <div className="track">
              {bands.map(({ phase, x, width: wide }) => (
                <span key={phase} className={`band band-${phase}`} style={{ left: x, width: wide }} />
              ))}
              {lane.steps.length === 0 ? (
                <span className="lane-empty">
                  {facilities.has(lane.name) && (isOver(round) ? "nothing came" : "nothing yet")}
                </span>
              ) : (
                <ol>
                  {marksOf(round, lane, width).map(({ step, at, detail, after, x }) => {
                    const text = `${stepWords(step)}, ${durationText(after)} after the start${detail === null ? "" : `: ${detail}`}`
                    return (
                      <li
                        key={`${step} ${at}`}
                        className={`mark mark-${step}`}
                        style={{ left: x - MARK_SIZE / 2 }}
                        title={text}
                      >
                        <span aria-hidden="true">{markSign(step)}</span>
                        <span className="visually-hidden">{text}</span>
                      </li>
                    )
                  })}
                </ol>
              )}
            </div>
          </li>
        ))}
      </ul>
    </div>
  )
}

const Legend = ({ round }: { readonly round: RoundView }) => {
  const found = new Set(round.lanes.flatMap(({ steps }) => steps.map(({ step }) => step)))
  const steps = [...STEPS.filter((step) => found.delete(step)), ...[...found].sort()]
  return (
    <ul className="legend" aria-label="What the signs mean">
      {steps.map((step) => (
        <li key={step}>
          <span className={`mark mark-${step}`} aria-hidden="true">
            {markSign(step)}
          </span>{" "}
          {stepWords(step)}
        </li>
      ))}
    </ul>
  )
}

const Details = ({ round }: { readonly round: RoundView }) => {
  const remarks = round.lanes.flatMap(({ name, steps }) =>
    steps.flatMap(({ step, detail, at }) => (detail === null ? [] : [{ name, step, detail, at }])),
  )
  const notable = remarks.filter(({ step }) => step === "refused" || step === "excluded")
  return (
    <>
      <p>
        <strong>
          Round {round.round}
          {round.attempt > 1 && `, attempt ${round.attempt}`}
        </strong>{" "}
        began at {timeText(round.startedAt)} and{" "}
        {isOver(round)
          ? `was ${roundState(round)} after ${roundLength(round)}`
          : `is at: ${phaseWords(round.phase)}`}
        . {isOver(round) ? "" : <span className="exact">({round.phase})</span>}
      </p>
      {round.reason !== null && (
        <Notice kind="warning" title="Why this attempt was given up">
          <p>{round.reason}</p>
        </Notice>
      )}
      {notable.length > 0 && (
        <ul className="remarks">
          {notable.map(({ name, step, detail, at }) => (
            <li key={`${name} ${step} ${at}`}>
              <strong>{name}</strong> {stepWords(step)}: {detail}
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

/** Where the time went; a narrow picture has no room for the names of its phases. */
const Phases = ({ round }: { readonly round: RoundView }) => {
  const bands = bandsOf(round, 1)
  if (bands.length === 0) return null
  return (
    <p className="exact">
      Time taken:{" "}
      {bands
        .map(({ phase, milliseconds }) => `${phaseWords(phase)} ${durationText(milliseconds)}`)
        .join(", ")}
      .
    </p>
  )
}

const Outcome = ({ round }: { readonly round: RoundView }) => (
  <p className="exact">
    {round.cohort.length > 0 && (
      <>
        <Term word="Cohort (k)">Cohort</Term>: {[...round.cohort].sort(inNameOrder).join(", ")}.{" "}
      </>
    )}
    {round.modelHash !== null && (
      <span title={round.modelHash}>
        New model <code>{shortHash(round.modelHash)}</code>.
      </span>
    )}
  </p>
)

export const Rounds = ({ view }: { readonly view: StudyView }) => {
  const [chosen, choose] = useState<string | null>(null)
  const { rounds } = view
  const shown = rounds.find((round) => roundKey(round) === chosen) ?? rounds.at(-1)
  const names = view.participants
    .filter((p) => p.role === "facility")
    .filter(
      (p) =>
        shown === undefined ||
        (p.joinedAtRound <= shown.round && (p.leftAfterRound === null || p.leftAfterRound >= shown.round)),
    )
    .map(({ name }) => name)
  return (
    <Panel
      id="rounds"
      title="What happens in each round"
      wide
      about={
        <>
          One line for each participant, from left to right in time. In a <Term word="Round">round</Term>{" "}
          everybody trains once, the updates are added, and the model moves.
        </>
      }
    >
      {shown === undefined ? (
        <Notice kind="empty" title="The first round has not begun">
          <p>It begins when all participants have connected.</p>
        </Notice>
      ) : (
        <>
          <RoundChooser rounds={rounds} shown={shown} onChoose={choose} />
          {chosen !== null && shown !== rounds.at(-1) && (
            <p>
              <button type="button" onClick={() => choose(null)}>
                Follow the newest round
              </button>
            </p>
          )}
          <Details round={shown} />
          <Lanes round={shown} names={names} />
          <Legend round={shown} />
          <Phases round={shown} />
          <Outcome round={shown} />
        </>
      )}
    </Panel>
  )
}
