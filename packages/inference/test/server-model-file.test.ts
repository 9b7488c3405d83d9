import { toHex } from "@consilium/base/bytes"
import { type ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { compile } from "@consilium/inference/compile/compile"
import { serverModelFromBytes, serverModelToBytes } from "@consilium/inference/files/server-model"
import { planHash } from "@consilium/inference/plan/plan"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { denseNetwork, HEART, HEART_LINEAR, HEART_SCALING, squareNetwork, testRandom } from "./heart.js"

const NAMED = { model: "heart", version: "1", scaling: HEART_SCALING }
const COMPILED = {
  linear: compile(HEART_LINEAR, HEART, NAMED),
  kept: compile(HEART_LINEAR, HEART, { ...NAMED, weights: "kept" }),
  network: compile(squareNetwork(testRandom("network"), 13, 16, 0.03), HEART, NAMED),
  features: compile(
    denseNetwork(
      testRandom("features"),
      [13, 4, 1],
      [{ kind: "polynomial", coefficients: [0, 1, 0, -0.1] }],
      0.2,
    ),
    HEART,
    NAMED,
  ),
}
const { plan } = COMPILED.linear

const refusal = (act: () => unknown): ConsiliumError => {
  try {
    act()
  } catch (error) {
    if (isConsiliumError(error)) return error
    throw error
  }
  throw new Error("nothing was refused")
}

describe("the file of a server's model", () => {
  it.each(Object.entries(COMPILED))("%s: gives back the model, and has one form", (_, compiled) => {
    const bytes = serverModelToBytes(compiled)
    const read = serverModelFromBytes(bytes, compiled.plan)
    expect(read).toEqual(compiled.integers)
    expect(serverModelToBytes({ plan: compiled.plan, integers: read })).toEqual(bytes)
  })

  it("is bound to its plan, and says both hashes", () => {
    const other = COMPILED.kept.plan
    const { code, message } = refusal(() => serverModelFromBytes(serverModelToBytes(COMPILED.linear), other))
    expect(code).toBe("inference/other-plan")
    expect(message).toBe(
      `A server's model is for plan ${toHex(planHash(plan))}; the plan here is ${toHex(planHash(other))}.`,
    )
  })

  it("whole numbers of any size and sign come back", () => {
    const most = (1n << 512n) - 1n
    fc.assert(
      fc.property(fc.bigInt({ min: -most, max: most }), fc.int16Array(), (bias, weights) => {
        const integers = { kind: "linear" as const, weights: Int32Array.from(weights), bias }
        expect(serverModelFromBytes(serverModelToBytes({ plan, integers }), plan)).toEqual(integers)
      }),
    )
    for (const bias of [0n, 1n, -1n, 255n, 256n, -256n, most, -most]) {
      const integers = { kind: "linear" as const, weights: Int32Array.of(-1, 2 ** 31 - 1), bias }
      expect(serverModelFromBytes(serverModelToBytes({ plan, integers }), plan)).toEqual(integers)
    }
  })

  it("cut, longer or altered in its form it is refused", () => {
    const bytes = serverModelToBytes(COMPILED.linear)
    for (let length = 0; length < bytes.length; length++)
      expect(refusal(() => serverModelFromBytes(bytes.subarray(0, length), plan)).code).toBe(
        "inference/malformed",
      )
    expect(refusal(() => serverModelFromBytes(Uint8Array.of(...bytes, 0), plan)).code).toBe(
      "inference/malformed",
    )
    const newer = Uint8Array.from(bytes)
    newer[0] = 2
    expect(refusal(() => serverModelFromBytes(newer, plan)).message).toBe(
      "A server's model has format 2; this program reads 1.",
    )
  })

  it("has no second form of zero, and no leading zeros", () => {
    const integers = { kind: "linear" as const, weights: Int32Array.of(), bias: 1n }
    const bytes = serverModelToBytes({ plan, integers })
    const withBias = (...tail: readonly number[]) =>
      Uint8Array.of(...bytes.subarray(0, bytes.length - 6), ...tail)
    expect(serverModelFromBytes(withBias(0, 0, 0, 0, 0), plan).bias).toBe(0n)
    for (const tail of [
      [1, 0, 0, 0, 0],
      [0, 0, 0, 0, 1, 0],
      [0, 0, 0, 0, 2, 0, 1],
      [2, 0, 0, 0, 1, 1],
    ])
      expect(refusal(() => serverModelFromBytes(withBias(...tail), plan)).code).toBe("inference/malformed")
  })

  it("is not written where it could not be read", () => {
    const integers = { kind: "linear" as const, weights: new Int32Array(513), bias: 0n }
    expect(refusal(() => serverModelToBytes({ plan, integers })).code).toBe("encoding/too-large")
    expect(
      refusal(() =>
        serverModelToBytes({ plan, integers: { ...integers, weights: Int32Array.of(), bias: 1n << 512n } }),
      ).code,
    ).toBe("encoding/too-large")
  })
})
