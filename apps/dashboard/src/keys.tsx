import type { CeremonyView, KeysView, StudyView } from "@consilium/node/api/study-view"
import { useState } from "react"
import { bytesText, countText, dateTimeText, inNameOrder, plural, timeText } from "./format.js"
import { AttemptChooser, attemptLength, Lanes, Legend, Phases, Remarks } from "./lanes.js"
import { Notice, Panel, Term } from "./notices.js"
import { isOver } from "./timeline.js"
import { CEREMONY_STEPS, ceremonyPhaseWords } from "./words.js"

const named = (names: readonly string[]): string => [...names].sort(inNameOrder).join(", ")

const Scheme = ({ scheme }: Pick<KeysView, "scheme">) => (
  <div>
    <dt>How updates are encrypted</dt>
    <dd>
      <p>So that they can be added without being read, and the sum comes out exact.</p>
      <p className="exact">
        <Term word="CKKS and BFV">{scheme.name}</Term>, <Term word="Degree (N) and modulus (Q)">degree</Term>{" "}
        {countText(scheme.degree)}, modulus of {scheme.modulusBits} bits in {plural(scheme.primes, "prime")},{" "}
        {scheme.lanes} <Term word="Lane">{scheme.lanes === 1 ? "lane" : "lanes"}</Term> of {scheme.laneBits}{" "}
        bits
      </p>
      <p className="exact">
        {bytesText(scheme.updateBytes)} an update, {scheme.bytesPerValue} bytes a value; {scheme.securityBits}
        -bit security, keys hidden in openings to {scheme.floodingBits} bits
      </p>
    </dd>
  </div>
)

const ENDED: Readonly<Partial<Record<StudyView["state"], string>>> = {
  complete: "The study is over: every facility has destroyed its keys.",
  aborted: "The study was stopped: every facility destroys its keys when it hears of it.",
}

const Epoch = ({ view, keys }: { readonly view: StudyView; readonly keys: KeysView }) => {
  const { epoch, since, ends, openings } = keys
  const ended = ENDED[view.state]
  return (
    <div>
      <dt>The keys in use</dt>
      <dd>
        {epoch === 0 || since === null ? (
          <p>None yet. Facilities make the first ones before round 1.</p>
        ) : (
          <>
            <p>{ended ?? `In use since ${dateTimeText(since)}.`}</p>
            <p className="exact">
              <Term word="Key epoch">epoch</Term> {epoch}
              {ended === undefined && ends !== null && `, until ${dateTimeText(ends)} at the latest`}
            </p>
            <p className="exact">
              {plural(openings.used, "opening")} used, {countText(openings.left)} left
            </p>
          </>
        )}
      </dd>
    </div>
  )
}

const Holders = ({ view, keys }: { readonly view: StudyView; readonly keys: KeysView }) => {
  const { dealers, holders } = keys
  if (dealers.length === 0) return null
  return (
    <div>
      <dt>Who has them</dt>
      <dd>
        <p>
          {plural(dealers.length, "facility", "facilities")}, each with a key of its own. Leader and
          collectors have none.
        </p>
        <p className="exact">{named(dealers)}</p>
        <p className="exact">
          {holders.length} hold a piece of every key; {view.cohort.threshold} of them open a sum
        </p>
      </dd>
    </div>
  )
}

const LeftOut = ({ leftOut }: Pick<KeysView, "leftOut">) =>
  leftOut.length > 0 && (
    <Notice kind="warning" title="Without a key, and so in no sum">
      <ul>
        {leftOut.map(({ name, why, returns }) => (
          <li key={name}>
            <strong>{name}</strong>: {why}{" "}
            {returns && "It gets one when new keys are made, before one of the next rounds."}
          </li>
        ))}
      </ul>
    </Notice>
  )

const ceremonyKey = ({ epoch }: CeremonyView): string => String(epoch)
const ceremonyState = ({ phase }: CeremonyView): string =>
  phase === "held" ? "held" : phase === "void" ? "given up" : "under way"

const choiceOf = (ceremony: CeremonyView) => ({
  key: ceremonyKey(ceremony),
  attempt: ceremony,
  spoken: `Ceremony for epoch ${ceremony.epoch}, ${ceremonyState(ceremony)}, ${attemptLength(ceremony)}`,
  short: `epoch ${ceremony.epoch}`,
})

const Details = ({ ceremony }: { readonly ceremony: CeremonyView }) => {
  const { epoch, attempt, round, cause, phase, startedAt, reason } = ceremony
  return (
    <>
      <p>
        <strong>
          The ceremony for epoch {epoch}
          {attempt > 1 && `, attempt ${attempt}`}
        </strong>{" "}
        came before round {round}, because {cause}. It began at {timeText(startedAt)} and{" "}
        {isOver(ceremony)
          ? `was ${ceremonyState(ceremony)} after ${attemptLength(ceremony)}`
          : `is at: ${ceremonyPhaseWords(phase)}`}
        . {isOver(ceremony) ? "" : <span className="exact">({phase})</span>}
      </p>
      {reason !== null && (
        <Notice kind="warning" title="Why this ceremony was given up">
          <p>{reason}</p>
        </Notice>
      )}
      <Remarks attempt={ceremony} of={["refused", "excluded", "checked-shares"]} />
    </>
  )
}

const Outcome = ({ ceremony }: { readonly ceremony: CeremonyView }) => {
  const { openers, signers, dealers } = ceremony
  if (openers.length === 0) return null
  return (
    <p className="exact">
      Tests opened by {named(openers)}.
      {signers.length > 0 &&
        ` Signed by ${plural(signers.length, "facility", "facilities")}: the keys of ${named(dealers)}.`}
    </p>
  )
}

const Ceremonies = ({ ceremonies }: Pick<KeysView, "ceremonies">) => {
  const [chosen, choose] = useState<string | null>(null)
  const shown = ceremonies.find((one) => ceremonyKey(one) === chosen) ?? ceremonies.at(-1)
  if (shown === undefined) return null
  return (
    <>
      <AttemptChooser
        label="Key ceremonies"
        choices={ceremonies.map(choiceOf)}
        shown={shown}
        onChoose={choose}
      />
      <Details ceremony={shown} />
      <Lanes
        attempt={shown}
        names={shown.lanes.map(({ name }) => name)}
        steps={CEREMONY_STEPS}
        phaseWords={ceremonyPhaseWords}
      />
      <Legend attempt={shown} steps={CEREMONY_STEPS} />
      <Phases attempt={shown} phaseWords={ceremonyPhaseWords} />
      <Outcome ceremony={shown} />
    </>
  )
}

const Keyed = ({ view, keys }: { readonly view: StudyView; readonly keys: KeysView }) => (
  <>
    <dl className="facts">
      <Scheme scheme={keys.scheme} />
      <Epoch view={view} keys={keys} />
      <Holders view={view} keys={keys} />
    </dl>
    {view.state === "running" && <LeftOut leftOut={keys.leftOut} />}
    {keys.wanted !== null && view.state === "running" && (
      <Notice kind="warning" title="New keys are made before the next round">
        <p>{keys.wanted}</p>
      </Notice>
    )}
    <Ceremonies ceremonies={keys.ceremonies} />
    <details>
      <summary>How the numbers of the encryption follow from the study</summary>
      <ol className="because">
        {keys.scheme.because.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ol>
    </details>
  </>
)

const WITHOUT: Readonly<Record<string, string>> = {
  plain: "Nothing is encrypted beyond the connections, so there are no keys to hold.",
  shamir: "Every update is cut into sealed pieces anew, so nothing has to be kept from round to round.",
  masked:
    "Every update is hidden by a mask that is made for it alone, so nothing has to be kept from round to round.",
}

export const Keys = ({ view }: { readonly view: StudyView }) => (
  <Panel
    id="keys"
    title="Who has the keys"
    wide
    about={
      <>
        Where updates are encrypted, every facility makes a <Term word="Key">key</Term> of its own, and the
        others hold sealed pieces of it. They are changed in a <Term word="Key ceremony">key ceremony</Term>.
      </>
    }
  >
    {view.keys === null ? (
      <Notice kind="empty" title="This study needs no keys">
        <p>{WITHOUT[view.protection] ?? "Its protection has none."}</p>
      </Notice>
    ) : (
      <Keyed view={view} keys={view.keys} />
    )}
  </Panel>
)
