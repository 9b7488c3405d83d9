import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Asker } from "@consilium/inference/client/asker"
import { plainLogit } from "@consilium/inference/model/model"
import { planFromBytes } from "@consilium/inference/plan/plan"
import type { Patient } from "@consilium/inference/schema/patient"
import { PatientReader } from "@consilium/inference/schema/patient"
import { decodeModel } from "@consilium/learning/model-file"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { buildProgram, PROGRAM, StudyRun } from "../security/study-run.js"

/* A finished study's model answers on encrypted patients without anybody's doing. */

const PATIENT: Patient = {
  age: 63,
  sex: "male",
  cp: "typical angina",
  trestbps: 145,
  chol: 233,
  fbs: true,
  restecg: "left ventricular hypertrophy",
  thalach: 150,
  exang: false,
  oldpeak: 2.3,
}
const PROMPTLY_MS = 5_000

let run: StudyRun
const leaderFile = (): string => join(run.folder, "leader", "local", "leader.yaml")
const consilium = (...args: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(process.execPath, [PROGRAM, ...args], (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr)),
    )
  })
const apiUrl = (): string => {
  const found = [...run.output("leader", "log").matchAll(/the page and the API are at (\S+)/g)]
  return found.at(-1)?.[1] as string
}

interface Served {
  readonly id: string
  readonly offered: boolean
  readonly why: string | null
  readonly plan: string
  readonly version: string
  readonly since: string
  readonly source: { readonly study: string; readonly round: number }
}
const read = async <T>(path: string): Promise<T> => (await (await fetch(`${apiUrl()}${path}`)).json()) as T
const models = async (): Promise<readonly Served[]> =>
  (await read<{ readonly models?: readonly Served[] }>("/v1/models").catch(() => null))?.models ?? []
const askerNow = async (): Promise<Asker> => {
  const { bytes } = await read<{ readonly bytes: string }>("/v1/models/simulated/plan")
  return new Asker(planFromBytes(new Uint8Array(Buffer.from(bytes, "base64"))))
}
const post = (body: Uint8Array) =>
  fetch(`${apiUrl()}/v1/models/simulated/predict`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: body as Uint8Array<ArrayBuffer>,
  })
/** The logit by the encrypted way, and by the model of a round as it is exported. */
const bothWays = async (asker: Asker, round: number) => {
  const question = asker.ask([PATIENT])
  const answer = await post(question.bytes)
  expect(answer.status).toBe(200)
  const [prediction] = question.open(new Uint8Array(await answer.arrayBuffer()))
  const to = join(run.folder, `round-${round}.consilium`)
  await consilium("model", "export", "--config", leaderFile(), "--round", String(round), "--to", to)
  const { parameters } = decodeModel(new Uint8Array(readFileSync(to)))
  const { schema } = asker.prepared.plan
  const { standardise = [] } = run.study.privacy ?? {}
  const plain = plainLogit(
    { kind: "linear", weights: [...parameters.subarray(0, -1)], bias: parameters.at(-1) as number },
    {
      source: "declared",
      means: standardise.map(({ mean }) => mean),
      deviations: standardise.map(({ deviation }) => deviation),
    },
    new PatientReader(schema).columns(PATIENT),
  )
  return { encrypted: prediction?.logit as number, plain }
}

beforeAll(async () => {
  await buildProgram()
  run = await StudyRun.layOut({
    facilities: 4,
    fogs: 0,
    rounds: 2,
    seed: null,
    protection: "ckks",
    epsilon: 8,
  })
  const text = readFileSync(leaderFile(), "utf8")
  expect(text).toContain("stay: false")
  writeFileSync(leaderFile(), text.replace("stay: false", "stay: true"))
}, 300_000)
afterAll(() => run?.close())

describe("a study with differential privacy that is finished", () => {
  let first: Asker

  it("is listed while it runs, and offered within five seconds of its end", async () => {
    run.startAllBut([])
    await run.until(async () => (await models()).length > 0, "the study is listed")
    await run.until(async () => {
      const [model] = await models()
      if (model?.offered === false) expect(model.why).toContain("not finished")
      return model?.offered === true
    }, "the model is offered")
    const [study] = (
      await read<{ readonly studies: readonly { readonly id: string; readonly updatedAt: string }[] }>(
        "/v1/studies",
      )
    ).studies
    const [model] = await models()
    expect(model).toMatchObject({ id: "simulated", source: { study: study?.id, round: 2 } })
    expect(Date.parse((model as Served).since) - Date.parse(study?.updatedAt as string)).toBeLessThan(
      PROMPTLY_MS,
    )
  })

  it("answers encrypted patients while its facilities are long gone", async () => {
    for (const name of run.named("facility")) expect(await run.ended(name)).toBe(0)
    first = await askerNow()
    const { encrypted, plain } = await bothWays(first, 2)
    expect(Math.abs(encrypted - plain)).toBeLessThanOrEqual(first.prepared.plan.errorBound)
  })

  it("follows a decision about which round is in use; what was asked before is still answered", async () => {
    const early = first.ask([PATIENT])
    const decision = ["--round", "1", "--by", "A. Okafor", "--reason", "it was calibrated better"]
    await consilium("model", "rollback", "--config", leaderFile(), ...decision)
    const began = Date.now()
    await run.until(async () => (await models())[0]?.source.round === 1, "the other round is offered")
    expect(Date.now() - began).toBeLessThan(PROMPTLY_MS)
    const second = await askerNow()
    expect(second.prepared.hash).not.toEqual(first.prepared.hash)
    const answer = await post(early.bytes)
    expect(answer.status).toBe(200)
    const [prediction] = early.open(new Uint8Array(await answer.arrayBuffer()))
    const { encrypted, plain } = await bothWays(second, 1)
    expect(Math.abs(encrypted - plain)).toBeLessThanOrEqual(second.prepared.plan.errorBound)
    expect(Math.abs((prediction?.logit as number) - encrypted)).toBeGreaterThan(1e-3)
  })

  it("is offered again by a leader that starts again", async () => {
    await run.stop("leader")
    run.start("leader")
    await sleep(500)
    await run.until(async () => (await models())[0]?.source.round === 1, "the model is offered again")
    expect((await bothWays(await askerNow(), 1)).plain).toBeTypeOf("number")
    await run.stop("leader")
  })
})
