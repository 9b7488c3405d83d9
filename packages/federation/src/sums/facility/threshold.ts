import { encode, list, u16 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { PrfStream } from "@consilium/base/random"
import { ThresholdSum } from "@consilium/lattice/threshold/threshold-sum"
import { MAX_PARTICIPANTS } from "../../roster.js"
import { sumContextOf, thresholdParameters } from "../lattice-parameters.js"
import type { SumRequest, SumSetting } from "../secure-sum.js"
import { openingRequest } from "../threshold.js"
import type { EpochKeys } from "./epoch-keys.js"
import type { FacilityScheme, OwnSide } from "./facility-scheme.js"
import { missingParts } from "./parts.js"

/** @throws {ConsiliumError} "keys/other-epoch" */
const keysOf = (setting: SumSetting, { epochKeys }: OwnSide): EpochKeys => {
  if (epochKeys?.epoch !== setting.epoch)
    throw new ConsiliumError(
      "keys/other-epoch",
      `The sum is under the keys of epoch ${setting.epoch}; this facility holds those of ${epochKeys?.epoch ?? "none"}.`,
    )
  return epochKeys
}

const used = (what: string): never => {
  throw new ConsiliumError("lattice/already-used", `${what} was asked for a second time in one attempt.`)
}

const points = list(u16, MAX_PARTICIPANTS)

/** The noise of one answer: no two requests share any of it. */
const floodingStream = (setting: SumSetting, keys: EpochKeys, request: SumRequest): PrfStream => {
  const { cohort, active } = openingRequest(setting, request)
  return new PrfStream(keys.secret, "flooding", setting.spec, encode(points, cohort), encode(points, active))
}

/** Encrypts under this facility's own key of the epoch, and answers once for each sum with its shares of the cohort's keys. */
export const thresholdFacility: FacilityScheme = {
  protect(setting, own, values, random) {
    const keys = keysOf(setting, own)
    if (keys.key === null)
      throw new ConsiliumError(
        "keys/left-out",
        "This facility's key is not among those shared in this epoch.",
      )
    const sum = new ThresholdSum(thresholdParameters(setting))
    const context = sumContextOf(setting)
    const admission = keys.ledger.protect(context, values)
    if (admission.kind === "repeated") return used("An update")
    const payload = sum.protect(context, keys.key, admission.permit, values, random)
    return { payload, parts: [], own: null, epochKeys: { ...keys, ledger: admission.ledger } }
  },
  answer: null,
  openPart: null,
  partial(setting, own, request) {
    const keys = keysOf(setting, own)
    const parameters = thresholdParameters(setting)
    const { directory } = setting
    const held = new Set(keys.shares.map(({ dealer }) => dealer))
    const missing = request.cohort.filter((id) => !held.has(directory.pointOf(id)))
    if (missing.length > 0) missingParts(setting, missing)
    const asked = openingRequest(setting, request)
    const admission = keys.ledger.open(parameters, asked)
    if (admission.kind === "repeated") return used("An answer")
    const opening = new ThresholdSum(parameters).partial(
      asked,
      directory.pointOf(own.me),
      keys.shares,
      admission.permit,
      floodingStream(setting, keys, request),
    )
    return { opening, epochKeys: { ...keys, ledger: admission.ledger } }
  },
}
