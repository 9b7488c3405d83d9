import { ConsiliumError } from "@consilium/base/errors"
import { badImage, type Picture } from "./picture.js"

/**
 * Images of one size: image after image, line by line, the channels of a pixel together, which is the order in which a
 * network takes them.
 *
 * Units: pixels in [0, 1] as they are read (0 black, 1 the brightest value of the file's depth)
 */
export interface Images {
  readonly count: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly pixels: Float32Array
}

/** Images, and what each shows. The patient, not the image, is the unit of privacy and of splitting. */
export interface LabelledImages extends Images {
  /** What the numbers of `labels` stand for. */
  readonly classes: readonly string[]
  readonly labels: Uint16Array
  readonly patients: Uint32Array
}

const badSetting = (message: string): never => {
  throw new ConsiliumError("records/bad-image-setting", message)
}

/**
 * Refuses a setting of the image functions that is not a whole number from `least` to `most`.
 * @throws {ConsiliumError} "records/bad-image-setting"
 */
export const checkSize = (name: string, value: number, least: number, most: number): void => {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    badSetting(`The ${name} is ${value}; a whole number from ${least} to ${most} was expected.`)
}

/**
 * Refuses a setting of the image functions that is not a finite number from `least` to `most`.
 * @throws {ConsiliumError} "records/bad-image-setting"
 */
export const checkNumber = (name: string, value: number, least: number, most: number): void => {
  if (!Number.isFinite(value) || value < least || value > most)
    badSetting(`The ${name} is ${value}; a number from ${least} to ${most} was expected.`)
}

/**
 * Refuses the names of classes if there are none, more than 65,536, or one is empty or comes twice.
 * @throws {ConsiliumError} "records/bad-image-setting"
 */
export const checkClasses = (classes: readonly string[]): void => {
  if (
    classes.length < 1 ||
    classes.length > 65_536 ||
    new Set(classes).size !== classes.length ||
    classes.includes("")
  )
    badSetting(`The names of ${classes.length} classes are too few, too many, empty or not all different.`)
}

/**
 * Refuses images whose parts disagree in length or whose pixels are not finite. The message names an image by its place,
 * never a pixel's value.
 * @throws {ConsiliumError} "records/bad-image"
 */
export const checkImages = ({ count, height, width, channels, pixels }: Images): void => {
  for (const [name, value] of Object.entries({ height, width, channels }))
    if (!Number.isSafeInteger(value) || value < 1) badImage(`Images have a ${name} of ${value}.`)
  const size = height * width * channels
  if (!Number.isSafeInteger(count) || count < 0 || pixels.length !== count * size)
    badImage(
      `${count} images of ${height} x ${width} x ${channels} need ${count * size} numbers, not ${pixels.length}.`,
    )
  const at = pixels.findIndex((value) => !Number.isFinite(value))
  if (at >= 0) badImage(`Image ${Math.floor(at / size)} of ${count} has a pixel that is not a finite number.`)
}

/**
 * Refuses labelled images whose labels or patients do not fit.
 * @throws {ConsiliumError} "records/bad-image"
 */
export const checkLabelledImages = (images: LabelledImages): void => {
  checkImages(images)
  const { count, classes, labels, patients } = images
  checkClasses(classes)
  if (labels.length !== count) badImage(`${count} images need ${count} labels, not ${labels.length}.`)
  if (patients.length !== count)
    badImage(`${count} images need ${count} patient numbers, not ${patients.length}.`)
  const at = labels.findIndex((label) => label >= classes.length)
  if (at >= 0) badImage(`The label of image ${at} of ${count} is none of ${classes.length} classes.`)
}

/** Pixels of samples of a depth, in [0, 1]: sample / (2^depth - 1), rounded to 32 bits. */
export const unitPixels = (samples: Picture["samples"], depth: number): Float32Array => {
  const most = 2 ** depth - 1
  return Float32Array.from(samples, (sample) => sample / most)
}

/**
 * The images at these places, in this order; a place may come twice. Patient numbers are kept.
 * @throws {ConsiliumError} "records/bad-selection" on a place that is no image
 */
export const selectImages = (images: LabelledImages, places: ArrayLike<number>): LabelledImages => {
  const size = images.height * images.width * images.channels
  const pixels = new Float32Array(places.length * size)
  const labels = new Uint16Array(places.length)
  const patients = new Uint32Array(places.length)
  for (let i = 0; i < places.length; i++) {
    const at = places[i] as number
    if (!Number.isInteger(at) || at < 0 || at >= images.count)
      throw new ConsiliumError(
        "records/bad-selection",
        `Image ${at} was selected from ${images.count} images.`,
      )
    pixels.set(images.pixels.subarray(at * size, (at + 1) * size), i * size)
    labels[i] = images.labels[at] as number
    patients[i] = images.patients[at] as number
  }
  return { ...images, count: places.length, pixels, labels, patients }
}
