import { execFileSync } from "node:child_process"
import { beforeAll, expect, it } from "vitest"
import { buildProgram, PROGRAM } from "../security/study-run.js"

interface Row {
  readonly id: string
  readonly value: number | null
  readonly unit: string
  readonly bar?: string
}
interface Report {
  readonly machine: string
  readonly date: string
  readonly quick: boolean
  readonly peer: string
  readonly rows: readonly Row[]
}

beforeAll(buildProgram, 300_000)

it("bench inference measures every way of asking, checked, and SEAL on the same models beside it", () => {
  const output = execFileSync(
    process.execPath,
    [PROGRAM, "bench", "inference", "--quick", "--format", "json"],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    },
  )
  const report = JSON.parse(output) as Report
  expect(report.quick).toBe(true)
  expect(Number.isNaN(Date.parse(report.date))).toBe(false)
  const figure = (id: string): number => {
    const row = report.rows.find((one) => one.id === `inference.${id}`)
    expect(row?.value, id).toBeTypeOf("number")
    return row?.value as number
  }
  for (const way of ["lr-shared", "lr-kept", "nn-shared", "nn-by-feature"])
    for (const what of ["latency", "encrypt", "server", "open", "up", "down", "logit-error"])
      expect(figure(`${way}.${what}`)).toBeGreaterThan(0)
  expect(figure("lr-shared.keys") + figure("nn-shared.keys")).toBe(0)
  expect(figure("lr-shared.throughput")).toBeGreaterThan(50)
  expect(figure("nn-2048.server")).toBeLessThan(figure("nn-2048.whole"))
  expect(report.rows.filter(({ bar }) => bar !== undefined)).toHaveLength(6)
  expect(report.peer).toMatch(/^node-seal 6\./)
  expect(figure("node-seal.lr.galois-keys")).toBeGreaterThan(1_000_000)
  expect(figure("own.lr.serve")).toBeGreaterThan(0)
  // they take turns: what else the machine does takes from both
  expect(figure("ratio.2048-patients-server")).toBeGreaterThan(2)
  expect(figure("ratio.one-patient-bytes")).toBeGreaterThan(5)
}, 120_000)
