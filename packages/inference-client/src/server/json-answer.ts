import { ConsiliumError } from "@consilium/base/errors"
import { fromUtf8 } from "@consilium/base/platform"
import { oneLine } from "../transport/one-line.js"

/** Reads one value of an answer, or throws. */
export type Reader<T> = (value: unknown, what: string) => T

const bad = (what: string, expected: string): never => {
  throw new ConsiliumError("inference/malformed", `In the server's answer ${what} is not ${expected}.`)
}

export const aText: Reader<string> = (value, what) =>
  typeof value === "string" ? value : bad(what, "a text")
/** A text to be shown. */
export const aLine: Reader<string> = (value, what) => oneLine(aText(value, what)) ?? ""
export const aFlag: Reader<boolean> = (value, what) =>
  typeof value === "boolean" ? value : bad(what, "true or false")
export const aCount: Reader<number> = (value, what) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : bad(what, "a whole number")
export const aHash: Reader<string> = (value, what) =>
  typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value : bad(what, "64 hexadecimal digits")
export const oneOfTexts =
  <T extends string>(...texts: readonly T[]): Reader<T> =>
  (value, what) =>
    texts.find((text) => text === value) ?? bad(what, `one of ${texts.join(", ")}`)
/** Null also where a field is missing, as with a server of another version. */
export const orNull =
  <T>(read: Reader<T>): Reader<T | null> =>
  (value, what) =>
    value === null || value === undefined ? null : read(value, what)
export const aList =
  <T>(read: Reader<T>): Reader<readonly T[]> =>
  (value, what) =>
    Array.isArray(value) ? value.map((entry, i) => read(entry, `${what}[${i}]`)) : bad(what, "a list")

/** An object with some fields; others are left out of what is read. */
export const anObject =
  <T>(readers: { readonly [K in keyof T]: Reader<T[K]> }): Reader<T> =>
  (value, what) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return bad(what, "an object")
    const entries = Object.entries<Reader<unknown>>(readers).map(([name, read]) => [
      name,
      read((value as Record<string, unknown>)[name], `"${name}"`),
    ])
    return Object.fromEntries(entries) as T
  }

/**
 * The value of an answer's body.
 * @throws {ConsiliumError} "inference/malformed"
 */
export const readJson = <T>(body: Uint8Array, read: Reader<T>): T => {
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(body))
  } catch {
    return bad("the body", "JSON")
  }
  return read(value, "the body")
}
