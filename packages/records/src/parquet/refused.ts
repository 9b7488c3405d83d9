import { ConsiliumError } from "@consilium/base/errors"

/** A Parquet file, or a column of it, by which an error names it; never by what is in it. */
export interface ParquetPlace {
  readonly source: string
  /** Place of the column in the file, from 0; null where no column is to blame. */
  readonly column: number | null
}

const named = ({ source, column }: ParquetPlace): string =>
  column === null ? source : `${source}, column number ${column + 1}`

/** What breaks the format. */
export const malformed = (place: ParquetPlace, why: string): ConsiliumError =>
  new ConsiliumError("parquet/malformed", `${named(place)}: ${why}.`)

/** What the format allows and is not read here. */
export const unsupported = (place: ParquetPlace, why: string, remedy: string): ConsiliumError =>
  new ConsiliumError("parquet/unsupported", `${named(place)}: ${why}.`, { remedy })

/** The work, with what a decoder throws at a broken file told as such: its own words could hold a value. */
export const whole = <T>(place: ParquetPlace, work: () => T): T => {
  try {
    return work()
  } catch (error) {
    if (error instanceof ConsiliumError) throw error
    throw malformed(place, "the bytes are not what a Parquet file has there")
  }
}
