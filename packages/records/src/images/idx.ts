import { checkClasses, type LabelledImages, unitPixels } from "./images.js"
import { badImage, MAX_PIXELS } from "./picture.js"

/** The numbers of an IDX file of bytes, and how long it is in each direction. */
export interface IdxFile {
  readonly shape: readonly number[]
  readonly values: Uint8Array
}

const UNSIGNED_BYTE = 0x08
const MOST_DIRECTIONS = 4

/**
 * Reads an IDX file of unsigned bytes, the form in which MNIST and its kin are published. Nothing may be missing or follow.
 *
 * Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database": the IDX file format
 * @throws {ConsiliumError} "records/bad-image" on anything else; `name` stands for the file in the message
 */
export const readIdx = (name: string, bytes: Uint8Array): IdxFile => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 4 || view.getUint16(0) !== 0) badImage(`${name} is no IDX file.`)
  if (bytes[2] !== UNSIGNED_BYTE)
    badImage(`${name} holds numbers of type ${bytes[2]}; unsigned bytes (8) are read.`)
  const directions = bytes[3] as number
  if (directions < 1 || directions > MOST_DIRECTIONS)
    badImage(`${name} has ${directions} directions; 1 to ${MOST_DIRECTIONS} are read.`)
  const start = 4 + 4 * directions
  if (bytes.length < start) badImage(`${name} ends within its header.`)
  const shape = Array.from({ length: directions }, (_, i) => view.getUint32(4 + 4 * i))
  const expected = shape.reduce((product, side) => product * side, 1)
  if (bytes.length - start !== expected)
    badImage(
      `${name} says ${shape.join(" x ")} and must hold ${expected} bytes behind its header, not ${bytes.length - start}.`,
    )
  return { shape, values: new Uint8Array(bytes.subarray(start)) }
}

/**
 * The bytes of an IDX file of unsigned bytes: what `readIdx` reads back.
 * @throws {ConsiliumError} "records/bad-image" if the numbers are not as many as the shape says, or it has no or too many directions
 */
export const encodeIdx = ({ shape, values }: IdxFile): Uint8Array => {
  const expected = shape.reduce((product, side) => product * side, 1)
  if (shape.length < 1 || shape.length > MOST_DIRECTIONS || values.length !== expected)
    badImage(`An IDX file of ${shape.join(" x ")} cannot hold ${values.length} numbers.`)
  const out = new Uint8Array(4 + 4 * shape.length + values.length)
  const view = new DataView(out.buffer)
  out[2] = UNSIGNED_BYTE
  out[3] = shape.length
  for (const [i, side] of shape.entries()) view.setUint32(4 + 4 * i, side)
  out.set(values, 4 + 4 * shape.length)
  return out
}

/** Images and labels of one part of a data set, as bytes, with names for messages. */
export interface IdxPair {
  readonly name: string
  readonly images: Uint8Array
  readonly labels: Uint8Array
}

/**
 * Images and labels from two IDX files. The files name no patients: each image counts as one.
 *
 * Shape: images: count x height x width, or count x height x width x channels; labels: count
 * @throws {ConsiliumError} "records/bad-image" on files that are broken or do not fit each other, with the place of the
 *   first label that is no class; "records/bad-image-setting" on bad names of classes
 */
export const readIdxImages = (
  { name, images, labels }: IdxPair,
  classes: readonly string[],
): LabelledImages => {
  checkClasses(classes)
  const pictures = readIdx(`The image file of ${name}`, images)
  const marks = readIdx(`The label file of ${name}`, labels)
  const [count = 0, height = 0, width = 0, channels = 1] = pictures.shape
  if (pictures.shape.length < 3)
    badImage(`The image file of ${name} has ${pictures.shape.length} directions; 3 or 4 were expected.`)
  if (height < 1 || width < 1 || channels < 1 || height * width > MAX_PIXELS)
    badImage(`The images of ${name} have ${height} x ${width} pixels of ${channels} channels.`)
  if (marks.shape.length !== 1 || marks.shape[0] !== count)
    badImage(`${name} has ${count} images, but ${marks.shape.join(" x ")} labels.`)
  const at = marks.values.findIndex((label) => label >= classes.length)
  if (at >= 0)
    badImage(`The label of image ${at} of ${count} of ${name} is none of ${classes.length} classes.`)
  return {
    count,
    height,
    width,
    channels,
    pixels: unitPixels(pictures.values, 8),
    classes,
    labels: Uint16Array.from(marks.values),
    patients: Uint32Array.from({ length: count }, (_, i) => i),
  }
}
