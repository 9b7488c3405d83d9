import type { ModelView } from "@consilium/inference-client/server/routes"
import { useEffect, useState, useSyncExternalStore } from "react"
import { timeText } from "../format.js"
import { Glossary } from "../glossary.js"
import { Loading, Notice } from "../notices.js"
import { Analytics } from "./analytics.js"
import { Prediction } from "./prediction.js"
import { ownServer, serverName, useServers } from "./server-choice.js"
import { Session } from "./session.js"
import { Tabs } from "./tabs.js"
import { Technical } from "./technical.js"
import { TokenForm } from "./token-form.js"
import { Trouble } from "./trouble.js"
import { type Asker, type Asking, useAsker } from "./use-asker.js"
import { isRefused, offersNone, type Server, useServer } from "./use-server.js"
import { modelMarkWords, PREDICTION_GLOSSARY } from "./words.js"

const optionText = ({ id, version, offered }: ModelView): string =>
  `${id}${version === null ? "" : `, version ${version}`}${offered ? "" : ", not offered"}`

interface HeaderProps {
  readonly servers: readonly string[]
  readonly server: Server
  readonly model: string | null
  readonly onServer: (address: string) => void
  readonly onModel: (id: string) => void
}

type Connection = "connecting" | "live" | "broken"
const CONNECTION_WORDS = { connecting: "Connecting", live: "Connected", broken: "Not connected" } as const
const connectionOf = ({ models, error }: Server): Connection =>
  error !== null ? "broken" : models === null ? "connecting" : "live"

const Header = ({ servers, server, model, onServer, onModel }: HeaderProps) => {
  const connection = connectionOf(server)
  return (
    <header className="top">
      <h1>Consilium: ask a model about a patient</h1>
      {servers.length > 1 && (
        <label className="chooser">
          <span>Server</span>
          <select value={server.address} onChange={(event) => onServer(event.target.value)}>
            {servers.map((address, i) => (
              <option key={address} value={address}>
                {serverName(address)}
                {i === 0 && ", where this page comes from"}
              </option>
            ))}
          </select>
        </label>
      )}
      {server.models !== null && server.models.length > 0 && (
        <label className="chooser">
          <span>Model</span>
          <select value={model ?? ""} onChange={(event) => onModel(event.target.value)}>
            {server.models.map((view) => (
              <option key={view.id} value={view.id}>
                {optionText(view)}
              </option>
            ))}
          </select>
        </label>
      )}
      <span className={`pill pill-${connection}`}>
        {CONNECTION_WORDS[connection]} <span className="server-address">{serverName(server.address)}</span>
      </span>
    </header>
  )
}

const Marks = ({ marks }: { readonly marks: readonly string[] }) =>
  marks.length === 0 ? null : (
    <div className="notice notice-error marks">
      {marks.map((mark) => {
        const { plain, term } = modelMarkWords(mark)
        return (
          <p key={mark} className="notice-title">
            {plain} {term !== null && <code className="exact">{term}</code>}
          </p>
        )
      })}
    </div>
  )

interface StateProps {
  readonly server: Server
  readonly asking: Asking | null
  readonly view: ModelView | undefined
  readonly onNewest: () => void
}

/** What is not as new as it could be. It is always on the page, so that screen readers notice when it fills. */
const Staleness = ({ server, asking, view, onNewest }: StateProps) => {
  const lost = server.error !== null && server.models !== null
  const replaced = asking !== null && view?.offered === true && view.plan !== asking.planHash
  return (
    <div role="status" className="stale-place">
      {lost ? (
        <Notice
          kind="stale"
          title={`No answer from the server since ${timeText(server.answeredAt ?? Date.now())}`}
        >
          <p>
            What you wrote stays. The page tries again by itself, and you can ask when the server is back.
          </p>
          <p>
            <button type="button" onClick={server.retry}>
              Try now
            </button>
          </p>
        </Notice>
      ) : (
        replaced && (
          <Notice kind="stale" title={`The model was replaced: the server now has version ${view.version}`}>
            <p>You see the questions of version {asking.plan.version}. What you wrote stays where it fits.</p>
            <p>
              <button type="button" onClick={onNewest}>
                Use the new version
              </button>
            </p>
          </Notice>
        )
      )}
    </div>
  )
}

const TABS = ["prediction", "analytics", "technical"] as const

interface AskingPageProps {
  readonly asker: Asker
  readonly asking: Asking
  readonly session: Session
  readonly server: Server
  readonly view: ModelView | undefined
}

const AskingPage = ({ asker, asking, session, server, view }: AskingPageProps) => {
  const [tab, setTab] = useState<string>(TABS[0])
  const state = useSyncExternalStore(session.subscribe, session.state)
  const connected = connectionOf(server) === "live"
  const contents = {
    prediction: (
      <Prediction asker={asker} asking={asking} session={session} state={state} connected={connected} />
    ),
    // nothing is drawn that nobody sees while an answer is waited for
    analytics: tab === "analytics" && <Analytics asking={asking} session={session} state={state} />,
    technical: tab === "technical" && <Technical asking={asking} view={view} />,
  }
  const titles = { prediction: "Prediction", analytics: "Analytics", technical: "Technical" }
  return (
    <Tabs
      label="Parts of the page"
      chosen={tab}
      onChoose={setTab}
      tabs={TABS.map((id) => ({ id, title: titles[id], content: contents[id] }))}
    />
  )
}

/** The model that is asked: the chosen one if it is there, else the first that is offered, else the first. */
const shownModel = (models: readonly ModelView[], chosen: string | null): ModelView | undefined =>
  models.find(({ id }) => id === chosen) ?? models.find(({ offered }) => offered) ?? models[0]

export const PredictionPage = () => {
  const servers = useServers()
  const [address, setAddress] = useState(ownServer)
  const [token, setToken] = useState<string | null>(null)
  const [chosen, setChosen] = useState<string | null>(null)
  const [session] = useState(() => new Session())
  const server = useServer(address, token)
  const view = shownModel(server.models ?? [], chosen)
  const model = view?.offered ? view.id : null
  const asker = useAsker(address, model, token)
  const { now, again } = asker
  const asking = now.state === "ready" ? now.asking : null
  const { answeredAt } = server
  const chooseServer = (other: string): void => {
    setAddress(other)
    // one server's token is not for another to see
    setToken(null)
    setChosen(null)
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: a server that answers again is worth another attempt; a failure alone is not
  useEffect(() => {
    if (answeredAt !== null && now.state === "failed") again()
  }, [answeredAt])

  const content = () => {
    if (isRefused(server.error)) return <TokenForm refused={token !== null} onToken={setToken} />
    if (offersNone(server.error))
      return (
        <Notice kind="empty" title="This server lets nobody ask models">
          <p>
            Its operator switched that off (<code>inference.offer</code>).
          </p>
        </Notice>
      )
    if (server.models === null)
      return server.error === null ? (
        <Loading what="the server's models" />
      ) : (
        <Trouble error={server.error} title="The server cannot be asked" onRetry={server.retry} />
      )
    if (view === undefined)
      return (
        <Notice kind="empty" title="This server offers no model yet">
          <p>One appears here by itself as soon as it is offered; this page need not be loaded again.</p>
        </Notice>
      )
    if (!view.offered)
      return (
        <Notice kind="empty" title={`The model “${view.id}” cannot be asked`}>
          <p>{view.why}</p>
        </Notice>
      )
    if (now.state === "failed")
      return (
        <Trouble error={now.error} title={`The model “${view.id}” cannot be asked now`} onRetry={again} />
      )
    if (asking === null || asking.address !== address || asking.client.model !== view.id)
      return <Loading what="the model's questions" />
    return (
      // another model begins with an empty form
      <AskingPage key={view.id} asker={asker} asking={asking} session={session} server={server} view={view} />
    )
  }

  return (
    <>
      <a className="skip" href="#main">
        Skip to the form
      </a>
      <Header
        servers={servers}
        server={server}
        model={view?.id ?? null}
        onServer={chooseServer}
        onModel={setChosen}
      />
      <main id="main" tabIndex={-1}>
        <Staleness server={server} asking={asking} view={view} onNewest={again} />
        {view !== undefined && <Marks marks={asking?.plan.marks ?? view.marks} />}
        {content()}
        <Glossary entries={PREDICTION_GLOSSARY} />
      </main>
      <footer>
        Times are in UTC. The patient is encrypted in this browser; only encrypted numbers leave it. This page
        asks the server that it came from, and others only if the operator of that one named them.
      </footer>
    </>
  )
}
