import type { ApiOptions } from "./handlers.js"
import { api } from "./http-api.js"
import {
  boundedServer,
  HTTP_LIMITS,
  type HttpLimits,
  type Listen,
  type Listening,
  listen,
} from "./listener.js"
import { ApiMetrics } from "./metrics.js"
import { readPage } from "./page-files.js"
import { StudyViews } from "./study-views.js"

export interface StartApiOptions extends Omit<ApiOptions, "views" | "page" | "loopback"> {
  /** The folder of the built page, or null. */
  readonly page: string | null
  readonly listen: Listen
  readonly limits?: HttpLimits
}

export interface RunningApi extends Listening {
  readonly views: StudyViews
  readonly metrics: ApiMetrics
  close(): Promise<void>
}

/**
 * Serves a leader's API and page on a listener of its own.
 * @throws {ConsiliumError} "network/port-taken", "config/invalid", "config/unreadable"
 */
export const startApi = async (options: StartApiOptions): Promise<RunningApi> => {
  const views = new StudyViews()
  const metrics = options.metrics ?? new ApiMetrics(options.service, views)
  const page = options.page === null ? null : await readPage(options.page)
  const app = boundedServer(options.listen.tls, options.limits ?? HTTP_LIMITS)
  await app.register(api({ ...options, views, metrics, page, loopback: true }))
  const at = await listen(app, "API and page", options.listen)
  return { ...at, views, metrics, close: () => app.close() }
}
