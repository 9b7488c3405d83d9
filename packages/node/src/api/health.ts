import { ConsiliumError } from "@consilium/base/errors"
import type { LeaderService } from "./leader-service.js"
import { boundedServer, type Listen, type Listening, listen } from "./listener.js"
import type { ApiMetrics } from "./metrics.js"
import { SECURITY_HEADERS } from "./page-files.js"
import { problemOf, Refusal } from "./problems.js"

const PATHS = ["/healthz", "/readyz", "/metrics"]

export interface HealthOptions {
  readonly service: LeaderService
  readonly metrics: ApiMetrics
  readonly listen: Listen
}

export interface RunningHealth extends Listening {
  close(): Promise<void>
}

/**
 * Serves /healthz (the process runs), /readyz (the leader takes requests) and /metrics (in Prometheus' form) to whoever
 * reaches the port: nothing there tells of patients, studies' names or secrets.
 */
export const startHealth = async (options: HealthOptions): Promise<RunningHealth> => {
  const { service, metrics } = options
  const app = boundedServer(options.listen.tls)
  app.addHook("onRequest", async (_request, reply) => {
    reply.headers({ ...SECURITY_HEADERS, "cache-control": "no-store" })
  })
  app.setErrorHandler((error, _request, reply) => {
    const { status, headers, body } = problemOf(error)
    return reply.code(status).headers(headers).send(JSON.stringify(body))
  })
  app.setNotFoundHandler((request) => {
    const path = request.url.split("?", 1)[0] as string
    if (PATHS.includes(path))
      throw new Refusal("api/wrong-method", `${request.method} is not served here, only GET.`, {
        allow: "GET",
      })
    throw new ConsiliumError("api/not-found", "Nothing is served at this address.", {
      remedy: `This port serves ${PATHS.join(", ")}.`,
    })
  })
  app.get("/healthz", { exposeHeadRoute: false }, async () => ({ status: "ok" }))
  app.get("/readyz", { exposeHeadRoute: false }, async () => {
    if (!service.ready())
      throw new Refusal("api/not-ready", "The leader is starting or ending.", { "retry-after": "2" })
    return { status: "ready" }
  })
  app.get("/metrics", { exposeHeadRoute: false }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
  const at = await listen(app, "health and metrics", options.listen)
  return { ...at, close: () => app.close() }
}
