import type { FastifyInstance } from "fastify"
import { checkHost, checkOrigin } from "./access.js"
import { approachOf, sendRefusal } from "./guarding.js"
import { type PageFiles, policyOf, SECURITY_HEADERS, sendPageFile } from "./page-files.js"
import type { OpenRouteSpec } from "./routes.js"

/** The page's own folder within the built pages. */
export const PREDICTION_PAGE = "/predict/"

/**
 * What the prediction page may do beyond the live page: compile WebAssembly, which its arithmetic is, and start the worker that holds its
 * keys; both only from its own server.
 */
const PREDICTION_HEADERS: Readonly<Record<string, string>> = {
  ...SECURITY_HEADERS,
  "content-security-policy": policyOf({
    "script-src": "'self' 'wasm-unsafe-eval'",
    "worker-src": "'self'",
  }),
}

export const PREDICTION_PAGE_ROUTES = {
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
  ({ page, loopback, answered, troubled }: PredictionPageOptions) =>
  async (app: FastifyInstance): Promise<void> => {
    app.setErrorHandler((error, _request, reply) => sendRefusal(reply, error, troubled))
    app.addHook("onRequest", async (request, reply) => {
      reply.headers({ ...PREDICTION_HEADERS, "cache-control": "no-store" })
      const approach = approachOf(request)
      checkOrigin(approach, false)
      if (loopback) checkHost(approach)
    })
    app.addHook("onResponse", async (_request, reply) => answered?.("predictionPage", reply.statusCode))
    const { method, path } = PREDICTION_PAGE_ROUTES.predictionPage
    app.route({
      method,
      url: path,
      exposeHeadRoute: false,
      handler: async (request, reply) => sendPageFile(page, request, reply),
    })
  }
