import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { seal } from "../../suite.js"
import type { SealedPart, SumRequest, SumSetting } from "../secure-sum.js"

/** Seals the share of each facility but the dealer, which keeps its own. */
export const sealShares = (
  setting: SumSetting,
  dealer: Uint8Array,
  shares: readonly Uint8Array[],
  binding: (recipient: Uint8Array) => Uint8Array,
  random: RandomSource,
): { readonly parts: readonly SealedPart[]; readonly own: Uint8Array } => {
  const { directory, suite } = setting
  const place = directory.pointOf(dealer) - 1
  return {
    parts: directory.facilities.flatMap(({ id, sealingKey }, i) =>
      i === place
        ? []
        : [{ recipient: id, sealed: seal(suite, sealingKey, shares[i] as Uint8Array, binding(id), random) }],
    ),
    own: shares[place] as Uint8Array,
  }
}

/** @throws {ConsiliumError} "cohort/missing-part" with the names */
export const missingParts = (setting: SumSetting, missing: readonly Uint8Array[]): never => {
  const names = missing.map((id) => setting.directory.get(id).name).join(", ")
  throw new ConsiliumError("cohort/missing-part", `This facility holds no checked share of ${names}.`)
}

/** The parts of all members of a cohort, in their order. @throws {ConsiliumError} "cohort/missing-part" */
export const partsOf = (
  setting: SumSetting,
  { cohort }: SumRequest,
  parts: ReadonlyMap<string, Uint8Array>,
): readonly { readonly dealer: Uint8Array; readonly part: Uint8Array }[] => {
  const missing = cohort.filter((id) => !parts.has(toHex(id)))
  if (missing.length > 0) missingParts(setting, missing)
  return cohort.map((dealer) => ({ dealer, part: parts.get(toHex(dealer)) as Uint8Array }))
}
