import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { calibratedProbability } from "@consilium/inference/calibration/calibration"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import { writeCompiledFolder } from "@consilium/node/inference/model-folder"
import { type LabelledRows, selectRows } from "@consilium/records/rows"
import { columns, EndWith, type Format, print } from "../commands/printed.js"
import { connectTo } from "./asking.js"
import { compileTrained } from "./compile-trained.js"
import { type Bar, barsOf } from "./evaluation-bars.js"
import { type HeartData, heartData } from "./heart-data.js"
import { type Compared, compareBothWays } from "./plain-and-encrypted.js"
import { patientsOfRows } from "./row-patients.js"
import { ServerProcess } from "./server-process.js"
import { throwAwayCertificate } from "./throw-away-certificate.js"
import { type HeartModelKind, type TrainedHeart, trainHeart } from "./train-heart.js"

export interface DemoArguments {
  /** The folder of the processed UCI heart files; patients are made up without it. */
  readonly data?: string
  readonly patients: number
  readonly seed: number
  readonly format: Format
}

const SIMULATED = 900
/** Patients whose predictions are shown one by one. */
const SHOWN = 8
const REQUESTS_PER_SECOND = 10_000
/** The exit code of a result that is not as it must be. */
const NOT_AS_IT_MUST = 6

const KINDS: readonly HeartModelKind[] = ["lr", "nn"]
const WORDS: Readonly<Record<HeartModelKind, string>> = {
  lr: "logistic regression",
  nn: "network 13-16-1, squares",
}

/** One model both ways. */
interface Shown {
  readonly kind: HeartModelKind
  readonly heart: TrainedHeart
  readonly plan: InferencePlan
  readonly planHash: string
  readonly reveals: string
  readonly compared: Compared
  readonly bars: readonly Bar[]
}

const tell = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const nameOf = (kind: HeartModelKind): string => `heart-${kind}`

const trained = (data: HeartData, seed: number): readonly TrainedHeart[] =>
  KINDS.map((kind) => {
    tell(`training the ${WORDS[kind]} ...`)
    const settings = { calibrate: "platt", freely: false, name: nameOf(kind), version: "1" } as const
    return trainHeart({ ...settings, kind, data, seed })
  })

const compiled = (folder: string, { trained: file }: TrainedHeart): Promise<void> =>
  writeCompiledFolder(join(folder, file.name), compileTrained(file, {}))

const askedAt = async (
  server: ServerProcess,
  kind: HeartModelKind,
  heart: TrainedHeart,
  rows: LabelledRows,
): Promise<Shown> => {
  tell(`asking the ${WORDS[kind]} about ${rows.rows} encrypted patients ...`)
  const client = await connectTo({ url: server.url, authority: server.ca, model: nameOf(kind) })
  try {
    const patients = patientsOfRows(heart.trained.schema, rows)
    const compared = await compareBothWays(client, heart.trained, patients, Uint8Array.from(rows.labels))
    const { plan, planHash, reveals } = client
    const { evaluation, extremes } = compared
    const bars = barsOf({ plan, network: kind === "nn", evaluation, extremes, timed: false })
    return { kind, heart, plan, planHash, reveals, compared, bars }
  } finally {
    client.close()
  }
}

const probabilities = ({ compared, plan }: Shown, at: number) => {
  const { plain, encrypted } = compared.patients[at] as Compared["patients"][number]
  return {
    plain: calibratedProbability(plan.calibration, plain),
    encrypted: calibratedProbability(plan.calibration, encrypted),
    logitError: Math.abs(encrypted - plain),
  }
}

const ending = (n: number): string => (n === 1 ? "" : "s")

const patientLines = (shown: readonly Shown[], rows: LabelledRows): readonly string[] =>
  columns(
    ["  patient", ...shown.flatMap(({ kind }) => [`${kind} plain`, "encrypted", "logit off by"]), "was ill"],
    Array.from({ length: Math.min(SHOWN, rows.rows) }, (_, at) => [
      `  ${at + 1}`,
      ...shown.flatMap((one) => {
        const { plain, encrypted, logitError } = probabilities(one, at)
        return [plain.toFixed(6), encrypted.toFixed(6), logitError.toExponential(1)]
      }),
      rows.labels[at] === 1 ? "yes" : "no",
    ]),
  )

const costLines = (shown: readonly Shown[]): readonly string[] => {
  const row = (what: string, cell: (one: Shown) => string): readonly string[] => [
    `  ${what}`,
    ...shown.map(cell),
  ]
  const ms = (value: number | null): string => (value === null ? "-" : `${value.toFixed(2)} ms`)
  return columns(
    ["", ...shown.map(({ kind }) => WORDS[kind])],
    [
      row(
        "same answer both ways",
        ({ compared: { evaluation } }) =>
          `${Math.round(evaluation.classAgreement * evaluation.n)} of ${evaluation.n}`,
      ),
      row("largest logit error", ({ compared: { evaluation } }) => evaluation.maxLogitError.toExponential(1)),
      row("the same at the ends of all ranges", ({ compared: { extremes } }) =>
        extremes.maxLogitError.toExponential(1),
      ),
      row("proven before anybody asked", ({ plan }) => plan.errorBound.toExponential(1)),
      row(
        "accuracy, plain and encrypted",
        ({
          compared: {
            evaluation: { plain, encrypted },
          },
        }) => [plain, encrypted].map(({ accuracy }) => accuracy?.toFixed(3) ?? "-").join(" "),
      ),
      row(
        "AUC, plain and encrypted",
        ({
          compared: {
            evaluation: { plain, encrypted },
          },
        }) => [plain, encrypted].map(({ auc }) => auc?.toFixed(3) ?? "-").join(" "),
      ),
      row("sent for one patient", ({ compared }) => `${compared.evaluation.bytes.up} B`),
      row("received", ({ compared }) => `${compared.evaluation.bytes.down} B`),
      row("keys sent before", ({ compared: { evaluation } }) =>
        evaluation.bytes.keys === 0 ? "none" : `${evaluation.bytes.keys} B`,
      ),
      row("one patient, half at most", ({ compared }) => ms(compared.evaluation.latencyMs.p50)),
      row("  of it encrypting", ({ compared }) => ms(compared.shares.encrypt)),
      row("  of it the server's computing", ({ compared }) => ms(compared.shares.server)),
      row("  of it opening", ({ compared }) => ms(compared.shares.open)),
    ],
  )
}

const lines = (
  shown: readonly Shown[],
  rows: LabelledRows,
  data: HeartData,
  seconds: number,
): readonly string[] => {
  const [first] = shown as readonly [Shown]
  const { fitted, kept } = first.heart
  return [
    `A model is asked about encrypted patients: ${seconds.toFixed(1)} s in all`,
    `Two models were trained on ${data.source}: ${fitted.rows} patients fitted them, ${kept?.rows ?? 0} made their probabilities true,`,
    `and ${rows.rows} whom they have never seen are asked about, one request each.`,
    ...(data.synthetic ? ["The patients are MADE UP: nothing clinical may be concluded."] : []),
    "",
    "What happened",
    "  1. The compiler turned each model into whole numbers and chose parameters, with a proof over all declared ranges that nothing overflows.",
    "  2. A server in another process took the models. It was given no key, and none can be computed from what it got.",
    "  3. This process drew a fresh secret key for each patient, encrypted, and sent the ciphertext over TLS.",
    "  4. The server multiplied and added what it could not read, and sent back a ciphertext.",
    "  5. This process opened it, calibrated the logit into a probability, and erased the key.",
    "",
    "The same patients, plain and encrypted",
    ...patientLines(shown, rows),
    ...(rows.rows > SHOWN ? [`  and ${rows.rows - SHOWN} more patient${ending(rows.rows - SHOWN)}`] : []),
    "",
    ...costLines(shown),
    "",
    "What the server learns: that somebody asked, when, and how many patients a request has. Not one value, not the answer.",
    "What the asker learns of the model:",
    ...shown.map(({ kind, reveals }) => `  ${kind}: ${reveals}`),
    "",
    "Next: `consilium infer train`, `compile`, `serve` and `predict` are the same steps by hand; `infer evaluate` measures them against bars.",
  ]
}

const reportOf = ({ kind, plan, planHash, reveals, compared, bars, heart }: Shown) => ({
  kind,
  model: plan.model,
  plan: planHash,
  weights: plan.weights,
  packing: plan.packing,
  errorBound: plan.errorBound,
  rows: {
    fitted: heart.fitted.rows,
    calibration: heart.kept?.rows ?? 0,
    test: heart.test.rows,
  },
  ...compared.evaluation,
  extremes: compared.extremes,
  ms: compared.shares,
  patients: compared.patients,
  reveals,
  bars,
})

/** Trains, compiles, serves in another process, asks about encrypted patients and shows all of it beside the plain models. */
export const inferDemo = async ({ data: given, patients, seed, format }: DemoArguments): Promise<void> => {
  const began = performance.now()
  const source = given === undefined ? { simulate: SIMULATED } : { data: given }
  const data = await heartData({ ...source, seed }, "train")
  const hearts = trained(data, seed)
  const folder = await mkdtemp(join(tmpdir(), "consilium-encrypted-"))
  try {
    for (const heart of hearts) await compiled(folder, heart)
    const certificate = await throwAwayCertificate()
    const server = await ServerProcess.start({
      models: folder,
      certificate,
      requestsPerSecond: REQUESTS_PER_SECOND,
    })
    const { test } = hearts[0] as TrainedHeart
    const asked = Math.min(patients, test.rows)
    const rows = selectRows(
      test,
      Array.from({ length: asked }, (_, at) => at),
    )
    const shown: Shown[] = []
    try {
      tell(`a server with both models runs in process ${server.pid}, over TLS`)
      for (const [at, kind] of KINDS.entries())
        shown.push(await askedAt(server, kind, hearts[at] as TrainedHeart, rows))
    } finally {
      await server.close()
    }
    const seconds = (performance.now() - began) / 1000
    print(
      format,
      { data: data.source, synthetic: data.synthetic, seed, n: asked, seconds, models: shown.map(reportOf) },
      lines(shown, rows, data, seconds),
    )
    if (!shown.every(({ bars }) => bars.every(({ holds }) => holds))) throw new EndWith(NOT_AS_IT_MUST)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
