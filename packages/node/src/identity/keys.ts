import { createECDH, createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"
import { decode, encode, fixedBytes, record, u8 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { OwnKeys } from "@consilium/federation/suite"
import type { Sealed } from "../store/sealed.js"
import { privateFromRaw, rawPublic, signBytes, x25519 } from "./suite.js"

/** A P-256 secret: 32 bytes, uniform on [1, order - 1]. */
export const newP256Secret = (random: RandomSource): Uint8Array => {
  for (let draw = 0; draw < 128; draw++) {
    const secret = random.bytes(32)
    try {
      createECDH("prime256v1").setPrivateKey(secret)
      return secret
    } catch {
      // not in range: one draw in 2^32
    }
  }
  throw new ConsiliumError(
    "random/bad-request",
    "A random source gave 128 numbers in a row that are no P-256 key.",
  )
}

/** The key object of a P-256 secret. */
export const p256FromSecret = (secret: Uint8Array): KeyObject => {
  const ecdh = createECDH("prime256v1")
  ecdh.setPrivateKey(secret)
  const point = ecdh.getPublicKey()
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url")
  return createPrivateKey({
    format: "jwk",
    key: {
      kty: "EC",
      crv: "P-256",
      d: text(secret),
      x: text(point.subarray(1, 33)),
      y: text(point.subarray(33)),
    },
  })
}

/** SHA-256 of a public key's SubjectPublicKeyInfo: how certificates' keys are named in kits and in the roster. */
export const spkiHash = (key: KeyObject): Uint8Array => {
  const publicKey = key.type === "private" ? createPublicKey(key) : key
  return new Uint8Array(
    createHash("sha256")
      .update(publicKey.export({ format: "der", type: "spki" }))
      .digest(),
  )
}

/** A participant's own keys. The secrets stay inside key objects: no JSON or log line shows them. */
export interface ParticipantKeys extends OwnKeys {
  /** Ed25519 public key, 32 bytes. */
  readonly signingKey: Uint8Array
  /** X25519 public key, 32 bytes. */
  readonly sealingKey: Uint8Array
  /** SHA-256 of the TLS key's SubjectPublicKeyInfo. */
  readonly tlsKeyHash: Uint8Array
  /** ECDSA P-256 private key of the TLS certificate. */
  readonly tlsKey: KeyObject
}

const secretsCodec = record({
  version: u8,
  tls: fixedBytes(32),
  signing: fixedBytes(32),
  sealing: fixedBytes(32),
})
const FILE = "participant-keys"

/**
 * The keys of this participant: from the sealed folder, or made now and saved there before they are returned. They are
 * never sent; enrolment sends their public halves.
 */
export const loadOrCreateKeys = async (
  files: Sealed,
  random: RandomSource = systemRandom,
): Promise<ParticipantKeys> => {
  let saved = await files.get(FILE)
  if (saved === null) {
    saved = encode(secretsCodec, {
      version: 1,
      tls: newP256Secret(random),
      signing: random.bytes(32),
      sealing: random.bytes(32),
    })
    await files.put(FILE, saved)
  }
  const secrets = decode(secretsCodec, saved)
  if (secrets.version !== 1)
    throw new ConsiliumError(
      "identity/bad-key",
      `The saved keys have version ${secrets.version}; this program knows version 1.`,
    )
  const tlsKey = p256FromSecret(secrets.tls)
  const signing = privateFromRaw("ed25519", secrets.signing)
  const sealing = privateFromRaw("x25519", secrets.sealing)
  for (const bytes of [saved, secrets.tls, secrets.signing, secrets.sealing]) bytes.fill(0)
  return {
    signingKey: rawPublic(signing),
    sealingKey: rawPublic(sealing),
    tlsKeyHash: spkiHash(tlsKey),
    tlsKey,
    sign: (message) => signBytes(signing, message),
    agree: (publicKey) => x25519(sealing, publicKey),
  }
}
