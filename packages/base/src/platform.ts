/**
 * The only place of this package that touches the platform: UTF-8 and the system's random generator, as Node and
 * browsers offer them alike, and Node's SHA-256.
 */
interface Utf8Encoder {
  encode(text: string): Uint8Array
}
interface Utf8Decoder {
  decode(bytes: Uint8Array): string
}
interface Platform {
  readonly TextEncoder: new () => Utf8Encoder
  readonly TextDecoder: new (label: string, options: { fatal: boolean; ignoreBOM: boolean }) => Utf8Decoder
  readonly crypto: { getRandomValues(into: Uint8Array): Uint8Array }
  readonly process?: { readonly getBuiltinModule?: (name: string) => NodeCrypto | undefined }
}
interface NodeCrypto {
  readonly hash?: (algorithm: "sha256", bytes: Uint8Array, form: "buffer") => Uint8Array
}

const platform = globalThis as unknown as Platform
const encoder = new platform.TextEncoder()
const decoder = new platform.TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** UTF-8 bytes of a string. */
export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** The string of UTF-8 bytes; throws a `TypeError` on bytes that are not UTF-8. */
export const fromUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes)

/** Bytes from the system's cryptographic generator. */
export const systemRandomBytes = (length: number): Uint8Array => {
  const out = new Uint8Array(length)
  // getRandomValues serves at most 65,536 bytes a call
  for (let at = 0; at < length; at += 65_536) platform.crypto.getRandomValues(out.subarray(at, at + 65_536))
  return out
}

const nodeHash = platform.process?.getBuiltinModule?.("node:crypto")?.hash

/** The platform's SHA-256, several times as fast as a portable one; null where none gives its answer at once. */
export const platformSha256: ((bytes: Uint8Array) => Uint8Array) | null =
  nodeHash === undefined ? null : (bytes) => new Uint8Array(nodeHash("sha256", bytes, "buffer"))
