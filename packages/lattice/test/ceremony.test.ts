import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { sealFrame } from "../src/sums/frame.js"
import { interpolate } from "../src/sums/polynomial-sharing.js"
import { SeedLedger } from "../src/sums/seed-ledger.js"
import { chooseSumParameters } from "../src/threshold/choose-parameters.js"
import { restoreEpochKey, restoreHeldShare } from "../src/threshold/epoch-key.js"
import {
  ceremonyId,
  checkShare,
  dealerStands,
  keyChallenge,
  keyShareLength,
} from "../src/threshold/key-check.js"
import { acceptShare, dealKey } from "../src/threshold/key-dealing.js"
import { type ThresholdLiteral, ThresholdParameters } from "../src/threshold/threshold-parameters.js"
import { zeroTestHolds, zeroTestId } from "../src/threshold/zero-check.js"
import { encryptZero, partialZero } from "../src/threshold/zero-test.js"
import { permitOf, study } from "./sum-schemes.js"

const random = insecureSeededRandom("ceremony")
const demand = { facilities: 5, threshold: 3, values: 100, largest: 1000 }
const parameters = ThresholdParameters.of(chooseSumParameters(demand).literal as ThresholdLiteral)
const ceremony = { study, epoch: 7 }
const POINTS = [1, 2, 3, 4, 5]
const deal = (dealer: number) => dealKey(parameters, ceremony, dealer, random).secret
const challenge = keyChallenge(parameters, sha256(utf8("all sealed shares")))

describe("a key's shares", () => {
  const { dealing, shares } = deal(2)
  const answer = dealing.answer(challenge)
  const check = (recipient: number, bytes: Uint8Array, given = answer, dealer = 2) =>
    checkShare(parameters, ceremony, dealer, recipient, bytes, challenge, given)
  const share = (recipient: number): Uint8Array => shares[recipient - 1] as Uint8Array

  it("are accepted by every recipient", () => {
    expect(POINTS.map((recipient) => check(recipient, share(recipient)))).toEqual(POINTS.map(() => true))
    expect(share(1).length).toBe(keyShareLength(parameters))
    // t coefficients of five combinations for each prime: less than 2^-125 for a false dealing
    expect(answer.length).toBe(4 * 3 * 5 * parameters.ring.primes.length)
  })

  it("are refused by a recipient whose share was changed in any one place", () => {
    const { ring } = parameters
    const held = acceptShare(parameters, ceremony, 2, 4, share(4))
    for (const place of [0, 1, 4095, 4096, ring.size - 1]) {
      const false1 = ring.unpackEvaluations(held.expose())
      const q = ring.primes[Math.floor(place / ring.degree)] as number
      false1[place] = ((false1[place] as number) + 1) % q
      const forged = reframe(share(4), ring.pack(false1))
      expect(check(4, forged), `place ${place}`).toBe(false)
    }
  })
  /** The same frame, tag and masks with another polynomial, and a check that fits. */
  const reframe = (original: Uint8Array, packed: Uint8Array): Uint8Array => {
    const out = original.slice()
    out.set(packed, 16)
    return sealFrame(out)
  }

  it("are refused if damaged, for another recipient, from another dealer, of another epoch", () => {
    const flipped = share(1).slice()
    flipped[200] = (flipped[200] as number) ^ 1
    expect(check(1, flipped)).toBe(false)
    expect(check(2, share(1))).toBe(false)
    expect(check(1, share(1), answer, 3)).toBe(false)
    expect(checkShare(parameters, { study, epoch: 8 }, 2, 1, share(1), challenge, answer)).toBe(false)
    expect(check(1, share(1), answer.subarray(1))).toBe(false)
    expect(
      check(
        1,
        share(1),
        answer.map(() => 255),
      ),
    ).toBe(false)
    expect(() => acceptShare(parameters, { study, epoch: 8 }, 2, 1, share(1))).toThrow(
      expect.objectContaining({ code: "lattice/other-sum" }),
    )
    expect(() => acceptShare(parameters, ceremony, 2, 1, share(1).subarray(1))).toThrow(
      expect.objectContaining({ code: "lattice/malformed" }),
    )
  })

  it("are answered for once", () => {
    expect(dealing.answer(challenge)).toEqual(answer)
    const other = keyChallenge(parameters, sha256(utf8("another record")))
    expect(() => dealing.answer(other)).toThrow(expect.objectContaining({ code: "lattice/already-used" }))
  })

  it("any two of which do not depend on the key", () => {
    // interpolated with a third value of choice, two shares fit every key
    const { ring } = parameters
    const held = [1, 4].map((p) => ({
      point: p,
      value: ring.unpackEvaluations(acceptShare(parameters, ceremony, 2, p, share(p)).expose()),
    }))
    const chosen = ring.uniformSecret(random)
    const fifth = interpolate(ring, [...held, { point: 0, value: chosen }], 5)
    expect(interpolate(ring, [...held, { point: 5, value: fifth }])).toEqual(chosen)
  })

  it("keep a dealer in only with fewer than t complaints, each answered by a share that fits", () => {
    const stands = (complaints: Parameters<typeof dealerStands>[5], given = answer) =>
      dealerStands(parameters, ceremony, 2, challenge, given, complaints)
    const of = (recipient: number) => ({ recipient, opened: share(recipient) })
    expect(stands([])).toBe(true)
    expect(stands([of(1), of(3)])).toBe(true)
    expect(stands([of(1), of(1), of(1)])).toBe(true)
    expect(stands([of(1), of(3), of(4)])).toBe(false)
    expect(stands([{ recipient: 1, opened: null }])).toBe(false)
    expect(stands([{ recipient: 1, opened: share(3) }])).toBe(false)
    expect(stands([], answer.subarray(4))).toBe(false)
  })

  it("and keys come back from the bytes they are kept in", () => {
    const { ring } = parameters
    const id = ceremonyId(parameters, ceremony)
    const { key } = deal(1)
    const again = restoreEpochKey(ring, id, 1, key.expose())
    expect(again.use(id)).toEqual(key.use(id))
    const held = acceptShare(parameters, ceremony, 2, 4, share(4))
    expect(restoreHeldShare(ring, id, 2, 4, held.expose()).use(id)).toEqual(held.use(id))
    expect(() => again.use(ceremonyId(parameters, { study, epoch: 8 }))).toThrow(
      expect.objectContaining({ code: "lattice/other-sum" }),
    )
    expect(`${key} ${JSON.stringify({ key, held, dealing })}`).toBe(
      '[secret] {"key":"[secret]","held":"[secret]","dealing":"[dealing]"}',
    )
    held.erase()
    expect(held.use(id).every((word) => word === 0)).toBe(true)
  })
})

describe("the test opening of zero", () => {
  const id = zeroTestId(parameters, ceremony, sha256(utf8("sharing")))
  const active = [1, 3, 5]
  const dealt = [deal(2), deal(2)]
  const begin = SeedLedger.begin(parameters.openable)
  const run = (shared: (typeof dealt)[0], used: (typeof dealt)[0]) => {
    const test = encryptZero(parameters, ceremony, id, used.key, permitOf(begin.zeroTest(id)), random)
    const partials = active.map((point) => {
      const held = acceptShare(parameters, ceremony, 2, point, shared.shares[point - 1] as Uint8Array)
      const permit = permitOf(begin.zeroOpen(id, 2, active))
      return { point, opening: partialZero(parameters, ceremony, id, held, active, permit, random) }
    })
    return { test, partials }
  }
  const [own, other] = dealt as [(typeof dealt)[0], (typeof dealt)[0]]

  it("holds for a dealer that encrypts under the key it shared, and for no other", () => {
    const honest = run(own, own)
    const holds = (test: Uint8Array, partials: typeof honest.partials) =>
      zeroTestHolds(parameters, id, 2, test, active, partials)
    expect(holds(honest.test, honest.partials)).toBe(true)
    const cheat = run(own, other)
    expect(holds(cheat.test, cheat.partials)).toBe(false)
    expect(holds(honest.test.subarray(1), honest.partials)).toBe(false)
    expect(holds(honest.test, honest.partials.slice(1))).toBe(false)
    expect(
      holds(honest.test, [
        ...honest.partials.slice(1),
        { ...(honest.partials[0] as object), point: 2 } as never,
      ]),
    ).toBe(false)
    expect(zeroTestHolds(parameters, id, 3, honest.test, active, honest.partials)).toBe(false)
    expect(() => zeroTestHolds(parameters, id, 2, honest.test, [1, 3], honest.partials)).toThrow(
      expect.objectContaining({ code: "lattice/bad-opening" }),
    )
  })

  it("is answered once for each dealer, by those who open", () => {
    const first = begin.zeroOpen(id, 2, active)
    if (first.kind !== "first") throw new Error()
    expect(first.ledger.zeroOpen(id, 2, active).kind).toBe("repeated")
    expect(first.ledger.zeroOpen(id, 3, active).kind).toBe("first")
    expect(() => first.ledger.zeroOpen(id, 2, [1, 3, 4])).toThrow(
      expect.objectContaining({ code: "lattice/already-used" }),
    )
    const held = acceptShare(parameters, ceremony, 2, 2, own.shares[1] as Uint8Array)
    expect(() => partialZero(parameters, ceremony, id, held, active, first.permit, random)).toThrow(
      expect.objectContaining({ code: "lattice/bad-opening" }),
    )
    expect(first.ledger.zeroTest(id).kind).toBe("first")
  })
})
