import type { EventView, StudySummary, StudyView } from "@consilium/node/api/study-view"

/** Why the leader did not answer a request, in its own words where it gave any (RFC 9457). */
export class Refusal extends Error {
  /** HTTP status; 0 where no answer came. */
  readonly status: number
  readonly remedy: string | null

  constructor(status: number, message: string, remedy: string | null) {
    super(message)
    this.name = "Refusal"
    this.status = status
    this.remedy = remedy
  }
}

const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null)

/** The refusal that an answer's body holds, with plain words where it holds none. */
export const refusalOf = (status: number, body: unknown): Refusal => {
  const problem = (typeof body === "object" && body !== null ? body : {}) as Readonly<Record<string, unknown>>
  const message = textOf(problem.detail) ?? textOf(problem.title)
  return new Refusal(status, message ?? `The leader answered with status ${status}.`, textOf(problem.remedy))
}

const unreachable = (): Refusal =>
  new Refusal(
    0,
    "The leader cannot be reached.",
    "Check that it runs; this page goes on by itself when it is back.",
  )

const get = async <T>(path: string, signal: AbortSignal): Promise<T> => {
  let response: Response
  try {
    response = await fetch(path, { headers: { accept: "application/json" }, signal, cache: "no-store" })
  } catch (error) {
    if (signal.aborted) throw error
    throw unreachable()
  }
  let body: unknown
  try {
    body = await response.json()
  } catch (error) {
    if (signal.aborted) throw error
    body = null
  }
  if (!response.ok) throw refusalOf(response.status, body)
  if (body === null)
    throw new Refusal(
      response.status,
      "The leader's answer could not be read.",
      "Reload this page; it may be older than the leader.",
    )
  return body as T
}

export const getStudies = async (signal: AbortSignal): Promise<readonly StudySummary[]> =>
  (await get<{ readonly studies: readonly StudySummary[] }>("/v1/studies", signal)).studies

export const getStudy = (id: string, signal: AbortSignal): Promise<StudyView> =>
  get(`/v1/studies/${encodeURIComponent(id)}`, signal)

export const getEvents = async (
  id: string,
  after: number,
  limit: number,
  signal: AbortSignal,
): Promise<readonly EventView[]> =>
  (
    await get<{ readonly events: readonly EventView[] }>(
      `/v1/studies/${encodeURIComponent(id)}/events?after=${after}&limit=${limit}`,
      signal,
    )
  ).events

/** Most studies that one stream covers. */
const STREAMED = 128

/** The end of every study's log, in the form in which the stream of events takes it. */
export const positionAfter = (studies: readonly Pick<StudySummary, "id" | "events">[]): string =>
  studies
    .slice(-STREAMED)
    .map(({ id, events }) => `${id.slice(0, 16)}:${events}`)
    .join(",")

export const eventsPath = (position: string): string =>
  position === "" ? "/v1/events" : `/v1/events?after=${encodeURIComponent(position)}`

/** Whether asking again soon may help: no answer, too busy, or a fault of the leader's. */
export const isPassing = (error: unknown): boolean =>
  !(error instanceof Refusal) || error.status === 0 || error.status === 429 || error.status >= 500

/** Whether the leader knows the request and does not permit it. */
export const isForbidden = (error: unknown): boolean =>
  error instanceof Refusal && (error.status === 401 || error.status === 403)
