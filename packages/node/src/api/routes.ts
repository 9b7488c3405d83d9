import type { z } from "zod"
import type { Right } from "./access.js"
import { rotationAnswerSchema, rotationRequestSchema } from "./key-schemas.js"
import { presetParams, presetSchema } from "./preset-schemas.js"
import {
  eventListSchema,
  eventSchema,
  eventsQuery,
  modelListSchema,
  modelParams,
  startedSchema,
  streamQuery,
  studyListSchema,
  studyParams,
  studyRequestSchema,
  studyViewSchema,
  trainingRequestSchema,
} from "./schemas.js"
import { stoppedSchema, stopRequestSchema } from "./stop-schemas.js"

/** A body or an answer, by the name of its schema in openapi.json. */
export interface Described {
  readonly name: string
  readonly schema: z.ZodType
}

export interface RouteSpec {
  readonly method: "GET" | "POST" | "DELETE"
  /** In Fastify's form: `:id` for one segment. */
  readonly path: string
  readonly summary: string
  readonly right: Right
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: Described & { readonly types: readonly string[] }
  /** What a body of bytes is; none where the body is described or there is none. */
  readonly bytes?: "request" | "key" | "batch"
  readonly answer: {
    readonly status: 200 | 201 | 202 | 204 | 302
    readonly type: string
    /** Null for bytes, text, documents without a schema of their own, and nothing. */
    readonly value: Described | null
  }
}

/** A route that is open to everybody. */
export interface OpenRouteSpec extends Omit<RouteSpec, "right"> {
  readonly right: null
}

export const BINARY = "application/octet-stream"
export const EVENT_STREAM = "text/event-stream"
export const JSON_TYPE = "application/json"
export const json = (
  status: RouteSpec["answer"]["status"],
  name: string,
  schema: z.ZodType,
): RouteSpec["answer"] => ({
  status,
  type: JSON_TYPE,
  value: { name, schema },
})

/** Every route there is: what is not in this table is not served. */
export const ROUTES = {
  studies: {
    method: "GET",
    path: "/v1/studies",
    summary: "All studies of this leader, in the order they began.",
    right: "read",
    answer: json(200, "StudyList", studyListSchema),
  },
  study: {
    method: "GET",
    path: "/v1/studies/:id",
    summary: "One study: participants, rounds, what crossed each edge, figures, privacy, security events.",
    right: "read",
    params: studyParams,
    answer: json(200, "StudyView", studyViewSchema),
  },
  events: {
    method: "GET",
    path: "/v1/studies/:id/events",
    summary: "Events of a study's log after a number, each in one sentence.",
    right: "read",
    params: studyParams,
    query: eventsQuery,
    answer: json(200, "EventList", eventListSchema),
  },
  log: {
    method: "GET",
    path: "/v1/studies/:id/log",
    summary:
      "The whole log for auditors: the number of entries (4 bytes, big-endian), then every entry as it was signed.",
    right: "log",
    params: studyParams,
    answer: { status: 200, type: BINARY, value: null },
  },
  models: {
    method: "GET",
    path: "/v1/studies/:id/models",
    summary: "The models that closed rounds led to.",
    right: "read",
    params: studyParams,
    answer: json(200, "ModelList", modelListSchema),
  },
  model: {
    method: "GET",
    path: "/v1/studies/:id/models/:hash",
    summary: "A model file, by the hash of its parameters.",
    right: "model",
    params: modelParams,
    answer: { status: 200, type: BINARY, value: null },
  },
  start: {
    method: "POST",
    path: "/v1/studies",
    summary: "Starts a study among the participants present, from the content of a study.yaml.",
    right: "start",
    body: {
      name: "StudyRequest",
      schema: studyRequestSchema,
      types: [JSON_TYPE, "application/yaml", "application/x-yaml", "text/yaml"],
    },
    answer: json(202, "Started", startedSchema),
  },
  stop: {
    method: "POST",
    path: "/v1/studies/:id/stop",
    summary:
      "Ends a study in good order: its model is that of the last closed round. A repetition gets the first decision again.",
    right: "start",
    params: studyParams,
    body: { name: "StopRequest", schema: stopRequestSchema, types: [JSON_TYPE] },
    answer: json(200, "Stopped", stoppedSchema),
  },
  rotateKeys: {
    method: "POST",
    path: "/v1/studies/:id/keys/rotate",
    summary:
      "Asks that the next round begin with a key ceremony. Where one is due before that round already, nothing is added.",
    right: "start",
    params: studyParams,
    body: { name: "RotationRequest", schema: rotationRequestSchema, types: [JSON_TYPE] },
    answer: json(202, "RotationAnswer", rotationAnswerSchema),
  },
  preset: {
    method: "GET",
    path: "/v1/presets/:kind",
    summary: "The study that a kind of privacy would start now, and among whom; nothing is started.",
    right: "start",
    params: presetParams,
    answer: json(200, "Preset", presetSchema),
  },
  startTraining: {
    method: "POST",
    path: "/api/training/start",
    summary:
      "Starts a study from a preset by the kind of privacy; the body is read as JSON whatever type it claims.",
    right: "start",
    body: { name: "TrainingRequest", schema: trainingRequestSchema, types: [JSON_TYPE, "*/*"] },
    answer: json(202, "Started", startedSchema),
  },
  stream: {
    method: "GET",
    path: "/v1/events",
    summary:
      "Server-sent events of all studies, or of one. An event's id is a position in every log, `<first 16 digits of the study>:<seq>` joined by commas; Last-Event-ID or `after` resumes there.",
    right: "read",
    query: streamQuery,
    answer: { status: 200, type: EVENT_STREAM, value: { name: "EventView", schema: eventSchema } },
  },
  openapi: {
    method: "GET",
    path: "/openapi.json",
    summary: "This description.",
    right: "read",
    answer: { status: 200, type: JSON_TYPE, value: null },
  },
  page: {
    method: "GET",
    path: "/*",
    summary: "The live page and its files.",
    right: "read",
    answer: { status: 200, type: "text/html", value: null },
  },
} as const satisfies Readonly<Record<string, RouteSpec>>

export type RouteName = keyof typeof ROUTES
export const routeNames = Object.keys(ROUTES) as readonly RouteName[]

const pattern = (path: string): RegExp =>
  new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+")}$`)

/** Methods that a table of routes serves at a path; none where only the page might have a file. */
export const methodsOf = (
  routes: Readonly<Record<string, RouteSpec | OpenRouteSpec>>,
): ((path: string) => readonly string[]) => {
  const fixed = Object.values(routes)
    .filter(({ path }) => !path.endsWith("/*"))
    .map((route) => ({ ...route, at: pattern(route.path) }))
  return (path) => fixed.filter(({ at }) => at.test(path)).map(({ method }) => method)
}
