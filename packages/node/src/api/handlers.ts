import { Readable } from "node:stream"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { type Study, studyDigest } from "@consilium/federation/study"
import type { FastifyReply, FastifyRequest } from "fastify"
import type { PrivacyConfig } from "../config/privacy-config.js"
import { cutTo } from "../one-line.js"
import type { Caller, TokenRule } from "./access.js"
import { eventView } from "./event-sentences.js"
import { type EventStreams, parsePosition, type StreamLimits } from "./event-stream.js"
import type { Idempotency } from "./idempotency.js"
import { type RotationAnswer, rotationRequestSchema, wishOf } from "./key-schemas.js"
import type { LeaderService, StudyHandle } from "./leader-service.js"
import { logBytes } from "./log-file.js"
import type { ApiMetrics } from "./metrics.js"
import { openApi } from "./openapi.js"
import { type PageFiles, SECURITY_HEADERS, sendPageFile } from "./page-files.js"
import { presetAnswer } from "./preset-schemas.js"
import { Refusal } from "./problems.js"
import { jsonOf } from "./request-body.js"
import { BINARY, EVENT_STREAM, type OpenRouteSpec, ROUTES, type RouteName, type RouteSpec } from "./routes.js"
import { type PrivacyKind, type Started, trainingRequestSchema } from "./schemas.js"
import { stopRequestSchema } from "./stop-schemas.js"
import { checked, participantsOf, studyRequested } from "./study-request.js"
import type { EventView } from "./study-view.js"
import { modelsOf, type StudyViews, summaryOf } from "./study-views.js"
import type { Rate } from "./token-bucket.js"

export interface ApiOptions {
  readonly service: LeaderService
  readonly views: StudyViews
  /** The study of a kind of privacy, with a fresh nonce; or which part of it this leader does not have. */
  readonly presets: (kind: PrivacyKind | PrivacyConfig) => Study | { readonly missing: string }
  readonly tokens: readonly TokenRule[]
  /** Whether requests straight from this machine need no token for looking on and starting a study. */
  readonly loopback: boolean
  /** Who asks, where the connection itself shows it, such as by a certificate; null sends the request on to the other ways. */
  readonly identify?: (request: FastifyRequest) => Caller | null
  readonly page: PageFiles | null
  /** Routes of others on the same server, which openapi.json describes as well. */
  readonly beside?: Readonly<Record<string, RouteSpec | OpenRouteSpec>>
  readonly now?: () => number
  readonly random?: RandomSource
  readonly starts?: Rate
  readonly streams?: StreamLimits
  readonly metrics?: ApiMetrics
  /** Told of failures of the leader's own, which the outside is not told of. */
  readonly troubled?: (error: unknown) => void
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Why nothing is served at an address by a method; `methods` are those that are. */
export const notHere = (method: string, methods: readonly string[]): ConsiliumError =>
  methods.length > 0 && !methods.includes(method)
    ? new Refusal("api/wrong-method", `${method} is not served here, only ${methods.join(", ")}.`, {
        allow: methods.join(", "),
      })
    : new ConsiliumError("api/not-found", "Nothing is served at this address.")

export const pathOf = (request: FastifyRequest): string => request.url.split("?", 1)[0] as string

/** What the handlers share with the server they are in. */
interface Own {
  readonly streams: EventStreams
  readonly started: Idempotency<Started>
  readonly rotated: Idempotency<RotationAnswer>
  readonly callerOf: (request: FastifyRequest) => Caller
  /** Methods that are served at an address. */
  readonly methodsAt: (path: string) => readonly string[]
}

/** What each route does, once its caller is admitted and its address and query are checked. */
export const handlersOf = (options: ApiOptions, own: Own): Readonly<Record<RouteName, Handler>> => {
  const { service, views, page, metrics } = options
  const random = options.random ?? systemRandom
  const troubled = options.troubled ?? (() => undefined)
  const description = JSON.stringify(openApi({ ...ROUTES, ...options.beside }))
  /** Studies that are being started, by id. */
  const starting = new Set<string>()

  const handleOf = (request: FastifyRequest): StudyHandle => {
    const { id } = request.params as { id: string }
    return studyNamed(id)
  }
  const studyNamed = (id: string): StudyHandle => {
    const found = service.studies().filter((handle) => handle.id.startsWith(id))
    if (found.length !== 1 || found[0] === undefined)
      throw new ConsiliumError("api/not-found", "This leader has no study of this id.", {
        remedy: "Read the ids from /v1/studies.",
      })
    return found[0]
  }

  const startOnce = async (
    request: FastifyRequest,
    reply: FastifyReply,
    study: () => Study,
  ): Promise<unknown> => {
    const caller = own.callerOf(request)
    const body = request.body instanceof Uint8Array ? request.body : new Uint8Array(0)
    const key = request.headers["idempotency-key"]
    const route = request.routeOptions.url ?? ""
    const answer = await own.started.once(`${caller.name} ${route}`, key, body, async () => {
      const wanted = study()
      const id = toHex(studyDigest(wanted))
      if (starting.has(id) || service.studies().some((handle) => handle.id === id))
        throw new ConsiliumError("api/already-started", `The study ${wanted.name} has already been started.`)
      starting.add(id)
      try {
        const handle = await service.startStudy(wanted)
        return { id: handle.id, name: handle.study.name }
      } finally {
        starting.delete(id)
      }
    })
    return reply.code(202).header("location", `/v1/studies/${answer.id}`).send(answer)
  }

  const presetOf = (kind: PrivacyKind | PrivacyConfig): Study => {
    const preset = options.presets(kind)
    if ("missing" in preset)
      throw new ConsiliumError(
        "api/not-available",
        `A study of ${typeof kind === "string" ? `the kind "${kind}"` : "this privacy configuration"} cannot be started: ${preset.missing}`,
      )
    return preset
  }

  return {
    studies: async () => {
      const studies = []
      for (const handle of service.studies()) studies.push(summaryOf(await views.of(handle)))
      return { studies }
    },
    study: async (request) => views.of(handleOf(request)),
    events: async (request) => {
      const handle = handleOf(request)
      const { after, limit } = request.query as { after: number; limit: number }
      const events: EventView[] = []
      if (after < handle.length)
        for await (const entry of handle.entries(after)) {
          events.push(eventView(handle, entry))
          if (events.length >= limit) break
        }
      return { events, length: handle.length }
    },
    log: async (request, reply) => {
      const handle = handleOf(request)
      return reply
        .type(BINARY)
        .header("content-disposition", `attachment; filename="${handle.id.slice(0, 16)}.log"`)
        .send(Readable.from(logBytes(handle), { objectMode: false }).on("error", troubled))
    },
    models: async (request) => ({ models: modelsOf(await views.of(handleOf(request))) }),
    model: async (request, reply) => {
      const { hash } = request.params as { hash: string }
      const bytes = await handleOf(request).model(hash)
      return reply
        .type(BINARY)
        .header("content-disposition", `attachment; filename="${hash.slice(0, 16)}.consilium"`)
        .send(Buffer.from(bytes))
    },
    start: async (request, reply) =>
      startOnce(request, reply, () =>
        studyRequested(service, request.headers["content-type"], request.body, random),
      ),
    stop: async (request) => {
      const handle = handleOf(request)
      const { name } = own.callerOf(request)
      const { by, reason } = checked(stopRequestSchema, "The request", jsonOf(request.body))
      return handle.stop({ by: by ?? cutTo(64, name), reason }, name)
    },
    rotateKeys: async (request, reply) => {
      const handle = handleOf(request)
      const { name } = own.callerOf(request)
      const wish = wishOf(checked(rotationRequestSchema, "The request", jsonOf(request.body)), name)
      const key = request.headers["idempotency-key"]
      const answer = await own.rotated.once(`${name} ${handle.id}`, key, request.body as Uint8Array, () =>
        handle.rotateKeys(wish),
      )
      return reply.code(202).send(answer)
    },
    preset: async (request) => {
      const { kind } = request.params as { kind: PrivacyKind }
      const study = presetOf(kind)
      return presetAnswer(study, participantsOf(service))
    },
    startTraining: async (request, reply) =>
      startOnce(request, reply, () =>
        presetOf(checked(trainingRequestSchema, "The request", jsonOf(request.body)).privacy),
      ),
    stream: async (request, reply) => {
      const query = request.query as { study?: string; after?: string }
      const last = request.headers["last-event-id"]
      const position = parsePosition(typeof last === "string" ? last : (query.after ?? ""))
      const only = query.study === undefined ? null : studyNamed(query.study).id
      own.streams.check(position)
      reply.hijack()
      const headers = { ...SECURITY_HEADERS, "content-type": EVENT_STREAM, "cache-control": "no-store" }
      metrics?.answered("stream", 200)
      await own.streams.serve(reply.raw, headers, position, only)
    },
    openapi: async (_request, reply) => reply.type("application/json").send(description),
    page: async (request, reply) => {
      const path = pathOf(request)
      if (!page?.has(path)) throw notHere("GET", own.methodsAt(path))
      return sendPageFile(page, request, reply)
    },
  }
}
