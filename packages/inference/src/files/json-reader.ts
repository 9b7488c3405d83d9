import { ConsiliumError } from "@consilium/base/errors"

/** Reads one value of parsed JSON; `at` says where it stands, for messages. */
export type JsonReader<T> = (value: unknown, at: string) => T

/** What a value is, without telling it: it may be a weight. */
const kindOf = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (value === null) return "null"
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === "string") return `a text of ${value.length} characters`
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

const unexpected = (at: string, expected: string, found: string): never => {
  throw new ConsiliumError("inference/bad-file", `${at}: ${expected} was expected, not ${found}.`)
}

/** Texts of up to `most` characters. */
export const text =
  (most: number): JsonReader<string> =>
  (value, at) =>
    typeof value === "string" && value.length <= most
      ? value
      : unexpected(at, `a text of at most ${most} characters`, kindOf(value))

/** Finite numbers. JSON can say a negative zero and numbers that overflow: the first becomes zero, the others are refused. */
export const finite: JsonReader<number> = (value, at) => {
  if (typeof value !== "number") return unexpected(at, "a number", kindOf(value))
  return Number.isFinite(value) ? value + 0 : unexpected(at, "a finite number", "one that is too large")
}

/** Whole numbers from 0 on. */
export const count: JsonReader<number> = (value, at) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number) + 0
    : unexpected(at, "a whole number of 0 or more", kindOf(value))

export const flag: JsonReader<boolean> = (value, at) =>
  typeof value === "boolean" ? value : unexpected(at, "true or false", kindOf(value))

/** One of these words. */
export const word =
  <const W extends readonly string[]>(...words: W): JsonReader<W[number]> =>
  (value, at) =>
    words.find((one) => one === value) ??
    unexpected(at, words.map((one) => `"${one}"`).join(" or "), kindOf(value))

export const nullable =
  <T>(reader: JsonReader<T>): JsonReader<T | null> =>
  (value, at) =>
    value === null ? null : reader(value, at)

/** Lists of up to `most` values. */
export const list =
  <T>(reader: JsonReader<T>, most: number): JsonReader<readonly T[]> =>
  (value, at) =>
    Array.isArray(value) && value.length <= most
      ? value.map((item, i) => reader(item, `${at}[${i}]`))
      : unexpected(at, `a list of at most ${most}`, kindOf(value))

/** Two numbers. */
export const pair: JsonReader<readonly [number, number]> = (value, at) =>
  Array.isArray(value) && value.length === 2
    ? [finite(value[0], `${at}[0]`), finite(value[1], `${at}[1]`)]
    : unexpected(at, "a list of 2", kindOf(value))

type Readers = Readonly<Record<string, JsonReader<unknown>>>
type ReadBy<R> = { readonly [K in keyof R]: R[K] extends JsonReader<infer T> ? T : never }

const entriesOf = (value: unknown, at: string): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : unexpected(at, "an object", kindOf(value))

/** Objects with all of the first names, any of the second, and no other. */
export const object =
  <const R extends Readers, const O extends Readers = Record<never, never>>(
    required: R,
    optional?: O,
  ): JsonReader<ReadBy<R> & Partial<ReadBy<O>>> =>
  (value, at) => {
    const entries = entriesOf(value, at)
    const readers: Readers = { ...required, ...optional }
    for (const name of Object.keys(entries))
      if (!Object.hasOwn(readers, name))
        unexpected(at, `one of ${Object.keys(readers).join(", ")}`, `"${name.slice(0, 64)}"`)
    const out: Record<string, unknown> = {}
    for (const [name, reader] of Object.entries(readers)) {
      if (Object.hasOwn(entries, name)) out[name] = reader(entries[name], `${at}.${name}`)
      else if (Object.hasOwn(required, name)) unexpected(`${at}.${name}`, "a value", "nothing")
    }
    return out as ReadBy<R> & Partial<ReadBy<O>>
  }

/** Objects that differ by the word at `tag`. */
export const oneOf =
  <const V extends Readonly<Record<string, JsonReader<unknown>>>>(
    tag: string,
    variants: V,
  ): JsonReader<ReadBy<V>[keyof V]> =>
  (value, at) => {
    const name = word(...Object.keys(variants))(entriesOf(value, at)[tag], `${at}.${tag}`)
    return (variants[name] as JsonReader<ReadBy<V>[keyof V]>)(value, at)
  }

/**
 * What a reader makes of JSON text.
 * @throws {ConsiliumError} "inference/bad-file" with the place, what was expected and what kind of value was found
 */
export const fromJson = <T>(json: string, what: string, most: number, reader: JsonReader<T>): T => {
  if (json.length > most) unexpected(what, `a text of at most ${most} characters`, `one of ${json.length}`)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // the cause is left out: the engine's message repeats what was read
    return unexpected(what, "JSON", "text that is none")
  }
  return reader(value, what)
}
