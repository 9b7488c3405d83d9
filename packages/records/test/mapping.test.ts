import { ConsiliumError } from "@consilium/base/errors"
import { describe, expect, it } from "vitest"
import { type ColumnMapping, checkMapping, mappingFaults } from "../src/mapping.js"
import type { TableSchema } from "../src/schema.js"
import { readSiteTable } from "../src/site-table.js"
import type { Table } from "../src/table.js"
import { LIPID_SCHEMA } from "./site-schema.js"

const faults = (...columns: readonly ColumnMapping[]): readonly string[] =>
  mappingFaults(LIPID_SCHEMA, { columns })

/** A German site's export: its own names, units, codes and spellings of "missing". */
const GERMAN: readonly ColumnMapping[] = [
  { column: "patient", from: "Pat-ID" },
  { column: "age", from: "Alter" },
  { column: "cholesterol", from: "Chol", unit: "mmol/L", missing: ["-9", ""] },
  { column: "smoking", from: "Raucher", codes: { N: "never", E: "former", J: "current" }, missing: ["U"] },
  { column: "diabetes", from: "DM", codes: { "1": "yes", "2": "no" }, missing: ["9"] },
  { column: "event", from: "Ereignis", codes: { ja: "1", nein: "0" } },
]
const HEADER = "Station,Pat-ID,Alter,Chol,Raucher,DM,Ereignis"

const read = (
  rows: readonly string[],
  { columns = GERMAN, header = HEADER }: { columns?: readonly ColumnMapping[]; header?: string } = {},
): Table =>
  readSiteTable(LIPID_SCHEMA, "export.csv", [header, ...rows, ""].join("\n"), { mapping: { columns } })

const said = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ConsiliumError) return String(error)
    throw error
  }
  throw new Error("nothing was thrown")
}
const shown = ({ columns }: Table): Record<string, number[]> =>
  Object.fromEntries([...columns].map(([name, values]) => [name, [...values]]))

describe("reading a site's file through its mapping", () => {
  it("takes names, units, codes and spellings of missing from the mapping", () => {
    const table = read(["A,p7,63,5.0,N,1,ja", "B,p9, 70 ,-9,U,9,nein", "A,p7,64,,J,2.0,nein"])
    expect(shown(table)).toEqual({
      age: [63, 70, 64],
      cholesterol: [5 * 38.67, NaN, NaN],
      smoking: [0, NaN, 2],
      diabetes: [1, NaN, 0],
      event: [1, 0, 0],
    })
    expect([...table.patients]).toEqual([0, 1, 0])
  })

  it("drops rows only where the schema says so", () => {
    const table = read(["A,p1,63,5,N,1,ja", "A,p2,NA,5,N,1,ja", "A,p3,63,5,N,1,"])
    expect([table.rows, table.dropped, Object.fromEntries(table.droppedBy)]).toEqual([
      1,
      2,
      { age: 1, event: 1 },
    ])
  })

  it("needs no mapping where the file already speaks the schema's language", () => {
    const text = "patient,AGE,cholesterol,smoking,diabetes,event\np,63,193.35,former,yes,0\n"
    const table = readSiteTable(LIPID_SCHEMA, "own.csv", text)
    expect(shown(table)).toEqual({
      age: [63],
      cholesterol: [193.35],
      smoking: [1],
      diabetes: [1],
      event: [0],
    })
  })

  it("reads one column into several where each has codes", () => {
    const smoker: TableSchema = {
      ...LIPID_SCHEMA,
      columns: [
        ...LIPID_SCHEMA.columns,
        {
          name: "smokes",
          type: "boolean",
          yes: "yes",
          no: "no",
          missing: { rule: "keep", tokens: ["NA"] },
          description: "Smokes now",
        },
      ],
    }
    const columns = [
      ...GERMAN,
      { column: "smokes", from: "raucher", codes: { J: "yes", N: "no", E: "no" }, missing: ["U"] },
    ]
    const table = readSiteTable(smoker, "export.csv", `${HEADER}\nA,p,63,5,J,1,ja\nA,p,63,5,U,1,ja\n`, {
      mapping: { columns },
    })
    expect([...(table.columns.get("smokes") as Float64Array)]).toEqual([1, NaN])
  })

  it("takes a converted number that misses its range by rounding alone for the bound", () => {
    // written with twelve digits, the bound is a little more than 1000 once it is converted back
    const bound = 1000 / 38.67 + 5e-13
    expect(bound * 38.67).toBeGreaterThan(1000)
    expect(shown(read([`A,p,63,${bound},N,1,ja`])).cholesterol).toEqual([1000])
    expect(said(() => read(["A,p,63,25.9,N,1,ja"]))).toContain("outside [40, 1000] mg/dL once converted")
  })

  it("keeps patients apart whose numbers are equal but whose names are not, and knows none of them as missing", () => {
    const columns = GERMAN.map((one) => (one.column === "patient" ? { ...one, missing: ["0"] } : one))
    const table = read(["A,007,63,5,N,1,ja", "A,7,63,5,N,1,ja", "A,00,63,5,N,1,ja"], { columns })
    expect([...table.patients]).toEqual([0, 1, 2])
  })
})

describe("a broken field", () => {
  it("is told by line, column, rule and remedy, and never by its value", () => {
    const message = said(() =>
      read([
        "A,CANARY-1,fünf,5,N,1,ja",
        "A,CANARY-2,63,5.0 mmol,N,1,ja",
        "A,CANARY-3,63,99,N,1,ja",
        "A,CANARY-4,63,5,CANARY,1,ja",
        "A,CANARY-5,63,5,N,3,ja",
        "A,CANARY-6,63,5,never,1,ja",
        "A,CANARY-7,63,5,,1,ja",
        "A,,63,5,N,1,ja",
        "A,CANARY-8,63,5,N,1",
      ]),
    )
    expect(message).toMatchInlineSnapshot(`
      "csv/bad-rows: export.csv breaks its schema in 9 places:
        line 2, column "age": is not a plain decimal number.
        line 3, column "cholesterol": is not a plain decimal number.
        line 4, column "cholesterol": is outside [40, 1000] mg/dL once converted from mmol/L.
        line 5, column "smoking": is none of the codes that the mapping names.
        line 6, column "diabetes": is none of the codes that the mapping names.
        line 7, column "smoking": is none of the codes that the mapping names.
        line 8, column "smoking": is empty.
        line 9, column "patient": is missing.
        line 10, column "event": the row has 6 fields where 7 are expected.
        remedy: Write numbers in digits with a decimal point, such as 2.3; a word, Infinity, a hexadecimal number or a decimal comma is refused. Correct "cholesterol" at its source, or the unit that the mapping gives it. Use one of these codes in "smoking": N, E, J; or name the code in the mapping, under codes or missing. Use one of these codes in "diabetes": 1, 2; or name the code in the mapping, under codes or missing. The mapping says that "U" stands for a missing "smoking"; add "" to its missing, or fill in the field. Fill in "patient" or remove the row: this column may not be missing. Give every row one field per column; a comma inside a field needs quotes around the field.
        see: docs/reference/errors.md#csvbad-rows"
    `)
    expect(message).not.toContain("CANARY")
  })
})

describe("a file that is not what the mapping says", () => {
  it("lacks columns", () => {
    expect(
      said(() => read(["p,63,5,N,1,ja"], { header: "Pat-ID,Alter,CANARY,Raucher,DM,Ereignis2" })),
    ).toMatchInlineSnapshot(`
      "csv/bad-header: export.csv, line 1: columns "cholesterol" (read from "Chol"), "event" (read from "Ereignis") are not among the 6 columns of the file.
        remedy: Say in the mapping, under "from", how the file calls them, or export the file again with them.
        see: docs/reference/errors.md#csvbad-header"
    `)
  })
  it("lacks a column that the mapping does not name", () => {
    const columns = GERMAN.filter(({ column }) => column !== "age")
    expect(said(() => read(["A,p,63,5,N,1,ja"], { columns }))).toMatchInlineSnapshot(`
      "csv/bad-header: export.csv, line 1: column "age" is not among the 7 columns of the file.
        remedy: Say in the mapping, under "from", how the file calls them, or export the file again with them.
        see: docs/reference/errors.md#csvbad-header"
    `)
  })
  it("has a column twice", () => {
    expect(
      said(() =>
        read(["A,p,63,5,5,N,1,ja"], { header: "Station,Pat-ID,Alter,Chol,chol,Raucher,DM,Ereignis" }),
      ),
    ).toMatchInlineSnapshot(`
      "csv/bad-header: export.csv, line 1: column "Chol" is there twice.
        remedy: Remove one of the two columns.
        see: docs/reference/errors.md#csvbad-header"
    `)
  })
  it("is separated by semicolons", () => {
    expect(said(() => read([], { header: HEADER.replaceAll(",", ";") }))).toContain("semicolons, not commas")
  })
  it("is empty, or has a header alone, or too many rows", () => {
    expect(said(() => readSiteTable(LIPID_SCHEMA, "export.csv", ""))).toContain("csv/empty")
    expect(said(() => read([]))).toContain("has a header but no row of data")
    const limits = { maxRows: 1 }
    const text = `${HEADER}\nA,p,63,5,N,1,ja\nA,p,63,5,N,1,ja\n`
    expect(
      said(() => readSiteTable(LIPID_SCHEMA, "export.csv", text, { mapping: { columns: GERMAN }, limits })),
    ).toContain("csv/too-large")
  })
  it("has a quote that is never closed, told by the schema's name of the column", () => {
    expect(said(() => read(['A,p,63,5,"N,1,ja']))).toContain(
      'column "smoking", a quoted field is never closed',
    )
    expect(said(() => read(['"A,p,63,5,N,1,ja']))).toContain(
      "column number 1, a quoted field is never closed",
    )
  })
})

describe("a mapping that cannot be right", () => {
  it("is sound where it is", () => {
    expect(faults(...GERMAN)).toEqual([])
    expect(faults()).toEqual([])
  })
  it.each<readonly [string, readonly ColumnMapping[], string]>([
    [
      "an unknown column",
      [{ column: "weight", from: "Gewicht" }],
      'Column "weight" is not in the schema "lipids", which has "patient", "age", "cholesterol", "smoking", "diabetes", "event".',
    ],
    [
      "a column twice",
      [
        { column: "age", from: "Alter" },
        { column: "Age", from: "Alter2" },
      ],
      'Column "age" is mapped twice.',
    ],
    [
      "no column to read from",
      [{ column: "age", from: " " }],
      'Column "age" does not say which column it is read from.',
    ],
    [
      "one column for two without codes",
      [
        { column: "age", from: "X" },
        { column: "cholesterol", from: "x " },
      ],
      'Columns "age", "cholesterol" are all read from "X"; that goes only where each of them has codes.',
    ],
    [
      "a unit that does not convert",
      [{ column: "cholesterol", from: "Chol", unit: "mmHg" }],
      'Column "cholesterol" has the unit "mmHg", which cannot be converted; known are mg/dL, mmol/L, g/L.',
    ],
    [
      "a unit where none is known",
      [{ column: "age", from: "Alter", unit: "days" }],
      'Column "age" has the unit "days", which cannot be converted; known are years, months.',
    ],
    [
      "a unit of a category",
      [{ column: "smoking", from: "R", unit: "packs" }],
      'Column "smoking" has the unit "packs", but is a category; only numbers have units.',
    ],
    [
      "codes of a number",
      [{ column: "age", from: "Alter", codes: { a: "1" } }],
      'Column "age" has codes, but is a number.',
    ],
    [
      "codes of an identifier",
      [{ column: "patient", from: "P", codes: { a: "1" } }],
      'Column "patient" has codes, but is an identifier.',
    ],
    [
      "no codes",
      [{ column: "smoking", from: "R", codes: {} }],
      'Column "smoking" has an empty list of codes.',
    ],
    [
      "a code for what is not in the schema",
      [{ column: "smoking", from: "R", codes: { J: "yes" } }],
      'Column "smoking" gives the code "J" the meaning "yes", which the schema does not have; it has "never", "former", "current".',
    ],
    [
      "a truth value that is none",
      [{ column: "diabetes", from: "DM", codes: { J: "ja" } }],
      'Column "diabetes" gives the code "J" the meaning "ja", which the schema does not have; it has "yes" and "no".',
    ],
    [
      "an ambiguous code",
      [{ column: "smoking", from: "R", codes: { "1": "never", "1.0": "current" } }],
      'Column "smoking" has the ambiguous code "1.0", which is there twice.',
    ],
    [
      "a code that is missing as well",
      [{ column: "smoking", from: "R", codes: { "9": "never" }, missing: ["9.0"] }],
      'Column "smoking" has the ambiguous code "9.0", which is a code and stands for missing as well.',
    ],
    [
      "a code of the schema that is missing as well",
      [{ column: "smoking", from: "R", missing: ["never"] }],
      'Column "smoking" has the ambiguous code "never", which is a code and stands for missing as well.',
    ],
    [
      "a truth value that is missing as well",
      [{ column: "diabetes", from: "DM", missing: ["0"] }],
      'Column "diabetes" has the ambiguous code "0", which is a code and stands for missing as well.',
    ],
    [
      "a code that the schema calls missing",
      [{ column: "smoking", from: "R", codes: { NA: "never" } }],
      'Column "smoking" has the ambiguous code "NA", which is a code and stands for missing as well.',
    ],
    [
      "a spelling twice",
      [{ column: "age", from: "Alter", missing: ["x", " x"] }],
      'Column "age" has a spelling of missing twice.',
    ],
  ])("%s", (_, columns, fault) => {
    expect(faults(...columns)).toEqual([fault])
    expect(said(() => checkMapping(LIPID_SCHEMA, { columns }))).toMatch(/^records\/bad-mapping: /)
  })

  it("may call a number missing that would be a value: the site knows what it wrote", () => {
    const columns = GERMAN.map((one) =>
      one.column === "cholesterol" ? { column: "cholesterol", from: "Chol", missing: ["0", "100"] } : one,
    )
    expect(shown(read(["A,p,63,100.0,N,1,ja"], { columns })).cholesterol).toEqual([NaN])
  })
})
