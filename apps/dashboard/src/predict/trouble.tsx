import { isConsiliumError } from "@consilium/base/errors"
import { capital } from "../format.js"
import { Notice } from "../notices.js"
import { isRefused } from "./use-server.js"

interface TroubleProps {
  readonly error: unknown
  /** What did not work, as a title. */
  readonly title: string
  readonly onRetry?: () => void
}

/** Why something did not work, what to do, and the exact code. */
export const Trouble = ({ error, title, onRetry }: TroubleProps) => {
  const known = isConsiliumError(error) ? error : null
  return (
    <Notice kind={isRefused(error) ? "forbidden" : "error"} title={title}>
      <p>{known === null ? "Something went wrong on this page." : capital(known.message)}</p>
      {known !== null && (
        <p>
          <strong>What to do:</strong> {known.remedy}
        </p>
      )}
      <p>
        {onRetry !== undefined && (
          <button type="button" onClick={onRetry}>
            Try again
          </button>
        )}
        {known !== null && <code className="exact">{known.code}</code>}
      </p>
    </Notice>
  )
}
