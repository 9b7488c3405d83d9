import { ConsiliumError } from "@consilium/base/errors"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { admit, type Caller, checkOrigin } from "./access.js"
import { EventStreams, STREAM_LIMITS } from "./event-stream.js"
import { type ApiOptions, handlersOf, notHere, pathOf } from "./handlers.js"
import { Idempotency } from "./idempotency.js"
import type { RotationAnswer } from "./key-schemas.js"
import { SECURITY_HEADERS } from "./page-files.js"
import { problemOf, Refusal } from "./problems.js"
import { ROUTES, type RouteName, type RouteSpec, routeNames } from "./routes.js"
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

/** Errors of the HTTP library, as refusals of ours. */
const refusalOf = (error: unknown): unknown => {
  const { code, statusCode } = error as { code?: string; statusCode?: number }
  if (error instanceof ConsiliumError) return error
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new ConsiliumError("api/too-large", `The body exceeds ${BODY_BYTES} bytes.`)
  if (statusCode === 415)
    return new ConsiliumError("api/unsupported-type", "The request's content type cannot be read.")
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new ConsiliumError("api/malformed", "The request is not valid HTTP.")
  return error
}

const isEncrypted = (request: FastifyRequest): boolean =>
  (request.raw.socket as { encrypted?: boolean }).encrypted === true

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

    const handlers = handlersOf(options, {
      streams,
      started: new Idempotency<Started>(now),
      rotated: new Idempotency<RotationAnswer>(now),
      callerOf: (request) => callers.get(request) as Caller,
    })

    /** Who asks and whether they may, before a byte of the body is read. */
    const permit = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const name = request.routeOptions.config.apiRoute
      reply.headers({ ...SECURITY_HEADERS, "cache-control": "no-store" })
      if (name === undefined) return
      const route: RouteSpec = ROUTES[name]
      const approach = {
        peer: request.raw.socket.remoteAddress ?? "",
        headers: request.headers,
        encrypted: isEncrypted(request),
      }
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
      const encoding = request.headers["content-encoding"]
      if (encoding !== undefined && encoding !== "identity")
        throw new ConsiliumError("api/unsupported-type", "Compressed bodies are not read.")
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
    const sendError = (reply: FastifyReply, error: unknown): FastifyReply => {
      const { status, headers, body, hidden } = problemOf(error)
      if (hidden) troubled(error)
      return reply
        .code(status)
        .headers({ ...SECURITY_HEADERS, ...headers })
        .send(JSON.stringify(body))
    }
    app.setErrorHandler((error, _request, reply) => sendError(reply, refusalOf(error)))
    app.setNotFoundHandler((request, reply) =>
      sendError(reply, notHere(request.method, pathOf(request), page)),
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
