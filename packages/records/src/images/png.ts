import { concatBytes } from "@consilium/base/bytes"
import { isConsiliumError } from "@consilium/base/errors"
import { Inflate } from "fflate"
import { badImage, MAX_PIXELS, type Picture } from "./picture.js"
import { type PngChunk, pngChunks } from "./png-chunks.js"
import { passesOf, sampleAt, undoFilters } from "./png-lines.js"

/** Channels and possible depths of each colour type; type 3 holds places in a palette. */
const COLOUR_TYPES: Readonly<
  Record<number, { readonly channels: number; readonly depths: readonly number[] }>
> = {
  0: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  3: { channels: 1, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] },
  6: { channels: 4, depths: [8, 16] },
}
const PALETTE = 3

interface Header {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colourType: number
  readonly channels: number
  readonly interlaced: boolean
}

const headerOf = (name: string, chunk: PngChunk | undefined, maxPixels: number): Header => {
  if (chunk?.type !== "IHDR" || chunk.data.length !== 13)
    return badImage(`${name} does not begin with an image header.`)
  const view = new DataView(chunk.data.buffer, chunk.data.byteOffset, 13)
  const [width, height] = [view.getUint32(0), view.getUint32(4)]
  const [depth, colourType, compression, filter, interlace] = chunk.data.subarray(8) as unknown as number[]
  if (width < 1 || height < 1 || width * height > maxPixels)
    badImage(`${name} is said to be ${height} x ${width} pixels; 1 to ${maxPixels} pixels are read.`)
  const colours = COLOUR_TYPES[colourType as number]
  if (!colours?.depths.includes(depth as number))
    return badImage(`${name} has colour type ${colourType} at ${depth} bits, which does not exist.`)
  if (compression !== 0 || filter !== 0 || (interlace as number) > 1)
    badImage(`${name} has a compression, filter or interlace method that does not exist.`)
  return {
    width,
    height,
    depth: depth as number,
    colourType: colourType as number,
    channels: colours.channels,
    interlaced: interlace === 1,
  }
}

interface Parts {
  readonly palette: Uint8Array | null
  readonly compressed: readonly Uint8Array[]
}

/** Sorts the chunks behind the header, and refuses what may change how the image looks and is not understood. */
const partsOf = (name: string, chunks: readonly PngChunk[], { colourType, depth }: Header): Parts => {
  let palette: Uint8Array | null = null
  const compressed: Uint8Array[] = []
  let closed = false
  for (const { type, data } of chunks.slice(1)) {
    if (type !== "IDAT" && compressed.length > 0) closed = true
    if (type === "IDAT") {
      if (closed) badImage(`The image data of ${name} is not in one place.`)
      compressed.push(data)
    } else if (type === "PLTE") {
      const colours = data.length / 3
      if (palette !== null || closed || colourType === 0 || colourType === 4)
        badImage(`${name} has a palette where none may be.`)
      if (
        !Number.isInteger(colours) ||
        colours < 1 ||
        colours > 256 ||
        (colourType === PALETTE && colours > 1 << depth)
      )
        badImage(`The palette of ${name} has ${colours} colours.`)
      palette = data
    } else if (type === "tRNS") badImage(`${name} has see-through colours.`)
    else if (type === "IEND") {
      if (data.length > 0) badImage(`The end of ${name} is not empty.`)
    } else if (/^[A-Z]/.test(type)) badImage(`${name} needs a chunk that is not known (${type}).`)
  }
  if (compressed.length === 0) badImage(`${name} has no image data.`)
  if (colourType === PALETTE && palette === null) badImage(`${name} has no palette.`)
  return { palette, compressed }
}

const PIECE = 1 << 16
const ADLER = 65_521
const ZLIB_HEADER = 2
const ZLIB_TRAILER = 4

/**
 * Decompresses to exactly `size` bytes. Stops as soon as there are more, so that a small file cannot fill the memory.
 *
 * Source: RFC 1950 (zlib)
 */
const inflate = (name: string, compressed: Uint8Array, size: number): Uint8Array => {
  const end = compressed.length - ZLIB_TRAILER
  const view = new DataView(compressed.buffer, compressed.byteOffset, compressed.byteLength)
  if (
    end <= ZLIB_HEADER ||
    (view.getUint8(0) & 15) !== 8 ||
    (view.getUint8(1) & 32) !== 0 ||
    view.getUint16(0) % 31 !== 0
  )
    badImage(`The image data of ${name} does not begin as it should.`)
  const out = new Uint8Array(size)
  let at = 0
  let [a, b] = [1, 0]
  const stream = new Inflate((piece) => {
    if (piece.length > size - at)
      badImage(`The image data of ${name} is longer than its header says (${size} bytes).`)
    out.set(piece, at)
    at += piece.length
    for (const byte of piece) {
      a = (a + byte) % ADLER
      b = (b + a) % ADLER
    }
  })
  try {
    for (let start = ZLIB_HEADER; start < end; start += PIECE)
      stream.push(compressed.slice(start, Math.min(start + PIECE, end)), start + PIECE >= end)
  } catch (error) {
    if (isConsiliumError(error)) throw error
    badImage(`The image data of ${name} cannot be decompressed.`, error)
  }
  if (at !== size) badImage(`The image data of ${name} is ${at} bytes long; its header says ${size}.`)
  if (view.getUint32(end) !== b * 65_536 + a)
    badImage(`The image data of ${name} is altered: its check does not fit.`)
  return out
}

/**
 * The image of a PNG file, as stored: grey, grey and opacity, colour (also from a palette), colour and opacity, at 1 to 16
 * bits, interlaced or not. Colour profiles and gamma are not applied. An image with see-through colours (tRNS) is refused.
 *
 * Shape:  samples: height x width x channels; 1, 2 and 4 bits stay what they are (a palette gives 8 bits)
 * Source: PNG (ISO/IEC 15948:2004)
 * @throws {ConsiliumError} "records/bad-image" on any other or altered file; `name` stands for the file in the message
 */
export const readPng = (name: string, bytes: Uint8Array, maxPixels = MAX_PIXELS): Picture => {
  const chunks = pngChunks(name, bytes)
  const header = headerOf(name, chunks[0], maxPixels)
  const { palette, compressed } = partsOf(name, chunks, header)
  const { width, height, depth, channels } = header
  const passes = passesOf(width, height, channels * depth, header.interlaced)
  const size = passes.reduce((sum, pass) => sum + pass.height * (pass.lineBytes + 1), 0)
  const lines = inflate(name, concatBytes(...compressed), size)

  const outChannels = header.colourType === PALETTE ? 3 : channels
  const count = width * height * outChannels
  const samples = depth === 16 ? new Uint16Array(count) : new Uint8Array(count)
  let from = 0
  for (const pass of passes) {
    const length = pass.height * (pass.lineBytes + 1)
    const part = lines.subarray(from, from + length)
    from += length
    undoFilters(name, part, pass, Math.max(1, (channels * depth) >> 3))
    for (let line = 0; line < pass.height; line++) {
      const start = line * (pass.lineBytes + 1) + 1
      for (let column = 0; column < pass.width; column++) {
        const pixel = (pass.y + line * pass.stepY) * width + pass.x + column * pass.stepX
        for (let channel = 0; channel < channels; channel++) {
          const sample = sampleAt(part, start, column * channels + channel, depth)
          if (palette === null || header.colourType !== PALETTE)
            samples[pixel * outChannels + channel] = sample
          else if (3 * sample >= palette.length)
            badImage(`A pixel of ${name} names a colour that its palette lacks.`)
          else samples.set(palette.subarray(3 * sample, 3 * sample + 3), 3 * pixel)
        }
      }
    }
  }
  return { height, width, channels: outChannels, depth: header.colourType === PALETTE ? 8 : depth, samples }
}
