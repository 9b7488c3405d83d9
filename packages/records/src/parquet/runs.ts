/** Reads past the end throw. */
const byteAt = (bytes: Uint8Array, at: number): number => {
  const byte = bytes[at]
  if (byte === undefined) throw new RangeError("The runs end too early.")
  return byte
}

/** Widest values that are read: a dictionary of more than 2^24 entries is no table of patients. */
const WIDEST = 24

/**
 * Values of a fixed width in bits, as runs of one value or packed in groups of eight. No run can make more values than are
 * asked for, whatever it says of its length.
 *
 * Source: Apache Parquet format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)"
 * @throws {RangeError} if the bytes end before, or the width is above 24
 */
export const hybridRuns = (bytes: Uint8Array, width: number, count: number): Uint32Array => {
  const out = new Uint32Array(count)
  if (width === 0) return out
  if (width > WIDEST) throw new RangeError("The runs are too wide.")
  const mask = 2 ** width - 1
  const valueBytes = Math.ceil(width / 8)
  let at = 0
  let seen = 0
  while (seen < count) {
    let header = 0
    for (let shift = 0, byte = 128; byte >= 128; shift += 7) {
      byte = byteAt(bytes, at++)
      if (shift > 28) throw new RangeError("A run is too long.")
      header += (byte & 127) * 2 ** shift
    }
    if (header % 2 === 0) {
      let value = 0
      for (let i = 0; i < valueBytes; i++) value += byteAt(bytes, at++) * 2 ** (8 * i)
      const end = Math.min(count, seen + header / 2)
      out.fill(value, seen, end)
      seen = end
      continue
    }
    const packed = 8 * ((header - 1) / 2)
    const wanted = Math.min(packed, count - seen)
    let held = 0
    let bits = 0
    let from = at
    for (let i = 0; i < wanted; i++) {
      for (; bits < width; bits += 8) held |= byteAt(bytes, from++) << bits
      out[seen++] = held & mask
      held >>>= width
      bits -= width
    }
    at += (packed / 8) * width
  }
  return out
}
