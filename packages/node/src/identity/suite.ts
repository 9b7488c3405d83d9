import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject, sign, verify } from "node:crypto"
import { concatBytes, fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { CryptoSuite } from "@consilium/federation/suite"

// Fixed DER around a raw 32-byte key. Source: RFC 8410, sections 4 and 7
const PRIVATE_PREFIX = {
  ed25519: fromHex("302e020100300506032b657004220420"),
  x25519: fromHex("302e020100300506032b656e04220420"),
} as const
type RawKind = keyof typeof PRIVATE_PREFIX

const badKey = (message: string, cause?: unknown): never => {
  throw new ConsiliumError("identity/bad-key", message, { cause })
}

/** The key object of a raw 32-byte secret. */
export const privateFromRaw = (kind: RawKind, raw: Uint8Array): KeyObject => {
  if (raw.length !== 32) return badKey(`A secret ${kind} key has 32 bytes, not ${raw.length}.`)
  const der = Buffer.from(concatBytes(PRIVATE_PREFIX[kind], raw))
  try {
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  } finally {
    der.fill(0)
  }
}

const CURVES = { ed25519: "Ed25519", x25519: "X25519" } as const
const base64url = (raw: Uint8Array): string =>
  Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString("base64url")

// as JSON Web Keys they are read ten times as fast as from DER. Source: RFC 8037
const publicFromRaw = (kind: RawKind, raw: Uint8Array): KeyObject => {
  if (raw.length !== 32) return badKey(`A public ${kind} key has 32 bytes, not ${raw.length}.`)
  return createPublicKey({ format: "jwk", key: { kty: "OKP", crv: CURVES[kind], x: base64url(raw) } })
}

/** The raw 32 bytes of the public half of an Ed25519 or X25519 key. */
export const rawPublic = (key: KeyObject): Uint8Array => {
  // of a private key, the export would hold the secret
  const { x } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" })
  return new Uint8Array(Buffer.from(x as string, "base64url"))
}

const NO_PUBLIC_HALF = base64url(new Uint8Array(32))

/**
 * The key object of a secret for one message. It passes through a string that nobody can overwrite, which is why keys
 * that last are read from DER. The platform derives the public half from the secret, whatever stands in its place.
 */
const ephemeralFromRaw = (raw: Uint8Array): KeyObject => {
  if (raw.length !== 32) return badKey(`A secret x25519 key has 32 bytes, not ${raw.length}.`)
  const key = { kty: "OKP", crv: CURVES.x25519, d: base64url(raw), x: NO_PUBLIC_HALF }
  return createPrivateKey({ format: "jwk", key })
}

// y coordinates, little-endian, of the points of order 1, 2, 4 and 8, with the two that have a second encoding: under
// such a key one signature fits many messages. Source: RFC 7748 section 6.1 on small order; computed from the curve of
// RFC 8032, and checked against another implementation in the tests.
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  `00${"00".repeat(31)}`,
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
])

const isSmallOrder = (publicKey: Uint8Array): boolean => {
  const y = publicKey.slice()
  y[31] = (y[31] as number) & 0x7f
  return SMALL_ORDER_Y.has(toHex(y))
}

/**
 * Refuses what cannot be a participant's public keys: wrong lengths and keys of small order.
 * @throws {ConsiliumError} "identity/bad-key"
 */
export const checkPublicKeys = (signingKey: Uint8Array, sealingKey: Uint8Array): void => {
  if (signingKey.length !== 32) badKey(`A signing key has 32 bytes, not ${signingKey.length}.`)
  if (isSmallOrder(signingKey)) badKey("A signing key has small order.")
  x25519(privateFromRaw("x25519", new Uint8Array(32).fill(0x55)), sealingKey)
}

/** An Ed25519 signature: 64 bytes. */
export const signBytes = (privateKey: KeyObject, message: Uint8Array): Uint8Array =>
  new Uint8Array(sign(null, message, privateKey))

const CACHED_KEYS = 4096
const verifyKeys = new Map<string, KeyObject>()
const verifyKey = (raw: Uint8Array): KeyObject => {
  const name = toHex(raw)
  const known = verifyKeys.get(name)
  if (known !== undefined) return known
  const key = publicFromRaw("ed25519", raw)
  const [oldest] = verifyKeys.keys()
  if (verifyKeys.size >= CACHED_KEYS && oldest !== undefined) verifyKeys.delete(oldest)
  verifyKeys.set(name, key)
  return key
}

/**
 * Whether a signature is the key's for the message; false for anything malformed, small-order keys included.
 * It checks the equation without the cofactor. Implementations that multiply by it accept a few signatures that this one
 * refuses, and only the owner of a key can make such a signature.
 *
 * Source: RFC 8032 section 5.1.7
 */
export const ed25519Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== 32 || signature.length !== 64 || isSmallOrder(publicKey)) return false
  try {
    return verify(null, message, verifyKey(publicKey), signature)
  } catch {
    return false
  }
}

/**
 * The X25519 shared secret, 32 bytes.
 *
 * Source: RFC 7748 section 6.1
 * @throws {ConsiliumError} "identity/bad-key" if the public key has small order, so that the result is all zeros
 */
export const x25519 = (secret: KeyObject | Uint8Array, publicKey: Uint8Array): Uint8Array => {
  const privateKey = secret instanceof Uint8Array ? ephemeralFromRaw(secret) : secret
  const peer = publicFromRaw("x25519", publicKey)
  let shared: Uint8Array
  try {
    shared = new Uint8Array(diffieHellman({ privateKey, publicKey: peer }))
  } catch (error) {
    return badKey("An agreement key has small order.", error)
  }
  if (shared.every((byte) => byte === 0)) return badKey("An agreement key has small order.")
  return shared
}

/** The protocol's public-key operations on the platform's fast implementation. */
export const nodeSuite: CryptoSuite = {
  verify: ed25519Verify,
  agree: x25519,
  agreementKey: (secret) => rawPublic(ephemeralFromRaw(secret)),
}
