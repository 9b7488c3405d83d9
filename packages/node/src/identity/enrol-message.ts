import { encode, fixedBytes, record, text } from "@consilium/base/encoding"
import { hash } from "@consilium/base/hash"

/** What a participant asks the authority for, once. */
export interface EnrolRequest {
  readonly token: Uint8Array
  readonly name: string
  /** PEM. */
  readonly csr: string
  readonly signingKey: Uint8Array
  readonly sealingKey: Uint8Array
  /** "host:port" if it listens, else empty. */
  readonly address: string
  /** Over everything else, by the signing key: nobody can enrol a key of somebody else's. */
  readonly signature: Uint8Array
}

const requestCodec = record({
  caFingerprint: fixedBytes(32),
  token: fixedBytes(32),
  name: text(64),
  csr: text(8192),
  signingKey: fixedBytes(32),
  sealingKey: fixedBytes(32),
  address: text(300),
})

/** What the signing key signs in an enrolment request. */
export const enrolMessage = (
  caFingerprint: Uint8Array,
  request: Omit<EnrolRequest, "signature">,
): Uint8Array => hash("enrolment", encode(requestCodec, { caFingerprint, ...request }))
