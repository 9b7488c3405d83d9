import { ConsiliumError } from "@consilium/base/errors"
import { uniformBelow } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { gzipSync } from "fflate"
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer"
import { describe, expect, it } from "vitest"
import { CSV_LIMITS } from "../src/csv-records.js"
import { decompressed } from "../src/parquet/compression.js"
import { looksLikeParquet, openParquet } from "../src/parquet/parquet.js"
import { hybridRuns } from "../src/parquet/runs.js"
import { decimalText } from "../src/parquet/value-text.js"
import { readSiteTable } from "../src/site-table.js"
import { PYARROW_FILES, PYARROW_TABLE } from "./parquet-vectors.js"
import { LIPID_SCHEMA } from "./site-schema.js"

const said = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ConsiliumError) return String(error)
    throw error
  }
  throw new Error("nothing was thrown")
}

type WriteOptions = Omit<Parameters<typeof parquetWriteBuffer>[0], "columnData">
const written = (columnData: ColumnSource[], options: WriteOptions = {}): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData, ...options }))

/** Every column of a file, by name. */
const readAll = (bytes: Uint8Array, limits = CSV_LIMITS): Record<string, (string | null)[]> => {
  const file = openParquet("t.parquet", bytes, limits)
  const rows = file.read(file.names.map((_, at) => at))
  return Object.fromEntries(
    file.names.map((name, at) => [name, rows.map(({ fields }) => fields[at] ?? null)]),
  )
}

describe("Parquet files of another writer", () => {
  it.each(["first", "second"] as const)("the %s kind of page is read as text would be", (which) => {
    expect(readAll(PYARROW_FILES[which])).toEqual(PYARROW_TABLE)
  })

  it("only the columns that are asked for are read, in their order", () => {
    const file = openParquet("t.parquet", PYARROW_FILES.first, CSV_LIMITS)
    const at = (name: string): number => file.names.indexOf(name)
    expect(file.read([at("text"), at("whole")]).slice(0, 2)).toEqual([
      { line: 1, fields: ["never", "1"] },
      { line: 2, fields: ['a,"b', "-2147483648"] },
    ])
  })

  it("a page whose check is wrong is refused", () => {
    const bytes = PYARROW_FILES.first.slice()
    // the first page of the first column: a byte of its content
    bytes[60] = (bytes[60] as number) ^ 1
    expect(said(() => readAll(bytes))).toMatchInlineSnapshot(`
      "parquet/malformed: t.parquet, column number 1: the bytes are not what a Parquet file has there.
        remedy: Write the file again, or copy it again if it was cut off on the way.
        see: docs/reference/errors.md#parquetmalformed"
    `)
  })
})

describe("a Parquet file of the kind that is read", () => {
  it.each(["UNCOMPRESSED", "SNAPPY", "GZIP"] as const)("%s, in several groups and pages", (codec) => {
    const many = Array.from({ length: 3000 }, (_, i) => (i % 7 === 0 ? null : i / 8))
    const words = many.map((value, i) => (value === null ? null : `w${i % 5}`))
    const bytes = written(
      [
        { name: "x", data: many, type: "DOUBLE" },
        { name: "w", data: words, type: "STRING" },
      ],
      { codec, compressors: { GZIP: (page) => gzipSync(page) }, rowGroupSize: 700, pageSize: 1000 },
    )
    expect(readAll(bytes)).toEqual({
      x: many.map((value) => (value === null ? null : String(value))),
      w: words,
    })
  })

  it("numbers keep every bit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }),
        (numbers) => {
          const { x = [] } = readAll(written([{ name: "x", data: numbers, type: "DOUBLE" }]))
          expect(x.map(Number)).toEqual(numbers.map((number) => number + 0))
        },
      ),
    )
  })

  it("a number in single precision is the short decimal that was meant", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -99_999, max: 99_999 }),
        fc.integer({ min: 0, max: 3 }),
        (digits, places) => {
          const meant = digits / 10 ** places
          const { x = [] } = readAll(written([{ name: "x", data: Float32Array.of(meant), type: "FLOAT" }]))
          expect(x).toEqual([String(meant + 0)])
        },
      ),
    )
  })

  it("is recognised by its first bytes", () => {
    expect(looksLikeParquet(PYARROW_FILES.first)).toBe(true)
    expect(looksLikeParquet(Uint8Array.from([80, 65, 82]))).toBe(false)
    expect(looksLikeParquet(new Uint8Array())).toBe(false)
  })
})

describe("an error in a value", () => {
  it("names row, column and remedy, and no value", () => {
    const bytes = written([
      { name: "patient", data: ["p1", "CANARY-2"], type: "STRING" },
      { name: "age", data: [63, 7], type: "INT32" },
      { name: "cholesterol", data: [200.5, null], type: "DOUBLE" },
      { name: "smoking", data: ["never", "CANARY"], type: "STRING" },
      { name: "diabetes", data: [true, false], type: "BOOLEAN" },
      { name: "event", data: [1, 2], type: "INT32" },
    ])
    const message = said(() => readSiteTable(LIPID_SCHEMA, "ward.parquet", bytes))
    expect(message).toMatchInlineSnapshot(`
      "csv/bad-rows: ward.parquet breaks its schema in 3 places:
        row 2, column "age": is outside [18, 110] years.
        row 2, column "smoking": is none of the known codes.
        row 2, column "event": is neither yes nor no.
        remedy: Correct "age" at its source, or convert it to years. Use one of these codes in "smoking": never (never smoked), former (has stopped), current (smokes). Write 1 (had one) or 0 (had none) in "event".
        see: docs/reference/errors.md#csvbad-rows"
    `)
    expect(message).not.toContain("CANARY")
  })

  it("a column that is not there is told as in a text file", () => {
    const bytes = written([{ name: "age", data: [63], type: "INT32" }])
    expect(said(() => readSiteTable(LIPID_SCHEMA, "ward.parquet", bytes))).toMatchInlineSnapshot(`
      "csv/bad-header: ward.parquet: columns "patient", "cholesterol", "smoking", "diabetes", "event" are not among the 1 columns of the file.
        remedy: Say in the mapping, under "from", how the file calls them, or export the file again with them.
        see: docs/reference/errors.md#csvbad-header"
    `)
  })

  it("a file without rows is empty", () => {
    const columns = ["patient", "age", "cholesterol", "smoking", "diabetes", "event"]
    const bytes = written(columns.map((name) => ({ name, data: [], type: "STRING" })))
    expect(said(() => readSiteTable(LIPID_SCHEMA, "ward.parquet", bytes))).toContain("csv/empty")
  })
})

describe("what the format allows and is not read", () => {
  const refused = (columnData: ColumnSource[], options: WriteOptions = {}): string =>
    said(() => readAll(written(columnData, options)))

  it.each(["ZSTD", "BROTLI", "LZ4", "LZ4_RAW", "LZO"] as const)("compression by %s", (codec) => {
    const message = refused([{ name: "x", data: [1, 2, 3], type: "INT32" }], {
      codec,
      compressors: { [codec]: (page: Uint8Array) => page },
    })
    expect(message).toBe(
      `parquet/unsupported: t.parquet, column number 1: the values are compressed with ${codec}, which is not read.\n  remedy: Write the file again with one of uncompressed, snappy, gzip: in pandas, to_parquet(..., compression="snappy").\n  see: docs/reference/errors.md#parquetunsupported`,
    )
  })

  it.each(["DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY"] as const)("the encoding %s", (encoding) => {
    const column: ColumnSource =
      encoding === "DELTA_BINARY_PACKED"
        ? { name: "x", data: [1, 2, 3], type: "INT32", encoding }
        : { name: "x", data: ["a", "b"], type: "STRING", encoding }
    expect(refused([column])).toContain(`the values are encoded as ${encoding}, which is not read`)
  })

  it.each<readonly [string, ColumnSource]>([
    ["times", { name: "x", data: [new Date(0)], type: "TIMESTAMP" }],
    ["structures", { name: "x", data: [{ a: 1 }], type: "JSON" }],
    ["lists", { name: "x", data: [[1, 2]] }],
    ["identifiers of 16 bytes", { name: "x", data: ["00112233-4455-6677-8899-aabbccddeeff"], type: "UUID" }],
  ])("columns of %s", (_, column) => {
    expect(refused([column])).toContain(
      "parquet/unsupported: t.parquet, column number 1: the column holds no",
    )
  })

  it("such a column does no harm where nobody asks for it", () => {
    const bytes = written([
      { name: "x", data: [new Date(0)], type: "TIMESTAMP" },
      { name: "y", data: [5], type: "INT32" },
    ])
    expect(openParquet("t", bytes, CSV_LIMITS).read([1])).toEqual([{ line: 1, fields: ["5"] }])
  })

  it("encrypted files", () => {
    const bytes = PYARROW_FILES.first.slice()
    bytes.set([80, 65, 82, 69], bytes.length - 4)
    expect(said(() => readAll(bytes))).toContain("the file is encrypted")
  })
})

describe("a small file cannot fill the memory", () => {
  const flat = (rows: number): Uint8Array =>
    written([{ name: "x", data: new Float64Array(rows), type: "DOUBLE" }], { statistics: false })

  it("rows, columns, bytes and fields have limits", () => {
    expect(said(() => readAll(flat(101), { ...CSV_LIMITS, maxRows: 100 }))).toContain("more than 100 rows")
    expect(said(() => readAll(flat(10), { ...CSV_LIMITS, maxBytes: 50 }))).toContain("more than 50 bytes")
    const file = openParquet("t", flat(1000), CSV_LIMITS)
    expect(said(() => file.read(new Array(20_000).fill(0)))).toContain("more than 16777216 fields")
    const long = written([{ name: "x", data: ["a", "b".repeat(30)], type: "STRING" }])
    expect(said(() => readAll(long, { ...CSV_LIMITS, maxFieldLength: 20 }))).toContain(
      "in row 2, column number 1 has more than 20 characters",
    )
  })

  it("decompressed bytes have a limit", () => {
    // 80,000 zeros compress well; the limit on them is four times that of the file
    const bytes = written([{ name: "x", data: new Float64Array(10_000), type: "DOUBLE", encoding: "PLAIN" }])
    expect(bytes.length).toBeLessThan(5_000)
    expect(said(() => readAll(bytes, { ...CSV_LIMITS, maxBytes: 5_000 }))).toContain("decompressed bytes")
  })

  it("no run makes more values than are asked for", () => {
    // a run that says it is 2^30 long, of the value 1
    const huge = Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x08, 1])
    expect([...hybridRuns(huge, 1, 3)]).toEqual([1, 1, 1])
    expect(() => hybridRuns(huge, 25, 3)).toThrow(RangeError)
    expect(() => hybridRuns(Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x08, 1]), 1, 3)).toThrow(
      RangeError,
    )
    expect(() => hybridRuns(Uint8Array.from([3]), 8, 8)).toThrow(RangeError)
  })
})

describe("broken files", () => {
  const files: readonly Uint8Array[] = [
    PYARROW_FILES.first,
    PYARROW_FILES.second,
    written([
      { name: "x", data: [1.5, null, 3], type: "DOUBLE" },
      { name: "s", data: ["a", "a", null], type: "STRING" },
    ]),
  ]

  it("cut short, they are refused", () => {
    for (const bytes of files)
      for (let length = 0; length < bytes.length; length += 7)
        expect(said(() => readAll(bytes.subarray(0, length)))).toMatch(/^parquet\/malformed: /)
  })

  it("with any bytes changed, they are refused or read, and nothing else happens", () => {
    const random = insecureSeededRandom(1, "broken parquet")
    let refusals = 0
    for (const whole of files)
      for (let i = 0; i < 1500; i++) {
        const bytes = whole.slice()
        for (let changes = 1 + uniformBelow(random, 3); changes > 0; changes--)
          bytes[4 + uniformBelow(random, bytes.length - 8)] = uniformBelow(random, 256)
        try {
          readAll(bytes)
        } catch (error) {
          if (!(error instanceof ConsiliumError)) throw error
          expect(error.code).toMatch(/^(parquet\/(malformed|unsupported)|csv\/too-large)$/)
          refusals++
        }
      }
    expect(refusals).toBeGreaterThan(1000)
  })
})

describe("the parts", () => {
  it("runs and packed groups, by hand", () => {
    // 5 times 3 in a run; then 8 values of 3 bits, 0 to 7, as the format's example has them
    expect([...hybridRuns(Uint8Array.from([10, 3, 3, 0x88, 0xc6, 0xfa]), 3, 13)]).toEqual([
      3, 3, 3, 3, 3, 0, 1, 2, 3, 4, 5, 6, 7,
    ])
    expect([...hybridRuns(new Uint8Array(), 0, 2)]).toEqual([0, 0])
  })

  it("snappy, by hand: a literal, an overlapping copy, and copies of each kind", () => {
    const undo = (block: readonly number[], size: number): string =>
      Buffer.from(decompressed("SNAPPY", Uint8Array.from(block), size)).toString()
    expect(undo([2, 4, 97, 98], 2)).toBe("ab")
    // "ab", then 4 bytes from 2 back, then 3 from 2 back by two bytes of distance, then 2 from 1 back by four
    expect(undo([11, 4, 97, 98, 1, 2, 10, 2, 0, 7, 1, 0, 0, 0], 11)).toBe("ababababaaa")
    for (const broken of [
      [],
      [3, 4, 97, 98],
      [2, 4, 97],
      [4, 4, 97, 98, 1, 3],
      [2, 240],
      [4, 4, 97, 98, 2, 0, 0],
    ])
      expect(() => undo(broken, broken[0] ?? 1)).toThrow(RangeError)
    expect(() => undo([2, 4, 97, 98], 3)).toThrow(RangeError)
  })

  it("gzip of another size or with a wrong check is refused", () => {
    const content = new Uint8Array(100).fill(7)
    const packed = gzipSync(content)
    expect(decompressed("GZIP", packed, 100)).toEqual(content)
    expect(() => decompressed("GZIP", packed, 99)).toThrow()
    expect(() => decompressed("GZIP", packed, 101)).toThrow()
    const wrong = packed.slice()
    wrong[wrong.length - 8] = (wrong[wrong.length - 8] as number) ^ 1
    expect(() => decompressed("GZIP", wrong, 100)).toThrow()
  })

  it("decimal numbers are written out exactly", () => {
    expect([
      decimalText(723n, 1),
      decimalText(-5n, 2),
      decimalText(0n, 2),
      decimalText(-1234567890123456789012345n, 3),
      decimalText(42n, 0),
    ]).toEqual(["72.3", "-0.05", "0.00", "-1234567890123456789012.345", "42"])
  })
})
