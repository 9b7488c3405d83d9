import { Command } from "commander"
import { expect, it } from "vitest"
import { benchCommands } from "../src/commands/bench-command.js"

interface Report {
  readonly machine: { readonly cpu: string; readonly node: string }
  readonly date: string
  readonly rows: readonly { readonly id: string; readonly value: number | null; readonly unit: string }[]
}

const run = async (...words: readonly string[]): Promise<string> => {
  const program = new Command("consilium").exitOverride()
  benchCommands(program)
  const written: string[] = []
  const original = process.stdout.write
  const silent = process.stderr.write
  process.stdout.write = ((text: string) => written.push(text) > 0) as typeof process.stdout.write
  process.stderr.write = (() => true) as typeof process.stderr.write
  try {
    await program.parseAsync(["bench", "sums", ...words], { from: "user" })
  } finally {
    process.stdout.write = original
    process.stderr.write = silent
  }
  return written.join("")
}

it("bench sums prints every scheme's figures as one JSON value", async () => {
  const report = JSON.parse(await run("--values", "500", "--facilities", "3", "--format", "json")) as Report
  expect(report.machine.node).toBe(process.versions.node)
  expect(Number.isNaN(Date.parse(report.date))).toBe(false)
  const ids = new Set(report.rows.map(({ id }) => id))
  for (const scheme of ["ckks", "bfv", "masked"])
    for (const what of ["protect", "add", "open", "decode", "up", "opening"])
      expect(ids).toContain(`sums.${scheme}.${what}`)
  for (const id of ["sums.masked.recipient", "sums.shamir.protect", "ring.ntt.4096"])
    expect(ids).toContain(id)
  expect([...ids].some((id) => id.startsWith("sums.node-seal"))).toBe(true)
  for (const { id, value, unit } of report.rows)
    if (value === null) expect(unit, id).toBe("not installed")
    else expect(value, id).toBeGreaterThan(0)
})

it("bench sums refuses numbers it cannot measure", async () => {
  for (const words of [
    ["--values", "0"],
    ["--facilities", "1"],
    ["--facilities", "65"],
    ["--format", "xml"],
  ])
    await expect(run(...words)).rejects.toThrow(expect.objectContaining({ exitCode: 1 }))
})
