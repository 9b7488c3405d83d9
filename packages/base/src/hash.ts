import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js"
import { toHex } from "./bytes.js"
import { framedParts } from "./framing.js"
import { platformSha256, utf8 } from "./platform.js"

const digestOf = platformSha256 ?? nobleSha256

/** A SHA-256 digest: 32 bytes. */
export type Digest = Uint8Array & { readonly __digest: "sha256" }

/** SHA-256 (FIPS 180-4) of raw bytes, as content addresses use it. */
export const sha256 = (bytes: Uint8Array): Digest => digestOf(bytes) as Digest

/** Domains are words of the program: there are few, and each is hashed again and again. */
const domains = new Map<string, Uint8Array>()
const domainBytes = (domain: string): Uint8Array => {
  const known = domains.get(domain)
  if (known !== undefined) return known
  const bytes = utf8(`consilium/${domain}`)
  if (domains.size < 1024) domains.set(domain, bytes)
  return bytes
}

/**
 * SHA-256 under a domain: no two domains, and no two lists of parts, hash the same bytes.
 *
 * Math: SHA-256(frame("consilium/" + domain, p_1, p_2, ...)), the framing of `framing.ts`
 */
export const hash = (domain: string, ...parts: readonly Uint8Array[]): Digest =>
  digestOf(framedParts([domainBytes(domain), ...parts])) as Digest

/** Hexadecimal text of a digest: 64 digits. */
export const digestHex = (digest: Digest): string => toHex(digest)
