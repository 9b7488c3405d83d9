import { sendRefusal } from "../api/guarding.js"
import { notHere } from "../api/handlers.js"
import type { HttpLimits, Listen, Listening } from "../api/listener.js"
import { boundedServer, HTTP_LIMITS, listen } from "../api/listener.js"
import { openApi } from "../api/openapi.js"
import { readPage } from "../api/page-files.js"
import { PREDICTION_PAGE, PREDICTION_PAGE_ROUTES, predictionPage } from "../api/prediction-page.js"
import { JSON_TYPE, methodsOf } from "../api/routes.js"
import { type InferenceApiOptions, inferenceApi } from "./inference-api.js"
import { INFERENCE_ROUTES } from "./inference-routes.js"

export interface StartInferenceOptions extends Omit<InferenceApiOptions, "loopback"> {
  /** The folder of the built pages, of which only the prediction page is served; without it there is none. */
  readonly page?: string | null
  /** Origins of other servers of models that the page may ask. */
  readonly pageServers?: readonly string[]
  readonly listen: Listen
  readonly limits?: HttpLimits
}

export interface RunningInference extends Listening {
  close(): Promise<void>
}

const INFO = {
  title: "Consilium models",
  description:
    "Models that answer on encrypted patients. On its own machine asking needs no token; elsewhere every route does but the prediction page.",
}

/**
 * Serves models, and the page from which they are asked, on a listener of its own.
 * @throws {ConsiliumError} "network/port-taken", "config/invalid", "config/unreadable"
 */
export const startInference = async (options: StartInferenceOptions): Promise<RunningInference> => {
  const app = boundedServer(options.listen.tls, options.limits ?? HTTP_LIMITS)
  const page = options.page ? await readPage(options.page) : null
  const routes = { ...INFERENCE_ROUTES, ...(page === null ? {} : PREDICTION_PAGE_ROUTES) }
  const methodsAt = methodsOf(INFERENCE_ROUTES)
  const troubled = options.troubled ?? (() => undefined)
  const description = JSON.stringify(openApi(routes, INFO))
  app.setErrorHandler((error, _request, reply) => sendRefusal(reply, error, troubled))
  app.setNotFoundHandler((request, reply) =>
    sendRefusal(reply, notHere(request.method, methodsAt(request.url.split("?", 1)[0] as string)), troubled),
  )
  app.get("/openapi.json", async (_request, reply) => reply.type(JSON_TYPE).send(description))
  await app.register(inferenceApi({ ...options, loopback: true }))
  if (page !== null) {
    app.get("/", async (_request, reply) => reply.redirect(PREDICTION_PAGE))
    await app.register(predictionPage({ page, servers: options.pageServers ?? [], loopback: true, troubled }))
  }
  const at = await listen(app, "Models", options.listen)
  return { ...at, close: () => app.close() }
}
