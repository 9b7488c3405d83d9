import type { StudyView } from "@consilium/node/api/study-view"
import { countText, timeText } from "./format.js"
import { Failure, Loading, Notice, Panel, Term } from "./notices.js"
import { useTail } from "./study-data.js"

export const LogTail = ({ view }: { readonly view: StudyView }) => {
  const tail = useTail(view)
  const lines = tail.data ?? []
  return (
    <Panel
      id="log"
      title="What was said, newest first"
      wide
      about={
        <>
          The end of the <Term word="Log">log</Term>. All of it can be exported and checked with{" "}
          <code>consilium audit verify</code>.
        </>
      }
    >
      {tail.data === undefined && tail.error !== null ? (
        <Failure error={tail.error} what="the log" onRetry={() => void tail.refetch()} />
      ) : tail.data === undefined ? (
        <Loading what="the log" />
      ) : lines.length === 0 ? (
        <Notice kind="empty" title="Nothing has been said yet" />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable without a mouse
        <ol className="tail" aria-label="The last lines of the log" tabIndex={0}>
          {lines.toReversed().map(({ seq, at, type, actor, says }) => (
            <li key={seq}>
              <time dateTime={at}>{timeText(at)}</time>
              <span>
                {!says.includes(actor) && <strong>{actor}: </strong>}
                {says}
              </span>
              <code className="exact">
                {countText(seq)} {type}
              </code>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  )
}
