import { toHex } from "@consilium/base/bytes"
import type { PreparedPlan } from "@consilium/inference/wire/prepared-plan"

/** Version of the bytes of plans, and of requests, answers and keys. */
const FORMATS = { plan: 1, message: 1 } as const

/** The parameters under which a plan's model is asked. */
export const planContext = ({ plan, hash }: PreparedPlan) => ({
  model: plan.model,
  version: plan.version,
  plan: toHex(hash),
  scheme: "CKKS" as const,
  degree: plan.degree,
  primes: [...plan.primes],
  /** Unit values are multiplied by two to this power before they are encrypted. */
  scaleBits: plan.inputBits,
  formats: FORMATS,
})
