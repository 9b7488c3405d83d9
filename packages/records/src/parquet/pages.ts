import { parquetHeader } from "hyparquet/src/column.js"
import { byteStreamSplit } from "hyparquet/src/encoding.js"
import { readPlain } from "hyparquet/src/plain.js"
import type { PageHeader, SchemaElement } from "hyparquet/src/types.js"
import { crc32 } from "../crc32.js"
import { type Codec, decompressed } from "./compression.js"
import { type ParquetPlace, unsupported } from "./refused.js"
import { hybridRuns } from "./runs.js"
import type { RawValue } from "./value-text.js"

/** The part of a file that holds some rows of one column. */
export interface ColumnPart {
  readonly place: ParquetPlace
  readonly bytes: Uint8Array
  readonly element: SchemaElement
  readonly codec: Codec
  readonly rows: number
  readonly toText: (value: RawValue) => string
  /** Takes so many decompressed bytes from what the file may still have. */
  readonly spend: (bytes: number) => void
}

/** Where values stand in a page once its levels are known: which rows have one, and the encoded rest. */
interface PageBody {
  /** 1 where a row has a value; null if all have one. */
  readonly present: Uint32Array | null
  readonly encoding: string
  readonly rest: Uint8Array
}

const broken = (): RangeError => new RangeError("The page is broken.")
const need = (holds: boolean): void => {
  if (!holds) throw broken()
}

const isOptional = ({ repetition_type: repetition }: SchemaElement): boolean => repetition === "OPTIONAL"

/** A first-generation page: compressed whole, levels with their length before them. */
const bodyOfFirst = (part: ColumnPart, header: PageHeader, content: Uint8Array, values: number): PageBody => {
  const page = decompressed(part.codec, content, header.uncompressed_page_size)
  const { encoding, definition_level_encoding: levels } = header.data_page_header as NonNullable<
    PageHeader["data_page_header"]
  >
  if (!isOptional(part.element)) return { present: null, encoding, rest: page }
  need(levels === "RLE")
  const length = new DataView(page.buffer).getUint32(0, true)
  need(4 + length <= page.length)
  return {
    present: hybridRuns(page.subarray(4, 4 + length), 1, values),
    encoding,
    rest: page.slice(4 + length),
  }
}

/** A second-generation page: levels stand before the compressed part. */
const bodyOfSecond = (
  part: ColumnPart,
  header: PageHeader,
  content: Uint8Array,
  values: number,
): PageBody => {
  const own = header.data_page_header_v2 as NonNullable<PageHeader["data_page_header_v2"]>
  const length = own.definition_levels_byte_length
  need(own.repetition_levels_byte_length === 0 && own.num_rows === values)
  need(length >= 0 && length <= content.length && length <= header.uncompressed_page_size)
  const codec = own.is_compressed === false ? "UNCOMPRESSED" : part.codec
  return {
    present: isOptional(part.element) ? hybridRuns(content.subarray(0, length), 1, values) : null,
    encoding: own.encoding,
    rest: decompressed(codec, content.subarray(length), header.uncompressed_page_size - length),
  }
}

const readerOf = (bytes: Uint8Array) => ({
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  offset: 0,
})

const rawValues = ({ place, element }: ColumnPart, encoding: string, rest: Uint8Array, count: number) => {
  const type = element.type as NonNullable<SchemaElement["type"]>
  if (count === 0) return []
  if (encoding === "PLAIN") return readPlain(readerOf(rest), type, count, element.type_length)
  if (encoding === "BYTE_STREAM_SPLIT")
    return byteStreamSplit(readerOf(rest), count, type, element.type_length)
  if (encoding === "RLE" && type === "BOOLEAN") return hybridRuns(rest.subarray(4), 1, count)
  throw unsupported(
    place,
    `the values are encoded as ${encoding}, which is not read`,
    "Write the file again with plain or dictionary encoding, the usual ones, or as CSV.",
  )
}

const isDictionary = (encoding: string): boolean =>
  encoding === "PLAIN_DICTIONARY" || encoding === "RLE_DICTIONARY"

/** The texts of a page's values, without the rows that have none. */
const textsOf = (
  part: ColumnPart,
  { encoding, rest }: PageBody,
  count: number,
  dictionary: readonly string[] | null,
): readonly string[] => {
  if (!isDictionary(encoding))
    return Array.from(rawValues(part, encoding, rest, count) as ArrayLike<RawValue>, part.toText)
  if (dictionary === null) throw broken()
  const places = count === 0 ? new Uint32Array(0) : hybridRuns(rest.subarray(1), rest[0] ?? 32, count)
  return Array.from(places, (place) => dictionary[place] ?? outside())
}

const outside = (): never => {
  throw broken()
}

const dictionaryOf = (part: ColumnPart, header: PageHeader, content: Uint8Array): readonly string[] => {
  const count = header.dictionary_page_header?.num_values ?? -1
  const page = decompressed(part.codec, content, header.uncompressed_page_size)
  // no value takes less than a byte
  need(count >= 0 && count <= page.length)
  return Array.from(rawValues(part, "PLAIN", page, count) as ArrayLike<RawValue>, part.toText)
}

const valuesOf = ({ data_page_header: first, data_page_header_v2: second }: PageHeader): number =>
  first?.num_values ?? second?.num_values ?? -1

/**
 * The texts of one column in one group of rows; null where a row has no value. Sizes and counts are checked before memory
 * is asked for, and every page's check where it has one.
 *
 * Source: Apache Parquet format, "Data Pages"
 * @throws {ConsiliumError} "parquet/unsupported"; anything else that it throws means that the bytes are broken
 */
export const columnTexts = (part: ColumnPart): readonly (string | null)[] => {
  const { bytes, rows, spend } = part
  const reader = readerOf(bytes)
  const out: (string | null)[] = []
  let dictionary: readonly string[] | null = null
  while (out.length < rows) {
    const header = parquetHeader(reader)
    const { compressed_page_size: size, uncompressed_page_size: fullSize, crc } = header
    need(size >= 0 && fullSize >= 0 && reader.offset + size <= bytes.length)
    spend(fullSize)
    const content = bytes.subarray(reader.offset, reader.offset + size)
    reader.offset += size
    need(crc === undefined || crc >>> 0 === crc32(content))
    if (header.type === "DICTIONARY_PAGE") {
      dictionary = dictionaryOf(part, header, content)
      continue
    }
    if (header.type !== "DATA_PAGE" && header.type !== "DATA_PAGE_V2") continue
    const values = valuesOf(header)
    need(values >= 0 && values <= rows - out.length)
    const body =
      header.type === "DATA_PAGE"
        ? bodyOfFirst(part, header, content, values)
        : bodyOfSecond(part, header, content, values)
    const count = body.present?.reduce((sum, one) => sum + one, 0) ?? values
    const texts = textsOf(part, body, count, dictionary)
    need(texts.length === count)
    let next = 0
    for (let row = 0; row < values; row++)
      out.push(body.present === null || body.present[row] === 1 ? (texts[next++] as string) : null)
  }
  return out
}
