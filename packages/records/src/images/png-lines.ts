import { badImage } from "./picture.js"

/** Which pixels of an image a pass holds: every `stepX`-th from `x` on, in every `stepY`-th line from `y` on. */
export interface Pass {
  readonly x: number
  readonly y: number
  readonly stepX: number
  readonly stepY: number
  readonly width: number
  readonly height: number
  /** Bytes of one line, without the byte that names its filter. */
  readonly lineBytes: number
}

/** Starts and steps of the seven passes: PNG (ISO/IEC 15948), 8.2. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

/** The passes of an image that hold any pixel. */
export const passesOf = (
  width: number,
  height: number,
  bitsPerPixel: number,
  interlaced: boolean,
): readonly Pass[] =>
  (interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const))
    .map(([x, y, stepX, stepY]) => {
      const passWidth = Math.max(0, Math.ceil((width - x) / stepX))
      return {
        x,
        y,
        stepX,
        stepY,
        width: passWidth,
        height: Math.max(0, Math.ceil((height - y) / stepY)),
        lineBytes: Math.ceil((passWidth * bitsPerPixel) / 8),
      }
    })
    .filter((pass) => pass.width > 0 && pass.height > 0)

const paeth = (left: number, above: number, corner: number): number => {
  const p = left + above - corner
  const toLeft = Math.abs(p - left)
  const toAbove = Math.abs(p - above)
  const toCorner = Math.abs(p - corner)
  if (toLeft <= toAbove && toLeft <= toCorner) return left
  return toAbove <= toCorner ? above : corner
}

/**
 * Undoes the filters of the lines of one pass, in place.
 *
 * Math:   stored = sample - predicted (mod 256), predicted from the bytes one pixel to the left (a), above (b) and above
 *         left (c): 0; a; b; floor((a + b) / 2); whichever of a, b, c is nearest to a + b - c
 * Source: PNG (ISO/IEC 15948), 9.2
 * @throws {ConsiliumError} "records/bad-image" on a filter that does not exist
 */
export const undoFilters = (name: string, lines: Uint8Array, pass: Pass, bytesPerPixel: number): void => {
  const { lineBytes } = pass
  for (let line = 0; line < pass.height; line++) {
    const start = line * (lineBytes + 1) + 1
    const filter = lines[start - 1] as number
    if (filter > 4) badImage(`A line of ${name} has filter ${filter}, which does not exist.`)
    if (filter === 0) continue
    for (let i = 0; i < lineBytes; i++) {
      const at = start + i
      const a = i < bytesPerPixel ? 0 : (lines[at - bytesPerPixel] as number)
      const b = line === 0 ? 0 : (lines[at - lineBytes - 1] as number)
      const c = line === 0 || i < bytesPerPixel ? 0 : (lines[at - lineBytes - 1 - bytesPerPixel] as number)
      const predicted = filter === 1 ? a : filter === 2 ? b : filter === 3 ? (a + b) >> 1 : paeth(a, b, c)
      lines[at] = (lines[at] as number) + predicted
    }
  }
}

/** Sample `index` of a line that begins at `start`; samples of 1, 2 and 4 bits lie in their bytes from the top. */
export const sampleAt = (bytes: Uint8Array, start: number, index: number, depth: number): number => {
  if (depth === 8) return bytes[start + index] as number
  if (depth === 16)
    return 256 * (bytes[start + 2 * index] as number) + (bytes[start + 2 * index + 1] as number)
  const bit = index * depth
  return ((bytes[start + (bit >> 3)] as number) >> (8 - depth - (bit & 7))) & ((1 << depth) - 1)
}
