import { fromHex, toHex } from "@consilium/base/bytes"
import { framedParts } from "@consilium/base/framing"
import { hash } from "@consilium/base/hash"
import { PrfStream, SecretKey } from "@consilium/base/random"
import { describe, expect, it } from "vitest"
import type { Nonce, RingKernel } from "../src/ring/kernel.js"
import { PlainKernel } from "../src/ring/plain-kernel.js"
import { nttPrimes } from "../src/ring/primes.js"
import { WasmKernel } from "../src/ring/wasm-kernel.js"

const KERNELS: readonly (readonly [string, RingKernel])[] = [
  ["WebAssembly", new WasmKernel(1024, nttPrimes(1024, 26, 1))],
  ["plain", new PlainKernel(1024, nttPrimes(1024, 26, 1))],
]
const rising = Uint8Array.from({ length: 32 }, (_, i) => i)
const ending = (last: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? last : 0))
const nonceOf = (hex: string): Nonce => {
  const view = new DataView(fromHex(hex).buffer)
  return [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)]
}

describe.each(KERNELS)("the key stream of the %s kernel", (_, kernel) => {
  const stream = (key: Uint8Array, nonce: string, counter: number, length = 64): string => {
    const out = new Uint8Array(length)
    kernel.keyStream(key, nonceOf(nonce), counter, out)
    return toHex(out)
  }
  const NONE = "000000000000000000000000"

  it("is that of section 2.3.2", () => {
    expect(stream(rising, "000000090000004a00000000", 1)).toBe(
      "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e" +
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    )
  })
  it("is that of appendix A.1, vectors 1, 2, 3 and 5", () => {
    expect(stream(ending(0), NONE, 0)).toBe(
      "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7" +
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    )
    expect(stream(ending(0), NONE, 1)).toBe(
      "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed" +
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    )
    expect(stream(ending(1), NONE, 1)).toBe(
      "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a" +
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    )
    expect(stream(ending(0), "000000000000000000000002", 0)).toBe(
      "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7" +
        "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
    )
  })
  it("is that of PrfStream, over many blocks", () => {
    const key = hash("prf", rising, framedParts([]))
    expect(stream(key, NONE, 0, 4096)).toBe(toHex(new PrfStream(new SecretKey(rising)).bytes(4096)))
  })
  it("goes on from any block, at any length", () => {
    const nonce = "c8c9cacbcccdcecfd0d1d2d3"
    const whole = stream(rising, nonce, 2 ** 31 - 3, 1000)
    expect(stream(rising, nonce, 2 ** 31, 1)).toBe(whole.slice(384, 386))
    expect(stream(rising, nonce, 2 ** 31 + 5, 100)).toBe(whole.slice(1024, 1224))
  })
})

it("both kernels give the same stream", () => {
  const [wasm, plain] = KERNELS.map(([, kernel]) => {
    const out = new Uint8Array(999)
    kernel.keyStream(rising, [7, 2 ** 32 - 1, 2 ** 31], 2 ** 32 - 2, out)
    return out
  })
  expect(wasm).toEqual(plain)
})
