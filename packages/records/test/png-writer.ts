import { concatBytes } from "@consilium/base/bytes"
import type { RandomSource } from "@consilium/base/random"
import { crc32 } from "@consilium/records/crc32"
import { zlibSync } from "fflate"

/** A chunk with the right length and check. */
export const chunk = (type: string, data: Uint8Array): Uint8Array => {
  const body = concatBytes(Buffer.from(type, "latin1"), data)
  const out = new Uint8Array(body.length + 8)
  const view = new DataView(out.buffer)
  view.setUint32(0, data.length)
  out.set(body, 4)
  view.setUint32(4 + body.length, crc32(body))
  return out
}

export interface PngHeader {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colourType: number
  readonly interlaced?: boolean
}

export const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)

export const header = ({ width, height, depth, colourType, interlaced = false }: PngHeader): Uint8Array => {
  const data = new Uint8Array(13)
  const view = new DataView(data.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  data.set([depth, colourType, 0, 0, interlaced ? 1 : 0], 8)
  return chunk("IHDR", data)
}

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
const ADAM7: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
]

const passes = ({ width, height, interlaced = false }: PngHeader) =>
  (interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const))
    .map(([x, y, stepX, stepY]) => ({
      columns: Array.from({ length: Math.max(0, Math.ceil((width - x) / stepX)) }, (_, i) => x + i * stepX),
      rows: Array.from({ length: Math.max(0, Math.ceil((height - y) / stepY)) }, (_, i) => y + i * stepY),
    }))
    .filter(({ columns }) => columns.length > 0)

/** Lines of random bytes with random filters: every such file is a PNG, whatever its bytes stand for. */
export const randomLines = (given: PngHeader, random: RandomSource): Uint8Array => {
  const bits = (CHANNELS[given.colourType] as number) * given.depth
  const lines = passes(given).flatMap(({ columns, rows }) =>
    rows.map(() => {
      const line = random.bytes(1 + Math.ceil((columns.length * bits) / 8))
      line[0]! %= 5
      return line
    }),
  )
  return concatBytes(...lines)
}

/** Lines without filters that hold given samples, height x width x channels. */
export const linesOf = (given: PngHeader, samples: ArrayLike<number>): Uint8Array => {
  const channels = CHANNELS[given.colourType] as number
  const lines = passes(given).flatMap(({ columns, rows }) =>
    rows.map((row) => {
      const digits = columns.flatMap((column) =>
        Array.from({ length: channels }, (_, i) =>
          (samples[(row * given.width + column) * channels + i] as number)
            .toString(2)
            .padStart(given.depth, "0"),
        ),
      )
      const bytes = digits.join("").match(/.{1,8}/g) ?? []
      return Uint8Array.from([0, ...bytes.map((byte) => Number.parseInt(byte.padEnd(8, "0"), 2))])
    }),
  )
  return concatBytes(...lines)
}

export const pngFile = (
  given: PngHeader,
  lines: Uint8Array,
  between: readonly Uint8Array[] = [],
): Uint8Array =>
  concatBytes(
    SIGNATURE,
    header(given),
    ...between,
    chunk("IDAT", zlibSync(lines)),
    chunk("IEND", new Uint8Array(0)),
  )
