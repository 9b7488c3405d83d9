import type { RoundSpec } from "../../messages.js"
import type { Protection, Study } from "../../study.js"
import type { FacilityScheme } from "./facility-scheme.js"
import { keyDealing } from "./key-dealing.js"
import { maskedFacility } from "./masked.js"
import { plainFacility } from "./plain.js"
import { shamirFacility } from "./shamir.js"
import { thresholdFacility } from "./threshold.js"

const SCHEMES: Readonly<Record<Protection, FacilityScheme>> = {
  plain: plainFacility,
  shamir: shamirFacility,
  ckks: thresholdFacility,
  bfv: thresholdFacility,
  masked: maskedFacility,
}

/** What a facility does in an attempt: protect its update, or deal its key. */
export const facilitySchemeOf = (
  study: Pick<Study, "protection">,
  { purpose }: Pick<RoundSpec, "purpose">,
): FacilityScheme => (purpose === "keys" ? keyDealing : SCHEMES[study.protection])
