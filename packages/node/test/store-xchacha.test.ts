import { concatBytes, fromHex, toHex } from "@consilium/base/bytes"
import { insecureSeededRandom } from "@consilium/base/testing"
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xchachaDecrypt, xchachaEncrypt } from "../src/store/xchacha.js"

const sealedBy = (...given: Parameters<typeof xchachaEncrypt>): Uint8Array =>
  concatBytes(...xchachaEncrypt(...given))
const bytes = (length: number, ...labels: readonly string[]) =>
  insecureSeededRandom(1, ...labels).bytes(length)

describe("XChaCha20-Poly1305 by the platform's cipher", () => {
  // draft-irtf-cfrg-xchacha-03, appendix A.3.1
  it("gives the bytes of the draft's example", () => {
    const key = fromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
    const nonce = fromHex("404142434445464748494a4b4c4d4e4f5051525354555657")
    const associated = fromHex("50515253c0c1c2c3c4c5c6c7")
    const text = new TextEncoder().encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    )
    const sealed = sealedBy(key, nonce, associated, text)
    expect(toHex(sealed)).toBe(
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39" +
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9" +
        "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
    )
    expect(xchachaDecrypt(key, nonce, associated, sealed)).toEqual(text)
  })

  it("agrees with portable code on every length and every input", () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(40), fc.nat(), (length, extra, seed) => {
        const [key, nonce] = [bytes(32, "key", `${seed}`), bytes(24, "nonce", `${seed}`)]
        const [text, associated] = [bytes(length, "text", `${seed}`), bytes(extra, "ad", `${seed}`)]
        const portable = xchacha20poly1305(key, nonce, associated).encrypt(text)
        expect(sealedBy(key, nonce, associated, text)).toEqual(portable)
        expect(xchachaDecrypt(key, nonce, associated, portable)).toEqual(text)
      }),
      { numRuns: 200 },
    )
  })

  it("opens nothing that was changed in any bit, cut, or bound to something else", () => {
    const [key, nonce, associated, text] = [bytes(32, "k"), bytes(24, "n"), bytes(9, "a"), bytes(20, "t")]
    const sealed = sealedBy(key, nonce, associated, text)
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const changed = sealed.slice()
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(() => xchachaDecrypt(key, nonce, associated, changed)).toThrow()
    }
    expect(() => xchachaDecrypt(key, nonce, associated, sealed.slice(0, -1))).toThrow()
    expect(() => xchachaDecrypt(key, nonce, bytes(9, "b"), sealed)).toThrow()
    expect(() => xchachaDecrypt(key, bytes(24, "m"), associated, sealed)).toThrow()
    expect(() => xchachaDecrypt(bytes(32, "l"), nonce, associated, sealed)).toThrow()
  })
})
