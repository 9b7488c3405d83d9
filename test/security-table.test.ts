import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { ROOT } from "./source-tree.js"

const PROGRAM = "scripts/security-table.mjs"
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A project with promises and tests of its own, and what the program says of it. */
const said = (promises: readonly string[], tests: string, ...args: readonly string[]) => {
  const root = mkdtempSync(join(tmpdir(), "consilium-promises-"))
  folders.push(root)
  for (const folder of ["scripts", "packages", "apps", "test"]) mkdirSync(join(root, folder))
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"))
  copyFileSync(join(ROOT, PROGRAM), join(root, PROGRAM))
  const rows = promises.map((id) => `| ${id} | **It holds**, always. | the weather |`)
  writeFileSync(
    join(root, "SECURITY.md"),
    `| id | promise | holds against |\n|---|---|---|\n${rows.join("\n")}\n`,
  )
  writeFileSync(join(root, "test/some.test.ts"), `import { expect, it } from "vitest"\n${tests}`)
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, PROGRAM), ...args], {
    encoding: "utf8",
    // the inner run must not take the outer one's place in whatever watches it
    env: { PATH: process.env.PATH },
  })
  const cells = (line: string): string =>
    line
      .split(" | ")
      .map((cell) => cell.trim())
      .join(" | ")
  return {
    status,
    stderr,
    table: stdout
      .split("\n")
      .filter((line) => /^(id|S\d+) +\| /.test(line))
      .map(cells),
  }
}

describe("the table of promises", () => {
  it("of this project: each has a test, and each test a promise", () => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, PROGRAM), "--list"], {
      encoding: "utf8",
    })
    expect([status, stderr]).toEqual([0, ""])
  })

  it("refuses a promise without a test, a test of no promise, and two promises with one id", () => {
    expect(said(["S1", "S2"], 'it("[S1] holds", () => {})\nit("[S7] holds", () => {})\n')).toMatchObject({
      status: 1,
      stderr: "S2 has no test.\ntest/some.test.ts names S7, which SECURITY.md does not promise.\n",
      table: [],
    })
    expect(said(["S1", "S1"], 'it("[S1] holds", () => {})\n').stderr).toBe(
      "SECURITY.md gives two promises one id.\n",
    )
    expect(said([], "").stderr).toContain("makes no promise")
  })

  it("says what holds, what fails and what was not run, and runs no other tests", () => {
    const tests = [
      'it("[S1] holds", () => {})',
      'it("[S1][S2] holds, too", () => {})',
      'it("[S2] does not hold", () => expect(1).toBe(2))',
      'it.skip("[S3] might hold", () => {})',
      'it("shows nothing", () => { throw new Error("was run") })',
    ].join("\n")
    expect(said(["S1", "S2", "S3"], tests)).toMatchObject({
      status: 1,
      table: [
        "id | promise | holds against | test | result",
        "S1 | It holds | the weather | test/some.test.ts | holds (2)",
        "S2 | It holds | the weather | test/some.test.ts | FAILED (1 of 2)",
        "S3 | It holds | the weather | test/some.test.ts | SKIPPED",
      ],
    })
    expect(said(["S1", "S2", "S3"], tests, "S1").status).toBe(0)
  })

  it("counts what fails before its first test as failed", () => {
    const tests =
      'import { beforeAll } from "vitest"\nbeforeAll(() => { throw new Error("no") })\nit("[S1] holds", () => {})\n'
    expect(said(["S1"], tests)).toMatchObject({
      status: 1,
      table: [expect.anything(), "S1 | It holds | the weather | test/some.test.ts | FAILED (1 of 1)"],
    })
  })
})
