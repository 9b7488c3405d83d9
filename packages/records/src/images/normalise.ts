import { ConsiliumError } from "@consilium/base/errors"
import { checkImages, type Images } from "./images.js"

/** One mean and one deviation a channel, declared in the study: round figures that depend on no patient. */
export interface PixelScale {
  readonly means: readonly number[]
  /** Standard deviations, not variances. */
  readonly deviations: readonly number[]
}

/**
 * Pixels as a network takes them.
 *
 * Math:  (x - mean) / deviation, channel by channel, in doubles, rounded to 32 bits once
 * @throws {ConsiliumError} "records/bad-image-setting" unless there is one finite mean and one deviation above 0 a channel;
 *   "records/bad-image" on images that cannot be
 */
export const normalise = <I extends Images>(images: I, { means, deviations }: PixelScale): I => {
  checkImages(images)
  const { channels } = images
  if (means.length !== channels || deviations.length !== channels)
    throw new ConsiliumError(
      "records/bad-image-setting",
      `Images of ${channels} channels were given ${means.length} means and ${deviations.length} deviations.`,
    )
  if (
    means.some((mean) => !Number.isFinite(mean)) ||
    deviations.some((value) => !(Number.isFinite(value) && value > 0))
  )
    throw new ConsiliumError("records/bad-image-setting", "A mean is not finite, or a deviation not above 0.")
  const pixels = images.pixels.map(
    (value, i) => (value - (means[i % channels] as number)) / (deviations[i % channels] as number),
  )
  return { ...images, pixels }
}
