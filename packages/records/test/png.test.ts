import { concatBytes } from "@consilium/base/bytes"
import { insecureSeededRandom } from "@consilium/base/testing"
import { withChannels } from "@consilium/records/images/picture"
import { readPng } from "@consilium/records/images/png"
import fc from "fast-check"
import { convertIndexedToRgb, decode, encode } from "fast-png"
import { zlibSync } from "fflate"
import { describe, expect, it } from "vitest"
import { PILLOW_FILES } from "./image-vectors.js"
import { chunk, header, linesOf, type PngHeader, pngFile, randomLines, SIGNATURE } from "./png-writer.js"

const bad = expect.objectContaining({ code: "records/bad-image" })
const FORMS = [
  ...[1, 2, 4, 8, 16].map((depth) => [0, depth] as const),
  ...[8, 16].flatMap((depth) => [2, 4, 6].map((colourType) => [colourType, depth] as const)),
  ...[1, 2, 4, 8].map((depth) => [3, depth] as const),
]
const SIZES = [
  [1, 1],
  [3, 2],
  [9, 7],
  [16, 17],
] as const

describe("reads what other libraries write", () => {
  it.each(PILLOW_FILES)("$mode of Pillow", ({ base64, samples, mode: _, ...shape }) => {
    const picture = readPng("the file", new Uint8Array(Buffer.from(base64, "base64")))
    expect(picture).toMatchObject(shape)
    expect([...picture.samples]).toEqual(samples)
  })

  it.each(FORMS)("colour type %i at %i bits, as fast-png does, plain and interlaced", (colourType, depth) => {
    const palette = insecureSeededRandom(1, "palette").bytes(3 << depth)
    const between = colourType === 3 ? [chunk("PLTE", palette)] : [chunk("tEXt", Buffer.from("Title\0x"))]
    for (const [width, height] of SIZES)
      for (const interlaced of depth >= 8 && colourType !== 3 ? [false, true] : [false]) {
        const given: PngHeader = { width, height, depth, colourType, interlaced }
        const file = pngFile(
          given,
          randomLines(given, insecureSeededRandom(2, JSON.stringify(given))),
          between,
        )
        const expected = decode(file, { checkCrc: true })
        const found = readPng("the file", file)
        expect([found.width, found.height]).toEqual([width, height])
        if (colourType === 3) expect([...found.samples]).toEqual([...convertIndexedToRgb(expected)])
        else if (depth >= 8) expect([...found.samples]).toEqual([...expected.data])
        else {
          // fast-png leaves samples below 8 bits packed
          const lineBytes = Math.ceil((width * depth) / 8)
          const unpacked = Array.from({ length: width * height }, (_, i) => {
            const bit = (i % width) * depth
            const byte = expected.data[Math.floor(i / width) * lineBytes + (bit >> 3)] as number
            return (byte >> (8 - depth - (bit & 7))) & ((1 << depth) - 1)
          })
          expect([...found.samples]).toEqual(unpacked)
        }
      }
  })

  it.each(FORMS)("colour type %i at %i bits, interlaced, as it was laid out", (colourType, depth) => {
    for (const [width, height] of SIZES) {
      const given: PngHeader = { width, height, depth, colourType, interlaced: true }
      const channels = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colourType] as number
      const bytes = insecureSeededRandom(3, JSON.stringify(given)).bytes(2 * width * height * channels)
      const samples = Array.from(
        { length: width * height * channels },
        (_, i) => (256 * (bytes[2 * i] as number) + (bytes[2 * i + 1] as number)) % 2 ** depth,
      )
      const palette = Uint8Array.from({ length: 3 << depth }, (_, i) => 7 * i)
      const file = pngFile(given, linesOf(given, samples), colourType === 3 ? [chunk("PLTE", palette)] : [])
      expect([...readPng("the file", file).samples]).toEqual(
        colourType === 3
          ? samples.flatMap((sample) => [...palette.slice(3 * sample, 3 * sample + 3)])
          : samples,
      )
    }
  })

  it("whatever fast-png encodes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(1, 2, 3, 4),
        fc.nat(),
        (width, height, channels, seed) => {
          const data = insecureSeededRandom(seed, "pixels").bytes(width * height * channels)
          const found = readPng("the file", encode({ width, height, channels, data }))
          expect(found).toEqual({ width, height, channels, depth: 8, samples: data })
        },
      ),
      { numRuns: 60 },
    )
  })

  it("image data in many chunks, and in a view of a larger buffer", () => {
    const given: PngHeader = { width: 30, height: 40, depth: 8, colourType: 0 }
    const lines = randomLines(given, insecureSeededRandom(4, "lines"))
    const packed = zlibSync(lines)
    const parts = Array.from({ length: Math.ceil(packed.length / 100) }, (_, i) =>
      chunk("IDAT", packed.slice(100 * i, 100 * i + 100)),
    )
    const file = concatBytes(SIGNATURE, header(given), ...parts, chunk("IEND", new Uint8Array(0)))
    const whole = readPng("the file", pngFile(given, lines))
    expect(readPng("the file", Buffer.from(concatBytes(Uint8Array.of(1, 2), file)).subarray(2))).toEqual(
      whole,
    )
  })
})

describe("refuses", () => {
  const given: PngHeader = { width: 6, height: 5, depth: 8, colourType: 2 }
  const lines = randomLines(given, insecureSeededRandom(5, "lines"))
  const file = pngFile(given, lines)
  const end = chunk("IEND", new Uint8Array(0))
  const data = chunk("IDAT", zlibSync(lines))

  it("every flipped bit, every shorter file, every longer one", () => {
    for (let bit = 0; bit < 8 * file.length; bit++) {
      const flipped = file.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => readPng("the file", flipped)).toThrow(bad)
    }
    for (let length = 0; length < file.length; length++)
      expect(() => readPng("the file", file.subarray(0, length))).toThrow(bad)
    expect(() => readPng("the file", concatBytes(file, Uint8Array.of(0)))).toThrow(bad)
  })

  it("whatever is put in its place, with right checks, and never otherwise than by its own error", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.uint8Array({ minLength: 13, maxLength: 13 }),
        (packed, head) => {
          const forms = [
            concatBytes(SIGNATURE, header(given), chunk("IDAT", packed), end),
            concatBytes(SIGNATURE, chunk("IHDR", head), data, end),
            concatBytes(SIGNATURE, packed),
          ]
          for (const form of forms) expect(() => readPng("the file", form)).toThrow(bad)
        },
      ),
      { numRuns: 200 },
    )
  })

  const altered = zlibSync(lines)
  altered[altered.length - 1]! ^= 1
  const cut = lines.slice(0, -1)
  const filtered = lines.slice()
  filtered[0] = 5
  it.each([
    ["no header first", concatBytes(SIGNATURE, data, end), "does not begin with an image header"],
    ["no image data", concatBytes(SIGNATURE, header(given), end), "has no image data"],
    [
      "image data in two places",
      concatBytes(SIGNATURE, header(given), data, chunk("tEXt", Uint8Array.of()), data, end),
      "not in one place",
    ],
    [
      "an unknown chunk that matters",
      pngFile(given, lines, [chunk("ABCD", Uint8Array.of())]),
      "not known (ABCD)",
    ],
    ["see-through colours", pngFile(given, lines, [chunk("tRNS", new Uint8Array(6))]), "see-through"],
    [
      "a palette of grey",
      pngFile({ ...given, colourType: 0 }, lines, [chunk("PLTE", new Uint8Array(3))]),
      "palette where none may be",
    ],
    ["a palette of 85.3 colours", pngFile(given, lines, [chunk("PLTE", new Uint8Array(256))]), "palette of"],
    ["no palette", pngFile({ ...given, colourType: 3 }, lines), "has no palette"],
    [
      "a colour beyond the palette",
      pngFile({ width: 1, height: 1, depth: 8, colourType: 3 }, Uint8Array.of(0, 2), [
        chunk("PLTE", new Uint8Array(6)),
      ]),
      "its palette lacks",
    ],
    ["3 bits", pngFile({ ...given, depth: 3 }, lines), "does not exist"],
    ["no pixels", pngFile({ ...given, width: 0 }, lines), "pixels"],
    [
      "more pixels than are read",
      pngFile({ ...given, width: 2 ** 31, height: 2 ** 31 - 1 }, lines),
      "pixels are read",
    ],
    [
      "a wrong check of the data",
      concatBytes(SIGNATURE, header(given), chunk("IDAT", altered), end),
      "is altered",
    ],
    ["too little data", pngFile(given, cut), "its header says"],
    ["too much data", pngFile(given, concatBytes(lines, Uint8Array.of(0))), "longer than its header says"],
    ["a filter that does not exist", pngFile(given, filtered), "filter 5"],
    [
      "an end that is not empty",
      concatBytes(SIGNATURE, header(given), data, chunk("IEND", Uint8Array.of(1))),
      "not empty",
    ],
    [
      "a type that is no word",
      concatBytes(SIGNATURE, header(given), chunk("ID T", Uint8Array.of()), end),
      "four letters",
    ],
  ])("%s", (_, bytes, reason) => {
    expect(() => readPng("the file", bytes)).toThrow(
      expect.objectContaining({ code: "records/bad-image", message: expect.stringContaining(reason) }),
    )
  })

  it("a small file that would decompress to 20 MB", () => {
    const bomb = pngFile(given, new Uint8Array(20_000_000))
    expect(bomb.length).toBeLessThan(30_000)
    expect(() => readPng("the file", bomb)).toThrow("longer than its header says")
  })
})

describe("channels", () => {
  const picture = (channels: number, ...samples: number[]) => ({
    height: 1,
    width: 2,
    channels,
    depth: 8,
    samples: Uint8Array.from(samples),
  })
  it("drops an opacity that is full, and colours that are grey", () => {
    expect([...withChannels("it", picture(2, 7, 255, 9, 255), 1).samples]).toEqual([7, 9])
    expect([...withChannels("it", picture(4, 7, 7, 7, 255, 9, 9, 9, 255), 1).samples]).toEqual([7, 9])
    expect([...withChannels("it", picture(1, 7, 9), 3).samples]).toEqual([7, 7, 7, 9, 9, 9])
    expect([...withChannels("it", picture(4, 1, 2, 3, 255, 4, 5, 6, 255), 3).samples]).toEqual([
      1, 2, 3, 4, 5, 6,
    ])
  })
  it("refuses to drop anything else", () => {
    expect(() => withChannels("it", picture(2, 7, 255, 9, 254), 1)).toThrow("see-through")
    for (const pixel of [
      [1, 2, 1],
      [1, 1, 2],
    ])
      expect(() => withChannels("it", picture(3, ...pixel, ...pixel), 1)).toThrow("coloured")
  })
})
