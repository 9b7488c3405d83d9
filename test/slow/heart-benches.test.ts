import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { buildProgram } from "../security/study-run.js"

const BIN = fileURLToPath(new URL("../../apps/cli/bin/consilium.js", import.meta.url))
const data = process.env.CONSILIUM_DATA
const why = data === undefined ? " (skipped: CONSILIUM_DATA names no data folder)" : ""
const folder = mkdtempSync(join(tmpdir(), "consilium-benches-"))

interface Row {
  readonly id: string
  readonly value: number
}
interface Report {
  readonly machine: string
  readonly date: string
  readonly rows: readonly Row[]
}
const bench = (words: readonly string[]): Promise<{ readonly code: number; readonly report: Report }> =>
  new Promise((resolve) => {
    const args = [BIN, "bench", ...words, "--data", join(data as string, "heart-uci"), "--format", "json"]
    execFile(process.execPath, args, { maxBuffer: 1 << 24 }, (error, stdout) =>
      resolve({ code: error === null ? 0 : Number(error.code), report: JSON.parse(stdout) as Report }),
    )
  })
const figureOf = ({ rows }: Report, id: string): number =>
  rows.find((row) => row.id === id)?.value ?? Number.NaN

beforeAll(async () => {
  if (process.env.NOBUILD === undefined) await buildProgram()
}, 300_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(data === undefined)(`benches on the heart data${why}`, () => {
  it("make the published table again, every strategy within its bars", async () => {
    const { code, report } = await bench(["fed-heart"])
    expect(code).toBe(0)
    expect(report).toMatchObject({ machine: expect.any(String), date: expect.any(String) })
    const { bars } = report as Report & { readonly bars: readonly { readonly holds: boolean }[] }
    expect(bars).toHaveLength(14)
    expect(bars.every(({ holds }) => holds)).toBe(true)
    expect(figureOf(report, "fed-heart.fedyogi.accuracy")).toBeCloseTo(0.741, 3)
    expect(figureOf(report, "fed-heart.majority.accuracy")).toBeCloseTo(0.721, 3)
    expect(figureOf(report, "fed-heart.scaffold.auc")).toBeGreaterThan(0.8)
  }, 300_000)

  it("show what privacy budgets leave, as a table and a drawing", async () => {
    const plot = join(folder, "utility.svg")
    const { code, report } = await bench(["privacy-utility", "--seeds", "4", "--plot", plot])
    expect(code).toBe(0)
    expect(report).toMatchObject({ delta: 1e-3, bar: { holds: true } })
    // less noise, better models; the noise on the sum costs less than each facility's own
    const auc = (place: string, budget: string) => figureOf(report, `privacy-utility.${place}.${budget}.auc`)
    expect(auc("sum", "8")).toBeGreaterThan(auc("sum", "0.5"))
    expect(auc("sum", "1")).toBeGreaterThan(auc("local", "1"))
    const drawing = readFileSync(plot, "utf8")
    expect(drawing).toMatch(/^<svg /)
    expect(drawing.match(/<polyline /g)).toHaveLength(2)
  }, 300_000)
})
