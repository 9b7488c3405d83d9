import { execFile } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import type { AuditRow, Section } from "../../apps/cli/src/audit/section.js"
import { buildProgram } from "../security/study-run.js"

const BIN = fileURLToPath(new URL("../../apps/cli/bin/consilium.js", import.meta.url))
const FOLDER = process.env.CONSILIUM_DATA
const DATA = FOLDER === undefined ? undefined : join(FOLDER, "heart-uci")

interface Audit {
  readonly holds: boolean
  readonly seconds: number
  readonly sections: readonly Section[]
}
const audit = (words: readonly string[]): Promise<{ code: number; stdout: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [BIN, "privacy", "audit", ...words], (error, stdout) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout }),
    )
  })
const rowsOf = ({ sections }: Audit): ReadonlyMap<string, AuditRow> =>
  new Map(sections.flatMap(({ rows }) => rows.map((row) => [row.id, row] as const)))

describe("consilium privacy audit", () => {
  it(`[S25] every bound holds, ${DATA ? "on the published heart data" : "on invented rows (no CONSILIUM_DATA)"}`, async () => {
    await buildProgram()
    const data = DATA === undefined ? [] : ["--data", DATA]
    const { code, stdout } = await audit(["--seed", "42", "--format", "json", ...data])
    const found = JSON.parse(stdout) as Audit
    const rows = rowsOf(found)
    expect([...rows.values()].filter(({ holds }) => holds === false)).toEqual([])
    expect({ code, holds: found.holds }).toEqual({ code: 0, holds: true })
    for (const id of [
      "inversion/unprotected",
      "pictures/unprotected",
      "membership/unprotected/familiarity",
      "membership/private/alignment",
      "membership/private-model",
      "canaries/one-run",
      "canaries/true-positives",
      "leader/plain/likeness",
      "leader/ckks/learned",
      "leader/shamir/inversion",
    ])
      expect(rows.get(id)?.holds).toBe(true)
    // what a sum without noise still tells is told, and is not nothing
    expect(rows.get("membership/sum")).toMatchObject({ bound: null, holds: null })
    expect(Number(/^AUC ([\d.]+)/.exec(rows.get("membership/sum")?.value ?? "")?.[1])).toBeGreaterThan(0.55)
  })
})
