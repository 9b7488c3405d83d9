import { fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type InferencePlan, planFromBytes, planHash } from "@consilium/inference/plan/plan"
import { aHash, aLine, anObject, aText, readJson } from "./json-answer.js"

/** A plan as a server offers it, checked. */
export interface ServedPlan {
  readonly plan: InferencePlan
  /** 64 hexadecimal digits: what requests and answers are bound to. */
  readonly hash: string
  /** What an answer tells its asker of the model, in plain words of the server's. */
  readonly reveals: string
}

const viewOf = anObject({ hash: aHash, bytes: aText, reveals: aLine })

const base64Bytes = (text: string): Uint8Array => {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw new ConsiliumError("inference/malformed", 'In the server\'s answer "bytes" is not base64.', {
      cause,
    })
  }
}

/**
 * The plan of an answer. Nothing beside its bytes is believed: parameters, schema and sizes are read from them.
 * @throws {ConsiliumError} "inference/other-plan" if the bytes are not of the plan that the answer names, or not of the one that is wanted;
 *   "inference/malformed"; "lattice/insecure" and what else `checkPlan` refuses
 */
export const servedPlanOf = (body: Uint8Array, wanted: string | null): ServedPlan => {
  const { hash, bytes, reveals } = readJson(body, viewOf)
  const plan = planFromBytes(base64Bytes(bytes))
  const found = toHex(planHash(plan))
  if (found !== hash)
    throw new ConsiliumError(
      "inference/other-plan",
      `The server names plan ${hash} and gives the bytes of ${found}.`,
      { remedy: "Ask the operator of the server: what it serves was altered." },
    )
  if (wanted !== null && found !== wanted)
    throw new ConsiliumError("inference/other-plan", `Plan ${wanted} is wanted; the server has ${found}.`, {
      remedy: "Ask the operator which plan is right before you take the new one.",
    })
  return { plan, hash, reveals }
}

/** A plan's hash as its user writes it. */
export const checkHash = (hash: string): string => {
  if (fromHex(hash).length !== 32)
    throw new ConsiliumError("encoding/malformed", "The hash of a plan has 64 hexadecimal digits.")
  return hash
}
