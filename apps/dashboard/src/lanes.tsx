import type { AttemptView } from "@consilium/node/api/study-view"
import type { ReactNode } from "react"
import { durationText } from "./format.js"
import { attemptEnd, bandsOf, isOver, lanesOf, MARK_SIZE, markSign, marksOf } from "./timeline.js"
import { useWidth } from "./use-width.js"
import { stepWords } from "./words.js"

export const attemptLength = (attempt: AttemptView): string =>
  durationText(attemptEnd(attempt) - Date.parse(attempt.startedAt))

export interface Choice {
  readonly key: string
  readonly attempt: AttemptView
  /** For those who do not see the short form, such as "Round 2, attempt 1, finished, 3 s". */
  readonly spoken: string
  readonly short: ReactNode
}

interface ChooserProps {
  readonly label: string
  readonly choices: readonly Choice[]
  readonly shown: AttemptView
  readonly onChoose: (key: string | null) => void
}

const sign = ({ phase }: AttemptView): string => (phase === "void" ? "✕" : isOver({ phase }) ? "✓" : "…")

/** A choice among attempts. The newest one is followed, not held on to. */
export const AttemptChooser = ({ label, choices, shown, onChoose }: ChooserProps) => (
  <ol className="chips" aria-label={label}>
    {choices.map(({ key, attempt, spoken, short }, i) => (
      <li key={key}>
        <button
          type="button"
          className={`chip chip-${isOver(attempt) ? attempt.phase : "open"}`}
          aria-pressed={attempt === shown}
          onClick={() => onChoose(i === choices.length - 1 ? null : key)}
        >
          <span className="visually-hidden">{spoken}</span>
          <span aria-hidden="true">
            {short} <b>{sign(attempt)}</b>
          </span>
        </button>
      </li>
    ))}
  </ol>
)

interface LanesProps {
  readonly attempt: AttemptView
  /** Facilities whose lanes are shown even if nothing is known of them. */
  readonly names: readonly string[]
  /** Steps in the order in which they come, and what phases are called. */
  readonly steps: readonly string[]
  readonly phaseWords: (phase: string) => string
}

/** One line for each participant, from left to right in time. */
export const Lanes = ({ attempt, names, steps, phaseWords }: LanesProps) => {
  const [place, width] = useWidth<HTMLDivElement>()
  const facilities = new Set(names)
  const bands = bandsOf(attempt, width)
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
        {lanesOf(attempt, names).map((lane) => (
          <li key={lane.name} className="lane">
            <span className="lane-name">{lane.name}</span>
            <div className="track">
              {bands.map(({ phase, x, width: wide }) => (
                <span key={phase} className={`band band-${phase}`} style={{ left: x, width: wide }} />
              ))}
              {lane.steps.length === 0 ? (
                <span className="lane-empty">
                  {facilities.has(lane.name) && (isOver(attempt) ? "nothing came" : "nothing yet")}
                </span>
              ) : (
                <ol>
                  {marksOf(attempt, lane, width).map(({ step, at, detail, after, x }) => {
                    const text = `${stepWords(step)}, ${durationText(after)} after the start${detail === null ? "" : `: ${detail}`}`
                    return (
                      <li
                        key={`${step} ${at}`}
                        className={`mark mark-${step}`}
                        style={{ left: x - MARK_SIZE / 2 }}
                        title={text}
                      >
                        <span aria-hidden="true">{markSign(step, steps)}</span>
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

export const Legend = ({ attempt, steps }: Pick<LanesProps, "attempt" | "steps">) => {
  const found = new Set(attempt.lanes.flatMap((lane) => lane.steps.map(({ step }) => step)))
  const all = [...steps.filter((step) => found.delete(step)), ...[...found].sort()]
  return (
    <ul className="legend" aria-label="What the signs mean">
      {all.map((step) => (
        <li key={step}>
          <span className={`mark mark-${step}`} aria-hidden="true">
            {markSign(step, steps)}
          </span>{" "}
          {stepWords(step)}
        </li>
      ))}
    </ul>
  )
}

/** Where the time went; a narrow picture has no room for the names of its phases. */
export const Phases = ({ attempt, phaseWords }: Pick<LanesProps, "attempt" | "phaseWords">) => {
  const bands = bandsOf(attempt, 1)
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

/** What was said beside the steps. */
export const Remarks = ({
  attempt,
  of,
}: {
  readonly attempt: AttemptView
  readonly of: readonly string[]
}) => {
  const notable = attempt.lanes.flatMap(({ name, steps }) =>
    steps.flatMap(({ step, detail, at }) =>
      detail === null || !of.includes(step) ? [] : [{ name, step, detail, at }],
    ),
  )
  if (notable.length === 0) return null
  return (
    <ul className="remarks">
      {notable.map(({ name, step, detail, at }) => (
        <li key={`${name} ${step} ${at}`}>
          <strong>{name}</strong> {stepWords(step)}: {detail}
        </li>
      ))}
    </ul>
  )
}
