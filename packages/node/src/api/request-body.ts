import { ConsiliumError } from "@consilium/base/errors"
import { parse } from "yaml"

const MOST_DEPTH = 16

const malformed = (message: string): ConsiliumError => new ConsiliumError("api/malformed", message)

const textOf = (body: unknown): string => {
  if (!(body instanceof Uint8Array) || body.length === 0) throw malformed("The request has no body.")
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body)
  } catch {
    throw malformed("The body is not UTF-8 text.")
  }
}

/** Refuses values nested too deep, without recursion of its own. */
const checkDepth = (value: unknown): void => {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_DEPTH) throw malformed(`The body is nested deeper than ${MOST_DEPTH} levels.`)
    level = level.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []))
  }
}

/** The value of a body of JSON text. @throws {ConsiliumError} "api/malformed" */
export const jsonOf = (body: unknown): unknown => {
  const text = textOf(body)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw malformed("The body is not JSON.")
  }
  checkDepth(value)
  return value
}

/** The value of a body of YAML text; aliases, which can blow up a small text, are refused. @throws {ConsiliumError} "api/malformed" */
export const yamlOf = (body: unknown): unknown => {
  const text = textOf(body)
  let value: unknown
  try {
    value = parse(text, { uniqueKeys: true, maxAliasCount: 0, logLevel: "error" })
  } catch {
    throw malformed("The body is not YAML without aliases.")
  }
  checkDepth(value)
  return value
}
