import { isConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { jsonOf, yamlOf } from "../src/api/request-body.js"

const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels)

describe("the body of a request", () => {
  it("is the value that was written, as JSON and as YAML", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter((key) => key !== "__proto__"),
          fc.oneof(fc.string(), fc.integer(), fc.boolean()),
        ),
        (value) => {
          expect(jsonOf(utf8(JSON.stringify(value)))).toEqual(JSON.parse(JSON.stringify(value)))
          expect({ ...(yamlOf(utf8(stringify(value))) as object) }).toEqual({ ...value })
        },
      ),
    )
  })

  it.each([jsonOf, yamlOf])("may be nested sixteen levels deep, and no deeper", (read) => {
    expect(() => read(utf8(nested(16)))).not.toThrow()
    expect(() => read(utf8(nested(18)))).toThrow(/nested deeper than 16 levels/)
    expect(() => jsonOf(utf8(nested(200_000)))).toThrow(/nested deeper than 16 levels/)
  })

  it("is no YAML that refers to itself", () => {
    expect(() => yamlOf(utf8("a: &a [1]\nb: *a\n"))).toThrow(/without aliases/)
  })

  it("is UTF-8 text", () => {
    for (const read of [jsonOf, yamlOf]) {
      expect(() => read(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(/not UTF-8/)
      expect(() => read(new Uint8Array(0))).toThrow(/no body/)
      expect(() => read(undefined)).toThrow(/no body/)
    }
  })

  it("whatever it is, is read or refused by name", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.boolean(), (bytes, json) => {
        try {
          ;(json ? jsonOf : yamlOf)(bytes)
        } catch (error) {
          expect(isConsiliumError(error, "api/malformed")).toBe(true)
        }
      }),
    )
  })
})
