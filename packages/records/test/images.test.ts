import { insecureSeededRandom } from "@consilium/base/testing"
import { augment, moveImage } from "@consilium/records/images/augment"
import {
  checkLabelledImages,
  type Images,
  type LabelledImages,
  selectImages,
} from "@consilium/records/images/images"
import { normalise } from "@consilium/records/images/normalise"
import { resize } from "@consilium/records/images/resize"
import { turn } from "@consilium/records/images/turn"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { MOVED, RESIZED, SMALL_IMAGE } from "./image-vectors.js"

const small: Images = { count: 1, height: 5, width: 4, channels: 1, pixels: Float32Array.from(SMALL_IMAGE) }
const setting = expect.objectContaining({ code: "records/bad-image-setting" })
const bad = expect.objectContaining({ code: "records/bad-image" })
const farthest = (found: ArrayLike<number>, expected: readonly number[]): number =>
  expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[i] as number))), 0)

/** Two copies side by side as channels and two as images: nothing may leak from one to the other. */
const doubled = (images: Images): Images => {
  const both = Float32Array.from({ length: 2 * images.pixels.length }, (_, i) =>
    i % 2 === 0 ? (images.pixels[i >> 1] as number) : -(images.pixels[i >> 1] as number),
  )
  return { ...images, count: 2, channels: 2, pixels: Float32Array.of(...both, ...both) }
}

describe("resizing", () => {
  it.each(RESIZED)("to %i x %i is what OpenCV makes", (height, width, expected) => {
    const found = resize(small, height, width)
    expect(found).toMatchObject({ count: 1, height, width, channels: 1 })
    expect(found.pixels.length).toBe(expected.length)
    expect(farthest(found.pixels, expected)).toBeLessThan(1e-6)
    const both = resize(doubled(small), height, width).pixels
    expect(both).toEqual(doubled(found).pixels)
  })
  it("keeps the bits", () => {
    expect([...resize(small, 2, 3).pixels]).toMatchInlineSnapshot(`
      [
        0.140625,
        0.5078125,
        0.9661458134651184,
        0.4192708432674408,
        0.5,
        0.2682291567325592,
      ]
    `)
  })
  it("to the same size changes nothing, and a flat image stays flat", () => {
    expect(resize(small, 5, 4)).toEqual(small)
    const flat = { ...small, pixels: new Float32Array(20).fill(0.3) }
    expect(new Set(resize(flat, 11, 3).pixels)).toEqual(new Set([Math.fround(0.3)]))
  })
  it("refuses sizes that cannot be", () => {
    for (const size of [0, 1.5, NaN, 5000]) expect(() => resize(small, size, 3)).toThrow(setting)
  })
})

describe("moving", () => {
  it.each(MOVED)(
    "down %d, right %d, by %d degrees, flips %s and %s is what SciPy makes",
    (down, right, degrees, flipLines, flipColumns, expected) => {
      const out = new Float32Array(20)
      moveImage(small, 0, { down, right, degrees, flipLines, flipColumns }, 0.25, out)
      expect(farthest(out, expected)).toBeLessThan(1e-6)
    },
  )

  it("the turn is within 2^-51 of sine and cosine", () => {
    for (let degrees = -45; degrees <= 45; degrees += 0.25) {
      const { sin, cos } = turn(degrees)
      expect(Math.abs(sin - Math.sin((degrees * Math.PI) / 180))).toBeLessThan(2 ** -51)
      expect(Math.abs(cos - Math.cos((degrees * Math.PI) / 180))).toBeLessThan(2 ** -51)
    }
  })
})

describe("augmentation", () => {
  const many: Images = {
    ...small,
    count: 400,
    pixels: Float32Array.from({ length: 8000 }, (_, i) => SMALL_IMAGE[i % 20] as number),
  }
  const random = () => insecureSeededRandom(7, "augment")

  it("is the same for the same stream, bit by bit, and another for another", () => {
    const settings = { shift: 2, rotate: 10, flipColumns: true }
    const once = augment(many, settings, random())
    expect(augment(many, settings, random())).toEqual(once)
    expect(augment(many, settings, insecureSeededRandom(8, "augment")).pixels).not.toEqual(once.pixels)
    expect([...augment(small, settings, random()).pixels]).toMatchInlineSnapshot(`
      [
        0.42713531851768494,
        0.6366682052612305,
        0.708751380443573,
        0,
        0.2767961323261261,
        0.8260127305984497,
        0.8730273246765137,
        0,
        0.34196189045906067,
        0.8266520500183105,
        0.47536155581474304,
        0,
        0.7222587466239929,
        0.370095819234848,
        0.3467843234539032,
        0,
        0.5787463188171387,
        0.09556789696216583,
        0.060312554240226746,
        0,
      ]
    `)
  })

  it("with everything off changes nothing, and draws as much as with everything on", () => {
    const stream = random()
    expect(augment(many, {}, stream)).toEqual(many)
    const other = random()
    augment(many, { shift: 1, rotate: 5, flipColumns: true, flipLines: true, fill: 1 }, other)
    expect(stream.bytes(8)).toEqual(other.bytes(8))
  })

  it("flips half of the images (false alarm: 1 in 10^6 for another seed)", () => {
    for (const settings of [{ flipColumns: true }, { flipLines: true }]) {
      const { pixels } = augment(many, settings, random())
      let flipped = 0
      for (let image = 0; image < 400; image++) if (pixels[20 * image + 3] !== SMALL_IMAGE[3]) flipped++
      expect(Math.abs(flipped - 200)).toBeLessThan(50)
    }
  })

  it("moves no further than it is told", () => {
    const dot: Images = {
      count: 300,
      height: 21,
      width: 21,
      channels: 1,
      pixels: new Float32Array(300 * 441),
    }
    for (let image = 0; image < 300; image++) dot.pixels[image * 441 + 10 * 21 + 10] = 1
    const { pixels } = augment(dot, { shift: 3 }, random())
    let [least, most] = [9, 0]
    for (let image = 0; image < 300; image++) {
      let [weight, line] = [0, 0]
      for (let i = 0; i < 441; i++) {
        weight += pixels[image * 441 + i] as number
        line += Math.floor(i / 21) * (pixels[image * 441 + i] as number)
      }
      expect(weight).toBeCloseTo(1, 5)
      least = Math.min(least, line - 10)
      most = Math.max(most, line - 10)
    }
    expect(least).toBeGreaterThanOrEqual(-3)
    expect(most).toBeLessThanOrEqual(3)
    expect(most - least).toBeGreaterThan(5.5)
  })

  it("refuses settings that cannot be", () => {
    for (const settings of [{ shift: -1 }, { rotate: 46 }, { rotate: NaN }, { fill: Infinity }])
      expect(() => augment(small, settings, random())).toThrow(setting)
  })
})

describe("normalising", () => {
  it("takes off the mean of the channel and divides by its deviation", () => {
    const two: Images = {
      count: 1,
      height: 1,
      width: 2,
      channels: 2,
      pixels: Float32Array.of(0, 1, 0.5, 0.25),
    }
    expect([...normalise(two, { means: [0.5, 0], deviations: [0.25, 2] }).pixels]).toEqual([
      -2, 0.5, 0, 0.125,
    ])
  })
  it("refuses constants that do not fit or cannot be", () => {
    for (const [means, deviations] of [
      [[0, 0], [1]],
      [[0], []],
      [[NaN], [1]],
      [[0], [0]],
      [[0], [Infinity]],
    ] as const)
      expect(() => normalise(small, { means, deviations })).toThrow(setting)
  })
})

describe("labelled images", () => {
  const labelled: LabelledImages = {
    ...small,
    count: 2,
    pixels: Float32Array.of(...SMALL_IMAGE, ...SMALL_IMAGE.map((value) => value + 1)),
    classes: ["ill", "well"],
    labels: Uint16Array.of(1, 0),
    patients: Uint32Array.of(4, 9),
  }
  it("are selected with their labels and patients", () => {
    expect(selectImages(labelled, [1, 1])).toEqual({
      ...labelled,
      pixels: Float32Array.of(...labelled.pixels.slice(20), ...labelled.pixels.slice(20)),
      labels: Uint16Array.of(0, 0),
      patients: Uint32Array.of(9, 9),
    })
    for (const at of [2, -1, 0.5])
      expect(() => selectImages(labelled, [at])).toThrow(
        expect.objectContaining({ code: "records/bad-selection" }),
      )
  })
  it("are refused if a part does not fit, with the place and without the value", () => {
    checkLabelledImages(labelled)
    const pixels = labelled.pixels.slice()
    pixels[25] = NaN
    for (const change of [
      { pixels },
      { pixels: labelled.pixels.slice(1) },
      { labels: Uint16Array.of(1, 2) },
      { labels: new Uint16Array(1) },
      { patients: new Uint32Array(3) },
      { height: 0 },
      { count: -1 },
    ])
      expect(() => checkLabelledImages({ ...labelled, ...change })).toThrow(bad)
    expect(() => checkLabelledImages({ ...labelled, pixels })).toThrow("Image 1 of 2")
    for (const classes of [[], ["a", "a"], ["a", ""]])
      expect(() => checkLabelledImages({ ...labelled, classes })).toThrow(setting)
  })
  it("stay within the shape they are given", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), (height, width) => {
        const found = resize(labelled, height, width)
        checkLabelledImages(found)
        const [least, most] = [Math.min(...labelled.pixels), Math.max(...labelled.pixels)]
        expect(found.pixels.every((value) => value >= least && value <= most)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
})
