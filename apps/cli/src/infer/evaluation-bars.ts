import type { Evaluation } from "@consilium/inference/evaluation/evaluation"
import type { InferencePlan } from "@consilium/inference/plan/plan"

/** What an encrypted model is held to. */
export interface Bar {
  readonly id: string
  readonly what: string
  readonly value: number
  readonly limit: number
  readonly unit: string
  readonly holds: boolean
}

/** Plain against encrypted of patients without a known outcome. */
export interface Agreement {
  readonly n: number
  readonly maxLogitError: number
  readonly classAgreement: number
}

export interface Barred {
  readonly plan: InferencePlan
  readonly network: boolean
  readonly evaluation: Evaluation
  readonly extremes: Agreement
  /** Whether requests went over TLS to a server on this machine: the bar of time is about those. */
  readonly timed: boolean
}

interface Limits {
  readonly logitError: number
  readonly p50Ms: number
  readonly upBytes: number
}

const SHARED: Limits = { logitError: 1e-3, p50Ms: 5, upBytes: 16_000 }
const KEPT: Limits = { logitError: 1e-3, p50Ms: 15, upBytes: 56_000 }
const NETWORK: Limits = { logitError: 1e-2, p50Ms: 60, upBytes: 800_000 }

const most = (id: string, what: string, value: number, limit: number, unit: string): Bar => ({
  id,
  what,
  value,
  limit,
  unit,
  holds: value <= limit,
})

/** Keys of the packing with features in slots are what it takes: no bar is about them. */
const keyBars = (plan: InferencePlan, keys: number, { upBytes }: Limits): readonly Bar[] => {
  if (plan.packing === "slots-by-feature") return []
  return plan.weights === "kept"
    ? [most("keys", "keys sent once", keys, upBytes, "B")]
    : [most("keys", "keys sent", keys, 0, "B")]
}

/** The bars of a plan, and whether each holds. */
export const barsOf = ({ plan, network, evaluation, extremes, timed }: Barred): readonly Bar[] => {
  const limits = network ? NETWORK : plan.weights === "kept" ? KEPT : SHARED
  const error = Math.max(evaluation.maxLogitError, extremes.maxLogitError)
  const agreement = Math.min(evaluation.classAgreement, extremes.classAgreement)
  const { latencyMs, bytes } = evaluation
  return [
    {
      id: "class-agreement",
      what: "same answer plain and encrypted, extremes included",
      value: agreement,
      limit: 1,
      unit: "share",
      holds: agreement === 1,
    },
    most("logit-error", "largest logit error, extremes included", error, limits.logitError, "logit"),
    most("logit-error-proven", "the same against what the plan proves", error, plan.errorBound, "logit"),
    ...(timed
      ? [most("latency-p50", "time of one patient, half at most", latencyMs.p50, limits.p50Ms, "ms")]
      : []),
    most("upload", "sent for one patient", bytes.up, limits.upBytes, "B"),
    ...keyBars(plan, bytes.keys, limits),
  ]
}
