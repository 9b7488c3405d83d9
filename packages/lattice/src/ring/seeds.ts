import { framedParts } from "@consilium/base/framing"
import { utf8 } from "@consilium/base/platform"
import { shake256 } from "@noble/hashes/sha3.js"

/** A public seed of 32 bytes, from which anyone expands the same polynomial. */
export type Seed = Uint8Array & { readonly __seed: "public" }

/**
 * The public seed of some parts; no two domains, and no two lists of parts, give the same seed.
 *
 * Math:   SHAKE256(frame("consilium/lattice/" + domain, p_1, p_2, ...), 32 bytes), the framing of base
 * Source: FIPS 202
 */
export const seedOf = (domain: string, ...parts: readonly Uint8Array[]): Seed =>
  shake256(framedParts([utf8(`consilium/lattice/${domain}`), ...parts]), { dkLen: 32 }) as Seed

/** A seed from bytes that were received. */
export const isSeed = (bytes: Uint8Array): bytes is Seed => bytes.length === 32
