import { gunzipSync } from "fflate"
import { crc32 } from "../crc32.js"
import { undoSnappy } from "./snappy.js"

/** Codecs that are read. */
export const CODECS = ["UNCOMPRESSED", "SNAPPY", "GZIP"] as const
export type Codec = (typeof CODECS)[number]

export const isCodec = (name: string): name is Codec => (CODECS as readonly string[]).includes(name)

/**
 * The one member of a gzip file, of a size that is known.
 * @throws {Error} if it is broken, of another size, or its check is wrong
 */
const undoGzip = (input: Uint8Array, size: number): Uint8Array => {
  const out = gunzipSync(input, { out: new Uint8Array(size) })
  const trailer = new DataView(input.buffer, input.byteOffset + input.length - 8, 8)
  if (out.length !== size || trailer.getUint32(4, true) !== size || trailer.getUint32(0, true) !== crc32(out))
    throw new RangeError("The member is of another size, or its check is wrong.")
  return out
}

/**
 * Undoes the compression of a page, in a buffer of its own.
 * @throws {Error} if the page is broken or of another size
 */
export const decompressed = (codec: Codec, input: Uint8Array, size: number): Uint8Array => {
  if (codec === "SNAPPY") return undoSnappy(input, size)
  if (codec === "GZIP") return undoGzip(input, size)
  if (input.length !== size) throw new RangeError("The page is of another size.")
  return input.slice()
}
