import type { FastifyPluginAsync } from "fastify"
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
import { PREDICTION_PAGE_ROUTES, predictionPage } from "./prediction-page.js"
import type { RouteSpec } from "./routes.js"
import { StudyViews } from "./study-views.js"

/** Routes that are served on the same listener. */
export interface Beside {
  readonly routes: Readonly<Record<string, RouteSpec>>
  readonly plugin: FastifyPluginAsync
}

export interface StartApiOptions extends Omit<ApiOptions, "views" | "page" | "loopback" | "beside"> {
  /** The folder of the built page, or null. */
  readonly page: string | null
  /** Origins of other servers of models that the prediction page may ask. */
  readonly pageServers?: readonly string[]
  readonly listen: Listen
  readonly limits?: HttpLimits
  /** Made with what the API shares; what it holds is closed by its own plugin. */
  readonly beside?: (shared: { readonly views: StudyViews; readonly metrics: ApiMetrics }) => Beside
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
  const { beside: make, ...rest } = options
  const beside = make?.({ views, metrics })
  const routes = { ...beside?.routes, ...(page === null ? {} : PREDICTION_PAGE_ROUTES) }
  await app.register(api({ ...rest, beside: routes, views, metrics, page, loopback: true }))
  if (beside !== undefined) await app.register(beside.plugin)
  if (page !== null)
    await app.register(
      predictionPage({
        page,
        servers: options.pageServers ?? [],
        loopback: true,
        answered: (route, status) => metrics.answered(route, status),
        troubled: options.troubled ?? (() => undefined),
      }),
    )
  const at = await listen(app, "API and page", options.listen)
  return { ...at, views, metrics, close: () => app.close() }
}
