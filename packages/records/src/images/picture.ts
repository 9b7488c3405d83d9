import { ConsiliumError } from "@consilium/base/errors"

/** One image as its file holds it: line by line, the channels of a pixel together. */
export interface Picture {
  readonly height: number
  readonly width: number
  /** 1 grey, 2 grey and opacity, 3 red, green, blue, 4 the same and opacity. */
  readonly channels: number
  /** Bits that a sample was given with: samples lie in [0, 2^depth). */
  readonly depth: number
  readonly samples: Uint8Array | Uint16Array
}

/** The most pixels of one image that are read, unless more are asked for: 64 million. */
export const MAX_PIXELS = 1 << 26

/** Refuses an image or a set of images; the message never holds a pixel or the name of a file. */
export const badImage = (message: string, cause?: unknown): never => {
  throw new ConsiliumError("records/bad-image", message, cause === undefined ? {} : { cause })
}

/**
 * The same image without what says nothing: an opacity that is full everywhere, and colours that are all grey.
 *
 * Shape: channels: as asked for, 1 or 3
 * @throws {ConsiliumError} "records/bad-image" if a pixel is see-through, or coloured where grey was asked for
 */
export const withChannels = (name: string, picture: Picture, channels: 1 | 3): Picture => {
  const { height, width, depth, samples } = picture
  const from = picture.channels
  if (from === channels) return picture
  const full = (1 << depth) - 1
  const colours = from > 2 ? 3 : 1
  const out =
    samples instanceof Uint8Array
      ? new Uint8Array(height * width * channels)
      : new Uint16Array(height * width * channels)
  for (let pixel = 0; pixel < height * width; pixel++) {
    const at = pixel * from
    if (from % 2 === 0 && samples[at + colours] !== full) badImage(`${name} is see-through in places.`)
    const first = samples[at] as number
    if (colours === 3 && channels === 1 && (samples[at + 1] !== first || samples[at + 2] !== first))
      badImage(`${name} is coloured, but grey was asked for.`)
    for (let channel = 0; channel < channels; channel++)
      out[pixel * channels + channel] = samples[at + (colours === 3 ? channel : 0)] as number
  }
  return { height, width, channels, depth, samples: out }
}
