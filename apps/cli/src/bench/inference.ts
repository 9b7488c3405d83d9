import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { writeCompiledFolder } from "@consilium/node/inference/model-folder"
import { selectRows } from "@consilium/records/rows"
import { connectTo } from "../infer/asking.js"
import { compileTrained } from "../infer/compile-trained.js"
import { type Compared, compareBothWays, middle } from "../infer/plain-and-encrypted.js"
import { ServerProcess } from "../infer/server-process.js"
import { type ThrowAwayCertificate, throwAwayCertificate } from "../infer/throw-away-certificate.js"
import type { TrainedHeart } from "../infer/train-heart.js"
import { logitsFor, type MeasuredModels, measuredModels, peerWorkload } from "./inference-models.js"
import { measuredBy } from "./measuring-program.js"
import { processorMs } from "./processor-time.js"

/** One figure. Of times the median, with the best run beside it. */
export interface InferenceRow {
  readonly id: string
  readonly value: number | null
  readonly unit: string
  readonly best?: number
  /** What the figure is held to, and whether it is met. */
  readonly bar?: string
  readonly met?: boolean
  /** The peer's same figure over this one. */
  readonly ratio?: number
  readonly note?: string
}

interface Extent {
  readonly singles: number
  readonly batches: number
  readonly seconds: number
  readonly distinct: number
  readonly peerRuns: number
}
const FULL: Extent = { singles: 200, batches: 15, seconds: 10, distinct: 1000, peerRuns: 50 }
const QUICK: Extent = { singles: 10, batches: 2, seconds: 1, distinct: 40, peerRuns: 5 }

const BATCH = 2048
const CONNECTIONS = 16
/** Counted, so that budgets are set aside in blocks on disk, and never reached. */
const ANSWERS = 1_000_000_000
const REQUESTS_PER_SECOND = 1_000_000

const atMost = (value: number, limit: number, unit: string) => ({
  bar: `<= ${limit} ${unit}`,
  met: value <= limit,
})

/** A server process with one model, over TLS, for as long as the work lasts. */
const served = async <T>(
  certificate: ThrowAwayCertificate,
  heart: TrainedHeart,
  options: Parameters<typeof compileTrained>[1],
  work: (server: ServerProcess) => Promise<T>,
): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), "consilium-bench-"))
  try {
    await writeCompiledFolder(folder, compileTrained(heart.trained, options))
    const server = await ServerProcess.start({
      models: folder,
      certificate,
      answers: ANSWERS,
      requestsPerSecond: REQUESTS_PER_SECOND,
    })
    try {
      return await work(server)
    } finally {
      await server.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** One patient a request, checked against the plain model. */
const single = async (server: ServerProcess, heart: TrainedHeart, models: MeasuredModels, count: number) => {
  const client = await connectTo({ url: server.url, authority: server.ca })
  try {
    const places = Array.from({ length: count }, (_, at) => at)
    const labels = Uint8Array.from(selectRows(models.rows, places).labels)
    const compared = await compareBothWays(client, heart.trained, models.patients.slice(0, count), labels)
    const { evaluation, extremes } = compared
    if (Math.max(evaluation.maxLogitError, extremes.maxLogitError) > client.plan.errorBound)
      throw new ConsiliumError("cli/bench-failed", "Answers are off by more than the plan proves.")
    return compared
  } finally {
    client.close()
  }
}

const singleRows = (
  id: string,
  { evaluation, shares, patients }: Compared,
  limit: number,
): readonly InferenceRow[] => {
  const { latencyMs, bytes } = evaluation
  return [
    {
      id: `${id}.latency`,
      value: latencyMs.p50,
      unit: "ms",
      best: patients.reduce((least, { ms }) => Math.min(least, ms), Number.POSITIVE_INFINITY),
      ...atMost(latencyMs.p50, limit, "ms"),
    },
    { id: `${id}.latency-p95`, value: latencyMs.p95, unit: "ms" },
    { id: `${id}.encrypt`, value: shares.encrypt, unit: "ms" },
    { id: `${id}.server`, value: shares.server, unit: "ms" },
    { id: `${id}.open`, value: shares.open, unit: "ms" },
    { id: `${id}.up`, value: bytes.up, unit: "B" },
    { id: `${id}.down`, value: bytes.down, unit: "B" },
    { id: `${id}.keys`, value: bytes.keys, unit: "B" },
    { id: `${id}.logit-error`, value: evaluation.maxLogitError, unit: "logit" },
  ]
}

/** All patients in one request, again and again; what the server counts has the decoding of the request in it. */
const batchRows = async (
  server: ServerProcess,
  { nn, rows, patients }: MeasuredModels,
  runs: number,
): Promise<readonly InferenceRow[]> => {
  const client = await connectTo({ url: server.url, authority: server.ca })
  const logits = logitsFor(nn, rows)
  const [serverMs, wholeMs]: [number[], number[]] = [[], []]
  try {
    for (let run = 0; run < runs + 1; run++) {
      const began = performance.now()
      const { predictions, exchanges } = await client.predictMany(patients)
      const whole = performance.now() - began
      const off = Math.max(...predictions.map(({ logit }, at) => Math.abs(logit - (logits[at] as number))))
      if (exchanges.length !== 1 || !(off <= client.plan.errorBound))
        throw new ConsiliumError("cli/bench-failed", `Answers of a batch are off by ${off}.`)
      // the first compiles the code that it runs
      if (run === 0) continue
      serverMs.push(exchanges[0]?.serverMs ?? Number.NaN)
      wholeMs.push(whole)
    }
  } finally {
    client.close()
  }
  const id = `inference.nn-${BATCH}`
  const time = middle(serverMs)
  return [
    { id: `${id}.server`, value: time, unit: "ms", best: Math.min(...serverMs), ...atMost(time, 60, "ms") },
    { id: `${id}.whole`, value: middle(wholeMs), unit: "ms", best: Math.min(...wholeMs) },
  ]
}

interface Load {
  readonly rates: readonly number[]
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number }
  readonly requests: number
  readonly cpuMs: number
}

/** As many requests as the server answers, from a process of their own. */
const throughputRows = async (
  server: ServerProcess,
  { lr, rows, patients }: MeasuredModels,
  { seconds, distinct }: Extent,
): Promise<readonly InferenceRow[]> => {
  const spent: (number | null)[] = []
  const load = (await measuredBy(
    "bench/inference/load.mjs",
    {
      ...{ url: server.url, ca: server.ca, model: lr.trained.name, connections: CONNECTIONS },
      ...{ seconds, distinct, patients: patients.slice(0, distinct), logits: logitsFor(lr, rows) },
    },
    () => spent.push(processorMs(server.pid)),
  )) as Load
  const id = "inference.lr-shared.throughput"
  const rate = middle(load.rates)
  const [before, after] = spent
  const own =
    typeof before === "number" && typeof after === "number" ? (after - before) / load.requests : null
  return [
    {
      ...{ id, value: rate, unit: "requests/s", best: Math.max(...load.rates) },
      ...{ bar: ">= 2000 requests/s", met: rate >= 2000 },
    },
    { id: `${id}.latency`, value: load.latencyMs.p50, unit: "ms" },
    { id: `${id}.latency-p99`, value: load.latencyMs.p99, unit: "ms" },
    {
      ...{ id: `${id}.server-processor`, value: own, unit: "ms/request" },
      ...(own === null ? { note: "this system does not show it" } : {}),
    },
    { id: `${id}.asker-processor`, value: load.cpuMs / load.requests, unit: "ms/request" },
  ]
}

interface Beside {
  /** The peer and its version; null where it is not installed. */
  readonly peer: string | null
  readonly rows: readonly InferenceRow[]
}

/** Own computing and the peer's in turns, in one process without a network. */
const besidePeer = async (models: MeasuredModels, runs: number): Promise<Beside> => {
  const { lr, nn, patients } = models
  const folder = await mkdtemp(join(tmpdir(), "consilium-bench-"))
  try {
    for (const { trained } of [lr, nn])
      await writeCompiledFolder(join(folder, trained.name), compileTrained(trained, {}))
    const [lrFolder, nnFolder] = [join(folder, lr.trained.name), join(folder, nn.trained.name)]
    const workload = { lr: lrFolder, nn: nnFolder, patients, runs, ...peerWorkload(models) }
    return (await measuredBy("bench/inference/beside.mjs", workload)) as Beside
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const figureOf = (rows: readonly InferenceRow[], id: string): number =>
  rows.find((row) => row.id === id)?.value ?? Number.NaN

const MANY = `nn-${BATCH}`

/** The peer's figures over this project's: times of runs in turns, and bytes. */
const ratioRows = (rows: readonly InferenceRow[]): readonly InferenceRow[] => {
  const sum = (ids: readonly string[]): number =>
    ids.reduce((total, id) => total + figureOf(rows, `inference.${id}`), 0)
  const times = (what: string, ours: readonly string[], theirs: readonly string[]): InferenceRow => ({
    id: `inference.ratio.${what}`,
    value: sum(theirs) / sum(ours),
    unit: "times",
  })
  const steps = (side: string) => ["encrypt", "serve", "open"].map((step) => `${side}.lr.${step}`)
  const bytes = (name: string) => ["up", "down"].map((way) => `${name}.${way}`)
  return [
    times("one-patient-compute", steps("own"), steps("node-seal")),
    times("one-patient-server", ["own.lr.serve"], ["node-seal.lr.serve"]),
    times("one-patient-bytes", bytes("lr-shared"), bytes("node-seal.lr")),
    times(`${BATCH}-patients-server`, [`own.${MANY}.serve`], [`node-seal.${MANY}.serve`]),
    times(`${BATCH}-patients-bytes`, bytes("nn-shared"), bytes(`node-seal.${MANY}`)),
  ]
}

/** All figures of encrypted inference, and of the peer beside them. */
export const measureInference = async (
  quick: boolean,
  tell: (line: string) => void,
): Promise<{ readonly rows: readonly InferenceRow[]; readonly peer: string }> => {
  const extent = quick ? QUICK : FULL
  tell("training the models ...")
  const models = measuredModels(BATCH)
  const certificate = await throwAwayCertificate()
  const { singles, batches, peerRuns } = extent
  const { lr, nn } = models
  const shared = await served(certificate, lr, {}, async (server) => {
    tell("asking the logistic regression, weights shared ...")
    const one = await single(server, lr, models, singles)
    tell("asking it as often as it answers ...")
    return [...singleRows("inference.lr-shared", one, 5), ...(await throughputRows(server, models, extent))]
  })
  const kept = await served(certificate, lr, { weights: "kept" }, async (server) => {
    tell("asking the logistic regression, weights kept ...")
    return singleRows("inference.lr-kept", await single(server, lr, models, singles), 15)
  })
  const network = await served(certificate, nn, {}, async (server) => {
    tell("asking the network ...")
    const one = await single(server, nn, models, singles)
    return [...singleRows("inference.nn-shared", one, 60), ...(await batchRows(server, models, batches))]
  })
  const byFeature = await served(certificate, nn, { packing: "slots-by-feature" }, async (server) => {
    tell("asking it with all columns of a patient in one ciphertext ...")
    return singleRows("inference.nn-by-feature", await single(server, nn, models, singles), 60)
  })
  tell("computing beside node-seal ...")
  const beside = await besidePeer(models, peerRuns)
  const rows = [...shared, ...kept, ...network, ...byFeature, ...beside.rows]
  if (beside.peer !== null) return { rows: [...rows, ...ratioRows(rows)], peer: beside.peer }
  const missing = { id: "inference.node-seal", value: null, unit: "ms", note: "not installed" }
  return { rows: [...rows, missing], peer: "node-seal is not installed" }
}
