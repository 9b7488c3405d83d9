/**
 * Undoes Snappy's compression of a block whose size is known.
 *
 * Source: google/snappy, format_description.txt
 * @throws {RangeError} if the block is broken or of another size
 */
export const undoSnappy = (input: Uint8Array, size: number): Uint8Array => {
  const out = new Uint8Array(size)
  let at = 0
  let end = 0
  const byte = (): number => {
    const value = input[at++]
    if (value === undefined) throw new RangeError("The block ends too early.")
    return value
  }
  const little = (bytes: number): number => {
    let value = 0
    for (let i = 0; i < bytes; i++) value += byte() * 2 ** (8 * i)
    return value
  }
  let declared = 0
  for (let shift = 0, part = 128; part >= 128; shift += 7) {
    part = byte()
    declared += (part & 127) * 2 ** shift
  }
  if (declared !== size) throw new RangeError("The block is of another size.")
  while (at < input.length) {
    const tag = byte()
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const length = 1 + (short < 60 ? short : little(short - 59))
      if (at + length > input.length || end + length > size) throw new RangeError("A literal is too long.")
      out.set(input.subarray(at, at + length), end)
      at += length
      end += length
      continue
    }
    const length = kind === 1 ? 4 + ((tag >> 2) & 7) : 1 + (tag >> 2)
    const back = kind === 1 ? (tag >> 5) * 256 + byte() : little(kind === 2 ? 2 : 4)
    if (back === 0 || back > end || end + length > size) throw new RangeError("A copy is out of range.")
    // byte by byte: a copy may overlap what it writes
    for (let i = 0; i < length; i++) out[end + i] = out[end + i - back] as number
    end += length
  }
  if (end !== size) throw new RangeError("The block is of another size.")
  return out
}
