import { BINARY, JSON_TYPE, json, type RouteSpec } from "../api/routes.js"
import {
  batchParams,
  batchSchema,
  contextQuery,
  contextSchema,
  modelParams,
  nonceSchema,
  servedModelsSchema,
  uploadedSchema,
} from "./inference-schemas.js"
import { planViewSchema } from "./plan-view.js"

const binary: RouteSpec["answer"] = { status: 200, type: BINARY, value: null }
const batch = (status: 200 | 202): RouteSpec["answer"] => json(status, "InferenceBatch", batchSchema)

/** Every route of encrypted inference. */
export const INFERENCE_ROUTES = {
  servedModels: {
    method: "GET",
    path: "/v1/models",
    summary: "Models that can be asked about encrypted patients, and those that cannot, with the reason.",
    right: "ask",
    answer: json(200, "ServedModels", servedModelsSchema),
  },
  modelPlan: {
    method: "GET",
    path: "/v1/models/:id/plan",
    summary:
      "How a model is asked: fields with units and ranges, parameters, calibration, version, hash. It holds no weight.",
    right: "ask",
    params: modelParams,
    answer: json(200, "InferencePlan", planViewSchema),
  },
  context: {
    method: "GET",
    path: "/context",
    summary:
      "The parameters under which a model is asked; 409 with both hashes if `plan` names another plan.",
    right: "ask",
    query: contextQuery,
    answer: json(200, "InferenceContext", contextSchema),
  },
  predict: {
    method: "POST",
    path: "/v1/models/:id/predict",
    summary:
      "One request in, its answer out, both encrypted. Requests under the plan before the present one are answered for ten minutes.",
    right: "ask",
    params: modelParams,
    bytes: "request",
    answer: binary,
  },
  keyNonce: {
    method: "POST",
    path: "/v1/models/:id/keys/nonce",
    summary: "A nonce for one key, good for ten minutes.",
    right: "ask",
    params: modelParams,
    answer: json(200, "KeyNonce", nonceSchema),
  },
  uploadKey: {
    method: "POST",
    path: "/v1/models/:id/keys",
    summary: "The public key of an asker, once, for a plan that needs one.",
    right: "ask",
    params: modelParams,
    bytes: "key",
    answer: json(201, "UploadedKey", uploadedSchema),
  },
  addBatch: {
    method: "POST",
    path: "/v1/models/:id/batches",
    summary: "Requests of one plan, one after the other without a gap, to be answered in turn.",
    right: "ask",
    params: modelParams,
    bytes: "batch",
    answer: batch(202),
  },
  batch: {
    method: "GET",
    path: "/v1/models/:id/batches/:batch",
    summary: "How far a batch is.",
    right: "ask",
    params: batchParams,
    answer: batch(200),
  },
  batchAnswers: {
    method: "GET",
    path: "/v1/models/:id/batches/:batch/answers",
    summary: "The answers of a batch that is done, in the order of its requests, without a gap.",
    right: "ask",
    params: batchParams,
    answer: binary,
  },
  removeBatch: {
    method: "DELETE",
    path: "/v1/models/:id/batches/:batch",
    summary: "Forgets a batch and its answers.",
    right: "ask",
    params: batchParams,
    answer: { status: 204, type: JSON_TYPE, value: null },
  },
} as const satisfies Readonly<Record<string, RouteSpec>>

export type InferenceRouteName = keyof typeof INFERENCE_ROUTES
export const inferenceRouteNames = Object.keys(INFERENCE_ROUTES) as readonly InferenceRouteName[]
