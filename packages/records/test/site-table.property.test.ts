import fc from "fast-check"
import { parquetWriteBuffer } from "hyparquet-writer"
import { expect, it } from "vitest"
import { csvText } from "../src/csv-write.js"
import type { ColumnMapping, SiteMapping } from "../src/mapping.js"
import { columnKey } from "../src/schema.js"
import { readSiteTable } from "../src/site-table.js"
import type { Table } from "../src/table.js"
import { LIPID_SCHEMA } from "./site-schema.js"

/** A row as the schema would have it: texts, null where missing. */
type CanonicalRow = Readonly<Record<string, string | null>>

const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(one, { freq: 4 })
const canonicalRow: fc.Arbitrary<CanonicalRow> = fc.record({
  patient: fc.constantFrom("p1", "007", "7", "Ö, Q.", 'say "x"'),
  age: fc.integer({ min: 18, max: 110 }).map(String),
  cholesterol: maybe(fc.double({ min: 40, max: 1000, noNaN: true }).map(String)),
  smoking: maybe(fc.constantFrom("never", "former", "current")),
  diabetes: maybe(fc.constantFrom("1", "0")),
  event: fc.constantFrom("1", "0"),
})

const siteName = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_ ]{0,8}[A-Za-z0-9]$/)
const siteCode = fc.stringMatching(/^[a-z0-9]{1,4}$/)
const distinctCodes = (count: number): fc.Arbitrary<readonly string[]> =>
  fc.uniqueArray(siteCode, {
    minLength: count,
    maxLength: count,
    // codes that are the same number are one code
    comparator: (a, b) => a === b || (!Number.isNaN(Number(a)) && Number(a) === Number(b)),
  })

interface Site {
  readonly mapping: SiteMapping
  readonly names: ReadonlyMap<string, string>
  readonly unit: "mg/dL" | "mmol/L"
  readonly missing: string
  readonly order: readonly string[]
}

const columns = LIPID_SCHEMA.columns.map(({ name }) => name)
const site: fc.Arbitrary<Site> = fc
  .record({
    names: fc.uniqueArray(siteName, {
      minLength: columns.length,
      maxLength: columns.length,
      selector: columnKey,
    }),
    unit: fc.constantFrom<Site["unit"]>("mg/dL", "mmol/L"),
    smoking: distinctCodes(3),
    diabetes: distinctCodes(2),
    event: distinctCodes(2),
    missing: fc.constantFrom("", "-", "k.A.", "-9.5"),
    order: fc.shuffledSubarray(columns, { minLength: columns.length }),
  })
  .map(({ names, unit, missing, order, ...own }) => {
    const spellings = [missing]
    const codesOf = (sites: readonly string[], schema: readonly string[]): Record<string, string> =>
      Object.fromEntries(sites.map((code, i) => [code, schema[i] as string]))
    const details: Readonly<Record<string, Partial<ColumnMapping>>> = {
      cholesterol: { unit, missing: spellings },
      smoking: { codes: codesOf(own.smoking, ["never", "former", "current"]), missing: spellings },
      diabetes: { codes: codesOf(own.diabetes, ["1", "0"]), missing: spellings },
      event: { codes: codesOf(own.event, ["1", "0"]), missing: [] },
    }
    const mapping = {
      columns: columns.map((column, i) => ({ column, from: names[i] as string, ...details[column] })),
    }
    return {
      mapping,
      names: new Map(columns.map((column, i) => [column, names[i] as string])),
      unit,
      missing,
      order,
    }
  })

/** A canonical value as the site writes it. */
const written = ({ mapping, unit, missing }: Site, column: string, value: string | null): string => {
  if (value === null) return missing
  if (column === "cholesterol" && unit === "mmol/L") return String(Number(value) / 38.67)
  const codes = mapping.columns.find((one) => one.column === column)?.codes
  return codes === undefined ? value : (Object.keys(codes).find((code) => codes[code] === value) as string)
}

const canonicalText = (rows: readonly CanonicalRow[]): string =>
  csvText(
    columns,
    rows.map((row) => columns.map((column) => row[column] ?? "NA")),
  )

const siteText = (own: Site, rows: readonly CanonicalRow[]): string =>
  csvText(
    own.order.map((column) => own.names.get(column) as string),
    rows.map((row) => own.order.map((column) => written(own, column, row[column] ?? null))),
  )

const plain = ({ columns: stored, patients }: Table) => ({
  columns: Object.fromEntries([...stored].map(([name, values]) => [name, [...values]])),
  patients: [...patients],
})

it("a table written in a site's coding and read back through its mapping is the canonical one", () => {
  fc.assert(
    fc.property(fc.array(canonicalRow, { minLength: 1, maxLength: 8 }), site, (rows, own) => {
      const canonical = plain(readSiteTable(LIPID_SCHEMA, "canonical", canonicalText(rows)))
      const read = plain(readSiteTable(LIPID_SCHEMA, "site", siteText(own, rows), { mapping: own.mapping }))
      const { cholesterol: wanted = [], ...others } = canonical.columns
      const { cholesterol: found = [], ...same } = read.columns
      expect([same, read.patients]).toEqual([others, canonical.patients])
      // a conversion there and back rounds twice
      for (const [i, value] of wanted.entries()) {
        expect(Number.isNaN(found[i])).toBe(Number.isNaN(value))
        if (!Number.isNaN(value)) expect(Math.abs((found[i] as number) / value - 1)).toBeLessThan(1e-15)
      }
    }),
  )
})

it("a Parquet file of the same values is the same table as the CSV file", () => {
  fc.assert(
    fc.property(fc.array(canonicalRow, { minLength: 1, maxLength: 8 }), (rows) => {
      const data = <T>(column: string, of: (text: string) => T): (T | null)[] =>
        rows.map((row) => (row[column] === null ? null : of(row[column] as string)))
      const bytes = parquetWriteBuffer({
        columnData: [
          { name: "note", data: rows.map(() => new Date(0)), type: "TIMESTAMP" },
          { name: "event", data: data("event", (text) => text === "1"), type: "BOOLEAN" },
          { name: "Patient", data: data("patient", String), type: "STRING" },
          { name: "age", data: data("age", Number), type: "INT32" },
          { name: "cholesterol", data: data("cholesterol", Number), type: "DOUBLE" },
          { name: "smoking", data: data("smoking", String), type: "STRING" },
          { name: "diabetes", data: data("diabetes", (text) => text === "1"), type: "BOOLEAN" },
        ],
      })
      const csv = readSiteTable(LIPID_SCHEMA, "same", canonicalText(rows))
      const parquet = readSiteTable(LIPID_SCHEMA, "same", new Uint8Array(bytes))
      expect(plain(parquet)).toEqual(plain(csv))
      expect([...parquet.sourceRows]).toEqual([...csv.sourceRows])
    }),
  )
})
