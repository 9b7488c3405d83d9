import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fromHex } from "@consilium/base/bytes"
import { insecureSeededRandom } from "@consilium/base/testing"
import { Asker } from "@consilium/inference/client/asker"
import { AskerKey } from "@consilium/inference/client/asker-key"
import { type TrainedModelFile, trainedModelFromJson } from "@consilium/inference/files/trained-model-file"
import { plainLogit } from "@consilium/inference/model/model"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { decodeModel } from "@consilium/learning/model-file"
import { decodeNetworkModel } from "@consilium/learning/network/network-file"
import { readCompiledFolder, readCompiledPlan } from "@consilium/node/inference/model-folder"
import { planViewSchema } from "@consilium/node/inference/plan-view"
import { HEART_FILES } from "@consilium/records/heart"
import { syntheticHeart } from "@consilium/records/synthetic-heart"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { consilium } from "./in-process.js"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-infer-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
const at = (...names: readonly string[]): string => join(folder, ...names)

const infer = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await consilium("infer", ...args)
  expect(`${code} ${stderr}`).toBe("0 ")
  return stdout.replaceAll(folder, "FOLDER")
}
const inferJson = async (...args: readonly string[]) => JSON.parse(await infer(...args, "--format", "json"))
const refused = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await consilium("infer", ...args)
  expect(stdout).toBe("")
  return `${code} ${stderr.split("\n")[0]}`.replaceAll(folder, "FOLDER")
}
const modelOf = async (name: string): Promise<TrainedModelFile> =>
  trainedModelFromJson(await readFile(at(name, "model.json"), "utf8"))

const PATIENT = {
  ...{ age: 63, sex: "male", cp: "no symptoms", trestbps: 145, chol: 233, fbs: true },
  ...{ restecg: "left ventricular hypertrophy", thalach: 150, exang: false, oldpeak: 2.3 },
}
const logitOf = ({ model, scaling, schema }: TrainedModelFile): number =>
  plainLogit(model, scaling, new PatientReader(schema).columns(PATIENT))

let linear = ""
beforeAll(async () => {
  linear = await infer("train", "--model", "lr", "--simulate", "300", "--out", at("lr"))
})

describe("consilium infer train", () => {
  it("lr: reports on patients who were neither fitted nor calibrated on", () => {
    expect(linear).toMatchInlineSnapshot(`
      "heart-disease, version 1, trained on 300 made-up rows of a hospital, seed 1
      The rows are synthetic: nothing clinical may be concluded from the model.
      148 rows fitted the model, 50 (a quarter of those not for the figures) its calibration, 102 are for the figures; no patient is on two sides.

        on the test patients            AUC    accuracy  Brier  ECE    reach inside  reach of logits
        * logistic regression           0.874  0.784     0.146  0.096  -             35.1
        * the same, calibrated (platt)  0.874  0.775     0.145  0.097

      Calibration   platt: logit times 0.583, plus 0.106
      Scaling       declared constants: nothing of any facility's patients is in the columns
      Written (*)   FOLDER/lr: model.json, model.consilium
      Next:         consilium infer compile --model FOLDER/lr --out compiled
      "
    `)
  })

  it("lr: writes the model with its schema, declared scaling, calibration and figures", async () => {
    const { model, schema, scaling, calibration, training } = await modelOf("lr")
    expect([model.kind, schema.columns.length, scaling?.source, calibration?.type]).toEqual([
      "linear",
      13,
      "declared",
      "platt",
    ])
    const { rows, calibrationRows, holdOutRows, synthetic } = training as NonNullable<typeof training>
    expect(rows + calibrationRows + holdOutRows).toBe(300)
    expect(synthetic).toBe(true)
    const { parameters, provenance } = decodeModel(await readFile(at("lr", "model.consilium")))
    expect(model).toMatchObject({ weights: [...parameters.subarray(0, 13)], bias: parameters[13] })
    expect(provenance).toEqual({ study: "heart-disease", round: 0, flags: ["synthetic-data"] })
    for (const name of ["model.json", "model.consilium"])
      expect((await stat(at("lr", name))).mode & 0o777).toBe(0o600)
  })

  it("the same seed gives the same bytes, another seed others", async () => {
    const bytes = (name: string) => readFile(at(name, "model.json"), "utf8")
    await infer("train", "--model", "lr", "--simulate", "300", "--out", at("again"))
    await infer("train", "--model", "lr", "--simulate", "300", "--seed", "2", "--out", at("other"))
    expect(await bytes("again")).toBe(await bytes("lr"))
    expect(await readFile(at("again", "model.consilium"))).toEqual(
      await readFile(at("lr", "model.consilium")),
    )
    expect(await bytes("other")).not.toBe(await bytes("lr"))
  })

  it("nn: trains for encryption, freely and plainly, and writes the first, within its limits", async () => {
    const report = await inferJson("train", "--model", "nn", "--simulate", "300", "--out", at("nn"))
    expect(report.trainings.map(({ training }: { training: string }) => training)).toEqual([
      "encryption-friendly",
      "freely",
      "plain",
    ])
    const [held, free, plain] = report.trainings
    expect([held.written, free.written, plain.written]).toEqual([true, false, false])
    expect(held.reach.activation).toBeLessThanOrEqual(5)
    expect(held.reach.logit).toBeLessThanOrEqual(32)
    expect(free.reach.activation).toBeGreaterThan(5)
    expect(plain.reach).toBe(null)
    for (const { figures } of report.trainings) expect(figures.auc).toBeGreaterThan(0.65)
    const { training, model } = await modelOf("nn")
    expect(training?.figures).toMatchObject({ uncalibrated: held.figures, calibrated: report.calibrated })
    expect(model.kind).toBe("network")
    const { network } = decodeNetworkModel(await readFile(at("nn", "model.consilium")))
    expect(network.description.layers.map(({ kind }) => kind)).toEqual(["dense", "square", "dense"])
  })

  it("nn --freely: writes the network without limits", async () => {
    const report = await inferJson(
      ...["train", "--model", "nn", "--freely", "--simulate", "300", "--out", at("free")],
    )
    expect(report.trainings.map(({ written }: { written: boolean }) => written)).toEqual([false, true, false])
    expect((await modelOf("free")).training?.figures.reach.activation).toBeGreaterThan(5)
  })

  it("reads a table with a header, and calibrates as told or not at all", async () => {
    const csv = syntheticHeart({ profile: "clinic", rows: 240, random: insecureSeededRandom(5) })
    await writeFile(at("heart.csv"), csv)
    const train = (kind: string) =>
      inferJson(
        ...["train", "--model", "lr", "--data", at("heart.csv"), "--out", at(kind), "--calibrate", kind],
      )
    const without = await train("none")
    expect(without).toMatchObject({ data: "heart.csv", synthetic: true, calibration: null, calibrated: null })
    expect(without.rows.calibration).toBe(0)
    expect((await modelOf("none")).calibration).toBe(null)
    expect(await train("temperature")).toMatchObject({
      calibration: "temperature",
      rows: { test: without.rows.test },
    })
    expect((await modelOf("temperature")).calibration?.type).toBe("temperature")
  })

  const { CONSILIUM_DATA } = process.env
  it.skipIf(CONSILIUM_DATA === undefined)(
    "reads the published files with their split (needs CONSILIUM_DATA)",
    async () => {
      const data = join(CONSILIUM_DATA as string, "heart-uci")
      const train = (out: string, path: string, ...more: readonly string[]) =>
        inferJson(...["train", "--model", "lr", "--data", path, "--out", at(out), ...more])
      const whole = await train("uci", data)
      expect(whole).toMatchObject({
        data: "UCI heart disease, cleveland, published split",
        synthetic: false,
        rows: { fitted: 149, calibration: 50, test: 104 },
      })
      expect(whole.trainings[0].figures.auc).toBeGreaterThan(0.8)
      expect(await train("uci-file", join(data, HEART_FILES.cleveland.file))).toEqual({
        ...whole,
        folder: at("uci-file").replaceAll(folder, "FOLDER"),
      })
      const hungarian = await train("hungarian", data, "--centre", "hungarian")
      expect(hungarian.data).toContain("hungarian")
    },
  )

  it("refuses what it cannot train on, and writes nothing", async () => {
    await writeFile(at("processed.va.data"), "63,1,4\n")
    await writeFile(at("mine.data"), "63,1,4\n")
    await writeFile(at("broken.csv"), "age,sex\n63,1\n")
    const train = (...args: readonly string[]) =>
      refused("train", "--model", "lr", "--out", at("no"), ...args)
    expect([
      await train(),
      await train("--data", at("nothing")),
      await train("--data", folder),
      await train("--data", at("processed.va.data")),
      await train("--data", at("processed.va.data"), "--centre", "cleveland"),
      await train("--data", at("mine.data")),
      await train("--data", at("broken.csv")),
      await train("--data", at("heart.csv"), "--centre", "va"),
      await train("--data", folder, "--target", "disease"),
      await train("--simulate", "100", "--centre", "va"),
      await train("--simulate", "100", "--data", folder),
      await train("--simulate", "0"),
      await train("--simulate", "20"),
      await train("--simulate", "100", "--freely"),
      await train("--simulate", "100", "--name", "x".repeat(65)),
      await refused("train", "--model", "cnn", "--simulate", "100", "--out", at("no")),
      await refused("train", "--model", "lr", "--simulate", "100", "--out", at("lr")),
      await refused("train", "--model", "lr", "--simulate", "100", "--out", at("heart.csv")),
    ]).toMatchInlineSnapshot(`
      [
        "2 cli/usage: There are no rows to read.",
        "3 records/unreadable: FOLDER/nothing is not there, or cannot be read.",
        "3 records/unreadable: FOLDER/processed.cleveland.data is not there, or cannot be read.",
        "3 records/wrong-file: The file for va is not the published processed.va.data: its SHA-256 is 3188749fa00d53ed7a7241af69e8149e0aff96e038a00ba6a58b6a230163cb67, not e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f.",
        "2 cli/usage: processed.va.data is the file of va, not of cleveland.",
        "2 cli/usage: mine.data does not say which centre it is from.",
        "3 csv/bad-header: broken.csv, line 1: columns "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "target" are missing.",
        "2 cli/usage: --centre is for the processed UCI heart files.",
        "2 cli/usage: --target and --coding are for tables with a header.",
        "2 cli/usage: --centre, --target and --coding are about files; --simulate reads none.",
        "2 error: option '--simulate <rows>' cannot be used with option '--data <path>'",
        "2 error: option '--simulate <rows>' argument '0' is invalid. A whole number from 1 to 100000 was expected.",
        "6 inference/bad-hold-out: The hold-out set has 2 patients with and 1 without the disease; 5 of each are the fewest.",
        "2 error: --freely is for --model nn",
        "2 error: option '--name <text>' argument 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' is invalid. A text of 1 to 64 characters was expected.",
        "2 error: option '--model <kind>' argument 'cnn' is invalid. Allowed choices are lr, nn.",
        "2 cli/file-exists: FOLDER/lr/model.json is there already.",
        "7 store/failed: Could not make the folder FOLDER/heart.csv (EEXIST).",
      ]
    `)
    expect(await readdir(folder)).not.toContain("no")
    const again = ["--out", at("again"), "--calibrate", "none"]
    await infer("train", "--model", "lr", "--simulate", "100", ...again, "--force")
  })
})

describe("consilium infer compile and plan", () => {
  it.each([
    ["lr", "shared"],
    ["lr", "kept"],
    ["nn", "shared"],
  ])("%s, %s: what a server and an asker need to answer as the model does", async (model, weights) => {
    const out = at(`${model}-${weights}`)
    const printed = await inferJson("compile", "--model", at(model), "--out", out, "--weights", weights)
    const compiled = await readCompiledFolder(out)
    const { plan } = compiled
    expect(printed.plan).toEqual(planViewSchema.parse(await inferJson("plan", "--plan", out)))
    expect([plan.model, plan.version, plan.weights, plan.calibration?.type]).toEqual([
      "heart-disease",
      "1",
      weights,
      "platt",
    ])
    const server = new ModelServer(compiled)
    const asker = new Asker(plan)
    const nonce = new Uint8Array(32)
    const key = weights === "kept" ? asker.newKey(nonce) : null
    const question = asker.ask([PATIENT], key === null ? {} : { key })
    const given = key === null ? {} : { key: server.readKey(nonce, key.upload) }
    const [opened] = question.open(server.answer(question.bytes, given))
    const error = Math.abs((opened?.logit ?? NaN) - logitOf(await modelOf(model)))
    expect(error).toBeLessThanOrEqual(plan.errorBound)
  })

  it("shows why nothing overflows, and says what an answer tells of the model", async () => {
    const text = await infer("compile", "--model", at("nn", "model.json"), "--out", at("nn-c"))
    expect(text).toMatch(/Layer 1 \(dense\) +-\d\.\d\d to \d\.\d\d +2\^\d+\.\d +2\^\d+\.\d\n/)
    expect(text).toContain("The model is not hidden from askers")
    expect(text).toContain("server-model.bin and proof.json tell the weights")
  })

  it("a plan in plain words needs nothing but its bytes", async () => {
    await rm(at("nn-c", "server-model.bin"))
    await rm(at("nn-c", "plan.json"))
    const text = await infer("plan", "--plan", at("nn-c"))
    expect(text).toMatch(/cp +Kind of chest pain +typical angina \| atypical angina/)
    expect(text).toMatch(/age +Age +0 to 120 years/)
    expect(text).toContain("up to 2,048 patients")
  })

  it("refuses what is no model or no plan, and says what was expected and found", async () => {
    await writeFile(at("list.json"), "[]")
    const compile = (...args: readonly string[]) => refused("compile", "--out", at("no"), ...args)
    expect([
      await compile("--model", at("nothing")),
      await compile("--model", at("nn-c")),
      await compile("--model", at("list.json")),
      await compile("--model", at("heart.csv")),
      await compile("--model", at("nn"), "--weights", "kept"),
      await compile("--model", at("free"), "--largest-error", "1e-9"),
      await compile("--model", at("lr"), "--largest-error", "1"),
      await refused("plan", "--plan", at("nothing")),
      await refused("plan", "--plan", at("lr")),
    ]).toMatchInlineSnapshot(`
      [
        "6 inference/missing-file: FOLDER/nothing is not there.",
        "6 inference/missing-file: FOLDER/nn-c/model.json is not there.",
        "6 inference/bad-file: FOLDER/list.json: an object was expected, not a list of 0.",
        "6 inference/bad-file: FOLDER/heart.csv: JSON was expected, not text that is none.",
        "6 inference/no-plan: Layer 2: a network's weights cannot be kept, only a linear model's; share them or train a linear model.",
        "6 inference/no-plan: Layer 3 (dense): over the declared ranges its values reach 1.40e+3, and no parameters hold them with an error of 1e-9; the least found is 0.0000149.",
        "2 error: option '--largest-error <x>' argument '1' is invalid. A number above 0 and below 1 was expected.",
        "6 inference/missing-file: FOLDER/nothing/plan.bin is not there.",
        "6 inference/missing-file: FOLDER/lr/plan.bin is not there.",
      ]
    `)
    await copyFile(at("lr-kept", "plan.json"), at("nn-c", "plan.json"))
    expect(await refused("plan", "--plan", at("nn-c"))).toMatch(
      /^6 inference\/other-plan: .*tells of plan [0-9a-f]{64}; plan\.bin is plan [0-9a-f]{64}\.$/,
    )
  })
})

describe("consilium infer calibrate", () => {
  it("fits again on other patients, and forgets the figures of the calibration before", async () => {
    await mkdir(at("refit"))
    await copyFile(at("lr", "model.json"), at("refit", "model.json"))
    const words = ["calibrate", "--model", at("refit"), "--simulate", "400", "--kind", "isotonic"]
    const report = await inferJson(...words, "--model-version", "2")
    expect(report).toMatchObject({
      ...{ version: "2", rows: 400, synthetic: true },
      before: { calibration: "platt" },
      after: { calibration: "isotonic" },
    })
    expect(report.after.figures.brier).toBeLessThanOrEqual(report.before.figures.brier)
    const [before, after] = [await modelOf("lr"), await modelOf("refit")]
    expect(after).toMatchObject({ model: before.model, version: "2", calibration: { type: "isotonic" } })
    expect(after.training).toMatchObject({ calibrationRows: 400, figures: { calibrated: null } })
    await infer("compile", "--model", at("refit"), "--out", at("refit-c"))
    expect((await readCompiledPlan(at("refit-c"))).calibration?.type).toBe("isotonic")
  })

  it("made-up rows of the training's own seed are other rows than those it was trained on", async () => {
    const text = await infer("calibrate", "--model", at("refit"), "--simulate", "300", "--seed", "1")
    expect(text).toContain("calibrated on 300 rows of 300 made-up rows of a hospital, seed 1")
    const [first, again] = [(await modelOf("lr")).calibration, (await modelOf("refit")).calibration]
    expect([first?.type, again?.type]).toEqual(["platt", "platt"])
    expect(again).not.toEqual(first)
  })

  it("refuses too few patients and models of other columns, and leaves the file as it was", async () => {
    const before = await readFile(at("refit", "model.json"), "utf8")
    expect(await refused("calibrate", "--model", at("refit"), "--simulate", "5")).toMatch(
      /^6 inference\/bad-hold-out: /,
    )
    expect(await refused("calibrate", "--model", at("refit"))).toBe("2 cli/usage: There are no rows to read.")
    expect(await readFile(at("refit", "model.json"), "utf8")).toBe(before)
    const file = JSON.parse(before)
    file.schema.columns.reverse()
    await writeFile(at("reversed.json"), JSON.stringify(file))
    expect(await refused("calibrate", "--model", at("reversed.json"), "--simulate", "300")).toBe(
      "6 inference/bad-model: FOLDER/reversed.json is asked with 13 columns that are not the 13 of heart records.",
    )
  })
})

describe("consilium infer keys", () => {
  it("a plan without a key: says so, and writes the context alone", async () => {
    const text = await infer("keys", "--plan", at("lr-shared"), "--out", at("none-needed"))
    expect(text).toContain("No key is needed")
    expect(await readdir(at("none-needed"))).toEqual(["context.json"])
    const context = JSON.parse(await readFile(at("none-needed", "context.json"), "utf8"))
    const { degree, primes, inputBits } = await readCompiledPlan(at("lr-shared"))
    expect(context).toMatchObject({
      model: "heart-disease",
      scheme: "CKKS",
      degree,
      primes,
      scaleBits: inputBits,
    })
    expect(context.plan).toMatch(/^[0-9a-f]{64}$/)
  })

  it("a plan with a key: a public half, and a secret for its owner with which answers open", async () => {
    const printed = await inferJson("keys", "--plan", at("lr-kept"), "--out", at("keys"))
    expect((await readdir(at("keys"))).sort()).toEqual(["context.json", "public.key", "secret.key"])
    expect((await stat(at("keys", "secret.key"))).mode & 0o777).toBe(0o600)
    const compiled = await readCompiledFolder(at("lr-kept"))
    const [server, asker] = [new ModelServer(compiled), new Asker(compiled.plan)]
    const secret = await readFile(at("keys", "secret.key"))
    const key = AskerKey.restore(asker.prepared, secret)
    const known = server.readKey(fromHex(printed.nonce), await readFile(at("keys", "public.key")))
    expect(Buffer.from(known.id).toString("hex")).toBe(printed.key)
    const question = asker.ask([PATIENT], { key })
    const [opened] = question.open(server.answer(question.bytes, { key: known }))
    expect(Math.abs((opened?.logit ?? NaN) - logitOf(await modelOf("lr")))).toBeLessThanOrEqual(
      compiled.plan.errorBound,
    )
  })

  it("makes a key for the server's nonce", async () => {
    const nonce = "ab".repeat(32)
    const printed = await inferJson(
      ...["keys", "--plan", at("lr-kept"), "--out", at("for-server"), "--nonce", nonce],
    )
    expect(printed.nonce).toBe(nonce)
    const server = new ModelServer(await readCompiledFolder(at("lr-kept")))
    const upload = await readFile(at("for-server", "public.key"))
    expect(() => server.readKey(fromHex(nonce), upload)).not.toThrow()
    expect(() => server.readKey(new Uint8Array(32), upload)).toThrow("another nonce")
  })

  it("never writes over a key, and refuses what is no plan or no nonce", async () => {
    const before = await readFile(at("keys", "secret.key"))
    const keys = (...args: readonly string[]) => refused("keys", ...args)
    expect([
      await keys("--plan", at("lr-kept"), "--out", at("keys")),
      await keys("--plan", at("nothing"), "--out", at("no")),
      await keys("--plan", at("lr-kept"), "--out", at("no"), "--nonce", "ab"),
      await keys("--plan", at("lr-kept"), "--out", at("heart.csv")),
    ]).toMatchInlineSnapshot(`
      [
        "2 cli/file-exists: FOLDER/keys/context.json is there already.",
        "6 inference/missing-file: FOLDER/nothing/plan.bin is not there.",
        "2 error: option '--nonce <hex>' argument 'ab' is invalid. 64 hexadecimal digits were expected.",
        "7 store/failed: Could not make the folder FOLDER/heart.csv (EEXIST).",
      ]
    `)
    expect(await readFile(at("keys", "secret.key"))).toEqual(before)
  })
})
