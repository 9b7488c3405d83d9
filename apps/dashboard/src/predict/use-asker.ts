import type { InferencePlan } from "@consilium/inference/plan/plan"
import { InferenceClient } from "@consilium/inference-client/client"
import { FetchTransport } from "@consilium/inference-client/transport/fetch-transport"
import { WorkerAsker } from "@consilium/inference-client/worker/worker-asker"
import { useCallback, useEffect, useState } from "react"
import { ExchangeLog } from "./exchange-log.js"

/** Encryptions of nothing that are kept ready, so that asking has little left to do. */
const BLANKS = 2

/** A model that can be asked from this page, with its keys in a worker. */
export interface Asking {
  /** The server's address. */
  readonly address: string
  readonly client: InferenceClient
  readonly log: ExchangeLog
  /** The plan under which the newest request was or will be made. */
  readonly plan: InferencePlan
  readonly planHash: string
  readonly reveals: string
  /** Whether keys and blanks are made. */
  readonly prepared: boolean
}

export type AskerState =
  | { readonly state: "none" | "connecting" }
  | { readonly state: "failed"; readonly error: unknown }
  | { readonly state: "ready"; readonly asking: Asking }

export interface Asker {
  readonly now: AskerState
  /** Begins anew, with the newest version of the model. */
  readonly again: () => void
  /** Takes over the plan of the client, which it may have changed while asking. */
  readonly refresh: () => void
}

const seen = (client: InferenceClient) => ({
  plan: client.plan,
  planHash: client.planHash,
  reveals: client.reveals,
})

/** A client of the chosen model, from choosing it until another is chosen or the page is left. */
export const useAsker = (address: string, model: string | null, token: string | null): Asker => {
  const [now, setNow] = useState<AskerState>({ state: "none" })
  const [attempt, setAttempt] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt is to begin anew
  useEffect(() => {
    if (model === null) {
      setNow({ state: "none" })
      return
    }
    const ending = new AbortController()
    let connected: InferenceClient | null = null
    const connect = async (): Promise<void> => {
      // a new version of the same model is asked from the form that is there
      setNow((before) =>
        before.state === "ready" && before.asking.address === address && before.asking.client.model === model
          ? { state: "ready", asking: { ...before.asking, prepared: false } }
          : { state: "connecting" },
      )
      const worker = new Worker(new URL("./key-worker.ts", import.meta.url), { type: "module" })
      const log = new ExchangeLog(new FetchTransport())
      try {
        const client = await InferenceClient.connect(address, {
          model,
          keys: WorkerAsker.of(worker),
          transport: log,
          signal: ending.signal,
          ...(token === null ? {} : { token }),
        })
        connected = client
        if (ending.signal.aborted) return client.close()
        const ready = (prepared: boolean): void =>
          setNow({ state: "ready", asking: { address, client, log, ...seen(client), prepared } })
        ready(false)
        await client.prepare({ blanks: BLANKS, signal: ending.signal })
        if (!ending.signal.aborted) ready(true)
      } catch (error) {
        if (!ending.signal.aborted) setNow({ state: "failed", error })
      }
    }
    void connect()
    return () => {
      ending.abort()
      connected?.close()
    }
  }, [address, model, token, attempt])
  const again = useCallback(() => setAttempt((before) => before + 1), [])
  const refresh = useCallback(
    () =>
      setNow((before) => {
        if (before.state !== "ready" || before.asking.planHash === before.asking.client.planHash)
          return before
        return { state: "ready", asking: { ...before.asking, ...seen(before.asking.client) } }
      }),
    [],
  )
  return { now, again, refresh }
}
