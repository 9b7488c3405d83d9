import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { outcomeOf } from "@consilium/node/roles/outcome"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { runStudy } from "../../../packages/federation/test/harness.js"
import { serveTest, type TestApi } from "../../../packages/node/test/api-server.js"
import { LoggedStudy } from "../../../packages/node/test/api-study.js"
import { temporaryFolder } from "../../../packages/node/test/store-children.js"
import { consilium } from "./in-process.js"

const SHAPE = { rounds: 2, protection: "plain" } as const
const runs = [
  runStudy({ study: { ...SHAPE, name: "first" } }),
  runStudy({ study: { ...SHAPE, name: "second", rounds: 3 } }),
] as const

let folder = ""
let remove: () => Promise<void> = async () => undefined
let server: TestApi
beforeAll(async () => {
  const made = await temporaryFolder("study-compare")
  folder = made.path
  remove = made.remove
  for (const { study, directory, leader } of runs) {
    const at = join(folder, study.name)
    await mkdir(at)
    const outcome = outcomeOf(study, [{ from: 1, directory }], leader, [])
    await writeFile(join(at, "outcome.json"), JSON.stringify(outcome))
  }
  server = await serveTest()
  server.leader.all.push(...runs.map((run) => new LoggedStudy(run)))
})
afterAll(async () => {
  await server.close()
  await remove()
})

const compare = (...args: readonly string[]) => consilium("study", "compare", ...args)
const folders = (): readonly string[] => ["first", "second"].map((name) => join(folder, name))

describe("study compare", () => {
  it("shows two folders side by side", async () => {
    const { code, stdout, stderr } = await compare(...folders())
    expect([code, stderr]).toEqual([0, ""])
    const [head, ...rows] = stdout.trimEnd().split("\n")
    expect(head).toMatch(/^study +first +second$/)
    const cells = (name: string): readonly string[] =>
      rows
        .find((row) => row.startsWith(name))
        ?.slice(name.length)
        .trim()
        .split(/ {2,}/) ?? []
    expect(cells("strategy")).toEqual(["fedavg", "fedavg"])
    expect(cells("rounds closed")).toEqual(["2 of 2", "3 of 3"])
    expect(cells("epsilon, largest")).toEqual(["no bound", "no bound"])
    expect(cells("rows held out at clinic-1")).toEqual(["12", "12"])
    const auc = rows.indexOf("AUC")
    expect(rows[auc + 1]).toMatch(/^ {2}at clinic-1 +[01]\.\d{3} +[01]\.\d{3} \([+-][01]\.\d{3}\)$/)
    expect(rows.at(-1)).toContain("how much more than in first")
  })

  it("tells in JSON what it tells in text, from folders and over the API", async () => {
    const stored = JSON.parse((await compare(...folders(), "--format", "json")).stdout)
    const asked = await compare("first", "second", "--leader", server.url, "--format", "json")
    expect([asked.code, asked.stderr]).toEqual([0, ""])
    const told = JSON.parse(asked.stdout)
    expect(told.differences[0].mean).toEqual(stored.differences[0].mean)
    expect(told.studies.map(({ name }: { name: string }) => name)).toEqual(["first", "second"])
    expect(told.differences[0].facilityBytes).toBe(stored.differences[0].facilityBytes)
    expect(stored).toMatchObject({ studies: [{ name: "first" }, { name: "second" }], notes: [] })
  })

  it("refuses fewer than two, and what is not there", async () => {
    const one = await compare(folders()[0] as string)
    expect([one.code, one.stdout, one.stderr]).toEqual([
      2,
      "",
      expect.stringContaining("1 studies cannot be compared"),
    ])
    expect((await compare()).code).toBe(2)
    const none = await compare(folders()[0] as string, join(folder, "nothing"))
    expect([none.code, none.stderr]).toEqual([6, expect.stringContaining("audit/no-study")])
    expect((await compare("first", "third", "--leader", server.url)).stderr).toContain("admin/no-such-study")
    expect((await compare("a", "b", "--leader", server.url, "--config", "leader.yaml")).code).toBe(2)
  })
})
