import { ConsiliumError } from "@consilium/base/errors"
import { parquetMetadata } from "hyparquet/src/metadata.js"
import type { FileMetaData, RowGroup, SchemaElement } from "hyparquet/src/types.js"
import type { CsvLimits } from "../csv-records.js"
import type { FileRow } from "../table-rows.js"
import { CODECS, isCodec } from "./compression.js"
import { columnTexts } from "./pages.js"
import { malformed, type ParquetPlace, unsupported, whole } from "./refused.js"
import { textOf } from "./value-text.js"

/** A Parquet file whose description has been read and checked; its values have not. */
export interface ParquetFile {
  /** Names of the columns, as the file gives them. */
  readonly names: readonly string[]
  readonly rows: number
  /**
   * The fields of some columns, by their places, as a text file would hold them; null where the file says that none is there.
   * @throws {ConsiliumError} "parquet/malformed", "parquet/unsupported" or "csv/too-large"
   */
  read(columns: readonly number[]): readonly FileRow[]
}

/** Fields that are read at most: rows times columns. */
const MAX_FIELDS = 1 << 24
/** Decompressed bytes that are read at most, per byte that a file may have. */
const MOST_EXPANSION = 4
const MAX_COLUMNS = 10_000

const endsIn = (bytes: Uint8Array, letters: string): boolean =>
  [...letters].every((letter, i) => bytes[bytes.length - letters.length + i] === letter.charCodeAt(0))

/** Whether bytes begin as Parquet files do: with PAR1, or PARE if their description is encrypted. */
export const looksLikeParquet = (bytes: Uint8Array): boolean =>
  endsIn(bytes.subarray(0, 4), "PAR1") || endsIn(bytes.subarray(0, 4), "PARE")

const tooLarge = (source: string, what: string, most: number): ConsiliumError =>
  new ConsiliumError("csv/too-large", `${source} has more than ${most} ${what}.`, {
    remedy: "Split the file, or leave out what is not needed.",
  })

/** The elements of the top level, each with whether it holds others. */
const topLevel = (schema: readonly SchemaElement[]): readonly SchemaElement[] => {
  const out: SchemaElement[] = []
  let at = 1
  const skip = (): void => {
    let open = 1
    for (; open > 0; at++) open += ((schema[at] as SchemaElement).num_children ?? 0) - 1
  }
  while (at < schema.length) {
    out.push(schema[at] as SchemaElement)
    skip()
  }
  return out
}

const described = (place: ParquetPlace, bytes: Uint8Array): FileMetaData => {
  if (endsIn(bytes, "PARE"))
    throw unsupported(
      place,
      "the file is encrypted",
      "Write it without encryption, in a folder that only you may read.",
    )
  if (!looksLikeParquet(bytes) || !endsIn(bytes, "PAR1"))
    throw malformed(place, "this is no whole Parquet file: it does not begin and end with PAR1")
  return whole(place, () => parquetMetadata(bytes, { geoparquet: false }))
}

/** The bytes of a column in a group of rows. */
const partOf = (place: ParquetPlace, bytes: Uint8Array, group: RowGroup, name: string) => {
  const chunk = group.columns.find(({ meta_data: meta }) => meta?.path_in_schema.join("\0") === name)
  const meta = chunk?.meta_data
  if (chunk === undefined || meta === undefined) throw malformed(place, "a group of rows lacks the column")
  if (chunk.file_path !== undefined || chunk.crypto_metadata !== undefined)
    throw unsupported(
      place,
      "the column is encrypted or in another file",
      "Write the file whole and in the clear.",
    )
  if (!isCodec(meta.codec))
    throw unsupported(
      place,
      `the values are compressed with ${meta.codec ?? "an unknown codec"}, which is not read`,
      `Write the file again with one of ${CODECS.map((codec) => codec.toLowerCase()).join(", ")}: in pandas, to_parquet(..., compression="snappy").`,
    )
  const data = Number(meta.data_page_offset)
  const dictionary = Number(meta.dictionary_page_offset ?? 0)
  const start = dictionary > 0 && dictionary < data ? dictionary : data
  const end = start + Number(meta.total_compressed_size)
  if (!(start >= 4 && end >= start && end <= bytes.length))
    throw malformed(place, "the column lies outside the file")
  return { codec: meta.codec, bytes: bytes.subarray(start, end) }
}

/**
 * Reads the description of a Parquet file and checks it against the limits. Only tables are read: one value or none per
 * row and column, in snappy, gzip or no compression, plain or by dictionary.
 *
 * Source: Apache Parquet format 2.11
 * @throws {ConsiliumError} "parquet/malformed", "parquet/unsupported" or "csv/too-large"
 */
export const openParquet = (source: string, bytes: Uint8Array, limits: CsvLimits): ParquetFile => {
  const file: ParquetPlace = { source, column: null }
  if (bytes.length > limits.maxBytes) throw tooLarge(source, "bytes", limits.maxBytes)
  const { schema, num_rows: total, row_groups: groups } = described(file, bytes)
  const elements = whole(file, () => topLevel(schema))
  const rows = Number(total)
  if (elements.length > MAX_COLUMNS) throw tooLarge(source, "columns", MAX_COLUMNS)
  if (rows > limits.maxRows) throw tooLarge(source, "rows", limits.maxRows)
  const counts = whole(file, () => groups.map(({ num_rows: count }) => Number(count)))
  if (!(rows >= 0) || counts.some((count) => !(count >= 0)) || counts.reduce((sum, n) => sum + n, 0) !== rows)
    throw malformed(file, "its groups do not have the rows that the file says")

  const column = (at: number, spend: (bytes: number) => void): readonly (string | null)[] => {
    const place = { source, column: at }
    const element = elements[at] as SchemaElement
    const toText = textOf(element)
    if (element.num_children !== undefined || element.repetition_type === "REPEATED" || toText === null)
      throw unsupported(
        place,
        "the column holds no plain numbers, texts or truth values",
        "Write dates and times as text or numbers, and one value per row.",
      )
    const texts = whole(place, () =>
      groups.flatMap((group, i) =>
        columnTexts({
          place,
          ...partOf(place, bytes, group, element.name),
          element,
          rows: counts[i] as number,
          toText,
          spend,
        }),
      ),
    )
    const long = texts.findIndex((text) => text !== null && text.length > limits.maxFieldLength)
    if (long >= 0)
      throw new ConsiliumError(
        "csv/too-large",
        `${source}: in row ${long + 1}, column number ${at + 1} has more than ${limits.maxFieldLength} characters.`,
      )
    return texts
  }

  return {
    names: elements.map(({ name }) => name),
    rows,
    read(columns) {
      if (rows * columns.length > MAX_FIELDS) throw tooLarge(source, "fields", MAX_FIELDS)
      let left = MOST_EXPANSION * limits.maxBytes
      const fields = columns.map((at) =>
        column(at, (size) => {
          left -= size
          if (left < 0) throw tooLarge(source, "decompressed bytes", MOST_EXPANSION * limits.maxBytes)
        }),
      )
      return Array.from({ length: rows }, (_, row) => ({
        line: row + 1,
        fields: fields.map((texts) => texts[row] as string | null),
      }))
    },
  }
}
