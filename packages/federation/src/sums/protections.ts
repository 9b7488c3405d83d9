import type { RoundSpec } from "../messages.js"
import type { Protection, Study } from "../study.js"
import { keyShares } from "./key-shares.js"
import { maskedSum } from "./masked.js"
import { plainSum } from "./plain.js"
import type { PublicScheme, SecureSum } from "./secure-sum.js"
import { shamirSum } from "./shamir.js"
import { bfvSum, ckksSum } from "./threshold.js"

const PROTECTIONS: Readonly<Record<Protection, SecureSum>> = {
  plain: plainSum,
  shamir: shamirSum,
  ckks: ckksSum,
  bfv: bfvSum,
  masked: maskedSum,
}

/** The protection a study uses. */
export const protectionOf = (study: Pick<Study, "protection">): SecureSum => PROTECTIONS[study.protection]

/** What an attempt deals and adds: protected updates, or shares of keys. */
export const schemeOf = (study: Study, { purpose }: Pick<RoundSpec, "purpose">): PublicScheme =>
  purpose === "keys" ? keyShares : protectionOf(study)
