import { fromUtf8 } from "@consilium/base/platform"
import type { SchemaElement } from "hyparquet/src/types.js"

/** A value as the page holds it. */
export type RawValue = boolean | number | bigint | Uint8Array

const numberText = (value: number): string => String(value + 0)

/** The shortest decimal number that is this one once it is rounded to single precision: 7.3, not 7.300000190734863. */
const singleText = (value: number): string => {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return numberText(short)
  }
  return numberText(value)
}

/** Math: unscaled * 10^-scale, exactly, in digits */
export const decimalText = (unscaled: bigint, scale: number): string => {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  const sign = unscaled < 0n ? "-" : ""
  if (scale === 0) return `${sign}${digits}`
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** A whole number in two's complement, its highest byte first. */
const bigEndian = (bytes: Uint8Array): bigint => {
  let value = 0n
  for (const byte of bytes) value = value * 256n + BigInt(byte)
  return BigInt.asIntN(8 * bytes.length, value)
}

const decimalOf = (scale: number) => (value: RawValue) =>
  decimalText(value instanceof Uint8Array ? bigEndian(value) : BigInt(value), scale)

const wholeText = (element: SchemaElement): ((value: RawValue) => string) | null => {
  const { type, converted_type: converted, logical_type: logical } = element
  const unsigned =
    converted?.startsWith("UINT_") === true || (logical?.type === "INTEGER" && logical.isSigned === false)
  const signed = converted === undefined || converted.startsWith("INT_")
  if (!unsigned && !(signed && (logical === undefined || logical.type === "INTEGER"))) return null
  if (!unsigned) return String
  return type === "INT64"
    ? (value) => String(BigInt.asUintN(64, value as bigint))
    : (value) => String((value as number) >>> 0)
}

/**
 * How the values of a column are written in a text file, or null for what no column of a schema holds: dates and times,
 * lists, structures, bytes that are no text.
 */
export const textOf = (element: SchemaElement): ((value: RawValue) => string) | null => {
  const { type, converted_type: converted, logical_type: logical, scale } = element
  if (converted === "DECIMAL" || logical?.type === "DECIMAL") {
    const places = (logical?.type === "DECIMAL" ? logical.scale : scale) ?? 0
    return places >= 0 && places <= 64 && type !== "INT96" ? decimalOf(places) : null
  }
  if (type === "INT32" || type === "INT64") return wholeText(element)
  const text =
    converted === "UTF8" || converted === "ENUM" || logical?.type === "STRING" || logical?.type === "ENUM"
  if (type === "BYTE_ARRAY" && (text || (converted === undefined && logical === undefined)))
    return (value) => fromUtf8(value as Uint8Array)
  if (converted !== undefined || logical !== undefined) return null
  if (type === "BOOLEAN") return (value) => (value ? "true" : "false")
  if (type === "FLOAT") return (value) => singleText(value as number)
  return type === "DOUBLE" ? (value) => numberText(value as number) : null
}
