import type { EventView, StudySummary, StudyView } from "@consilium/node/api/study-view"
import { QueryClient, type UseQueryResult, useQuery, useQueryClient } from "@tanstack/react-query"
import { useEffect, useRef, useState, useSyncExternalStore } from "react"
import { atMostEvery } from "./backoff.js"
import { getEvents, getStudies, getStudy, isPassing, positionAfter } from "./leader-api.js"
import { LiveEvents, type LiveState } from "./live-events.js"
import { extendTail, leavesGap, TAIL_LENGTH } from "./tail.js"

const STUDIES = ["studies"] as const
const viewKey = (id: string) => ["study", id] as const
const tailKey = (id: string) => ["events", id] as const

/** Most often that the page asks for a view again, however many events come. */
const REFRESH_MS = 500
/** A stream can be silently dead, for instance behind a proxy; asking now and then shows it. */
const CHECK_MS = 30_000

export const makeQueryClient = (): QueryClient =>
  new QueryClient({
    defaultOptions: {
      queries: {
        // the stream says when something is new
        staleTime: Number.POSITIVE_INFINITY,
        networkMode: "always",
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
        retry: (failures, error) => failures < 2 && isPassing(error),
        retryDelay: (failures) => 300 * 2 ** failures,
      },
    },
  })

export const useStudies = (): UseQueryResult<readonly StudySummary[]> =>
  useQuery({
    queryKey: STUDIES,
    queryFn: ({ signal }) => getStudies(signal),
    refetchInterval: CHECK_MS,
  })

export const useStudy = (id: string | undefined): UseQueryResult<StudyView> =>
  useQuery({
    queryKey: viewKey(id ?? ""),
    queryFn: ({ signal }) => getStudy(id as string, signal),
    enabled: id !== undefined,
    refetchInterval: CHECK_MS,
  })

/** Asks for everything after `last`, at most a page's worth at a time. */
const eventsAfter = async (id: string, last: number, signal: AbortSignal): Promise<readonly EventView[]> => {
  let found: readonly EventView[] = []
  for (;;) {
    const more = await getEvents(id, found.at(-1)?.seq ?? last, TAIL_LENGTH, signal)
    found = extendTail(found, more)
    if (more.length < TAIL_LENGTH) return found
  }
}

/** The last lines of a study's log. */
export const useTail = (view: StudyView | undefined): UseQueryResult<readonly EventView[]> => {
  const client = useQueryClient()
  const id = view?.id ?? ""
  return useQuery({
    queryKey: tailKey(id),
    queryFn: async ({ signal }) => {
      const had = (): readonly EventView[] => client.getQueryData(tailKey(id)) ?? []
      const last = had().at(-1)?.seq ?? Math.max(0, (view?.log.events ?? 0) - TAIL_LENGTH)
      const more = await eventsAfter(id, last, signal)
      // lines may have come by themselves in the meantime
      return extendTail(had(), more)
    },
    enabled: view !== undefined,
  })
}

export interface Live extends LiveState {
  readonly retry: () => void
}

/** Follows the leader's events and keeps the shown study up to date. */
export const useLive = (shown: string | undefined): Live => {
  const client = useQueryClient()
  const current = useRef(shown)
  current.current = shown
  const [live] = useState(() => {
    const refresh = atMostEvery(REFRESH_MS, async () => {
      const id = current.current
      // a request under way may have been answered before the event; it is asked again
      await Promise.all([
        client.refetchQueries({ queryKey: STUDIES }),
        id !== undefined && client.refetchQueries({ queryKey: viewKey(id) }),
      ])
    })
    const catchUp = atMostEvery(REFRESH_MS, async () => {
      const id = current.current
      if (id !== undefined) await client.refetchQueries({ queryKey: tailKey(id) })
    })
    return new LiveEvents({
      position: async () =>
        positionAfter(
          await client.fetchQuery({
            queryKey: STUDIES,
            queryFn: ({ signal }) => getStudies(signal),
            staleTime: 0,
            retry: false,
          }),
        ),
      onOpen: () => {
        refresh.ask()
        catchUp.ask()
      },
      onEvent: (event) => {
        refresh.ask()
        if (event.study !== current.current) return
        const tail = client.getQueryData<readonly EventView[]>(tailKey(event.study)) ?? []
        if (leavesGap(tail, event)) catchUp.ask()
        else client.setQueryData(tailKey(event.study), extendTail(tail, [event]))
      },
    })
  })
  useEffect(() => {
    live.start()
    window.addEventListener("online", live.retry)
    return () => {
      window.removeEventListener("online", live.retry)
      live.stop()
    }
  }, [live])
  const state = useSyncExternalStore(live.subscribe, live.state)
  return { ...state, retry: live.retry }
}
