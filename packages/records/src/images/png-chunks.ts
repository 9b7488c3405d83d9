import { crc32 } from "../crc32.js"
import { badImage } from "./picture.js"

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]
const OVERHEAD = 12

/** One piece of a PNG file: four letters, and its content as a view of the file. */
export interface PngChunk {
  readonly type: string
  readonly data: Uint8Array
}

/**
 * The chunks of a PNG file, each with its check right, from IHDR to IEND and nothing behind.
 * @throws {ConsiliumError} "records/bad-image"
 */
export const pngChunks = (name: string, bytes: Uint8Array): readonly PngChunk[] => {
  if (SIGNATURE.some((byte, i) => bytes[i] !== byte)) badImage(`${name} is no PNG file.`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const chunks: PngChunk[] = []
  let at = SIGNATURE.length
  while (chunks.at(-1)?.type !== "IEND") {
    if (bytes.length - at < OVERHEAD) badImage(`${name} is cut off after ${chunks.length} chunks.`)
    const length = view.getUint32(at)
    if (length > bytes.length - at - OVERHEAD) badImage(`${name} is cut off within chunk ${chunks.length}.`)
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    if (!/^[A-Za-z]{4}$/.test(type))
      badImage(`The type of chunk ${chunks.length} of ${name} is not made of four letters.`)
    const end = at + 8 + length
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end))
      badImage(`Chunk ${chunks.length} (${type}) of ${name} is altered: its check does not fit.`)
    chunks.push({ type, data: bytes.subarray(at + 8, end) })
    at = end + 4
  }
  if (at !== bytes.length) badImage(`${bytes.length - at} bytes follow the end of ${name}.`)
  return chunks
}
