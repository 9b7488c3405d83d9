import { concatBytes } from "@consilium/base/bytes"
import { utf8 } from "@consilium/base/platform"

/**
 * The few forms of the protocol buffers encoding that ONNX files need.
 *
 * Source: "Encoding", Protocol Buffers documentation: base-128 varints, length-delimited fields
 */
const VARINT = 0
const LENGTH_DELIMITED = 2

const varint = (value: number): Uint8Array => {
  const out: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128)
  out.push(rest)
  return Uint8Array.from(out)
}

/** A field that holds a whole number from 0 to 2^53 - 1. */
export const number = (field: number, value: number): Uint8Array =>
  concatBytes(varint(8 * field + VARINT), varint(value))

/** A field that holds bytes: a message, or data. */
export const message = (field: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const body = concatBytes(...parts)
  return concatBytes(varint(8 * field + LENGTH_DELIMITED), varint(body.length), body)
}

/** A field that holds a text. */
export const text = (field: number, value: string): Uint8Array => message(field, utf8(value))

/** A field repeated for each of some whole numbers. */
export const numbers = (field: number, values: readonly number[]): Uint8Array =>
  concatBytes(...values.map((value) => number(field, value)))
