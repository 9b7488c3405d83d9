import { inspect } from "node:util"
import { decode, encode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { FieldVector } from "../src/field.js"
import { reconstructShamir, shareShamir } from "../src/shamir.js"
import {
  type Challenge,
  challengeOf,
  deal,
  type MaskedOpening,
  maskedOpeningCodec,
  openMasked,
  REPEATS,
  stripMasks,
  sumOfShares,
  verifyShare,
} from "../src/verified.js"
import { EDGES, elementsOf, tapeOf, vectorOf } from "./exchange.js"
import { chiSquareOfTwo, highBits, lowBits, paired } from "./statistics.js"
import { interpolate, inverse, maskedOpening, mod, P } from "./vectors/reference.mjs"

const code = (code: string) => expect.objectContaining({ name: "ConsiliumError", code })
const digest = (label: string): Uint8Array => sha256(new Uint8Array(Buffer.from(label)))
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)
const points = upTo(7)
const threshold = 5

const fresh = (secret: FieldVector, seed: string | number = 1) =>
  deal(secret, { threshold, points, random: insecureSeededRandom(seed) })

/** Which recipients accept. */
const verdicts = (shares: readonly FieldVector[], challenge: Challenge, opening: MaskedOpening): boolean[] =>
  shares.map((share, i) => verifyShare(share, points[i] as number, challenge, opening, threshold))

/** A dealer that deals values of its own polynomials, of any degree, and answers as if they were in order. */
const dishonest = (polynomial: readonly FieldVector[], challenge: Challenge): MaskedOpening => {
  const coefficients = maskedOpening(polynomial.map(elementsOf), challenge.scalars.map(elementsOf)).map(
    vectorOf,
  )
  return { coefficients: coefficients }
}

describe("an honest dealing", () => {
  it.each([0, 1, 14, 1000, 100_000])("of %d values is accepted by all and opens", (length) => {
    const secret = FieldVector.fromIntegers(Array.from({ length }, (_, i) => (i % 2 ? i : -i) * 999))
    const { shares, dealing } = fresh(secret)
    const challenge = challengeOf(digest("honest"), length)
    const opening = openMasked(dealing, challenge)
    expect(verdicts(shares, challenge, opening)).toEqual(points.map(() => true))
    const values = shares.map((share, i) => ({ point: points[i] as number, vector: stripMasks(share) }))
    expect(reconstructShamir(values, threshold).equals(secret)).toBe(true)
  })

  it("adds up with others, masks and all", () => {
    const dealings = [1, 2, 3].map((dealer) =>
      fresh(FieldVector.fromIntegers([dealer, -dealer * 2 ** 40]), dealer),
    )
    const sums = points.map((point, i) => ({
      point,
      vector: stripMasks(sumOfShares(dealings.map(({ shares }) => shares[i] as FieldVector))),
    }))
    expect([...reconstructShamir(sums, threshold).toIntegers()]).toEqual([6, -6 * 2 ** 40])
  })

  it("is dealt and answered again byte for byte from the same stream", () => {
    const secret = FieldVector.fromIntegers([3, 1, -4])
    const [a, b] = [fresh(secret, "crash"), fresh(secret, "crash")]
    expect(a.shares.map((share) => share.encode())).toEqual(b.shares.map((share) => share.encode()))
    const challenge = challengeOf(digest("again"), 3)
    const bytes = encode(maskedOpeningCodec, openMasked(a.dealing, challenge))
    expect(encode(maskedOpeningCodec, openMasked(b.dealing, challenge))).toEqual(bytes)
  })

  it("consumes r_1, r_2, then the coefficients of X, then those of X^2", () => {
    const tape = tapeOf([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n])
    const { shares } = deal(vectorOf([10n]), { threshold: 3, points: [1, 2, 100], random: tape })
    expect(tape.left).toBe(0)
    expect(elementsOf(shares[2] as FieldVector)).toEqual([60_310n, 70_401n, 80_502n])
  })
})

describe("[S8] a bad dealing", () => {
  const secret = FieldVector.fromIntegers(upTo(14))
  const challenge = challengeOf(digest("bad"), 14)

  it("with one share off by one in one entry is caught by that recipient, and by no other", () => {
    for (let entry = 0; entry < 14 + REPEATS; entry++)
      for (const by of [1n, P - 1n]) {
        const { shares, dealing } = fresh(secret)
        const off = new Array<bigint>(14 + REPEATS).fill(0n)
        off[entry] = by
        shares[3]?.addInPlace(vectorOf(off))
        expect(verdicts(shares, challenge, openMasked(dealing, challenge))).toEqual(
          points.map((_, i) => i !== 3),
        )
      }
  })

  it("of a polynomial of degree t in one entry fails for all but t recipients, however the answer is chosen", () => {
    const polynomial = Array.from({ length: threshold + 1 }, (_, k) =>
      FieldVector.uniform(14 + REPEATS, insecureSeededRandom(k)),
    )
    // degree t in entry 5 alone
    polynomial[threshold] = vectorOf(upTo(14 + REPEATS).map((entry) => (entry === 6 ? 1n : 0n)))
    const high = shareShamirOf(polynomial)
    const honestLooking = dishonest(polynomial.slice(0, threshold), challenge)
    expect(verdicts(high, challenge, honestLooking)).toEqual(points.map(() => false))
    // the best answer: right for t recipients of the dealer's choice
    const whole = dishonest(polynomial, challenge).coefficients.map(elementsOf)
    const fitted = [0, 1].map((repeat) =>
      interpolate(
        points.slice(0, threshold).map((x) => {
          const value = whole.reduce(
            (sum, c, k) => mod(sum + (c[repeat] as bigint) * BigInt(x) ** BigInt(k)),
            0n,
          )
          return [x, value] as const
        }),
      ),
    )
    const best = upTo(threshold).map((k) => vectorOf(fitted.map((c) => c[k - 1] as bigint)))
    const opening = { coefficients: best }
    expect(verdicts(high, challenge, opening)).toEqual(points.map((_, i) => i < threshold))
  })

  it("of degree t is refused even with an opening of t + 1 coefficients, which fits every share", () => {
    const polynomial = Array.from({ length: threshold + 1 }, (_, k) =>
      FieldVector.uniform(14 + REPEATS, insecureSeededRandom(k)),
    )
    const long = dishonest(polynomial, challenge)
    const high = shareShamirOf(polynomial)
    expect(verdicts(high, challenge, long)).toEqual(points.map(() => false))
    expect(
      high.every((share, i) => verifyShare(share, points[i] as number, challenge, long, threshold + 1)),
    ).toBe(true)
  })

  it("passes one repeat with probability 1/p at most, so two are checked: each alone catches", () => {
    const { shares, dealing } = fresh(secret)
    const opening = openMasked(dealing, challenge)
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      // a share that satisfies the other equation: only this repeat sees it
      const mask = vectorOf(upTo(14 + REPEATS).map((entry) => (entry === 15 + repeat ? 1n : 0n)))
      const wrong = (shares[0] as FieldVector).add(mask)
      expect(verifyShare(wrong, 1, challenge, opening, threshold)).toBe(false)
    }
  })

  it("is forgiven by a share made up AFTER the challenge: what answers a complaint must have been sealed before", () => {
    const { shares, dealing } = fresh(secret)
    const opening = openMasked(dealing, challenge)
    const wrong = elementsOf(shares[3] as FieldVector)
    wrong[0] = mod((wrong[0] as bigint) + 1_000_000n)
    // two masks absorb any change of the values
    challenge.scalars.map(elementsOf).forEach((scalars, repeat) => {
      wrong[14 + repeat] = mod((wrong[14 + repeat] as bigint) - 1_000_000n * (scalars[0] as bigint))
    })
    expect(verifyShare(vectorOf(wrong), 4, challenge, opening, threshold)).toBe(true)
  })

  const shareShamirOf = (polynomial: readonly FieldVector[]): FieldVector[] => {
    const [constant, ...upper] = polynomial
    return shareShamir(constant as FieldVector, {
      threshold: polynomial.length,
      points,
      random: tapeOf(upper.flatMap(elementsOf)),
    })
  }
})

describe("verification of hostile or mistaken input", () => {
  const secret = FieldVector.fromIntegers([1, 2, 3])
  const { shares, dealing } = fresh(secret)
  const challenge = challengeOf(digest("input"), 3)
  const opening = openMasked(dealing, challenge)
  const share = shares[0] as FieldVector

  it("is false for shares and openings of another shape", () => {
    expect(verifyShare(share.slice(0, 4), 1, challenge, opening, threshold)).toBe(false)
    expect(
      verifyShare(FieldVector.concat(share, FieldVector.zero(1)), 1, challenge, opening, threshold),
    ).toBe(false)
    const { coefficients } = opening
    const shapes = [
      [],
      coefficients.slice(1),
      [...coefficients, FieldVector.zero(REPEATS)],
      coefficients.map((c) => c.slice(0, 1)),
    ]
    for (const other of shapes)
      expect(verifyShare(share, 1, challenge, { coefficients: other }, threshold)).toBe(false)
  })

  it("is false at another point, under another challenge and for another dealer's opening", () => {
    expect(verifyShare(share, 1, challenge, opening, threshold)).toBe(true)
    expect(verifyShare(share, 2, challenge, opening, threshold)).toBe(false)
    expect(verifyShare(share, 1, challengeOf(digest("other"), 3), opening, threshold)).toBe(false)
    const foreign = openMasked(fresh(secret, 2).dealing, challenge)
    expect(verifyShare(share, 1, challenge, foreign, threshold)).toBe(false)
  })

  it("throws on the verifier's own mistakes", () => {
    for (const point of [0, -1, 65_536, 1.5])
      expect(() => verifyShare(share, point, challenge, opening, threshold)).toThrow(
        code("sharing/bad-parameters"),
      )
    expect(() => verifyShare(share, 1, challenge, opening, 1)).toThrow(code("sharing/bad-parameters"))
    const broken = { ...challenge, scalars: challenge.scalars.slice(1) }
    expect(() => verifyShare(share, 1, broken, opening, threshold)).toThrow(code("sharing/shape"))
    expect(() => openMasked(fresh(secret).dealing, broken)).toThrow(code("sharing/shape"))
    const short = { length: 3, scalars: challenge.scalars.map((scalars) => scalars.slice(0, 2)) }
    expect(() => verifyShare(share, 1, short, opening, threshold)).toThrow(code("sharing/shape"))
    expect(() => openMasked(fresh(secret).dealing, short)).toThrow(code("sharing/shape"))
    expect(() => stripMasks(FieldVector.zero(1))).toThrow(code("sharing/shape"))
    expect(() => challengeOf(new Uint8Array(31), 3)).toThrow(code("sharing/bad-parameters"))
    for (const length of [-1, 1.5, 2 ** 32, Number.NaN])
      expect(() => challengeOf(digest("x"), length)).toThrow(code("sharing/bad-parameters"))
    expect(() => deal(secret, { threshold: 1, points, random: tapeOf([]) })).toThrow(
      code("sharing/bad-parameters"),
    )
  })

  it("reads openings in their one form only", () => {
    const bytes = encode(maskedOpeningCodec, opening)
    expect(bytes.length).toBe(2 + 16 * threshold)
    expect(encode(maskedOpeningCodec, decode(maskedOpeningCodec, bytes))).toEqual(bytes)
    for (let cut = 0; cut < bytes.length; cut++)
      expect(() => decode(maskedOpeningCodec, bytes.subarray(0, cut))).toThrow(code("encoding/malformed"))
    expect(() => decode(maskedOpeningCodec, Uint8Array.of(...bytes, 0))).toThrow(code("encoding/malformed"))
    expect(() => encode(maskedOpeningCodec, { coefficients: [FieldVector.zero(1)] } as never)).toThrow(
      code("encoding/bad-value"),
    )
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      let read: MaskedOpening
      try {
        read = decode(maskedOpeningCodec, flipped)
      } catch (error) {
        expect(error).toEqual(code("encoding/malformed"))
        continue
      }
      expect(verifyShare(share, 1, challenge, read, threshold)).toBe(false)
    }
  })
})

describe("the challenge", () => {
  it("depends on the digest and on the length, and its two halves differ", () => {
    const scalars = (label: string, length: number) =>
      challengeOf(digest(label), length).scalars.map(elementsOf)
    const [a, b] = scalars("a", 3) as [bigint[], bigint[]]
    expect(scalars("a", 3)).toEqual([a, b])
    expect(a).not.toEqual(b)
    expect(scalars("b", 3)[0]).not.toEqual(a)
    expect(scalars("a", 4)[0]?.slice(0, 3)).not.toEqual(a)
    expect(new Set(scalars("long", 20_000).flat()).size).toBe(40_000)
  })
})

describe("[S9] one challenge per dealing", () => {
  const first = challengeOf(digest("first"), 2)
  const second = challengeOf(digest("second"), 2)

  it("a dealing repeats its answer, refuses another challenge, and shows nothing of itself", () => {
    const { dealing } = fresh(FieldVector.fromIntegers([987654321, 5]))
    expect(() => openMasked(dealing, challengeOf(digest("first"), 3))).toThrow(code("sharing/shape"))
    const opening = openMasked(dealing, first)
    expect(openMasked(dealing, challengeOf(digest("first"), 2))).toBe(opening)
    expect(() => openMasked(dealing, second)).toThrow(code("sharing/second-answer"))
    expect(() => openMasked(dealing, challengeOf(digest("first"), 3))).toThrow(code("sharing/second-answer"))
    expect(
      JSON.stringify({ dealing }) + inspect(dealing, { depth: 9, showHidden: true }) + dealing,
    ).not.toMatch(/987654321|3ade68b1/)
  })

  it("attack: a dealing recomputed after a crash and answered under a second challenge gives the secrets away", () => {
    const secret = FieldVector.fromIntegers([987654321, -123])
    const answers = [first, second].map((challenge) =>
      openMasked(fresh(secret, "same stream").dealing, challenge),
    )
    // an eavesdropper who holds no share: m_l - m'_l at 0 is (c_l1 - c'_l1) u_1 + (c_l2 - c'_l2) u_2 for l = 1, 2
    const equations = [0, 1].map((repeat) => {
      const scalars = [first, second].map(({ scalars }) => elementsOf(scalars[repeat] as FieldVector))
      const constants = answers.map(
        ({ coefficients }) => elementsOf(coefficients[0] as FieldVector)[repeat] as bigint,
      )
      const [x, y] = [0, 1].map((k) => mod((scalars[0]?.[k] as bigint) - (scalars[1]?.[k] as bigint)))
      return {
        x: x as bigint,
        y: y as bigint,
        right: mod((constants[0] as bigint) - (constants[1] as bigint)),
      }
    })
    const u = elementsOf(secret) as [bigint, bigint]
    for (const { x, y, right } of equations) expect(mod(x * u[0] + y * u[1])).toBe(right)
    // two equations, two unknowns
    const [e, f] = equations as [(typeof equations)[0], (typeof equations)[0]]
    const determinant = inverse(mod(e.x * f.y - e.y * f.x))
    const solved = [
      mod((e.right * f.y - e.y * f.right) * determinant),
      mod((e.x * f.right - e.right * f.x) * determinant),
    ]
    expect([...vectorOf(solved).toIntegers()]).toEqual([987654321, -123])
  })
})

describe("[S2] masks hide: t - 1 shares and the openings say nothing about the secret", () => {
  it("exactly: for every other secret there is randomness with the same view", () => {
    const t = 3
    const own = [1, 2, 9]
    const d = 2
    const challenge = challengeOf(digest("view"), d)
    const scalars = challenge.scalars.map(elementsOf)
    const { shares, dealing } = deal(vectorOf([42n, 7n]), {
      threshold: t,
      points: own,
      random: insecureSeededRandom(5),
    })
    const opening = openMasked(dealing, challenge).coefficients.map(elementsOf)
    const seen = [shares[0], shares[2]].map((share) => elementsOf(share as FieldVector))
    for (const other of EDGES) {
      const secret = [other, mod(other * other + 1n)]
      const values = secret.map((value, k) =>
        interpolate([
          [0, value],
          [1, seen[0]?.[k] as bigint],
          [9, seen[1]?.[k] as bigint],
        ]),
      )
      // the mask polynomial that the opening then implies
      const masks = [0, 1].map((l) =>
        opening.map((m, degree) =>
          values.reduce(
            (sum, f, k) => mod(sum - (scalars[l]?.[k] as bigint) * (f[degree] as bigint)),
            m[l] as bigint,
          ),
        ),
      )
      const all = [...values, ...masks]
      const tape = [
        ...masks.map((r) => r[0] as bigint),
        ...[1, 2].flatMap((k) => all.map((f) => f[k] as bigint)),
      ]
      const again = deal(vectorOf(secret), { threshold: t, points: own, random: tapeOf(tape) })
      expect(elementsOf(again.shares[0] as FieldVector)).toEqual(seen[0])
      expect(elementsOf(again.shares[2] as FieldVector)).toEqual(seen[1])
      expect(openMasked(again.dealing, challenge).coefficients.map(elementsOf)).toEqual(opening)
    }
  })

  it("by buckets of every coefficient, over many dealings (false alarm 9e-9 for a fresh seed)", () => {
    const draws = 6000
    const challenge = challengeOf(digest("fixed"), 1)
    const openings = (value: number, seed: string) => {
      const random = insecureSeededRandom(seed)
      const secret = FieldVector.fromIntegers([value])
      const all = Array.from({ length: draws }, () => {
        const { shares, dealing } = deal(secret, { threshold: 2, points: [1, 2], random })
        const [constant, slope] = openMasked(dealing, challenge).coefficients as readonly [
          FieldVector,
          FieldVector,
        ]
        return [
          constant.slice(0, 1),
          constant.slice(1, 2),
          slope.slice(0, 1),
          slope.slice(1, 2),
          shares[0] as FieldVector,
        ]
      })
      return [0, 1, 2, 3, 4].map((place) =>
        FieldVector.concat(...all.map((row) => (row[place] as FieldVector).slice(0, 1))),
      )
    }
    const [a, b] = [openings(0, "zero"), openings(2 ** 53 - 1, "large")]
    for (let place = 0; place < 4; place++) {
      const [x, y] = [a[place] as FieldVector, b[place] as FieldVector]
      for (const buckets of [lowBits, highBits]) {
        const { statistic, limit } = chiSquareOfTwo(buckets(x, 5), buckets(y, 5), 32)
        expect(statistic).toBeLessThan(limit)
      }
    }
    // jointly with the share of a colluding recipient
    const joint = [a, b].map((view) =>
      paired(lowBits(view[0] as FieldVector, 3), lowBits(view[4] as FieldVector, 3), 3),
    )
    const { statistic, limit } = chiSquareOfTwo(joint[0] as number[], joint[1] as number[], 64)
    expect(statistic).toBeLessThan(limit)
  })
})
