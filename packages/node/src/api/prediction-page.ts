import type { FastifyInstance } from "fastify"
import { z } from "zod"
import { checkHost, checkOrigin } from "./access.js"
import { approachOf, sendRefusal } from "./guarding.js"
import { type PageFiles, policyOf, SECURITY_HEADERS, sendPageFile } from "./page-files.js"
import { json, type OpenRouteSpec } from "./routes.js"

/** The page's own folder within the built pages. */
export const PREDICTION_PAGE = "/predict/"

/**
 * What the prediction page may do beyond the live page: compile WebAssembly, which its arithmetic is, and start the worker that holds its
 * keys, both only from its own server; and ask the servers that the operator named.
 */
const headersFor = (servers: readonly string[]): Readonly<Record<string, string>> => ({
  ...SECURITY_HEADERS,
  "content-security-policy": policyOf({
    "script-src": "'self' 'wasm-unsafe-eval'",
    "worker-src": "'self'",
    "connect-src": ["'self'", ...servers].join(" "),
  }),
})

const serversSchema = z.strictObject({ servers: z.array(z.string()) })

export const PREDICTION_PAGE_ROUTES = {
  predictionServers: {
    method: "GET",
    path: `${PREDICTION_PAGE}servers.json`,
    summary: "Other servers of models that the prediction page may ask, by their origins.",
    right: null,
    answer: json(200, "PredictionServers", serversSchema),
  },
  predictionDoor: {
    method: "GET",
    path: PREDICTION_PAGE.slice(0, -1),
    summary: "Leads to the prediction page.",
    right: null,
    answer: { status: 302, type: "text/html", value: null },
  },
  predictionPage: {
    method: "GET",
    path: `${PREDICTION_PAGE}*`,
    summary: "The prediction page and its files: the same for everybody, and without a secret.",
    right: null,
    answer: { status: 200, type: "text/html", value: null },
  },
} as const satisfies Readonly<Record<string, OpenRouteSpec>>

export interface PredictionPageOptions {
  readonly page: PageFiles
  /** Origins of other servers of models that the page may ask; they must allow this page's. */
  readonly servers: readonly string[]
  /** Whether requests straight from this machine must name it. */
  readonly loopback: boolean
  /** Counts an answer. */
  readonly answered?: (route: string, status: number) => void
  readonly troubled: (error: unknown) => void
}

/**
 * Serves the prediction page to whoever comes: a browser that follows an address sends no token, and the page asks for one by itself. Of
 * the built pages it serves no other file.
 */
export const predictionPage =
  ({ page, servers, loopback, answered, troubled }: PredictionPageOptions) =>
  async (app: FastifyInstance): Promise<void> => {
    const headers = headersFor(servers)
    app.setErrorHandler((error, _request, reply) => sendRefusal(reply, error, troubled))
    app.addHook("onRequest", async (request, reply) => {
      reply.headers({ ...headers, "cache-control": "no-store" })
      const approach = approachOf(request)
      checkOrigin(approach, false)
      if (loopback) checkHost(approach)
    })
    app.addHook("onResponse", async (_request, reply) => answered?.("predictionPage", reply.statusCode))
    const { predictionServers, predictionDoor, predictionPage: files } = PREDICTION_PAGE_ROUTES
    app.route({
      method: "GET",
      url: predictionDoor.path,
      exposeHeadRoute: false,
      handler: async (_request, reply) => reply.redirect(PREDICTION_PAGE),
    })
    app.route({
      method: "GET",
      url: predictionServers.path,
      exposeHeadRoute: false,
      handler: async () => ({ servers }),
    })
    app.route({
      method: "GET",
      url: files.path,
      exposeHeadRoute: false,
      handler: async (request, reply) => sendPageFile(page, request, reply),
    })
  }
