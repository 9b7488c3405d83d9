import { WorkerAsker } from "./worker/worker-asker.js"

// what the bundle for pages gives
export { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
export { InferenceClient } from "./client.js"

/** The script that `build-bundle.mjs` puts beside this one. */
const WORKER = "./consilium-inference-worker.js"

/** Keys in a worker, whose script lies where this module does: `InferenceClient.connect(address, { keys: startWorker() })`. */
export const startWorker = (): WorkerAsker => WorkerAsker.start(new URL(WORKER, import.meta.url))
