import { isConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { bfv } from "../src/bfv/bfv.js"
import { ckks } from "../src/ckks/ckks.js"
import {
  galoisKeyFromBytes,
  galoisKeyToBytes,
  publicKeyFromBytes,
  publicKeyToBytes,
  relinearisationKeyFromBytes,
  relinearisationKeyToBytes,
  secretFromBytes,
  secretToBytes,
} from "../src/rlwe/wire.js"
import { fuzzWire, WIRE_SAMPLES } from "./wire-samples.js"

const random = insecureSeededRandom("wire-test")
const ctx = ckks({ degree: 4096, bits: [30, 26, 26], special: 1, scale: 2 ** 24 })
const secret = ctx.newSecret(random)

it.each(WIRE_SAMPLES)("$name: the same bytes again, from any view of them", ({ good, again }) => {
  expect(again(good)).toEqual(good)
  const inside = new Uint8Array(good.length + 7)
  inside.set(good, 3)
  expect(again(inside.subarray(3, 3 + good.length))).toEqual(good)
  expect(again(Buffer.from(good))).toEqual(good)
})

it("keys and ciphertexts do what they did", () => {
  const { parameters } = ctx
  const [relinearisation, rotation] = [
    ctx.relinearisationKey(secret, random),
    ctx.rotationKeys(secret, [2], random)[0],
  ]
  const evaluator = ctx.evaluator({
    relinearisation: relinearisationKeyFromBytes(parameters, relinearisationKeyToBytes(relinearisation)),
    galois: rotation === undefined ? [] : [galoisKeyFromBytes(parameters, galoisKeyToBytes(rotation))],
  })
  const own = secretFromBytes(parameters, secretToBytes(secret))
  const key = publicKeyFromBytes(parameters, publicKeyToBytes(ctx.publicKey(secret, random)))
  const a = ctx.encrypt([1, 2, 3], key, random)
  const product = evaluator.rotate(evaluator.relinearise(evaluator.multiply(a, a)), 2)
  const sent = ctx.fromBytes(ctx.toBytes(product))
  expect([sent.level, sent.scale, sent.size]).toEqual([product.level, product.scale, 2])
  expect(ctx.decrypt(sent, own)[0]).toBeCloseTo(9, 1)
})

it("what is read does not share the memory of the bytes", () => {
  const bytes = Buffer.from(ctx.toBytes(ctx.encrypt([1], secret, random)))
  const read = ctx.fromBytes(bytes)
  const before = ctx.toBytes(read)
  bytes.fill(0)
  expect(ctx.toBytes(read)).toEqual(before)
})

it("a fresh ciphertext under the secret key is half as long", () => {
  const packed = ctx.parameters.ring.packedLength
  expect(ctx.toBytes(ctx.encrypt([1], secret, random))).toHaveLength(48 + packed + 32)
  expect(ctx.toBytes(ctx.encrypt([1], ctx.publicKey(secret, random), random))).toHaveLength(48 + 2 * packed)
  expect(secretToBytes(secret)).toHaveLength(48 + 1024)
})

describe("what is not written is refused", () => {
  const good = ctx.toBytes(ctx.encrypt([1], secret, random))
  const refused = (bytes: Uint8Array): string => {
    try {
      ctx.fromBytes(bytes)
      return "accepted"
    } catch (error) {
      return isConsiliumError(error) ? `${error.code}: ${error.message}` : String(error)
    }
  }
  const altered = (at: number, value: number): Uint8Array => {
    const bytes = good.slice()
    bytes[at] = value
    return bytes
  }
  it("with the reason", () => {
    expect([
      refused(good.subarray(0, 47)),
      refused(altered(0, 2)),
      refused(altered(1, 2)),
      refused(altered(2, 2)),
      refused(altered(2, 0)),
      refused(altered(3, 1)),
      refused(altered(3, 3)),
      refused(altered(4, 0)),
      refused(altered(4, 3)),
      refused(altered(5, 1)),
      refused(altered(8, 0x7f)),
      refused(altered(8, 0xff)),
      refused(good.subarray(0, good.length - 1)),
    ]).toMatchInlineSnapshot(`
      [
        "lattice/malformed: There are 47 bytes; the head alone has 48.",
        "lattice/malformed: Bytes of kind 2, version 1, are not of kind 1, version 1.",
        "lattice/malformed: Bytes of kind 1, version 2, are not of kind 1, version 1.",
        "lattice/malformed: A head has a flag that does not exist.",
        "lattice/malformed: There are 28752 bytes; the head says 57392.",
        "lattice/malformed: A ciphertext has 1 polynomials and a seed.",
        "lattice/malformed: A ciphertext has 3 polynomials and a seed.",
        "lattice/malformed: A ciphertext has 0 primes; there are 2.",
        "lattice/malformed: A ciphertext has 3 primes; there are 2.",
        "lattice/malformed: A head has a flag that does not exist.",
        "lattice/malformed: A ciphertext has a scale that does not fit its level.",
        "lattice/malformed: A ciphertext has a scale that does not fit its level.",
        "lattice/malformed: There are 28751 bytes; the head says 28752.",
      ]
    `)
    expect(refused(altered(20, (good[20] as number) ^ 1))).toContain("lattice/foreign")
    expect(refused(altered(47, (good[47] as number) ^ 1))).toContain("lattice/foreign")
  })
  it("residues that are none", () => {
    const bytes = good.slice()
    bytes.fill(255, 48, 52)
    expect(refused(bytes)).toContain("lattice/malformed")
  })
  it("secrets that are not ternary, without telling which", () => {
    const bytes = secretToBytes(secret)
    bytes[100] = 0b11
    expect(() => secretFromBytes(ctx.parameters, bytes)).toThrowErrorMatchingInlineSnapshot(
      `[ConsiliumError: A secret key holds a coefficient that is not -1, 0 or 1.]`,
    )
  })
  it("what is for another plaintext modulus", () => {
    const [one, two] = [65_537, 40_961].map((plainModulus) => bfv({ degree: 4096, bits: [30], plainModulus }))
    const bytes = one?.toBytes(one.encrypt([1], one.newSecret(random), random)) as Uint8Array
    expect(() => two?.fromBytes(bytes)).toThrow(expect.objectContaining({ code: "lattice/foreign" }))
  })
  it("Galois keys for an even exponent", () => {
    const bytes = galoisKeyToBytes(ctx.conjugationKey(secret, random))
    bytes[15] = 4
    expect(() => galoisKeyFromBytes(ctx.parameters, bytes)).toThrow("not odd")
  })
})

it("decoders give what the bytes spell, or a typed error", () => {
  const typed = (error: unknown): boolean =>
    isConsiliumError(error, "lattice/malformed") || isConsiliumError(error, "lattice/foreign")
  expect(fuzzWire(3000, "fast", typed)).toEqual({ runs: 3000, accepted: true, problems: [] })
})
