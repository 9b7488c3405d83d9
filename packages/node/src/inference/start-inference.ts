import { sendRefusal } from "../api/guarding.js"
import { notHere } from "../api/handlers.js"
import type { HttpLimits, Listen, Listening } from "../api/listener.js"
import { boundedServer, HTTP_LIMITS, listen } from "../api/listener.js"
import { openApi } from "../api/openapi.js"
import { JSON_TYPE, methodsOf } from "../api/routes.js"
import { type InferenceApiOptions, inferenceApi } from "./inference-api.js"
import { INFERENCE_ROUTES } from "./inference-routes.js"

export interface StartInferenceOptions extends Omit<InferenceApiOptions, "loopback"> {
  readonly listen: Listen
  readonly limits?: HttpLimits
}

export interface RunningInference extends Listening {
  close(): Promise<void>
}

const INFO = {
  title: "Consilium models",
  description:
    "Models that answer on encrypted patients. On its own machine asking needs no token; elsewhere every route does.",
}

/**
 * Serves models, and nothing else, on a listener of its own.
 * @throws {ConsiliumError} "network/port-taken", "config/invalid"
 */
export const startInference = async (options: StartInferenceOptions): Promise<RunningInference> => {
  const app = boundedServer(options.listen.tls, options.limits ?? HTTP_LIMITS)
  const methodsAt = methodsOf(INFERENCE_ROUTES)
  const troubled = options.troubled ?? (() => undefined)
  const description = JSON.stringify(openApi(INFERENCE_ROUTES, INFO))
  app.setErrorHandler((error, _request, reply) => sendRefusal(reply, error, troubled))
  app.setNotFoundHandler((request, reply) =>
    sendRefusal(reply, notHere(request.method, methodsAt(request.url.split("?", 1)[0] as string)), troubled),
  )
  app.get("/openapi.json", async (_request, reply) => reply.type(JSON_TYPE).send(description))
  await app.register(inferenceApi({ ...options, loopback: true }))
  const at = await listen(app, "Models", options.listen)
  return { ...at, close: () => app.close() }
}
