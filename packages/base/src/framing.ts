/** Joins parts so that the list can be told from the bytes: count, then each length and part (8-byte big-endian). */
export const framedParts = (parts: readonly Uint8Array[]): Uint8Array => {
  let length = 8
  for (const part of parts) length += 8 + part.length
  const out = new Uint8Array(length)
  const view = new DataView(out.buffer)
  const put = (at: number, value: number): void => {
    view.setUint32(at, Math.floor(value / 2 ** 32))
    view.setUint32(at + 4, value >>> 0)
  }
  put(0, parts.length)
  let at = 8
  for (const part of parts) {
    put(at, part.length)
    out.set(part, at + 8)
    at += 8 + part.length
  }
  return out
}
