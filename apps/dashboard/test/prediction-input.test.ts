import { PatientReader } from "@consilium/inference/schema/patient"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HEART, HEART_FIELDS, randomPatient, testRandom } from "../../../packages/inference/test/heart.js"
import { csvText, parseCsv } from "../src/predict/csv.js"
import { emptyTable, MOST_ROWS, readPatientTable, resultsTable } from "../src/predict/patient-table.js"
import { acceptedText, fieldRemark, fieldTitle, readEntries, readEntry } from "../src/predict/patient-text.js"

const field = (name: string) => HEART_FIELDS.find((one) => one.name === name) as (typeof HEART_FIELDS)[number]
const cellsOf = (text: string) => parseCsv(text).rows.map(({ cells }) => cells)

const ROW = "63,male,asymptomatic,145,233,yes,normal,150,no,2.3,down,0,fixed"
const HEADER = HEART_FIELDS.map(({ name }) => name).join(",")

describe("one entry", () => {
  it.each([
    ["age", " 63 ", 63],
    ["age", "63.5", 63.5],
    ["age", "1e2", 100],
    ["age", ".5", 0.5],
    ["oldpeak", "-2.5", -2.5],
    ["fbs", "Yes", true],
    ["fbs", "0", false],
    ["sex", "MALE", "male"],
    ["cp", "4", "asymptomatic"],
    ["thal", "7.0", "reversible"],
  ])("of %s: %j is %j", (name, text, value) => {
    expect(readEntry(field(name), text)).toEqual({ value })
  })

  it.each([
    ["age", "", "is missing"],
    ["age", "?", "is missing"],
    ["age", "old", "is not a number from 0 to 120 years"],
    ["age", "63,5", "has a comma: write decimals with a point"],
    ["age", "0x10", "is not a number from 0 to 120 years"],
    ["age", "Infinity", "is not a number from 0 to 120 years"],
    ["age", "1e999", "is not a number from 0 to 120 years"],
    ["age", "120.001", "is outside 0 to 120 years"],
    ["fbs", "maybe", "is neither yes nor no"],
    ["cp", "5", "is none of: typical, atypical, other, asymptomatic"],
  ])("of %s: %j %s", (name, text, problem) => {
    expect(readEntry(field(name), text)).toEqual({ problem })
  })

  it("that is refused is named by its field, never by what was given", () => {
    fc.assert(
      fc.property(fc.constantFrom(...HEART_FIELDS), fc.stringMatching(/^[a-z0-9.,-]{4,12}$/), (one, text) => {
        const reading = readEntry(one, text)
        if ("problem" in reading && !acceptedText(one).includes(text))
          expect(reading.problem).not.toContain(text)
      }),
    )
  })

  it("says what it takes", () => {
    expect(["age", "fbs", "slope"].map((name) => acceptedText(field(name)))).toEqual([
      "0 to 120 years",
      "yes or no",
      "up, flat, down",
    ])
  })
})

describe("a label", () => {
  const age = { ...field("age"), label: "Age; in whole years; 0 if unknown" }

  it("is a title, and remarks behind a semicolon", () => {
    expect([fieldTitle(age), fieldRemark(age)]).toEqual(["Age", "in whole years; 0 if unknown"])
    expect([fieldTitle(field("age")), fieldRemark(field("age"))]).toEqual(["age", ""])
    expect(fieldTitle({ ...age, label: "; nothing" })).toBe("age")
  })

  it("names a column of a file, whole or by its title", () => {
    const schema = { ...HEART, fields: HEART.fields.map((one) => (one.name === "age" ? age : one)) }
    for (const title of ["age", "AGE", `"${age.label}"`])
      expect(readPatientTable(schema, `${HEADER.replace("age", title)}\n${ROW}`).patients).toHaveLength(1)
  })
})

describe("a patient", () => {
  it("that was written as it is read back is the same", () => {
    const random = testRandom("written")
    for (let i = 0; i < 20; i++) {
      const patient = randomPatient(random)
      const entries = Object.fromEntries(
        Object.entries(patient).map(([name, value]) => [name, String(value)]),
      )
      expect(readEntries(HEART, entries)).toEqual({ patient })
    }
  })

  it("is read, or every field that is wrong is told at once", () => {
    const reading = readEntries(HEART, { age: "200", sex: "male" })
    const problems = "problems" in reading ? reading.problems : new Map()
    expect([problems.size, problems.get("age"), problems.has("sex")]).toEqual([
      12,
      "is outside 0 to 120 years",
      false,
    ])
  })
})

describe("a table as text", () => {
  it("is read with its quotation marks, line ends, separators and mark of byte order", () => {
    expect(cellsOf('\ufeffa,b\r\n"x, ""y""",2\r\n\r\n3,"two\nlines"\n')).toEqual([
      ["a", "b"],
      ['x, "y"', "2"],
      ["3", "two\nlines"],
    ])
    expect(cellsOf("a;b\n1,5;2")).toEqual([
      ["a", "b"],
      ["1,5", "2"],
    ])
    expect(cellsOf("a\tb\r1\t")).toEqual([
      ["a", "b"],
      ["1", ""],
    ])
    expect(parseCsv('a\n"x\ny"\nz').rows.map(({ line }) => line)).toEqual([1, 2, 4])
    expect(() => parseCsv('a,b\n"open')).toThrow("A quotation mark on line 2 is not closed.")
    expect(cellsOf("")).toEqual([])
  })

  it("that was written is read back, whatever is in it", () => {
    // what a spreadsheet would take for a formula is changed on purpose
    const cell = fc.string({ unit: "binary", maxLength: 8 }).filter((text) => !/^[=@\t\r+-]/.test(text))
    const table = fc
      .integer({ min: 2, max: 4 })
      .chain((width) =>
        fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 }),
      )
    fc.assert(
      fc.property(table, (rows) => {
        const header = rows[0]?.map((_, i) => `column ${i}`) as string[]
        expect(cellsOf(csvText([header, ...rows]))).toEqual([header, ...rows])
      }),
    )
  })

  it("makes no formula of a cell, and leaves numbers alone", () => {
    expect(csvText([["=1+1", "@x", "+cmd", "-5", "+5.25", "-x", "\tx"]])).toBe(
      `'=1+1,'@x,'+cmd,-5,+5.25,'-x,"'\tx"\r\n`,
    )
  })
})

describe("a file of patients", () => {
  it("gives its good rows, and the line and fields of each bad one", () => {
    const bad = ROW.replace("63", "630").replace("145", "")
    const text = `bed,${HEADER}\n1,${ROW}\n2,${bad}\n\n3,${ROW},more\n4,${ROW}\n`
    const { patients, problems, beside } = readPatientTable(HEART, text)
    expect(patients.map(({ line }) => line)).toEqual([2, 6])
    expect(patients[0]?.patient).toMatchObject({ age: 63, thal: "fixed" })
    expect(problems).toEqual([
      { line: 3, problem: '"age" is outside 0 to 120 years; "trestbps" is missing.' },
      { line: 5, problem: "The row has 15 cells; the first line has 14." },
    ])
    expect(beside).toEqual(["bed"])
  })

  it("may have its columns in any order and case, under labels, and cells that are missing at the end", () => {
    const schema = {
      ...HEART,
      fields: HEART.fields.map((one) => (one.name === "age" ? { ...one, label: "Age at admission" } : one)),
    }
    const header = HEADER.replace("age", "age at ADMISSION").toUpperCase()
    expect(readPatientTable(schema, `${header}\n${ROW}`).patients).toHaveLength(1)
    const cut = ROW.slice(0, ROW.lastIndexOf(","))
    expect(readPatientTable(HEART, `${HEADER}\n${cut}`).problems[0]?.problem).toBe('"thal" is missing.')
  })

  it.each([
    ["", "The file is empty."],
    ["age,sex\n1,male", "there is none for: cp, trestbps"],
    [`${HEADER}\n${`${ROW}\n`.repeat(MOST_ROWS + 1)}`, "The file has 100,001 rows"],
  ])("as a whole is refused in words", (text, words) => {
    expect(() => readPatientTable(HEART, text)).toThrow(words)
  })

  it("begins as the empty table does", () => {
    expect(emptyTable(HEART)).toBe(`${HEADER}\r\n`)
    expect(readPatientTable(HEART, emptyTable(HEART) + ROW).patients).toHaveLength(1)
  })

  it("gives results by line, with the columns beside and without those of the model", () => {
    const text = `bed,${HEADER},ward\n=b1,${ROW},x\nb2,${ROW.replace("63", "old")},y\nb3,${ROW},"z, z"\n`
    const table = readPatientTable(HEART, text)
    expect(resultsTable(table, [0.5834, 0.1])).toBe(
      [
        "line,bed,ward,risk_percent,problem",
        "2,'=b1,x,58.3,",
        '3,b2,y,,"""age"" is not a number from 0 to 120 years."',
        '4,b3,"z, z",10.0,',
        "",
      ].join("\r\n"),
    )
  })

  it("gives patients that can be encrypted", () => {
    const reader = new PatientReader(HEART)
    for (const { patient } of readPatientTable(HEART, `${HEADER}\n${ROW}`).patients)
      expect(reader.units(patient)).toHaveLength(13)
  })
})
