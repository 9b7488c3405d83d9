import { readFileSync } from "node:fs"
import { digestHex, sha256 } from "@consilium/base/hash"
import { describe, expect, it } from "vitest"
import { Bfv } from "../src/bfv/bfv.js"
import { Ckks } from "../src/ckks/ckks.js"
import type { Evaluations } from "../src/ring/ring.js"
import { RlweArithmetic } from "../src/rlwe/arithmetic.js"
import { galoisKeyOf, publicKeyOf, RlweSecret, relinearisationKeyOf } from "../src/rlwe/keys.js"
import { rlweParameters } from "../src/rlwe/parameters.js"
import type { SwitchingKey } from "../src/rlwe/switching-key.js"

/** Made by vectors/rlwe-generate.mjs, which shares no code with the library. */
const vectors: unknown = JSON.parse(readFileSync(new URL("vectors/rlwe.json", import.meta.url), "utf8"))

const draws = () => {
  let k = 0
  return {
    bytes: (length: number): Uint8Array => {
      const bytes = Uint8Array.from({ length }, (_, i) => 31 * k + 7 * i + 3)
      k++
      return bytes
    },
  }
}
const digest = (...polynomials: readonly Uint32Array[]): string => {
  const words = polynomials.flatMap((polynomial) => [...polynomial])
  const view = new DataView(new ArrayBuffer(4 * words.length))
  words.forEach((word, i) => {
    view.setUint32(4 * i, word, true)
  })
  return digestHex(sha256(new Uint8Array(view.buffer)))
}
const first = (a: Evaluations): number[] => [...a.subarray(0, 4)]

describe.each(["wasm", "plain"] as const)("the %s kernel gives the known answers", (kernel) => {
  const found: Record<string, unknown> = {}
  it("of encryption and products", () => {
    const parameters = rlweParameters({ degree: 1024, bits: [26], kernel })
    const ctx = Ckks.with(parameters, 1)
    const random = draws()
    const secret = RlweSecret.generate(parameters, random)
    found.secret = { first: [...secret.expose().subarray(0, 12)], digest: digest(secret.values()) }
    const key = publicKeyOf(secret, random)
    found.publicKey = { first: first(key.b), digest: digest(key.b, key.a) }
    const message = ctx.encodeCoefficients(
      Float64Array.from({ length: 1024 }, (_, i) => ((97 * i) % 2001) - 1000),
    )
    const one = ctx.encrypt(message, secret, random)
    found.encryptedWithSecret = { first: first(one.parts[0] as Evaluations), digest: digest(...one.parts) }
    const bytes = ctx.toBytes(one)
    found.bytes = { length: bytes.length, sha256: digestHex(sha256(bytes)) }
    const two = ctx.encrypt(message, key, random)
    found.encryptedWithPublic = { first: first(two.parts[0] as Evaluations), digest: digest(...two.parts) }
    found.ckksProduct = { digest: digest(...ctx.multiply(one, two).parts) }
    const whole = Bfv.with(parameters, 12_289)
    const numbers = Int32Array.from({ length: 1024 }, (_, i) => {
      const residue = (7919 * i) % 12_289
      return residue > 6144 ? residue - 12_289 : residue
    })
    const [x, y] = [1, 2].map(() => whole.encrypt(whole.encodeCoefficients(numbers), secret, random))
    if (x && y) found.bfvProduct = { digest: digest(...whole.multiply(x, y).parts) }
  })
  it("of switching keys", () => {
    const parameters = rlweParameters({ degree: 2048, bits: [26, 26], special: 1, kernel })
    const arithmetic = new RlweArithmetic(parameters)
    const random = draws()
    const secret = RlweSecret.generate(parameters, random)
    const parts = [1, 2, 3].map((fill) => parameters.ring.uniform(new Uint8Array(32).fill(fill)))
    const rows = (key: SwitchingKey): string => digest(...key.rows.flatMap(({ b, a }) => [b, a]))
    const relinearisation = relinearisationKeyOf(secret, random)
    found.relinearisationKey = { digest: rows(relinearisation) }
    found.relinearised = { digest: digest(...arithmetic.relinearise(parts, relinearisation)) }
    const galois = galoisKeyOf(secret, 3, random)
    found.galoisKey = { digest: rows(galois) }
    found.moved = { digest: digest(...(arithmetic.automorphisms(parts.slice(0, 2), [galois])[0] ?? [])) }
    expect(found).toEqual(vectors)
  })
})
