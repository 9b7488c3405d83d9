import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import type { ModelView } from "@consilium/inference-client/server/routes"
import { type ReactNode, useMemo, useSyncExternalStore } from "react"
import { bytesText, countText, dateTimeText, roughText, shortHash } from "../format.js"
import { Panel, Scrolling, Term } from "../notices.js"
import { calibrationName } from "./risk.js"
import type { Asking } from "./use-asker.js"
import { keyWords, packingWords, weightsWords } from "./words.js"

const SHOWN_BYTES = 96

const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, SHOWN_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join(" ")

const Fact = ({ name, children }: { readonly name: ReactNode; readonly children: ReactNode }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

interface TechnicalProps {
  readonly asking: Asking
  readonly view: ModelView | undefined
}

interface ParametersProps extends TechnicalProps {
  readonly prepared: PreparedPlan
}

const Parameters = ({ asking, view, prepared }: ParametersProps) => {
  const { plan, planHash } = asking
  const bits = prepared.parameters.ring.modulus.toString(2).length
  return (
    <Panel
      id="parameters"
      title="How it is encrypted"
      about={
        <>
          The <Term word="Plan">plan</Term>, read from its own bytes and checked here: a plan whose parameters
          are too weak is refused.
        </>
      }
    >
      <dl className="facts">
        <Fact name="Plan">
          <code title={planHash}>{shortHash(planHash)}</code>{" "}
          <span className="exact">version {plan.version}</span>
        </Fact>
        <Fact name={<Term word="CKKS">Scheme</Term>}>
          CKKS <span className="exact">128 bits of security</span>
        </Fact>
        <Fact name={<Term word="Degree (N) and modulus (Q)">Degree and modulus</Term>}>
          N = {countText(plan.degree)}, log₂ Q = {bits}
          <span className="exact"> primes {plan.primes.map(String).join(", ")}</span>
        </Fact>
        <Fact name="Packing">
          {packingWords(plan.packing)} <code className="exact">{plan.packing}</code>
        </Fact>
        <Fact name="Patients in a request">at most {countText(plan.patients)}</Fact>
        <Fact name="Scales">
          inputs 2<sup>{plan.inputBits}</sup>, answers 2<sup>{plan.answerBits}</sup>
        </Fact>
        <Fact name="A request, an answer">
          {bytesText(prepared.requestBytes)}, {bytesText(prepared.answerBytes)}
          {prepared.takesKey && (
            <span className="exact"> and a key of {bytesText(prepared.keyBytes)}, once</span>
          )}
        </Fact>
        <Fact name={<Term word="Error bound">Error bound</Term>}>
          {roughText(plan.errorBound)} of the logit
        </Fact>
        <Fact name={<Term word="Calibration">Calibration</Term>}>{calibrationName(plan.calibration)}</Fact>
        {view !== undefined && view.answersLeft !== null && (
          <Fact name="Answers left to you">{countText(view.answersLeft)}</Fact>
        )}
        <Fact name="Comes from">
          {view === undefined || view.source.study === null ? (
            "a model that was compiled by hand"
          ) : (
            <>
              study <code title={view.source.study}>{shortHash(view.source.study)}</code>
              {view.source.round !== null && `, round ${view.source.round}`}
            </>
          )}
          {view !== undefined && <span className="exact"> offered since {dateTimeText(view.since)}</span>}
        </Fact>
      </dl>
    </Panel>
  )
}

const Travel = ({ asking }: { readonly asking: Asking }) => {
  const { log } = asking
  const lines = useSyncExternalStore(log.subscribe, log.lines)
  const { last } = log
  return (
    <Panel
      id="travel"
      title="What was sent and received"
      wide
      about="All requests of this page about this model, newest first. What is in them is ciphertext: two requests about the same patient have nothing in common but their first bytes, which name the plan and, where one was sent, the key."
    >
      <Scrolling label="Requests of this page">
        <table>
          <thead>
            <tr>
              <th scope="col" className="number">
                No.
              </th>
              <th scope="col">Request</th>
              <th scope="col" className="number">
                Sent
              </th>
              <th scope="col" className="number">
                Received
              </th>
              <th scope="col" className="number">
                Status
              </th>
              <th scope="col" className="number">
                Took
              </th>
            </tr>
          </thead>
          <tbody>
            {lines.slice(0, 20).map((line) => (
              <tr key={line.number}>
                <td className="number">{line.number}</td>
                <td>
                  <code>
                    {line.method} {line.path}
                  </code>
                </td>
                <td className="number">{countText(line.bytesUp)} B</td>
                <td className="number">{countText(line.bytesDown)} B</td>
                <td className="number">{line.status ?? "no answer"}</td>
                <td className="number">{line.milliseconds.toFixed(1)} ms</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolling>
      {last !== null && (
        <div className="bytes">
          <div>
            <h3>The newest request begins</h3>
            <pre>{hexOf(last.request)}</pre>
          </div>
          <div>
            <h3>Its answer begins</h3>
            <pre>{hexOf(last.answer)}</pre>
          </div>
        </div>
      )}
    </Panel>
  )
}

/** The exact terms, parameters, sizes and times. */
export const Technical = ({ asking, view }: TechnicalProps) => {
  const { plan, reveals } = asking
  const prepared = useMemo(() => new PreparedPlan(plan), [plan])
  return (
    <div className="panels">
      <Parameters asking={asking} view={view} prepared={prepared} />
      <div className="stack">
        <Panel id="secrecy" title="Who can read what">
          <dl className="plain-facts">
            <Fact name="The secret key">{keyWords(prepared.takesKey)}</Fact>
            <Fact name="The server">
              sees how many patients you ask about, and when. It computes on encrypted numbers and has no key
              to read them or their answers.
            </Fact>
            <Fact
              name={
                <>
                  The model: <Term word="Shared and kept">{plan.weights}</Term>
                </>
              }
            >
              {weightsWords(plan)}
            </Fact>
            <Fact name="In the server's words">{reveals}</Fact>
            <Fact name="This page">
              can read what you write in it: you trust whoever serves it. It asks no server but the one that
              it came from and those that its operator named, and stores nothing.
            </Fact>
          </dl>
        </Panel>
      </div>
      <Travel asking={asking} />
    </div>
  )
}
