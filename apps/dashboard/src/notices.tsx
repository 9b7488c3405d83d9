import type { ReactNode } from "react"
import { capital, timeText } from "./format.js"
import { glossaryId } from "./glossary-id.js"
import { isForbidden, Refusal } from "./leader-api.js"

interface NoticeProps {
  readonly kind: "empty" | "error" | "forbidden" | "stale" | "warning"
  readonly title: string
  readonly children?: ReactNode
}

/** A state of the page or of one part of it, in words. */
export const Notice = ({ kind, title, children }: NoticeProps) => (
  <div
    className={`notice notice-${kind}`}
    role={kind === "error" || kind === "forbidden" ? "alert" : undefined}
  >
    <p className="notice-title">{title}</p>
    {children}
  </div>
)

export const Loading = ({ what }: { readonly what: string }) => (
  <div className="loading" role="status">
    <p>Loading {what} …</p>
    <div className="skeleton" aria-hidden="true">
      <span />
      <span />
      <span />
    </div>
  </div>
)

interface FailureProps {
  readonly error: unknown
  /** What could not be shown, such as "the study". */
  readonly what: string
  readonly onRetry: () => void
}

/** Why something could not be shown, with the leader's own words and remedy. */
export const Failure = ({ error, what, onRetry }: FailureProps) => {
  const refusal = error instanceof Refusal ? error : null
  const forbidden = isForbidden(error)
  return (
    <Notice
      kind={forbidden ? "forbidden" : "error"}
      title={forbidden ? `You may not see ${what}` : `Sorry, ${what} could not be loaded`}
    >
      <p>{capital(refusal?.message ?? String(error))}</p>
      {refusal?.remedy && (
        <p>
          <strong>What to do:</strong> {refusal.remedy}
        </p>
      )}
      <p>
        <button type="button" onClick={onRetry}>
          Try again
        </button>
        {refusal !== null && refusal.status > 0 && <span className="aside">status {refusal.status}</span>}
      </p>
    </Notice>
  )
}

interface StaleProps {
  /** Since when nothing new has come; null while all is well. */
  readonly since: number | null
  readonly onRetry: () => void
}

/** Says since when nothing new has come. It is always in the page, so that screen readers notice when it fills. */
export const StaleNotice = ({ since, onRetry }: StaleProps) => (
  <div role="status" className="stale-place">
    {since !== null && (
      <Notice kind="stale" title={`No news from the leader since ${timeText(since)}`}>
        <p>What you see is from then. The page tries again by itself and goes on when the leader is back.</p>
        <p>
          <button type="button" onClick={onRetry}>
            Try now
          </button>
        </p>
      </Notice>
    )}
  </div>
)

interface PanelProps {
  readonly id: string
  readonly title: string
  /** One sentence for everybody. */
  readonly about?: ReactNode
  readonly wide?: boolean
  readonly children: ReactNode
}

/** A part of the page with a heading of its own. */
export const Panel = ({ id, title, about, wide = false, children }: PanelProps) => (
  <section id={id} className={wide ? "panel panel-wide" : "panel"} aria-labelledby={`${id}-title`}>
    <h2 id={`${id}-title`}>{title}</h2>
    {about !== undefined && <p className="about">{about}</p>}
    {children}
  </section>
)

/** A link from an exact term to its meaning. */
export const Term = ({ word, children }: { readonly word: string; readonly children: ReactNode }) => (
  <a className="term" href={`#${glossaryId(word)}`}>
    {children}
  </a>
)

/** A wide table, which scrolls by itself and can be reached with the keyboard to do so. */
export const Scrolling = ({ label, children }: { readonly label: string; readonly children: ReactNode }) => (
  // biome-ignore lint/a11y/useSemanticElements: a fieldset holds form fields
  // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable without a mouse
  <div className="scrolling" role="group" aria-label={label} tabIndex={0}>
    {children}
  </div>
)
