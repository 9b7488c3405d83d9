const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/**
 * The cyclic check of PNG chunks, gzip members and Parquet pages.
 *
 * Math:   CRC-32 with the polynomial 0xedb88320 (reflected), beginning and ending inverted
 * Source: PNG (ISO/IEC 15948), 5.5; RFC 1952, 2.3.1
 */
export const crc32 = (bytes: Uint8Array): number => {
  let value = 0xffffffff
  for (const byte of bytes) value = (value >>> 8) ^ (TABLE[(value ^ byte) & 255] as number)
  return ~value >>> 0
}
