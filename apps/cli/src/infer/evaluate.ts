import { availableParallelism, loadavg } from "node:os"
import { resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { evaluationText } from "@consilium/inference/evaluation/evaluation-text"
import type { TrainedModelFile } from "@consilium/inference/files/trained-model-file"
import type { Packing, WeightsMode } from "@consilium/inference/plan/plan"
import { mostAnswers } from "@consilium/inference/server/answer-budget"
import { type LabelledRows, selectRows } from "@consilium/records/rows"
import { columns, EndWith, type Format, print } from "../commands/printed.js"
import { writeReport } from "../commands/report-file.js"
import type { AskingPlace } from "./asking.js"
import { compileTrained } from "./compile-trained.js"
import { CORNERS } from "./corner-patients.js"
import { type Bar, barsOf } from "./evaluation-bars.js"
import { askElsewhere, askOwnServer, type EvaluationServer } from "./evaluation-server.js"
import { type HeartData, type HeartSource, heartData } from "./heart-data.js"
import { readTrainedModel } from "./model-source.js"
import { type Compared, compareBothWays } from "./plain-and-encrypted.js"
import { patientsOfRows } from "./row-patients.js"
import { trainHeart } from "./train-heart.js"

export interface EvaluateArguments extends HeartSource, AskingPlace {
  /** lr or nn, to be trained here; or the name of a model that is served. */
  readonly model: string
  readonly n: number
  readonly weights?: WeightsMode
  readonly packing?: Packing
  /** The same model as it was trained, to compare with. */
  readonly trained?: string
  /** The budget of answers that the server is started with; for a kept model that is compiled here as many as are asked for. */
  readonly answers?: number
  /** Where to write what crossed between client and server. */
  readonly packets?: string
  readonly format: Format
}

/** The exit code of a result that is not as it must be. */
const NOT_AS_IT_MUST = 6

interface Subject {
  readonly trained: TrainedModelFile
  /** Patients whom the model was not fitted on. */
  readonly heldOut: LabelledRows
  readonly data: HeartData
}

const usage = (message: string, remedy: string): never => {
  throw new ConsiliumError("cli/usage", message, { remedy })
}

const isTrainedHere = (model: string): model is "lr" | "nn" => model === "lr" || model === "nn"

const checkArguments = (options: EvaluateArguments): void => {
  const { model, server, models, trained, weights, packing, packets, tokenFile, ca, answers } = options
  const elsewhere = server !== undefined || models !== undefined
  if (isTrainedHere(model) && (elsewhere || trained !== undefined))
    usage(
      `--model ${model} is trained here, and served by a process of this run.`,
      "Leave out --server, --models and --trained, or name a model that is served.",
    )
  if (!isTrainedHere(model) && trained === undefined)
    usage(
      `Nothing is known of "${model}" to compare its answers with.`,
      "Give --trained with the folder of model.json; or --model lr or nn.",
    )
  if (server !== undefined && models !== undefined)
    usage("--server and --models do not go together.", "Give one of them.")
  if ((weights !== undefined || packing !== undefined) && elsewhere)
    usage("--weights and --packing are for a model that is compiled here.", "Leave them out.")
  if (weights === "kept" && model === "nn")
    usage("Weights of networks cannot be kept.", "Give --weights shared, or --model lr.")
  if (server === undefined && (tokenFile !== undefined || ca !== undefined))
    usage("--token-file and --ca are for --server.", "Leave them out.")
  if (server !== undefined && answers !== undefined)
    usage("--answers is for a server that is started here.", "Leave it out.")
  if (server !== undefined && packets !== undefined)
    usage("What goes to a server elsewhere is not recorded.", "Leave out --server or --packets.")
}

const subjectOf = async (options: EvaluateArguments): Promise<Subject> => {
  const { model, seed } = options
  if (!isTrainedHere(model)) {
    const data = await heartData(options, "evaluate")
    const { trained } = await readTrainedModel(options.trained as string)
    return { trained, heldOut: data.rows, data }
  }
  const data = await heartData(options, "train")
  const settings = { calibrate: "platt", freely: false, name: `heart-${model}`, version: "1" } as const
  const { trained, test } = trainHeart({ ...settings, kind: model, data, seed })
  return { trained, heldOut: test, data }
}

const budgetOf = ({ answers, weights, n }: EvaluateArguments): number | undefined =>
  answers ?? (weights === "kept" ? n + CORNERS : undefined)

const begin = (options: EvaluateArguments, trained: TrainedModelFile): Promise<EvaluationServer> => {
  const record = options.packets !== undefined
  const answers = budgetOf(options)
  const { server, models } = options
  if (server !== undefined) return askElsewhere({ ...options, server })
  if (models !== undefined) return askOwnServer({ models, model: options.model, answers, record })
  const { weights = "shared", packing } = options
  const compiled = compileTrained(trained, { weights, ...(packing === undefined ? {} : { packing }) })
  return askOwnServer({ models: compiled, answers, record })
}

const WAYS: Readonly<Record<EvaluationServer["way"], string>> = {
  tls: "a server process on this machine, over TLS, one patient a request",
  recorded: "a server process on this machine, without TLS over a relay that records, one patient a request",
  elsewhere: "the server that was named, one patient a request",
}

const amount = (value: number, unit: string): string =>
  unit === "B"
    ? `${value} B`
    : unit === "logit"
      ? value.toExponential(1)
      : `${Number(value.toPrecision(3))}${unit === "ms" ? " ms" : ""}`

export const barLines = (bars: readonly Bar[]): readonly string[] =>
  columns(
    ["  bar", "found", "limit", ""],
    bars.map(({ what, value, limit, unit, holds }) => [
      `  ${what}`,
      amount(value, unit),
      amount(limit, unit),
      holds ? "holds" : "DOES NOT HOLD",
    ]),
  )

const notesOf = (
  { plan }: EvaluationServer["client"],
  way: EvaluationServer["way"],
  answers: number | undefined,
): readonly string[] => {
  const determined = mostAnswers(plan)
  const notes: string[] = []
  if (plan.weights === "kept" && answers !== undefined && answers > determined)
    notes.push(
      `The server was started with a budget of ${answers} answers for this run; ${determined} are what it gives an asker by itself, since more determine the weights.`,
    )
  const [load, cores] = [loadavg()[0] as number, availableParallelism()]
  if (load > cores)
    notes.push(
      `The machine is busy: ${load.toFixed(1)} processes want ${cores} processors, and times are longer for it.`,
    )
  if (way !== "tls") notes.push("The bar of time is about TLS on one machine, and is left out.")
  return notes
}

/** Plain against encrypted on the same patients, with a real server; ends with 6 if a bar does not hold. */
export const inferEvaluate = async (options: EvaluateArguments): Promise<void> => {
  checkArguments(options)
  const { n, format, packets } = options
  const { trained, heldOut, data } = await subjectOf(options)
  if (heldOut.rows < n)
    usage(`${n} patients are asked for; ${heldOut.rows} are held out.`, "Give a smaller --n, or more rows.")
  const rows = selectRows(
    heldOut,
    Array.from({ length: n }, (_, i) => i),
  )
  const server = await begin(options, trained)
  let compared: Compared
  try {
    const patients = patientsOfRows(trained.schema, rows)
    compared = await compareBothWays(server.client, trained, patients, Uint8Array.from(rows.labels))
  } finally {
    await server.close()
  }
  const recorded = server.recorded()
  if (packets !== undefined && recorded !== null) await writeReport(resolve(packets), recorded, true)
  const { client, way } = server
  const { plan, planHash, reveals } = client
  const { evaluation, extremes, firstMs, shares } = compared
  const network = trained.model.kind === "network"
  const bars = barsOf({ plan, network, evaluation, extremes, timed: way === "tls" })
  const notes = notesOf(client, way, budgetOf(options))
  const { source, synthetic, warnings } = data
  print(
    format,
    {
      model: plan.model,
      version: plan.version,
      plan: planHash,
      kind: trained.model.kind,
      weights: plan.weights,
      packing: plan.packing,
      data: source,
      synthetic,
      way,
      ...evaluation,
      extremes,
      firstMs,
      ms: shares,
      reveals,
      bars,
      notes: [...warnings, ...notes],
      packets: packets === undefined ? null : resolve(packets),
    },
    [
      `${plan.model}, version ${plan.version}: plain against encrypted on patients of ${source}`,
      `Asked at ${WAYS[way]}.`,
      ...(synthetic ? ["The patients are synthetic: nothing clinical may be concluded."] : []),
      ...[...warnings, ...notes].map((note) => `Note: ${note}`),
      "",
      evaluationText(evaluation),
      "",
      `A request: ${shares.encrypt.toFixed(2)} ms encrypting, ${shares.roundTrip.toFixed(2)} ms on the way and at the server${shares.server === null ? "" : ` (${shares.server.toFixed(2)} ms of computing)`}, ${shares.open.toFixed(2)} ms opening. The very first took ${firstMs.toFixed(0)} ms.`,
      `${extremes.n} patients at the ends of all declared ranges: largest logit error ${extremes.maxLogitError.toExponential(1)}.`,
      `Weights ${plan.weights}: ${reveals}`,
      "",
      ...barLines(bars),
      ...(packets === undefined ? [] : ["", `What crossed between client and server: ${resolve(packets)}`]),
    ],
  )
  if (!bars.every(({ holds }) => holds)) throw new EndWith(NOT_AS_IT_MUST)
}
