import type { RoundView, StudyView } from "@consilium/node/api/study-view"
import { useState } from "react"
import { inNameOrder, shortHash, timeText } from "./format.js"
import { AttemptChooser, attemptLength, Lanes, Legend, Phases, Remarks } from "./lanes.js"
import { Notice, Panel, Term } from "./notices.js"
import { isOver, roundKey } from "./timeline.js"
import { phaseWords, STEPS } from "./words.js"

const roundState = (round: RoundView): string =>
  round.phase === "closed" ? "finished" : round.phase === "void" ? "given up" : "under way"

const choiceOf = (round: RoundView) => {
  const attempt = round.attempt > 1 ? `, attempt ${round.attempt}` : ""
  return {
    key: roundKey(round),
    attempt: round,
    spoken: `Round ${round.round}${attempt}, ${roundState(round)}, ${attemptLength(round)}`,
    short: (
      <>
        {round.round}
        {round.attempt > 1 && <small> try {round.attempt}</small>}
      </>
    ),
  }
}

const Details = ({ round }: { readonly round: RoundView }) => (
  <>
    <p>
      <strong>
        Round {round.round}
        {round.attempt > 1 && `, attempt ${round.attempt}`}
      </strong>{" "}
      began at {timeText(round.startedAt)} and{" "}
      {isOver(round)
        ? `was ${roundState(round)} after ${attemptLength(round)}`
        : `is at: ${phaseWords(round.phase)}`}
      . {isOver(round) ? "" : <span className="exact">({round.phase})</span>}
    </p>
    {round.reason !== null && (
      <Notice kind="warning" title="Why this attempt was given up">
        <p>{round.reason}</p>
      </Notice>
    )}
    <Remarks attempt={round} of={["refused", "excluded"]} />
  </>
)

const Outcome = ({ round }: { readonly round: RoundView }) => (
  <p className="exact">
    {round.cohort.length > 0 && (
      <>
        <Term word="Cohort (k)">Cohort</Term>: {[...round.cohort].sort(inNameOrder).join(", ")}.{" "}
      </>
    )}
    {round.openers.length > 0 && (
      <>
        Named to <Term word="Opening">open</Term> their sum: {[...round.openers].sort(inNameOrder).join(", ")}
        .{" "}
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
          <AttemptChooser label="Rounds" choices={rounds.map(choiceOf)} shown={shown} onChoose={choose} />
          {chosen !== null && shown !== rounds.at(-1) && (
            <p>
              <button type="button" onClick={() => choose(null)}>
                Follow the newest round
              </button>
            </p>
          )}
          <Details round={shown} />
          <Lanes attempt={shown} names={names} steps={STEPS} phaseWords={phaseWords} />
          <Legend attempt={shown} steps={STEPS} />
          <Phases attempt={shown} phaseWords={phaseWords} />
          <Outcome round={shown} />
        </>
      )}
    </Panel>
  )
}
