import type { StudyView } from "@consilium/node/api/study-view"
import { plural, timeText } from "./format.js"
import { Notice, Panel } from "./notices.js"
import { securityWords } from "./words.js"

/** Most events that are listed; the log has them all. */
const SHOWN = 50

export const Security = ({ view }: { readonly view: StudyView }) => {
  const { security } = view
  const numbered = security.map((event, i) => ({ ...event, number: i + 1 }))
  const shown = numbered.slice(-SHOWN).reverse()
  return (
    <Panel
      id="security"
      title="Things that must not happen"
      about="Wrong signatures, false pieces, two stories for one step: whoever sees such a thing reports it here."
    >
      {security.length === 0 ? (
        <Notice kind="empty" title="Nothing has been reported" />
      ) : (
        <>
          <p>
            {plural(security.length, "report")}
            {security.length > SHOWN && `; the newest ${SHOWN} are shown`}.
          </p>
          <ol className="reports">
            {shown.map(({ number, at, code, about }) => (
              <li key={number}>
                <time dateTime={at}>{timeText(at)}</time> <strong>{about}</strong>: {securityWords(code)}{" "}
                <code className="exact">{code}</code>
              </li>
            ))}
          </ol>
        </>
      )}
    </Panel>
  )
}
