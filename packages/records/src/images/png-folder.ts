import { compareBytes } from "@consilium/base/bytes"
import { isConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { checkClasses, checkSize, type LabelledImages, unitPixels } from "./images.js"
import { badImage, withChannels } from "./picture.js"
import { readPng } from "./png.js"
import { resizePixels } from "./resize.js"

/** One file below the folder: its path from there, with slashes, and its bytes. */
export interface FolderFile {
  readonly path: string
  readonly bytes: Uint8Array
}

export interface PngFolderOptions {
  /** Names of the folders that hold the images of each class; their order gives the labels. */
  readonly classes: readonly string[]
  readonly channels: 1 | 3
  readonly height: number
  readonly width: number
  /** Whether images of another size are resized (`resize`); left out or false, they are refused. */
  readonly resize?: boolean
  /** Whose image a file is; left out, each file is another patient's. */
  readonly patientOf?: (path: string) => string
}

const MOST_SIDE = 4096
const MOST_PROBLEMS = 10

/**
 * Labelled images from PNG files that lie in one folder a class, as in `pneumonia/0017.png`. All files are used, in the
 * order of the bytes of their paths, or none.
 *
 * Units: pixels in [0, 1]
 * @throws {ConsiliumError} "records/bad-image" with the place (from 0, in the order of the paths) and the reason of the
 *   first ten files that cannot be used, and never a path: names of files often tell patients;
 *   "records/bad-image-setting" on bad options
 */
export const readPngFolder = (files: readonly FolderFile[], options: PngFolderOptions): LabelledImages => {
  const { classes, channels, height, width, resize = false, patientOf = (path) => path } = options
  checkClasses(classes)
  checkSize("height of an image", height, 1, MOST_SIDE)
  checkSize("width of an image", width, 1, MOST_SIDE)
  checkSize("number of channels", channels, 1, 3)
  const sorted = [...files].sort((a, b) => compareBytes(utf8(a.path), utf8(b.path)))
  const size = height * width * channels
  const pixels = new Float32Array(sorted.length * size)
  const labels = new Uint16Array(sorted.length)
  const patients = new Uint32Array(sorted.length)
  const numbers = new Map<string, number>()
  const problems: string[] = []
  let count = 0
  sorted.forEach(({ path, bytes }, i) => {
    try {
      const parts = path.split("/")
      const label = parts.length === 2 ? classes.indexOf(parts[0] as string) : -1
      if (label < 0) badImage("the file does not lie in the folder of a class")
      if (!/\.png$/i.test(path)) badImage("its name does not end in .png")
      if (sorted[i - 1]?.path === path) badImage("the file comes twice")
      const picture = withChannels("the file", readPng("the file", bytes), channels)
      if (!resize && (picture.height !== height || picture.width !== width))
        badImage(`the file has ${picture.height} x ${picture.width} pixels, not ${height} x ${width}`)
      const read = { ...picture, pixels: unitPixels(picture.samples, picture.depth), count: 1 }
      pixels.set(resizePixels(read, height, width), i * size)
      labels[i] = label
      const patient = patientOf(path)
      if (!numbers.has(patient)) numbers.set(patient, numbers.size)
      patients[i] = numbers.get(patient) as number
    } catch (error) {
      if (!isConsiliumError(error, "records/bad-image")) throw error
      count++
      if (problems.length < MOST_PROBLEMS)
        problems.push(`\n  file ${i} of ${sorted.length}: ${error.message.replace(/\.$/, "")}.`)
    }
  })
  if (count > 0)
    badImage(
      `${count} of ${sorted.length} image files cannot be used:${problems.join("")}${count > problems.length ? `\n  and ${count - problems.length} more.` : ""}`,
    )
  return { count: sorted.length, height, width, channels, pixels, classes, labels, patients }
}
