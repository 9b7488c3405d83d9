import { Readable } from "node:stream"
import { ConsiliumError } from "@consilium/base/errors"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { admit, type Caller, checkOrigin, type TokenRule } from "../api/access.js"
import { approachOf, refuseCompressed, sendRefusal } from "../api/guarding.js"
import { SECURITY_HEADERS } from "../api/page-files.js"
import { Refusal } from "../api/problems.js"
import { BINARY, type RouteSpec } from "../api/routes.js"
import { noQuery } from "../api/schemas.js"
import { checked } from "../api/study-request.js"
import { type Rate, TokenBuckets } from "../api/token-bucket.js"
import { INFERENCE_ROUTES, type InferenceRouteName, inferenceRouteNames } from "./inference-routes.js"
import type { InferenceService } from "./inference-service.js"
import { contextView, servedModelView } from "./inference-views.js"

export interface InferenceApiOptions {
  readonly service: InferenceService
  readonly tokens: readonly TokenRule[]
  /** Whether requests straight from this machine need no token. */
  readonly loopback: boolean
  /** Who asks, where the connection itself shows it; null sends the request on to the other ways. */
  readonly identify?: (request: FastifyRequest) => Caller | null
  /** Origins of pages elsewhere that may ask, such as `https://ward.example.org`. */
  readonly origins: readonly string[]
  /** How often one asker may ask. */
  readonly rate: Rate
  readonly now?: () => number
  /** Counts an answer. */
  readonly answered?: (route: string, status: number) => void
  /** Told of failures of the server's own, which the outside is not told of. */
  readonly troubled?: (error: unknown) => void
}

/** Seconds of asking at full rate that one asker may save up. */
const BURST_SECONDS = 2
export const askingRate = (perSecond: number): Rate => ({ burst: BURST_SECONDS * perSecond, perSecond })

declare module "fastify" {
  interface FastifyContextConfig {
    readonly inferenceRoute?: InferenceRouteName
  }
}

const SHORT_BODY = 1024

/** The declared length of a body. @throws {ConsiliumError} "api/malformed" if it is not declared */
const declaredLength = (request: FastifyRequest): number => {
  const length = Number(request.headers["content-length"])
  if (request.headers["content-length"] === undefined || !Number.isSafeInteger(length))
    throw new ConsiliumError("api/malformed", "The request does not say how many bytes its body has.", {
      remedy: "Send a content-length, and no body in chunks.",
    })
  return length
}

/** Refuses a body of a length that no version of the model takes, before a byte of it is read. */
const checkLength = (
  service: InferenceService,
  id: string,
  what: RouteSpec["bytes"],
  length: number,
): void => {
  service.shelf.current(id)
  if (what === "batch") {
    if (length > service.rules.batchBytes)
      throw new ConsiliumError(
        "api/too-large",
        `A batch has ${length} bytes; ${service.rules.batchBytes} are taken.`,
        { remedy: "Divide it into several batches." },
      )
    return
  }
  const taken = service.shelf.versions(id).flatMap(({ server: { prepared } }) => {
    if (what === "request") return [prepared.requestBytes]
    return prepared.takesKey ? [prepared.keyBytes] : []
  })
  if (!taken.includes(length))
    throw new ConsiliumError(
      "inference/malformed",
      `A ${what} of ${length} bytes was sent; the model "${id}" takes ${taken.length === 0 ? "none" : [...new Set(taken)].join(" or ")}.`,
    )
}

const bytesOf = (request: FastifyRequest): Uint8Array => {
  if (request.body instanceof Uint8Array && request.body.length > 0) return request.body
  throw new ConsiliumError("api/malformed", "The request has no body.")
}

type Handler = (request: FastifyRequest, reply: FastifyReply, asker: string) => unknown

const handlersOf = (
  service: InferenceService,
  letGo: (request: FastifyRequest) => void,
): Readonly<Record<InferenceRouteName, Handler>> => {
  const { shelf } = service
  const idOf = (request: FastifyRequest): string => (request.params as { readonly id: string }).id
  const batchOf = (request: FastifyRequest): string => (request.params as { readonly batch: string }).batch
  return {
    servedModels: (_request, _reply, asker) => ({
      models: shelf.entries().map((entry) => servedModelView(service, entry, asker)),
    }),
    modelPlan: (request) => shelf.current(idOf(request)).view,
    context: (request) => {
      const { model, plan } = request.query as { readonly model?: string; readonly plan?: string }
      return contextView(shelf, model, plan)
    },
    predict: async (request, reply, asker) => {
      const { answer, ms } = await service.answer(asker, idOf(request), bytesOf(request))
      return reply
        .type(BINARY)
        .header("server-timing", `evaluate;dur=${ms.toFixed(3)}`)
        .send(Buffer.from(answer.buffer, answer.byteOffset, answer.length))
    },
    keyNonce: (request, _reply, asker) => {
      const { nonce, expires } = service.keys.nonce(asker, shelf.current(idOf(request)))
      return { nonce, expires: new Date(expires).toISOString() }
    },
    uploadKey: async (request, reply, asker) => {
      const key = await service.keys.upload(asker, shelf.current(idOf(request)), bytesOf(request))
      return reply.code(201).send({ key })
    },
    addBatch: async (request, reply, asker) => {
      // a batch takes room for its requests itself
      letGo(request)
      const batch = await service.addBatch(asker, idOf(request), bytesOf(request))
      return reply.code(202).header("location", `/v1/models/${batch.model}/batches/${batch.id}`).send(batch)
    },
    batch: (request, _reply, asker) => service.batch(asker, idOf(request), batchOf(request)),
    batchAnswers: (request, reply, asker) => {
      const answers = service.batchAnswers(asker, idOf(request), batchOf(request))
      return reply
        .type(BINARY)
        .header(
          "content-length",
          answers.reduce((sum, { length }) => sum + length, 0),
        )
        .send(Readable.from(answers, { objectMode: false }))
    },
    removeBatch: (request, reply, asker) => {
      service.removeBatch(asker, idOf(request), batchOf(request))
      return reply.code(204).send()
    },
  }
}

/** The routes of encrypted inference, for a Fastify server of any kind. */
export const inferenceApi =
  (options: InferenceApiOptions) =>
  async (app: FastifyInstance): Promise<void> => {
    const { service, tokens, loopback, origins, rate } = options
    const now = options.now ?? Date.now
    const troubled = options.troubled ?? (() => undefined)
    const buckets = new TokenBuckets(rate, now)
    const callers = new WeakMap<FastifyRequest, Caller>()
    const held = new WeakMap<FastifyRequest, () => void>()
    const handlers = handlersOf(service, (request) => held.get(request)?.())

    /** Lets pages of configured origins read answers. */
    const welcome = (request: FastifyRequest, reply: FastifyReply): boolean => {
      const { origin } = request.headers
      if (origins.length > 0) reply.header("vary", "origin")
      if (origin === undefined || !origins.includes(origin)) return false
      reply.headers({
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "server-timing, location, retry-after",
        "cross-origin-resource-policy": "cross-origin",
      })
      return true
    }

    const callerOf = (request: FastifyRequest): Caller => {
      const caller = options.identify?.(request) ?? null
      if (caller === null) return admit(approachOf(request), "ask", { tokens, loopback, now })
      if (!caller.rights.includes("ask"))
        throw new Refusal("api/forbidden", `${caller.name} may not do this: it needs the right "ask".`, {})
      return caller
    }

    /** Who asks, whether they may, and whether there is room for what they send: before a byte of it is read. */
    const permit = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const name = request.routeOptions.config.inferenceRoute
      reply.headers({ ...SECURITY_HEADERS, "cache-control": "no-store" })
      const welcomed = welcome(request, reply)
      if (name === undefined) return
      const route: RouteSpec = INFERENCE_ROUTES[name]
      if (!welcomed) checkOrigin(approachOf(request), route.method !== "GET")
      refuseCompressed(request)
      const caller = callerOf(request)
      callers.set(request, caller)
      if (route.method !== "GET") {
        const waitMs = buckets.take(caller.name)
        if (waitMs > 0)
          throw new Refusal("api/too-many-requests", "One asker sent too many requests at once.", {
            "retry-after": String(Math.ceil(waitMs / 1000)),
          })
      }
      if (route.params) request.params = checked(route.params, "The address", request.params)
      request.query = checked(route.query ?? noQuery, "The query", request.query)
      if (route.bytes === undefined) return
      const length = declaredLength(request)
      checkLength(service, (request.params as { readonly id: string }).id, route.bytes, length)
      const free = service.hold(caller.name, length)
      held.set(request, free)
      reply.raw.once("close", free)
    }

    app.removeAllContentTypeParsers()
    app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body))
    app.setErrorHandler((error, _request, reply) => sendRefusal(reply, error, troubled))
    app.addHook("onRequest", permit)
    app.addHook("onResponse", async (request, reply) => {
      options.answered?.(request.routeOptions.config.inferenceRoute ?? "none", reply.statusCode)
    })
    for (const name of inferenceRouteNames) {
      const route: RouteSpec = INFERENCE_ROUTES[name]
      app.route({
        method: route.method,
        url: route.path,
        exposeHeadRoute: false,
        bodyLimit: route.bytes === undefined ? SHORT_BODY : service.rules.batchBytes,
        config: { inferenceRoute: name },
        handler: async (request, reply) =>
          handlers[name](request, reply, (callers.get(request) as Caller).name),
      })
    }
    if (origins.length > 0)
      for (const path of new Set(inferenceRouteNames.map((name) => INFERENCE_ROUTES[name].path)))
        app.options(path, async (_request, reply) =>
          reply
            .code(204)
            .headers({
              "access-control-allow-methods": "GET, POST, DELETE",
              "access-control-allow-headers": "authorization, content-type",
              "access-control-max-age": "600",
            })
            .send(),
        )
  }
