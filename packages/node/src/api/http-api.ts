import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { admit, type Caller, checkOrigin } from "./access.js"
import { EventStreams, STREAM_LIMITS } from "./event-stream.js"
import { approachOf, refuseCompressed, sendRefusal } from "./guarding.js"
import { type ApiOptions, handlersOf, notHere, pathOf } from "./handlers.js"
import { Idempotency } from "./idempotency.js"
import type { RotationAnswer } from "./key-schemas.js"
import { SECURITY_HEADERS } from "./page-files.js"
import { Refusal } from "./problems.js"
import { methodsOf, ROUTES, type RouteName, type RouteSpec, routeNames } from "./routes.js"
import { noQuery, type Started } from "./schemas.js"
import { checked } from "./study-request.js"
import { type Rate, TokenBuckets } from "./token-bucket.js"

/** Bytes of a POST's body. */
export const BODY_BYTES = 512 << 10
const STARTS: Rate = { burst: 10, perSecond: 0.5 }

declare module "fastify" {
  interface FastifyContextConfig {
    readonly apiRoute?: RouteName
  }
}

/**
 * The leader's API as routes of a Fastify server, with its own parsers, hooks and refusals: register it in a server of any
 * kind. The server's end is awaited by `onClose`.
 */
export const api =
  (options: ApiOptions) =>
  async (app: FastifyInstance): Promise<void> => {
    const { service, page, metrics, tokens, loopback } = options
    const now = options.now ?? Date.now
    const troubled = options.troubled ?? (() => undefined)
    const streams = new EventStreams(service, options.streams ?? STREAM_LIMITS, troubled)
    const buckets = new TokenBuckets(options.starts ?? STARTS, now)
    const callers = new WeakMap<FastifyRequest, Caller>()
    if (metrics) metrics.streams = () => streams.count

    const routesAt = methodsOf({ ...ROUTES, ...options.beside })
    const methodsAt = (path: string): readonly string[] => (page?.has(path) ? ["GET"] : routesAt(path))
    const handlers = handlersOf(options, {
      streams,
      started: new Idempotency<Started>(now),
      rotated: new Idempotency<RotationAnswer>(now),
      methodsAt,
      callerOf: (request) => callers.get(request) as Caller,
    })

    /** Who asks and whether they may, before a byte of the body is read. */
    const permit = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const name = request.routeOptions.config.apiRoute
      reply.headers({ ...SECURITY_HEADERS, "cache-control": "no-store" })
      if (name === undefined) return
      const route: RouteSpec = ROUTES[name]
      const approach = approachOf(request)
      if (route.method === "POST") {
        const waitMs = buckets.take(approach.peer)
        if (waitMs > 0)
          throw new Refusal(
            "api/too-many-requests",
            "Too many requests to start something came from this address.",
            {
              "retry-after": String(Math.ceil(waitMs / 1000)),
            },
          )
      }
      checkOrigin(approach, route.method === "POST")
      refuseCompressed(request)
      callers.set(
        request,
        identified(request, route) ?? admit(approach, route.right, { tokens, loopback, now }),
      )
      if (name !== "page" && name !== "openapi" && !service.ready())
        throw new Refusal("api/not-ready", "The leader is starting or ending.", { "retry-after": "2" })
    }
    const identified = (request: FastifyRequest, route: RouteSpec): Caller | null => {
      const caller = options.identify?.(request) ?? null
      if (caller !== null && !caller.rights.includes(route.right))
        throw new Refusal(
          "api/forbidden",
          `${caller.name} may not do this: it needs the right "${route.right}".`,
          {},
        )
      return caller
    }

    app.removeAllContentTypeParsers()
    app.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: BODY_BYTES }, (_request, body, done) =>
      done(null, body),
    )
    app.setErrorHandler((error, _request, reply) => sendRefusal(reply, error, troubled))
    app.setNotFoundHandler((request, reply) =>
      sendRefusal(reply, notHere(request.method, methodsAt(pathOf(request))), troubled),
    )
    app.addHook("onRequest", permit)
    app.addHook("preValidation", async (request) => {
      const name = request.routeOptions.config.apiRoute
      if (name === undefined) return
      const route: RouteSpec = ROUTES[name]
      if (route.params) request.params = checked(route.params, "The address", request.params)
      if (name !== "page") request.query = checked(route.query ?? noQuery, "The query", request.query)
    })
    app.addHook("onResponse", async (request, reply) => {
      metrics?.answered(request.routeOptions.config.apiRoute ?? "none", reply.statusCode)
    })
    app.addHook("preClose", async () => streams.close())
    for (const name of routeNames) {
      const { method, path } = ROUTES[name]
      app.route({
        method,
        url: path,
        exposeHeadRoute: false,
        bodyLimit: BODY_BYTES,
        config: { apiRoute: name },
        handler: handlers[name],
      })
    }
  }
