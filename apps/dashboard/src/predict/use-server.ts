import { isConsiliumError } from "@consilium/base/errors"
import { InferenceClient } from "@consilium/inference-client/client"
import type { ModelView } from "@consilium/inference-client/server/routes"
import { useCallback, useEffect, useState } from "react"

/** How often the list of models is asked for, and how soon again after a failure. */
const CHECK_MS = 10_000
const RETRY_MS = 2000
const ANSWER_MS = 8000

/** What is known of the server that this page came from. */
export interface Server {
  /** Its address, without a path. */
  readonly address: string
  /** Null before it answered for the first time. */
  readonly models: readonly ModelView[] | null
  /** Why the newest question got no answer; null if it did. */
  readonly error: unknown
  /** When it last answered; milliseconds since 1970. */
  readonly answeredAt: number | null
  readonly retry: () => void
}

interface Known extends Pick<Server, "models" | "error" | "answeredAt"> {
  readonly token: string | null
}

/** The server's base: this page lies in a folder of its own below it. */
export const serverBase = (): string => new URL("..", window.location.href).href

/** Whether the server knows the request and does not permit it: what was shown may be shown no longer. */
export const isRefused = (error: unknown): boolean =>
  isConsiliumError(error) && (error.code === "api/unauthenticated" || error.code === "api/forbidden")

/** The server's models, asked for again and again. The token is held in memory only. */
export const useServer = (token: string | null): Server => {
  const [known, setKnown] = useState<Known>({ token, models: null, error: null, answeredAt: null })
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
        const models = await InferenceClient.models(serverBase(), options)
        if (ending.signal.aborted) return
        setKnown({ token, models, error: null, answeredAt: Date.now() })
        timer = setTimeout(ask, CHECK_MS)
      } catch (error) {
        if (ending.signal.aborted) return
        setKnown((before) => ({
          token,
          models: isRefused(error) ? null : before.models,
          error,
          answeredAt: before.answeredAt,
        }))
        // what is refused stays refused until another token is given
        if (!isRefused(error)) timer = setTimeout(ask, RETRY_MS)
      }
    }
    void ask()
    return () => {
      ending.abort()
      clearTimeout(timer)
    }
  }, [token, attempt])
  const retry = useCallback(() => setAttempt((before) => before + 1), [])
  useEffect(() => {
    window.addEventListener("online", retry)
    return () => window.removeEventListener("online", retry)
  }, [retry])
  const { origin } = window.location
  return { ...known, address: origin, retry }
}
