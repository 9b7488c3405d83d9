import { ConsiliumError } from "./errors.js"
import { fromUtf8 } from "./platform.js"

const DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0))

/** Lower-case hexadecimal digits of some bytes. */
export const toHex = (bytes: Uint8Array): string => {
  // written as bytes and read at once: a string that grows by pieces is put together again wherever it is looked up
  const out = new Uint8Array(2 * bytes.length)
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    out[2 * i] = DIGITS[byte >> 4] as number
    out[2 * i + 1] = DIGITS[byte & 15] as number
  }
  return fromUtf8(out)
}

/**
 * Bytes of lower-case hexadecimal digits.
 * @throws {ConsiliumError} "encoding/malformed" on an odd length or another character
 */
export const fromHex = (hex: string): Uint8Array => {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/.test(hex))
    throw new ConsiliumError(
      "encoding/malformed",
      "A hexadecimal text has an odd length or a foreign character.",
    )
  const out = new Uint8Array(hex.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return out
}

/** One array holding all parts in order. */
export const concatBytes = (...parts: readonly Uint8Array[]): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Equality in time that depends on the lengths only. Use it for secrets and for everything that is verified. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}

/** Order of byte strings: first differing byte, then length. */
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number)
  return a.length - b.length
}
