import { calibratedProbability } from "@consilium/inference/calibration/calibration"
import { type Evaluation, evaluateEncrypted } from "@consilium/inference/evaluation/evaluation"
import type { MeasuredRequest } from "@consilium/inference/evaluation/measurements"
import type { TrainedModelFile } from "@consilium/inference/files/trained-model-file"
import { plainLogit } from "@consilium/inference/model/model"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import type { InferenceClient } from "@consilium/inference-client/client"
import { cornerPatients } from "./corner-patients.js"
import type { Agreement } from "./evaluation-bars.js"

/** Where the time of a request goes, in milliseconds, each the middle of all; null where the server tells nothing. */
export interface Shares {
  readonly encrypt: number
  readonly roundTrip: number
  readonly server: number | null
  readonly open: number
}

/** One patient both ways. */
export interface BothWays {
  readonly plain: number
  readonly encrypted: number
  /** From before encryption to after decryption. */
  readonly ms: number
}

export interface Compared {
  readonly evaluation: Evaluation
  readonly extremes: Agreement
  /** The first request of all, with nothing compiled yet by either engine. */
  readonly firstMs: number
  readonly shares: Shares
  readonly patients: readonly BothWays[]
}

export const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN

type Answered = Awaited<ReturnType<InferenceClient["predict"]>>

interface Asked extends BothWays {
  readonly figures: Answered["figures"]
}

const keyBytesOf = (client: InferenceClient): number => {
  const prepared = new PreparedPlan(client.plan)
  return prepared.takesKey ? prepared.keyBytes : 0
}

/**
 * Asks about patients one by one, the extremes of all declared ranges first, and compares with the model as it was trained.
 * @param labels of the patients, 1 disease, 0 none
 */
export const compareBothWays = async (
  client: InferenceClient,
  { model, scaling, schema }: Pick<TrainedModelFile, "model" | "scaling" | "schema">,
  patients: readonly Patient[],
  labels: Uint8Array,
): Promise<Compared> => {
  const reader = new PatientReader(schema)
  const ask = async (patient: Patient): Promise<Asked> => {
    const plain = plainLogit(model, scaling, reader.columns(patient))
    const began = performance.now()
    const { logit, figures } = await client.predict(patient)
    return { plain, encrypted: logit, ms: performance.now() - began, figures }
  }
  const inTurn = async (asked: readonly Patient[]): Promise<readonly Asked[]> => {
    const out: Asked[] = []
    for (const patient of asked) out.push(await ask(patient))
    return out
  }
  await client.prepare({ blanks: 0 })
  const corners = await inTurn(cornerPatients(schema))
  const both = await inTurn(patients)
  const { calibration } = client.plan
  const requests: readonly MeasuredRequest[] = both.map(({ ms, figures }) => ({
    latencyMs: ms,
    upBytes: figures.bytesUp,
    downBytes: figures.bytesDown,
  }))
  const evaluation = evaluateEncrypted(
    {
      plainLogits: Float64Array.from(both, ({ plain }) => plain),
      encryptedLogits: Float64Array.from(both, ({ encrypted }) => encrypted),
      labels,
      requests,
      keyBytes: keyBytesOf(client),
    },
    calibration,
  )
  const isIll = (logit: number): boolean => calibratedProbability(calibration, logit) > 0.5
  const serverMs = both.flatMap(({ figures }) => (figures.serverMs === null ? [] : [figures.serverMs]))
  return {
    evaluation,
    extremes: {
      n: corners.length,
      maxLogitError: Math.max(...corners.map(({ plain, encrypted }) => Math.abs(encrypted - plain))),
      classAgreement:
        corners.filter(({ plain, encrypted }) => isIll(plain) === isIll(encrypted)).length / corners.length,
    },
    firstMs: (corners[0] as Asked).ms,
    shares: {
      encrypt: middle(both.map(({ figures }) => figures.encryptMs)),
      roundTrip: middle(both.map(({ figures }) => figures.roundTripMs)),
      server: serverMs.length === 0 ? null : middle(serverMs),
      open: middle(both.map(({ figures }) => figures.openMs)),
    },
    patients: both.map(({ plain, encrypted, ms }) => ({ plain, encrypted, ms })),
  }
}
