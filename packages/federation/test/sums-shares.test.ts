import { toHex } from "@consilium/base/bytes"
import { hash } from "@consilium/base/hash"
import { MaskedPublicSum } from "@consilium/lattice/masked/public-masked-sum"
import { describe, expect, it } from "vitest"
import type { RoundSpec } from "../src/messages.js"
import { messageKey, seal } from "../src/suite.js"
import { facilitySchemeOf } from "../src/sums/facility/schemes.js"
import { maskedParameters, sumContextOf } from "../src/sums/lattice-parameters.js"
import { schemeOf } from "../src/sums/protections.js"
import type { SealedPart, SumSetting } from "../src/sums/secure-sum.js"
import { ceremonySpec } from "./epoch-keys.js"
import { codeOf } from "./errors.js"
import { spoiled, suite } from "./members.js"
import { ownSideOf, settingOf } from "./sum-parties.js"
import { CHALLENGE, digestOf, otherSettings, protectionStream, sumScene, without } from "./sum-runs.js"

/** What deals shares: two protections, and the ceremony in which the keys of the others are dealt. */
const DEALINGS = {
  shamir: sumScene("shamir", 5, 15),
  masked: sumScene("masked", 5, 15),
  "a key ceremony": sumScene("ckks", 5, 15),
} as const
type Dealing = keyof typeof DEALINGS

const dealingOf = (what: Dealing) => {
  const { study, directory, spec: update } = DEALINGS[what]
  const spec: RoundSpec = what === "a key ceremony" ? ceremonySpec(study, directory, 1) : update
  const setting = settingOf(study, directory, spec)
  const scheme = facilitySchemeOf(study, spec)
  const values =
    spec.purpose === "keys" ? new Int32Array(0) : Int32Array.from({ length: 15 }, (_, j) => 100 * j - 700)
  const [dealer, recipient] = ["clinic-1", "clinic-2"].map((name) => directory.named(name).id) as [
    Uint8Array,
    Uint8Array,
  ]
  const side = ownSideOf("clinic-1")
  const { parts, own } = scheme.protect(setting, side, values, protectionStream("clinic-1"))
  const sealedTo = (name: string): Uint8Array =>
    parts.find((part) => directory.get(part.recipient).name === name)?.sealed as Uint8Array
  const open = (where: SumSetting, name: string, from: Uint8Array, bytes: Uint8Array): Uint8Array => {
    const { openPart } = scheme
    if (openPart === null) throw new Error("These shares are opened by their recipients.")
    return openPart(where, ownSideOf(name), from, bytes)
  }
  return {
    ...{ study, directory, spec, setting, scheme, values, side, dealer, recipient, parts, own },
    ...{ sealedTo, open, sealed: sealedTo("clinic-2"), publicSide: schemeOf(study, spec) },
  }
}

describe.each(Object.keys(DEALINGS) as readonly Dealing[])("shares dealt by %s", (what) => {
  const dealing = dealingOf(what)
  const { directory, setting, scheme, dealer, parts, own, sealed, sealedTo, open } = dealing

  it("are one for each of the others, and one that stays", () => {
    expect(parts.map(({ recipient }) => directory.get(recipient).name).sort()).toEqual(without("clinic-1"))
    const opened = without("clinic-1").map((name) => open(setting, name, dealer, sealedTo(name)))
    expect(new Set([own as Uint8Array, ...opened].map(digestOf)).size).toBe(5)
    expect(new Set([own as Uint8Array, ...opened].map(({ length }) => length)).size).toBe(1)
  })

  it("are each sealed under an ephemeral key of their own", () => {
    expect(new Set(parts.map((part) => toHex(part.sealed.subarray(0, 32)))).size).toBe(4)
  })

  it.each([...spoiled(sealed).keys()])("do not open when %s, and nothing changes", (how) => {
    const wrong = spoiled(sealed).get(how) as Uint8Array
    const before = digestOf(wrong)
    expect(codeOf(() => open(setting, "clinic-2", dealer, wrong))).toBe("identity/seal-broken")
    expect(digestOf(wrong)).toBe(before)
  })

  it("[S2] are for one recipient: all the others together do not open one", () => {
    for (const name of without("clinic-2")) {
      expect(codeOf(() => open(setting, name, dealer, sealed))).toBe("identity/seal-broken")
      const inHisName = { ...ownSideOf(name), me: directory.named("clinic-2").id }
      expect(codeOf(() => scheme.openPart?.(setting, inHisName, dealer, sealed))).toBe("identity/seal-broken")
    }
  })

  it("are of one dealer", () => {
    const other = directory.named("clinic-3").id
    expect(codeOf(() => open(setting, "clinic-2", other, sealed))).toBe("identity/seal-broken")
  })

  it.each([...otherSettings(dealing).keys()])("do not open under another %s", (which) => {
    const other = otherSettings(dealing).get(which) as SumSetting
    expect(codeOf(() => open(other, "clinic-2", dealer, sealed))).toBe("identity/seal-broken")
  })
})

describe.each(["shamir", "a key ceremony"] as const)("shares dealt by %s, which are checked", (what) => {
  const { setting, scheme, directory, publicSide, values, side, dealer, recipient, parts, sealed, open } =
    dealingOf(what)
  const { checked } = publicSide
  if (checked === null || scheme.answer === null) throw new Error("These shares are checked.")
  const part = open(setting, "clinic-2", dealer, sealed)
  const answer = scheme.answer(setting, side, values, protectionStream("clinic-1"), CHALLENGE)
  const check = (
    given: Uint8Array = part,
    to: Uint8Array = recipient,
    challenge: Uint8Array = CHALLENGE,
    told: Uint8Array = answer,
  ) => checked.check(setting, dealer, to, given, challenge, told)

  it.each([...spoiled(part).keys()])("are found false when %s", (how) => {
    expect(check()).toBe(true)
    expect(check(spoiled(part).get(how) as Uint8Array)).toBe(false)
  })

  it.each([...spoiled(answer).keys()])("are found false by an answer that is %s", (how) => {
    expect(check(part, recipient, CHALLENGE, spoiled(answer).get(how) as Uint8Array)).toBe(false)
  })

  it("[S8] are found false under another challenge, at another recipient, and of another dealing", () => {
    expect(check(part, recipient, new Uint8Array(32))).toBe(false)
    expect(check(part, directory.named("clinic-3").id)).toBe(false)
    const other = scheme.protect(setting, side, values, protectionStream("clinic-1", 2)).parts
    const { sealed: falsely } = other.find((one) => toHex(one.recipient) === toHex(recipient)) as SealedPart
    expect(check(open(setting, "clinic-2", dealer, falsely))).toBe(false)
  })

  it("are answered for with the same bytes again", () => {
    const again = scheme.answer?.(setting, side, values, protectionStream("clinic-1"), CHALLENGE)
    expect(again).toEqual(answer)
  })

  it("open to everybody with the key of one message, which opens no other", () => {
    const key = messageKey(ownSideOf("clinic-2").keys, sealed)
    const openWith = (to: Uint8Array, bytes: Uint8Array, from = dealer) =>
      checked.openPartWithKey(setting, key, from, to, bytes)
    expect(openWith(recipient, sealed)).toEqual(part)
    const other = parts.find((one) => one.sealed !== sealed) as SealedPart
    for (const wrong of [
      () => openWith(other.recipient, other.sealed),
      () => openWith(other.recipient, sealed),
      () => openWith(recipient, sealed, directory.named("clinic-3").id),
    ])
      expect(codeOf(wrong)).toBe("identity/seal-broken")
  })
})

it("a share of a mask that opens but is none, or another's, is refused by its recipient", () => {
  const { setting, directory, dealer, sealedTo, open } = dealingOf("masked")
  const masked = new MaskedPublicSum(maskedParameters(setting))
  const { id: to, sealingKey } = directory.named("clinic-2")
  const [from, point] = [dealer, to].map((id) => directory.pointOf(id)) as [number, number]
  const binding = hash(
    "mask-share",
    setting.spec,
    masked.shareAssociatedData(sumContextOf(setting), from, point),
  )
  const give = (share: Uint8Array) =>
    open(setting, "clinic-2", dealer, seal(suite, sealingKey, share, binding, protectionStream("seal")))
  const own = open(setting, "clinic-2", dealer, sealedTo("clinic-2"))
  expect(give(own)).toEqual(own)
  const anothers = open(setting, "clinic-3", dealer, sealedTo("clinic-3"))
  for (const wrong of [anothers, ...spoiled(own).values()])
    expect(codeOf(() => give(wrong))).toBe("lattice/malformed")
})
