import { type RandomSource, uniformUnit } from "@consilium/base/random"
import { checkImages, checkNumber, type Images } from "./images.js"
import { MOST_DEGREES, turn } from "./turn.js"

/** How far images may be changed at random. All is off unless it is named. */
export interface Augmentation {
  /** Pixels by which an image moves at most, in either direction of both axes. */
  readonly shift?: number
  /** Degrees by which an image turns about its middle at most, either way. */
  readonly rotate?: number
  /** Whether left and right, or top and bottom, change places in half of the images. */
  readonly flipColumns?: boolean
  readonly flipLines?: boolean
  /** What lies beyond the edge; 0 (black) unless told. */
  readonly fill?: number
}

/** One change, as it is drawn: pixels, degrees, and what changes places. */
export interface Move {
  readonly down: number
  readonly right: number
  readonly degrees: number
  readonly flipLines: boolean
  readonly flipColumns: boolean
}

const MOST_SHIFT = 4096

/**
 * One image moved: flipped first, then turned about its middle against the clock, then shifted; sampled bilinearly.
 *
 * Math:  the pixel at p comes from R^-1 (p - middle - shift) + middle; in doubles, rounded to 32 bits once
 * Shape: pixels and result: height x width x channels, from `start` on
 */
export const moveImage = (
  { height, width, channels, pixels }: Images,
  start: number,
  move: Move,
  fill: number,
  out: Float32Array,
): void => {
  const { sin, cos } = turn(move.degrees)
  const [middleY, middleX] = [(height - 1) / 2, (width - 1) / 2]
  const valueAt = (y: number, x: number, channel: number): number => {
    if (y < 0 || y >= height || x < 0 || x >= width) return fill
    const line = move.flipLines ? height - 1 - y : y
    const column = move.flipColumns ? width - 1 - x : x
    return pixels[start + (line * width + column) * channels + channel] as number
  }
  let at = start
  for (let line = 0; line < height; line++)
    for (let column = 0; column < width; column++) {
      const toY = line - middleY - move.down
      const toX = column - middleX - move.right
      const y = toY * cos + toX * sin + middleY
      const x = toX * cos - toY * sin + middleX
      const [top, left] = [Math.floor(y), Math.floor(x)]
      const [lower, righter] = [y - top, x - left]
      for (let channel = 0; channel < channels; channel++) {
        const above = valueAt(top, left, channel) * (1 - righter) + valueAt(top, left + 1, channel) * righter
        const below =
          valueAt(top + 1, left, channel) * (1 - righter) + valueAt(top + 1, left + 1, channel) * righter
        out[at++] = above * (1 - lower) + below * lower
      }
    }
}

/**
 * Copies of images, each shifted, turned and flipped at random. The same stream gives the same bits on every machine; five
 * draws an image, whatever is on.
 *
 * Math:   shift uniform on [-shift, shift) both ways, angle uniform on [-rotate, rotate), each flip with probability 1/2
 * Units:  pixels, degrees
 * @throws {ConsiliumError} "records/bad-image" or "records/bad-image-setting" on images or settings that cannot be
 */
export const augment = <I extends Images>(images: I, settings: Augmentation, random: RandomSource): I => {
  const { shift = 0, rotate = 0, flipColumns = false, flipLines = false, fill = 0 } = settings
  checkImages(images)
  checkNumber("shift of an image in pixels", shift, 0, MOST_SHIFT)
  checkNumber("rotation of an image in degrees", rotate, 0, MOST_DEGREES)
  checkNumber("value beyond the edge of an image", fill, -1e6, 1e6)
  const size = images.height * images.width * images.channels
  const pixels = new Float32Array(images.pixels.length)
  const between = (most: number): number => (2 * uniformUnit(random) - 1) * most
  for (let image = 0; image < images.count; image++) {
    const move: Move = {
      down: between(shift),
      right: between(shift),
      degrees: between(rotate),
      flipLines: uniformUnit(random) < 0.5 && flipLines,
      flipColumns: uniformUnit(random) < 0.5 && flipColumns,
    }
    moveImage(images, image * size, move, fill, pixels)
  }
  return { ...images, pixels }
}
