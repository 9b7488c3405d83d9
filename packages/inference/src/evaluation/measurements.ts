import { ConsiliumError } from "@consilium/base/errors"

/** One request to the server, as the asker measured it: from before encryption to after decryption. */
export interface MeasuredRequest {
  readonly latencyMs: number
  readonly upBytes: number
  readonly downBytes: number
}

/** The same patients, in the same order, answered plainly and encrypted. */
export interface Measurements {
  readonly plainLogits: Float64Array
  readonly encryptedLogits: Float64Array
  /** 1 disease, 0 none. */
  readonly labels: Uint8Array
  /** As many as there were; a request may have asked for several patients. */
  readonly requests: readonly MeasuredRequest[]
  /** Bytes of keys that were sent to the server beforehand, once; 0 where the plan needs none. */
  readonly keyBytes: number
}

const bad = (message: string): never => {
  throw new ConsiliumError("inference/bad-measurements", message)
}

const isBytes = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/**
 * Refuses measurements that cannot be compared. The message gives counts, never a value of a patient.
 * @throws {ConsiliumError} "inference/bad-measurements"
 */
export const checkMeasurements = (measurements: Measurements): void => {
  const { plainLogits, encryptedLogits, labels, requests, keyBytes } = measurements
  const n = labels.length
  if (n === 0) bad("There is no patient to compare plain and encrypted predictions on.")
  if (plainLogits.length !== n || encryptedLogits.length !== n)
    bad(`${n} patients have ${plainLogits.length} plain and ${encryptedLogits.length} encrypted logits.`)
  for (const logits of [plainLogits, encryptedLogits])
    for (const logit of logits) if (!Number.isFinite(logit)) bad("A logit is not a finite number.")
  for (const label of labels) if (label > 1) bad("A label is neither 0 nor 1.")
  if (requests.length === 0 || requests.length > n)
    bad(`${n} patients were asked about in ${requests.length} requests; 1 to ${n} are possible.`)
  for (const { latencyMs, upBytes, downBytes } of requests) {
    if (!(Number.isFinite(latencyMs) && latencyMs >= 0)) bad("A request took no time of at least 0 ms.")
    if (!isBytes(upBytes) || !isBytes(downBytes)) bad("A size is no whole number of bytes.")
  }
  if (!isBytes(keyBytes)) bad("The size of the keys is no whole number of bytes.")
}
