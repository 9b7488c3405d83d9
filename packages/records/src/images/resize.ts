import { checkImages, checkSize, type Images } from "./images.js"

const MOST_SIDE = 4096

/** For each place of a line, the two places it lies between, and how far behind the first. */
const placesBetween = (from: number, to: number): readonly { low: number; high: number; part: number }[] =>
  Array.from({ length: to }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1)
    const low = Math.floor(at)
    return { low, high: Math.min(low + 1, from - 1), part: at - low }
  })

/** The pixels of images in another size, unchecked; see `resize`. */
export const resizePixels = (images: Images, height: number, width: number): Float32Array => {
  const { count, channels, pixels } = images
  if (images.height === height && images.width === width) return pixels.slice()
  const lines = placesBetween(images.height, height)
  const columns = placesBetween(images.width, width)
  const out = new Float32Array(count * height * width * channels)
  const stride = images.width * channels
  let at = 0
  for (let image = 0; image < count; image++) {
    const start = image * images.height * stride
    for (const line of lines)
      for (const column of columns)
        for (let channel = 0; channel < channels; channel++) {
          const top = start + line.low * stride + channel
          const bottom = start + line.high * stride + channel
          const left = column.low * channels
          const right = column.high * channels
          const above =
            (pixels[top + left] as number) * (1 - column.part) + (pixels[top + right] as number) * column.part
          const below =
            (pixels[bottom + left] as number) * (1 - column.part) +
            (pixels[bottom + right] as number) * column.part
          out[at++] = above * (1 - line.part) + below * line.part
        }
  }
  return out
}

/**
 * Images in another size, by bilinear interpolation between the centres of pixels; the border goes on beyond the edge. To
 * a fraction of the size it looks at the nearest pixels only and does not average over all.
 *
 * Math:  x = (i + 1/2) from / to - 1/2, kept within [0, from - 1]; values weighted by the distance to its two neighbours,
 *        in doubles, rounded to 32 bits once
 * Shape: count x height x width x channels, new height and width
 * @throws {ConsiliumError} "records/bad-image" or "records/bad-image-setting" on images or sizes that cannot be
 */
export const resize = <I extends Images>(images: I, height: number, width: number): I => {
  checkImages(images)
  checkSize("height of an image", height, 1, MOST_SIDE)
  checkSize("width of an image", width, 1, MOST_SIDE)
  return { ...images, height, width, pixels: resizePixels(images, height, width) }
}
