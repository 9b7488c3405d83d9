import type { StudySummary, StudyView } from "@consilium/node/api/study-view"
import { useEffect, useState } from "react"
import { Figures } from "./figures.js"
import { Glossary } from "./glossary.js"
import { Keys } from "./keys.js"
import { isForbidden } from "./leader-api.js"
import { Learning } from "./learning.js"
import { LogTail } from "./log-tail.js"
import { Failure, Loading, Notice, StaleNotice } from "./notices.js"
import { Overview } from "./overview.js"
import { Privacy } from "./privacy.js"
import { Rounds } from "./rounds.js"
import { Security } from "./security.js"
import { chosenIn, searchFor, shownStudy } from "./study-choice.js"
import { type Live, useLive, useStudies, useStudy } from "./study-data.js"
import { Topology } from "./topology.js"
import { GLOSSARY, stateWords } from "./words.js"

interface HeaderProps {
  readonly live: Live
  readonly studies: readonly StudySummary[]
  readonly shown: StudySummary | undefined
  readonly onChoose: (id: string) => void
}

const LIVE_WORDS = { connecting: "Connecting", live: "Live", broken: "Not connected" } as const

const Header = ({ live, studies, shown, onChoose }: HeaderProps) => (
  <header className="top">
    <h1>Consilium</h1>
    {studies.length > 1 && (
      <label className="chooser">
        <span>Study</span>
        <select value={shown?.id ?? ""} onChange={(event) => onChoose(event.target.value)}>
          {studies.map(({ id, name, state, startedAt }) => (
            <option key={id} value={id}>
              {name}, {stateWords(state).toLowerCase()}
              {startedAt === null ? "" : `, ${startedAt.slice(0, 16).replace("T", " ")}`}
              {studies.some((other) => other.name === name && other.id !== id) && ` (${id.slice(0, 6)})`}
            </option>
          ))}
        </select>
      </label>
    )}
    <a className="elsewhere" href="./predict/">
      Ask a model about a patient
    </a>
    <span className={`pill pill-${live.state}`}>{LIVE_WORDS[live.state]}</span>
  </header>
)

const Study = ({ view }: { readonly view: StudyView }) => (
  // another study starts with nothing chosen
  <div className="panels" key={view.id}>
    <Overview view={view} />
    <Topology view={view} />
    <Rounds view={view} />
    <Keys view={view} />
    <Learning view={view} />
    <Figures view={view} />
    <div className="stack">
      <Privacy view={view} />
      <Security view={view} />
    </div>
    <LogTail view={view} />
    <Glossary entries={GLOSSARY} />
  </div>
)

export const Page = () => {
  const [chosen, setChosen] = useState(() => chosenIn(window.location.search))
  const studies = useStudies()
  const list = studies.data ?? []
  const shown = shownStudy(list, chosen)
  const study = useStudy(shown?.id)
  const live = useLive(shown?.id)
  const title = shown === undefined ? "Consilium" : `${shown.name} · Consilium`
  useEffect(() => {
    document.title = title
  }, [title])

  const choose = (id: string): void => {
    setChosen(id)
    window.history.replaceState(null, "", searchFor(window.location.search, id))
  }
  const failed = [studies, study].filter(
    (query) => query.isError && query.data !== undefined && !isForbidden(query.error),
  )
  const oldest = failed.length > 0 ? Math.min(...failed.map((query) => query.dataUpdatedAt)) : null
  // without any data, what failed says so itself
  const staleSince = studies.data === undefined ? null : live.state === "broken" ? live.since : oldest
  const moved = chosen !== null && shown !== undefined && shown.id !== chosen

  const content = () => {
    // what may no longer be seen is not shown on, though it is still here
    if (isForbidden(studies.error) || (studies.isError && studies.data === undefined))
      return <Failure error={studies.error} what="the studies" onRetry={() => void studies.refetch()} />
    if (studies.data === undefined) return <Loading what="the studies" />
    if (shown === undefined)
      return (
        <Notice kind="empty" title="No study has started yet">
          <p>It appears here by itself as soon as one does; this page need not be loaded again.</p>
        </Notice>
      )
    if (isForbidden(study.error) || (study.isError && study.data === undefined))
      return <Failure error={study.error} what="this study" onRetry={() => void study.refetch()} />
    if (study.data === undefined) return <Loading what="the study" />
    return <Study view={study.data} />
  }

  return (
    <>
      <a className="skip" href="#main">
        Skip to the study
      </a>
      <Header live={live} studies={list} shown={shown} onChoose={choose} />
      <main id="main" tabIndex={-1}>
        <StaleNotice since={staleSince} onRetry={live.retry} />
        {moved && (
          <Notice kind="warning" title="The study you had chosen is not on this leader">
            <p>The newest one is shown instead.</p>
          </Notice>
        )}
        {content()}
      </main>
      <footer>
        Times are in UTC. Everything here comes from the study's log; no patient's record is in it.
      </footer>
    </>
  )
}
