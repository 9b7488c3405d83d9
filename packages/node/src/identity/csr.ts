import { createPublicKey, type KeyObject, sign } from "node:crypto"
import { concatBytes, fromHex } from "@consilium/base/bytes"
import { utf8 } from "@consilium/base/platform"
import { checkedName } from "./names.js"

// DER tags. Source: ITU-T X.690
const INTEGER = 0x02
const BIT_STRING = 0x03
const UTF8_STRING = 0x0c
const SEQUENCE = 0x30
const SET = 0x31
const ATTRIBUTES = 0xa0

/** id-at-commonName, RFC 5280 appendix A.1 */
const COMMON_NAME = fromHex("0603550403")
/** ecdsa-with-SHA256, RFC 5758 section 3.2 */
const ECDSA_SHA256 = fromHex("06082a8648ce3d040302")

const lengthOf = (length: number): Uint8Array =>
  length < 128
    ? Uint8Array.of(length)
    : length < 256
      ? Uint8Array.of(0x81, length)
      : Uint8Array.of(0x82, length >> 8, length & 0xff)

const der = (tag: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const content = concatBytes(...parts)
  return concatBytes(Uint8Array.of(tag), lengthOf(content.length), content)
}

/**
 * A certificate request (PEM) for a name, signed by its own P-256 key. Written here, and not by the library of the
 * authority, so that a facility need not load a library of certificates for the one that it asks for.
 *
 * Source: PKCS #10, RFC 2986 section 4
 */
export const makeCsr = (name: string, tlsKey: KeyObject): string => {
  const publicKey = createPublicKey(tlsKey).export({ format: "der", type: "spki" })
  const subject = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, utf8(checkedName(name))))),
  )
  const info = der(SEQUENCE, der(INTEGER, Uint8Array.of(0)), subject, publicKey, der(ATTRIBUTES))
  const signature = sign("sha256", info, tlsKey)
  const request = der(
    SEQUENCE,
    info,
    der(SEQUENCE, ECDSA_SHA256),
    der(BIT_STRING, Uint8Array.of(0), signature),
  )
  const lines =
    Buffer.from(request)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  return ["-----BEGIN CERTIFICATE REQUEST-----", ...lines, "-----END CERTIFICATE REQUEST-----"].join("\n")
}
