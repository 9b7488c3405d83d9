import { createCipheriv, createDecipheriv } from "node:crypto"
import { hchacha } from "@noble/ciphers/chacha.js"

const CIPHER = "chacha20-poly1305"
const TAG_BYTES = 16
/** "expand 32-byte k" */
const SIGMA = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574)

const words = (bytes: Uint8Array): Uint32Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Uint32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(4 * i, true))
}

/** The key and nonce of the platform's cipher with a nonce of 12 bytes. */
const derived = (key: Uint8Array, nonce: Uint8Array) => {
  const secret = words(key)
  const out = new Uint32Array(8)
  hchacha(SIGMA, secret, words(nonce.subarray(0, 16)), out)
  const subkey = new Uint8Array(32)
  const view = new DataView(subkey.buffer)
  for (const [i, word] of out.entries()) view.setUint32(4 * i, word, true)
  secret.fill(0)
  out.fill(0)
  const short = new Uint8Array(12)
  short.set(nonce.subarray(16), 4)
  return { subkey, short }
}

/**
 * XChaCha20-Poly1305 by the platform's ChaCha20-Poly1305: ciphertext and tag (16 bytes), to be put one after the other.
 * The same bytes as in portable code, several times as fast on journals and logs.
 *
 * Shape:  key 32 bytes, nonce 24 bytes
 * Source: draft-irtf-cfrg-xchacha-03, section 2.3; RFC 8439
 */
export const xchachaEncrypt = (
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  plaintext: Uint8Array,
): readonly [ciphertext: Uint8Array, tag: Uint8Array] => {
  const { subkey, short } = derived(key, nonce)
  try {
    const cipher = createCipheriv(CIPHER, subkey, short, { authTagLength: TAG_BYTES })
    cipher.setAAD(associated, { plaintextLength: plaintext.length })
    const ciphertext = cipher.update(plaintext)
    cipher.final()
    return [ciphertext, cipher.getAuthTag()]
  } finally {
    subkey.fill(0)
  }
}

/** Opens ciphertext and tag; throws if it was changed, or belongs to another key, nonce or associated data. */
export const xchachaDecrypt = (
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  sealed: Uint8Array,
): Uint8Array => {
  const { subkey, short } = derived(key, nonce)
  try {
    const length = sealed.length - TAG_BYTES
    const cipher = createDecipheriv(CIPHER, subkey, short, { authTagLength: TAG_BYTES })
    cipher.setAAD(associated, { plaintextLength: length })
    cipher.setAuthTag(sealed.subarray(length))
    const out = new Uint8Array(length)
    out.set(cipher.update(sealed.subarray(0, length)))
    cipher.final()
    return out
  } finally {
    subkey.fill(0)
  }
}
