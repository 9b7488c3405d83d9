import { execFile } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { type Outcome, readOutcomes } from "@consilium/node/roles/outcome"
import { studyFolder } from "@consilium/node/roles/roster-shelf"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { works } from "../failures/full-disk.js"
import { apiUrl, FACILITIES, layOutStudy, release, standsStill } from "../failures/held-study.js"
import { buildProgram, type StudyRun } from "../security/study-run.js"

// The command that a person types, against a study that runs: the processes that are there train another one.

const COMMAND = "curl -X POST http://127.0.0.1:8001/api/training/start --data"
const hasCurl = works("curl", "--version")

interface Said {
  readonly status: number
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
}

let run: StudyRun
let api = ""

/** Runs the command in a shell as it stands, but for the port where another program holds 8001. */
const curl = async (kind: string): Promise<Said> => {
  const command = `${COMMAND} '${JSON.stringify({ privacy: kind })}'`.replace("http://127.0.0.1:8001", api)
  const { stdout } = await promisify(execFile)("sh", [
    "-c",
    `${command} --silent --write-out '\n%{http_code} %{content_type}'`,
  ])
  const [, body = "", status = "", type = ""] = /^([\s\S]*)\n(\d+) (.*)$/.exec(stdout) ?? []
  return { status: Number(status), type, body: JSON.parse(body) as Said["body"] }
}

const outcomePath = (id: string): string =>
  join(studyFolder(join(run.folder, "leader/data"), id), "outcome.json")

/** The end of a study that was started, trained by the processes that were there. */
const trained = async (id: string, name: string): Promise<Outcome> => {
  const pids = run.layout.processes.map((process) => run.pid(process.name))
  await release(run, name)
  await run.until(() => existsSync(outcomePath(id)), `the study ${name} is over`)
  expect(run.layout.processes.map((process) => run.pid(process.name))).toEqual(pids)
  return JSON.parse(readFileSync(outcomePath(id), "utf8")) as Outcome
}

beforeAll(async () => {
  await buildProgram()
  run = await layOutStudy({ held: true, apiPort: 8001, deadlines: { collect: 300, answer: 60 } })
  run.startAllBut([])
  await standsStill(run, FACILITIES.length - 1)
  api = await apiUrl(run)
  console.log(`the leader's API is at ${api}`)
})

afterAll(async () => {
  await run?.close()
})

describe.skipIf(!hasCurl)(
  `${hasCurl ? "" : "skipped: there is no curl: "}the literal curl against a study that runs`,
  () => {
    it.each(["mpc", "differential", "homomorphic", "combined"])(
      "%s: 202 with the study's id, and the same processes train it to its end",
      async (kind) => {
        const { status, type, body } = await curl(kind)
        expect(status, JSON.stringify(body)).toBe(202)
        expect(type).toContain("application/json")
        expect(body).toEqual({
          id: expect.stringMatching(/^[0-9a-f]{64}$/),
          name: expect.stringContaining(kind),
        })
        const { id, name } = body as { readonly id: string; readonly name: string }

        const outcome = await trained(id, name)
        expect(outcome).toMatchObject({ id, study: name, complete: true, reason: null })
        expect(outcome.rounds.map(({ participants }) => participants)).toEqual([FACILITIES, FACILITIES])

        const view = (await (await fetch(`${api}/v1/studies/${id}`)).json()) as {
          readonly protection: string
          readonly marks: readonly string[]
          readonly privacy: readonly { readonly epsilon: number | null; readonly delta: number | null }[]
        }
        // nothing but a sum of shared or encrypted updates is opened, and its secrets follow from no seed
        expect(view.protection).toBe(kind === "mpc" || kind === "differential" ? "shamir" : "ckks")
        expect(view.marks).not.toContain("insecure-seed")
        expect(view.privacy).toHaveLength(FACILITIES.length)
        for (const { epsilon, delta } of view.privacy)
          if (kind === "differential" || kind === "combined") {
            expect(epsilon).toBeGreaterThan(0)
            expect(epsilon).toBeLessThanOrEqual(1)
            expect(delta).toBe(1e-5)
          } else expect([epsilon, delta]).toEqual([null, null])
      },
    )

    it("something else: 400, and what it takes", async () => {
      const { status, body } = await curl("none at all")
      expect(status).toBe(400)
      expect(body).toMatchObject({ title: "api/malformed", status: 400 })
    })

    it("the first study is none the worse", async () => {
      await release(run)
      await run.complete()
      const first = (await readOutcomes(join(run.folder, "leader/data"))).find(
        ({ study }) => study === "simulated",
      )
      expect(first?.complete).toBe(true)
      expect(first?.rounds.map(({ participants }) => participants)).toEqual([FACILITIES, FACILITIES])
    })
  },
)
