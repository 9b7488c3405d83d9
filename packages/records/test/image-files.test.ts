import { readFileSync } from "node:fs"
import { join } from "node:path"
import { concatBytes } from "@consilium/base/bytes"
import { digestHex, sha256 } from "@consilium/base/hash"
import { readIdx, readIdxImages } from "@consilium/records/images/idx"
import { type FolderFile, readPngFolder } from "@consilium/records/images/png-folder"
import fc from "fast-check"
import { encode } from "fast-png"
import { describe, expect, it } from "vitest"
import { haveData, whySkipped } from "./heart-files.js"

const bad = expect.objectContaining({ code: "records/bad-image" })
const idx = (shape: readonly number[], values: readonly number[], type = 8): Uint8Array => {
  const head = new Uint8Array(4 + 4 * shape.length)
  head.set([0, 0, type, shape.length])
  const view = new DataView(head.buffer)
  shape.forEach((side, i) => {
    view.setUint32(4 + 4 * i, side)
  })
  return concatBytes(head, Uint8Array.from(values))
}

describe("IDX", () => {
  const images = idx([2, 1, 3], [0, 51, 255, 102, 153, 204])
  const labels = idx([2], [1, 0])
  const classes = ["normal", "pneumonia"]

  it("gives pixels in [0, 1], labels, and a patient an image", () => {
    expect(readIdxImages({ name: "train", images, labels }, classes)).toEqual({
      count: 2,
      height: 1,
      width: 3,
      channels: 1,
      pixels: Float32Array.of(0, 0.2, 1, 0.4, 0.6, 0.8),
      classes,
      labels: Uint16Array.of(1, 0),
      patients: Uint32Array.of(0, 1),
    })
    expect(
      readIdxImages({ name: "train", images: idx([1, 1, 1, 2], [0, 255]), labels: idx([1], [0]) }, classes),
    ).toMatchObject({ channels: 2, width: 1 })
  })

  it.each([
    ["no IDX file", Uint8Array.of(1, 0, 8, 1, 0, 0, 0, 0), "no IDX file"],
    ["another type of number", idx([1], [0], 13), "type 13"],
    ["no direction", idx([], []), "0 directions"],
    ["too many directions", idx([1, 1, 1, 1, 1], [0]), "5 directions"],
    ["a cut header", idx([2, 3, 4], []).subarray(0, 9), "within its header"],
    ["a number too few", idx([2, 2], [1, 2, 3]), "must hold 4 bytes"],
    ["a number too many", idx([2], [1, 2, 3]), "must hold 2 bytes"],
    ["sizes beyond any file", idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2], [1]), "must hold"],
  ])("refuses %s", (_, bytes, reason) => {
    expect(() => readIdx("The file", bytes)).toThrow(
      expect.objectContaining({ code: "records/bad-image", message: expect.stringContaining(reason) }),
    )
  })

  it("refuses labels that do not fit, by their place", () => {
    const read = (change: object) => () =>
      readIdxImages({ name: "train", images, labels, ...change }, classes)
    expect(read({ labels: idx([2], [1, 2]) })).toThrow(
      "The label of image 1 of 2 of train is none of 2 classes.",
    )
    expect(read({ labels: idx([3], [1, 0, 0]) })).toThrow("2 images, but 3 labels")
    expect(read({ labels: idx([1, 2], [1, 0]) })).toThrow(bad)
    expect(read({ images: labels })).toThrow(bad)
    expect(read({ images: idx([2, 0, 3], []) })).toThrow(bad)
  })

  it("reads any bytes or refuses them with its own error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 5 }), (bytes, directions) => {
        bytes.set([0, 0, 8, directions].slice(0, bytes.length))
        try {
          const { shape, values } = readIdx("The file", bytes)
          expect(idx(shape, [...values])).toEqual(bytes)
        } catch (error) {
          expect(error).toEqual(bad)
        }
      }),
      { numRuns: 300 },
    )
  })

  it.skipIf(!haveData)(`reads PneumoniaMNIST${whySkipped}`, () => {
    const part = (name: string) => {
      const file = (what: string) =>
        new Uint8Array(
          readFileSync(join(process.env.CONSILIUM_DATA as string, "pneumoniamnist", `${name}-${what}-ubyte`)),
        )
      return readIdxImages({ name, images: file("images.idx3"), labels: file("labels.idx1") }, [
        "normal",
        "pneumonia",
      ])
    }
    const parts = ["train", "val", "test"].map(part)
    expect(parts.map(({ count, labels }) => [count, labels.reduce((sum, label) => sum + label, 0)])).toEqual([
      [4708, 3494],
      [524, 389],
      [624, 390],
    ])
    expect(parts.map(({ height, width, channels }) => [height, width, channels])).toEqual(
      [0, 1, 2].map(() => [28, 28, 1]),
    )
  })
})

describe("a folder of PNG files", () => {
  const grey = (value: number, width = 2): Uint8Array =>
    encode({
      width,
      height: 2,
      channels: 1,
      data: Uint8Array.from({ length: 2 * width }, (_, i) => value + i),
    })
  const files: readonly FolderFile[] = [
    { path: "well/b.png", bytes: grey(10) },
    { path: "ill/a-2.png", bytes: grey(20) },
    { path: "ill/a-1.PNG", bytes: grey(30) },
  ]
  const options = { classes: ["well", "ill"], channels: 1, height: 2, width: 2 } as const

  it("is read in the order of the paths, whatever order it is given in", () => {
    const found = readPngFolder(files, options)
    expect([...found.labels]).toEqual([1, 1, 0])
    expect([...found.patients]).toEqual([0, 1, 2])
    expect([0, 4, 8].map((at) => Math.round(255 * (found.pixels[at] as number)))).toEqual([30, 20, 10])
    expect(readPngFolder([...files].reverse(), options)).toEqual(found)
    expect([...readPngFolder(files, { ...options, patientOf: (path) => path.slice(0, 5) }).patients]).toEqual(
      [0, 0, 1],
    )
  })

  it("resizes only if told to", () => {
    const wide = [...files, { path: "ill/wide.png", bytes: grey(0, 4) }]
    expect(() => readPngFolder(wide, options)).toThrow("file 2 of 4: the file has 2 x 4 pixels, not 2 x 2.")
    const found = readPngFolder(wide, { ...options, resize: true })
    expect([...found.pixels.subarray(8, 12)].map((value) => 255 * value)).toEqual(
      [0.5, 2.5, 4.5, 6.5].map((value) => expect.closeTo(value, 4)),
    )
  })

  it("names the first ten files that cannot be used by place and reason, never by path", () => {
    const broken = [
      ...files,
      { path: "ill/SMITH.txt", bytes: grey(1) },
      { path: "SMITH.png", bytes: grey(1) },
      { path: "ill/deep/SMITH.png", bytes: grey(1) },
      { path: "ill/a-2.png", bytes: grey(1) },
      {
        path: "ill/z.png",
        bytes: encode({
          width: 2,
          height: 2,
          channels: 3,
          data: Uint8Array.from({ length: 12 }, (_, i) => i),
        }),
      },
      { path: "ill/zz.png", bytes: grey(1).subarray(0, 30) },
    ]
    let message = ""
    try {
      readPngFolder(broken, options)
    } catch (error) {
      expect(error).toEqual(bad)
      message = (error as Error).message
    }
    expect(message).toMatchInlineSnapshot(`
      "6 of 9 image files cannot be used:
        file 0 of 9: the file does not lie in the folder of a class.
        file 1 of 9: its name does not end in .png.
        file 4 of 9: the file comes twice.
        file 5 of 9: the file does not lie in the folder of a class.
        file 6 of 9: the file is coloured, but grey was asked for.
        file 7 of 9: the file is cut off within chunk 0."
    `)
    const many = Array.from({ length: 14 }, (_, i) => ({ path: `none/SMITH-${i}.png`, bytes: grey(1) }))
    expect(() => readPngFolder(many, options)).toThrow(
      /14 of 14 image files cannot be used(.|\n)*and 4 more\./,
    )
  })

  it("keeps the bits of 16-bit images", () => {
    const data = Uint16Array.from({ length: 4 }, (_, i) => 20_000 * i)
    const { pixels } = readPngFolder(
      [{ path: "ill/x.png", bytes: encode({ width: 2, height: 2, channels: 1, depth: 16, data }) }],
      options,
    )
    expect([...pixels]).toEqual([...data].map((sample) => Math.fround(sample / 65_535)))
    expect(digestHex(sha256(new Uint8Array(pixels.buffer))).slice(0, 16)).toMatchInlineSnapshot(
      `"5b83e0a0a5cc68d8"`,
    )
  })
})
