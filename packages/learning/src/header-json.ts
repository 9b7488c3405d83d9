import { ConsiliumError } from "@consilium/base/errors"

/** What a header of a tensor file can hold: objects, lists, texts and whole numbers from 0 on. */
export type HeaderValue = string | number | readonly HeaderValue[] | { readonly [name: string]: HeaderValue }

const MOST_DEPTH = 8

const bad = (at: number, what: string): never => {
  throw new ConsiliumError(
    "model/unreadable",
    `The header of a tensor file is broken at character ${at}: ${what}.`,
  )
}

/**
 * Reads JSON of objects, lists, texts and whole numbers. Unlike `JSON.parse` it refuses a name that comes twice, which two
 * readers would understand differently.
 * @throws {ConsiliumError} "model/unreadable"
 */
export const parseHeader = (text: string): HeaderValue => {
  let at = 0
  const skip = (): void => {
    while (" \t\n\r".includes(text[at] ?? "x")) at++
  }
  const expect = (character: string): void => {
    skip()
    if (text[at] !== character) bad(at, `${character} was expected`)
    at++
  }
  const string = (): string => {
    skip()
    const literal = /"(?:[^"\\]|\\.)*"/sy
    literal.lastIndex = at
    const found = literal.exec(text)
    if (found === null) return bad(at, "a text was expected")
    try {
      const value = JSON.parse(found[0]) as string
      at += found[0].length
      return value
    } catch {
      return bad(at, "a text is malformed")
    }
  }
  /** Calls `item` for each member up to `end`. */
  const members = (end: string, item: () => void): void => {
    skip()
    if (text[at] === end) {
      at++
      return
    }
    for (;;) {
      item()
      skip()
      if (text[at] !== ",") break
      at++
    }
    expect(end)
  }
  const value = (depth: number): HeaderValue => {
    if (depth > MOST_DEPTH) bad(at, "it is nested too deeply")
    skip()
    if (text[at] === '"') return string()
    if (text[at] === "[") {
      at++
      const out: HeaderValue[] = []
      members("]", () => out.push(value(depth + 1)))
      return out
    }
    if (text[at] === "{") {
      at++
      const out = new Map<string, HeaderValue>()
      members("}", () => {
        const start = at
        const name = string()
        if (out.has(name)) bad(start, "a name comes twice")
        expect(":")
        out.set(name, value(depth + 1))
      })
      return Object.fromEntries(out)
    }
    const number = /(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y
    number.lastIndex = at
    const found = number.exec(text)
    if (found === null || !Number.isSafeInteger(Number(found[0])))
      return bad(at, "a whole number was expected")
    at += found[0].length
    return Number(found[0])
  }
  const result = value(0)
  skip()
  if (at !== text.length) bad(at, "something follows the end")
  return result
}
