import { execFile, execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ServerProcess } from "../../apps/cli/src/infer/server-process.js"
import { throwAwayCertificate } from "../../apps/cli/src/infer/throw-away-certificate.js"
import { buildProgram, PROGRAM } from "../security/study-run.js"
import { ROOT } from "../source-tree.js"

const RUN = join(ROOT, "scripts", "run.mjs")

/* Models are asked on the command line as people ask them: real servers in processes of their own. */

const folder = mkdtempSync(join(tmpdir(), "consilium-commands-"))
const at = (...names: readonly string[]): string => join(folder, ...names)

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
const infer = (...args: readonly string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, "infer", ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
const done = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await infer(...args, "--format", "json")
  expect(`${code} ${stderr}`).toBe("0 ")
  return JSON.parse(stdout)
}

const HEAD = "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak"
const PATIENT = "63,male,no symptoms,145,233,true,left ventricular hypertrophy,150,false,2.3"
const OTHER = "44,female,typical angina,118,209,false,normal,171,false,0.1"

beforeAll(async () => {
  await buildProgram()
  for (const model of ["lr", "nn"])
    await done("train", "--model", model, "--simulate", "300", "--name", `heart-${model}`, "--out", at(model))
  await done("compile", "--model", at("lr"), "--out", at("models", "lr"))
  await done("compile", "--model", at("nn"), "--out", at("models", "nn"))
  await done("compile", "--model", at("lr"), "--out", at("kept"), "--weights", "kept")
  writeFileSync(
    at("patient.json"),
    JSON.stringify({
      ...{ age: 63, sex: "male", cp: "no symptoms", trestbps: 145, chol: 233, fbs: true },
      ...{ restecg: "left ventricular hypertrophy", thalach: 150, exang: false, oldpeak: 2.3 },
    }),
  )
  writeFileSync(
    at("patients.csv"),
    `id,${HEAD}\nA,${PATIENT}\nB,${PATIENT.replace("63", "630")}\nC,${OTHER}\n`,
  )
}, 300_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("infer predict", () => {
  it("gives one patient the same prediction from a file and from words, shared and kept", async () => {
    const words = `${HEAD}=${PATIENT}`.split("=")
    const [names, values] = words.map((line) => line.split(",")) as [string[], string[]]
    const set = names.flatMap((name, i) => ["--set", `${name}=${values[i]}`])
    const shared = await done("predict", "--models", at("models", "lr"), "--patient", at("patient.json"))
    const kept = await done("predict", "--models", at("kept"), ...set)
    expect(shared).toMatchObject({
      model: "heart-lr",
      marks: ["synthetic-data"],
      weights: "shared",
      keyBytes: 0,
    })
    expect([kept.model, kept.weights]).toEqual(["heart-lr", "kept"])
    expect(kept.keyBytes).toBeGreaterThan(30_000)
    expect(Math.abs(kept.logit - shared.logit)).toBeLessThan(kept.errorBound + shared.errorBound)
    expect(shared.rounded).toBeCloseTo(shared.probability, 3)
    expect(shared.sent).toMatchObject({ requests: 1, patients: 1, bytesUp: 13_384 })
  })

  it("answers the good rows of a table, tells the others by line and without values, and ends with 6", async () => {
    const words = ["--models", at("models"), "--model", "heart-nn", "--csv", at("patients.csv")]
    const { code, stdout, stderr } = await infer("predict", ...words)
    expect(code).toBe(6)
    const lines = stdout.trimEnd().split("\n")
    expect(lines[0]).toBe("line,id,probability,rounded,logit,problem")
    expect(lines[1]).toMatch(/^2,A,0\.\d+,0\.\d+,-?\d+\.\d+,""$/)
    expect(lines[2]).toMatch(/^3,B,"","","","""age"" is outside 0 to 120 years\./)
    expect(lines[3]).toMatch(/^4,C,0\.\d+/)
    expect(stderr).toContain("2 of 3 rows were asked about, in 1 requests")
    expect(stderr).toContain("Not sent: id.")
    expect(stdout + stderr).not.toContain("630")
    const again = await infer("predict", ...words, "--to", at("risks.csv"))
    expect(again.code).toBe(6)
    expect(readFileSync(at("risks.csv"), "utf8").split("\n")[2]).toBe(lines[2])
    expect((await infer("predict", ...words, "--to", at("risks.csv"))).stderr).toContain("cli/file-exists")
  })

  it("says which models there are where it is to choose, and leaves no server behind", async () => {
    const { code, stderr } = await infer("predict", "--models", at("models"), "--set", "age=1")
    expect(code).toBe(6)
    expect(stderr).toContain("The server offers several models: heart-lr, heart-nn.")
    const left = spawnSync("ps", ["-eo", "args"], { encoding: "utf8" }).stdout
    expect(left).not.toContain(at("models"))
  })

  it("asks a server elsewhere over TLS with its authority, and not without", async () => {
    const certificate = await throwAwayCertificate()
    writeFileSync(at("ca.pem"), certificate.ca)
    const server = await ServerProcess.start({ models: at("models", "lr"), certificate, program: PROGRAM })
    try {
      const words = ["predict", "--server", server.url, "--patient", at("patient.json")]
      expect((await done(...words, "--ca", at("ca.pem"))).model).toBe("heart-lr")
      const { code, stderr } = await infer(...words)
      expect(code).toBe(5)
      expect(stderr).toContain("Give the certificate of the authority")
    } finally {
      await server.close()
    }
  })
})

describe("infer keys", () => {
  it("uploads a key to a server once, and predict asks with it from then on", async () => {
    const server = await ServerProcess.start({ models: at("kept"), program: PROGRAM })
    try {
      const made = await done("keys", "--server", server.url, "--out", at("keys"))
      expect(made).toMatchObject({ uploaded: true, files: ["context.json", "public.key", "secret.key"] })
      const words = ["predict", "--server", server.url, "--patient", at("patient.json"), "--keys", at("keys")]
      const first = await done(...words)
      const second = await done(...words)
      expect(Math.abs(first.logit - second.logit)).toBeLessThan(2 * first.errorBound)
      expect((await infer("keys", "--server", server.url, "--out", at("keys"))).stderr).toContain(
        "cli/file-exists",
      )
    } finally {
      await server.close()
    }
  })
  it("says that no key is needed where none is", async () => {
    const server = await ServerProcess.start({ models: at("models", "lr"), program: PROGRAM })
    try {
      const made = await done("keys", "--server", server.url, "--out", at("no-keys"))
      expect(made).toMatchObject({ uploaded: false, key: null, files: ["context.json"] })
    } finally {
      await server.close()
    }
  })
})

interface Bar {
  readonly id: string
  readonly value: number
  readonly holds: boolean
}
/** Ends with 6 if and only if a bar does not hold; only that of time may depend on what else this machine does. */
const evaluated = async (...words: readonly string[]) => {
  const { code, stdout, stderr } = await infer("evaluate", ...words, "--n", "40", "--format", "json")
  expect(stderr).toBe("")
  const report = JSON.parse(stdout)
  const failed = (report.bars as readonly Bar[]).filter(({ holds }) => !holds).map(({ id }) => id)
  expect(failed.filter((id) => id !== "latency-p50")).toEqual([])
  expect(code).toBe(failed.length === 0 ? 0 : 6)
  return report
}

describe("infer evaluate", () => {
  it.each([
    ["lr", "shared", 13_384, 1e-4],
    ["lr", "kept", 53_352, 1e-3],
    ["nn", "shared", 692_680, 1e-3],
    ["nn", "slots-by-feature", 92_264, 1e-2],
  ])(
    "[S32] %s, %s: plain and encrypted agree, over TLS, extremes included",
    async (model, form, up, error) => {
      const weights = form === "kept" ? "kept" : "shared"
      const mode = form === "slots-by-feature" ? ["--packing", form] : ["--weights", weights]
      const report = await evaluated("--model", model, "--simulate", "300", ...mode)
      expect(report).toMatchObject({
        n: 40,
        requests: 40,
        way: "tls",
        classAgreement: 1,
        weights,
        synthetic: true,
      })
      expect(report.extremes).toMatchObject({ n: 16, classAgreement: 1 })
      expect(Math.max(report.maxLogitError, report.extremes.maxLogitError)).toBeLessThan(error)
      expect(report.bytes.up).toBe(up)
      expect(report.bytes.keys > 0).toBe(form !== "shared")
      const { accuracy, auc } = report.plain
      expect(report.encrypted).toMatchObject({ accuracy, auc })
      expect(Math.abs(report.encrypted.brier - report.plain.brier)).toBeLessThan(error)
      expect(report.bars.map(({ id }: Bar) => id)).toContain("latency-p50")
      expect(report.notes.some((note: string) => note.includes("a budget of 56 answers"))).toBe(
        weights === "kept",
      )
    },
  )

  it("compares a model that is served with the one that was trained, and fails for another", async () => {
    const words = ["--models", at("models", "lr"), "--simulate", "60"]
    const served = (trained: string) => ["--model", "heart-lr", "--trained", at(trained), ...words]
    expect((await evaluated(...served("lr"))).maxLogitError).toBeLessThan(1e-4)
    await done("train", "--model", "lr", "--simulate", "300", "--seed", "9", "--out", at("another"))
    const { code, stdout } = await infer("evaluate", ...served("another"), "--n", "9", "--format", "json")
    expect(code).toBe(6)
    expect(JSON.parse(stdout).maxLogitError).toBeGreaterThan(0.01)
  })
})

describe("npm run demo:inference", () => {
  const demo = (...args: readonly string[]): string =>
    execFileSync(process.execPath, [RUN, "demo:inference", ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    })

  it("shows both models plain and encrypted, as one JSON value", () => {
    const report = JSON.parse(demo("--patients", "12", "--format", "json"))
    expect(report).toMatchObject({ synthetic: true, n: 12 })
    expect(report.models.map(({ kind }: { kind: string }) => kind)).toEqual(["lr", "nn"])
    for (const model of report.models) {
      expect(model).toMatchObject({ classAgreement: 1, calibration: "platt", requests: 12 })
      expect(model.patients).toHaveLength(12)
      expect(model.maxLogitError).toBeLessThan(model.errorBound)
      expect(model.bars.every(({ holds }: Bar) => holds)).toBe(true)
    }
  })
  it("tells people what happened, and that the patients are made up", () => {
    const text = demo("--patients", "10")
    expect(text).toContain("The patients are MADE UP")
    expect(text).toMatch(/same answer both ways {2,}10 of 10 {2,}10 of 10/)
    expect(text).toContain("and 2 more patients")
  })
})
