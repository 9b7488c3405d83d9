import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import {
  messageKey,
  openBetween,
  openSealed,
  openWithKey,
  ownKeysOf,
  portableSuite,
  SEAL_OVERHEAD,
  seal,
  sealBetween,
} from "../src/suite.js"
import { codeOf, textOf } from "./errors.js"
import { flipped, keysFor } from "./members.js"

const alice = keysFor("alice")
const bob = keysFor("bob")
const message = Uint8Array.of(1, 2, 3, 4, 5)
const purpose = Uint8Array.of(9, 9)
const sealed = seal(portableSuite, bob.sealingKey, message, purpose, insecureSeededRandom("seal"))

describe("[S10] a sealed message", () => {
  it("opens for its recipient under its purpose", () => {
    expect(openSealed(bob, sealed, purpose)).toEqual(message)
    expect(sealed.length).toBe(message.length + SEAL_OVERHEAD)
  })

  it("opens for nobody else", () => {
    expect(textOf(() => openSealed(alice, sealed, purpose))).toMatchInlineSnapshot(`
      "identity/seal-broken: A sealed message does not open.
        remedy: Ask the sender to send it again; if it repeats, compare the sealing keys in the roster.
        see: docs/reference/errors.md#identityseal-broken"
    `)
  })

  it("opens under no other purpose", () => {
    expect(codeOf(() => openSealed(bob, sealed, Uint8Array.of(9, 8)))).toBe("identity/seal-broken")
    expect(codeOf(() => openSealed(bob, sealed, new Uint8Array(0)))).toBe("identity/seal-broken")
  })

  it("does not open with any bit turned over", () => {
    for (let bit = 0; bit < 8 * sealed.length; bit++)
      expect([bit, codeOf(() => openSealed(bob, flipped(sealed, bit), purpose))]).toEqual([
        bit,
        "identity/seal-broken",
      ])
  })

  it.each([0, 1, 31, 32, 47, 48, sealed.length - 1])("does not open with %d of its bytes", (length) => {
    expect(codeOf(() => openSealed(bob, sealed.slice(0, length), purpose))).toBe("identity/seal-broken")
  })

  it("takes a fresh key of the stream each time, and the same from the same stream", () => {
    const random = insecureSeededRandom("seal")
    const first = seal(portableSuite, bob.sealingKey, message, purpose, random)
    expect(first).toEqual(sealed)
    expect(seal(portableSuite, bob.sealingKey, message, purpose, random)).not.toEqual(sealed)
  })

  it("opens to everyone who has its message key, and that key opens no other message", () => {
    const key = messageKey(bob, sealed)
    expect(openWithKey(key, sealed, purpose)).toEqual(message)
    const other = seal(portableSuite, bob.sealingKey, message, purpose, insecureSeededRandom("other"))
    expect(codeOf(() => openWithKey(key, other, purpose))).toBe("identity/seal-broken")
  })

  it("with an ephemeral key of small order is refused like any other that does not open", () => {
    const weak = sealed.slice()
    weak.fill(0, 0, 32)
    expect(codeOf(() => openSealed(bob, weak, purpose))).toBe("identity/seal-broken")
    expect(codeOf(() => messageKey(bob, weak))).toBe("identity/seal-broken")
  })

  it("cannot be made to a sealing key of small order", () => {
    expect(
      codeOf(() => seal(portableSuite, new Uint8Array(32), message, purpose, insecureSeededRandom("seal"))),
    ).toBe("identity/bad-key")
  })
})

describe("the one message between two participants", () => {
  const between = sealBetween(alice, bob.sealingKey, purpose, message)

  it("opens at the other end, and at no other", () => {
    expect(openBetween(bob, alice.sealingKey, purpose, between)).toEqual(message)
    expect(codeOf(() => openBetween(keysFor("carol"), alice.sealingKey, purpose, between))).toBe(
      "identity/seal-broken",
    )
    expect(codeOf(() => openBetween(bob, keysFor("carol").sealingKey, purpose, between))).toBe(
      "identity/seal-broken",
    )
  })

  it("is bound to its context and to every bit", () => {
    expect(codeOf(() => openBetween(bob, alice.sealingKey, Uint8Array.of(1), between))).toBe(
      "identity/seal-broken",
    )
    for (let bit = 0; bit < 8 * between.length; bit++)
      expect(codeOf(() => openBetween(bob, alice.sealingKey, purpose, flipped(between, bit)))).toBe(
        "identity/seal-broken",
      )
  })

  it("is the same bytes whenever it is made", () => {
    expect(sealBetween(alice, bob.sealingKey, purpose, message)).toEqual(between)
  })
})

describe("signatures", () => {
  const signature = alice.sign(message)

  it("hold for the key and the message, and for nothing else", () => {
    expect(portableSuite.verify(alice.signingKey, message, signature)).toBe(true)
    expect(portableSuite.verify(bob.signingKey, message, signature)).toBe(false)
    expect(portableSuite.verify(alice.signingKey, flipped(message, 0), signature)).toBe(false)
    for (const bit of [0, 7, 255, 256, 300, 511])
      expect(portableSuite.verify(alice.signingKey, message, flipped(signature, bit))).toBe(false)
  })

  it("that are malformed are false, not an error", () => {
    expect(portableSuite.verify(alice.signingKey, message, new Uint8Array(3))).toBe(false)
    expect(portableSuite.verify(new Uint8Array(5), message, signature)).toBe(false)
    expect(portableSuite.verify(new Uint8Array(32), message, new Uint8Array(64))).toBe(false)
  })

  it("own keys know their public halves", () => {
    const secret = new Uint8Array(32).fill(3)
    expect(ownKeysOf(secret, secret).sealingKey).toEqual(portableSuite.agreementKey(secret))
  })
})
