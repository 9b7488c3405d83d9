import type { RandomSource } from "@consilium/base/random"
import type { Study } from "@consilium/federation/study"
import type { PrivacyKind } from "../api/schemas.js"

/** Parts of a preset that this version does not have. */
const MISSING: Readonly<Record<Exclude<PrivacyKind, "mpc">, string>> = {
  differential: "training with differential privacy",
  homomorphic: "sums under threshold homomorphic encryption",
  combined: "training with differential privacy under homomorphic encryption",
}

/**
 * The study that a kind of privacy stands for, after the leader's first study: the same model, rounds and facilities, with a
 * name and secrets of its own. `mpc` opens nothing but sums of secret-shared updates.
 */
export const presetStudy = (
  kind: PrivacyKind,
  studies: readonly Study[],
  random: RandomSource,
): Study | { readonly missing: string } => {
  const [first] = studies
  if (kind !== "mpc" || first === undefined) return { missing: kind === "mpc" ? "a study" : MISSING[kind] }
  return {
    ...first,
    name: `${first.name}-${kind}-${studies.length + 1}`.slice(0, 64),
    nonce: random.bytes(32),
    protection: "shamir",
    insecureSeed: null,
  }
}
