import { isConsiliumError } from "@consilium/base/errors"
import { InferenceClient } from "@consilium/inference-client/client"
import type { ModelView } from "@consilium/inference-client/server/routes"
import { useCallback, useEffect, useState } from "react"

/** How often the list of models is asked for, and how soon again after a failure. */
const CHECK_MS = 10_000
const RETRY_MS = 2000
const ANSWER_MS = 8000

/** What is known of the server that is asked. */
export interface Server {
  readonly address: string
  /** Null before it answered for the first time. */
  readonly models: readonly ModelView[] | null
  /** Why the newest question got no answer; null if it did. */
  readonly error: unknown
  /** When it last answered; milliseconds since 1970. */
  readonly answeredAt: number | null
  readonly retry: () => void
}

type Known = Pick<Server, "address" | "models" | "error" | "answeredAt">

const unknown = (address: string): Known => ({ address, models: null, error: null, answeredAt: null })

/** Whether the server knows the request and does not permit it: what was shown may be shown no longer. */
export const isRefused = (error: unknown): boolean =>
  isConsiliumError(error) && (error.code === "api/unauthenticated" || error.code === "api/forbidden")

/** Whether the server has no models by its operator's choice: it does not know the question. */
export const offersNone = (error: unknown): boolean =>
  isConsiliumError(error) && error.code === "api/not-found"

/** A server's models, asked for again and again. The token is held in memory only, and is that server's. */
export const useServer = (address: string, token: string | null): Server => {
  const [known, setKnown] = useState<Known>(() => unknown(address))
  const [attempt, setAttempt] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt is to ask again at once
  useEffect(() => {
    const ending = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async (): Promise<void> => {
      const options = {
        signal: ending.signal,
        timeoutMs: ANSWER_MS,
        ...(token === null ? {} : { token }),
      }
      try {
        const models = await InferenceClient.models(address, options)
        if (ending.signal.aborted) return
        setKnown({ address, models, error: null, answeredAt: Date.now() })
        timer = setTimeout(ask, CHECK_MS)
      } catch (error) {
        if (ending.signal.aborted) return
        setKnown((known) => {
          const before = known.address === address ? known : unknown(address)
          return { ...before, models: isRefused(error) ? null : before.models, error }
        })
        // what is refused stays refused until another token is given
        if (!isRefused(error)) timer = setTimeout(ask, RETRY_MS)
      }
    }
    void ask()
    return () => {
      ending.abort()
      clearTimeout(timer)
    }
  }, [address, token, attempt])
  const retry = useCallback(() => setAttempt((before) => before + 1), [])
  useEffect(() => {
    window.addEventListener("online", retry)
    return () => window.removeEventListener("online", retry)
  }, [retry])
  // what another server said is nothing of this one's
  return { ...(known.address === address ? known : unknown(address)), retry }
}
