import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { expect, it } from "vitest"
import { CARDIOVASCULAR_SCHEMA } from "../src/cardiovascular/schema.js"
import { readTable } from "../src/csv.js"
import { mappingFaults } from "../src/mapping.js"
import { simulateCohort } from "../src/simulator/cohort.js"
import { FACILITY_KINDS } from "../src/simulator/kinds.js"
import { SITE_CODINGS } from "../src/simulator/site-coding.js"
import { simulatedFile } from "../src/simulator/site-file.js"
import { readSiteTable } from "../src/site-table.js"
import type { Table } from "../src/table.js"
import { unitFactor } from "../src/units.js"

const request = fc.record({
  kind: fc.constantFrom(...FACILITY_KINDS),
  rows: fc.integer({ min: 1, max: 40 }),
  seed: fc.integer(),
})
const cohortOf = ({
  kind,
  rows,
  seed,
}: {
  kind: (typeof FACILITY_KINDS)[number]
  rows: number
  seed: number
}) => ({
  kind,
  rows,
  random: insecureSeededRandom(seed),
})
const plain = ({ columns, patients, rows, dropped }: Table) => ({
  columns: Object.fromEntries([...columns].map(([name, values]) => [name, [...values]])),
  patients: [...patients],
  rows,
  dropped,
})

it("a canonical file read under the schema is the cohort, bit by bit", () => {
  fc.assert(
    fc.property(request, (asked) => {
      const { csv, mapping } = simulatedFile(cohortOf(asked))
      const cohort = plain(simulateCohort(cohortOf(asked)))
      expect(plain(readTable(CARDIOVASCULAR_SCHEMA, "a.csv", csv))).toEqual(cohort)
      expect(mappingFaults(CARDIOVASCULAR_SCHEMA, mapping)).toEqual([])
      expect(plain(readSiteTable(CARDIOVASCULAR_SCHEMA, "a.csv", csv, { mapping }))).toEqual(cohort)
    }),
  )
})

it("a site's file read through its mapping is the cohort, to half of the last digit that the site writes", () => {
  fc.assert(
    fc.property(request, (asked) => {
      const { csv, mapping } = simulatedFile({ ...cohortOf(asked), coding: "site" })
      expect(mappingFaults(CARDIOVASCULAR_SCHEMA, mapping)).toEqual([])
      const read = plain(readSiteTable(CARDIOVASCULAR_SCHEMA, "a.csv", csv, { mapping }))
      const cohort = plain(simulateCohort(cohortOf(asked)))
      expect([read.patients, read.rows, read.dropped]).toEqual([cohort.patients, cohort.rows, cohort.dropped])
      for (const column of CARDIOVASCULAR_SCHEMA.columns) {
        const [found, wanted] = [read.columns[column.name], cohort.columns[column.name]]
        const unit =
          column.type === "number" ? SITE_CODINGS[asked.kind].numbers[column.name]?.unit : undefined
        if (unit === undefined || column.type !== "number") {
          expect(found, column.name).toEqual(wanted)
          continue
        }
        const { digits } = SITE_CODINGS[asked.kind].numbers[column.name] as { digits: number }
        const half = 0.5 * 10 ** -digits * (unitFactor(column.analyte, unit, column.unit) as number)
        wanted?.forEach((value, row) => {
          const other = found?.[row] as number
          expect(Number.isNaN(other)).toBe(Number.isNaN(value))
          if (!Number.isNaN(value))
            expect(Math.abs(other - value), column.name).toBeLessThanOrEqual(half * 1.0001)
        })
      }
    }),
  )
})

it("the first rows of a bigger cohort are those of a smaller one", () => {
  fc.assert(
    fc.property(request, fc.integer({ min: 1, max: 10 }), (asked, more) => {
      const small = plain(simulateCohort(cohortOf(asked))).columns
      const big = plain(simulateCohort(cohortOf({ ...asked, rows: asked.rows + more }))).columns
      for (const [name, values] of Object.entries(small))
        expect(big[name]?.slice(0, asked.rows)).toEqual(values)
    }),
  )
})
