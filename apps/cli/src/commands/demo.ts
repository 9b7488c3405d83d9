import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import type { Protection, Study } from "@consilium/federation/study"
import { auditFolder } from "@consilium/node/audit-folder"
import { withStoredStudy } from "@consilium/node/audit-sources"
import { type PrivacyTerms, privacyConfigSchema, privacyTerms } from "@consilium/node/config/privacy-config"
import { readConfig } from "@consilium/node/config/yaml-file"
import { type Sides, sidesOf } from "@consilium/node/local-records"
import { type Outcome, readOutcomes } from "@consilium/node/roles/outcome"
import { baselinesOf, rowOf } from "../demo/baselines.js"
import { Chaos } from "../demo/chaos.js"
import { chestFolder } from "../demo/chest-images.js"
import { explainRun } from "../demo/explain.js"
import { imageBaselines, imageModels } from "../demo/image-baselines.js"
import { imageReport, type RoundModels, roundModels } from "../demo/image-report.js"
import { demoInProcess, LOG_FILE } from "../demo/in-process.js"
import { type DemoLayout, type DemoPlan, layOut, layOutInProcess, studyOfPlan } from "../demo/layout.js"
import { noiseOf, noiseTerms } from "../demo/noise-switches.js"
import { Processes } from "../demo/processes.js"
import { type Records, recordsOf } from "../demo/records.js"
import { type DemoReport, reportText } from "../demo/report.js"
import { averages, DEMO_DELTA, type DemoStrategy, personalises, proximalMuOf } from "../demo/studies.js"
import { type DemoSubject, isMadeUp } from "../demo/subjects.js"
import { withoutNoise } from "../demo/without-noise.js"
import { stopSignal } from "./stopping.js"

interface DemoArguments {
  readonly study: DemoSubject
  readonly data?: string
  readonly facilities?: number
  readonly fogs?: number
  readonly rounds?: number
  readonly seed?: number
  readonly strategy?: DemoStrategy
  readonly mu?: number
  readonly learningRate?: number
  readonly fineTune: number
  readonly protection: Protection
  readonly privacy?: string
  readonly privacyConfig?: string
  /** `--calibrate true|false`, or `--no-calibrate`. */
  readonly calibrate?: string | boolean
  readonly noiseMultiplier?: number
  readonly chaos?: boolean
  readonly inProcess?: boolean
  readonly explain?: boolean
  readonly keep?: string
  readonly format: "text" | "json"
}

const tell = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const CHAOS_SEED = 42

const DEFAULTS = {
  simulated: { facilities: 6, fogs: 2, rounds: 10, strategy: "fedavg" },
  "synthetic-heart": { facilities: 6, fogs: 2, rounds: 10, strategy: "fedavg" },
  heart: { facilities: 4, fogs: 1, rounds: 15, strategy: "fedyogi" },
  pneumonia: { facilities: 5, fogs: 1, rounds: 20, strategy: "fedavg" },
} as const

/** The simulated study has no published tuning; averaging gets near the pooled model in ten rounds at this rate. */
const SIMULATED_RATE = 0.01

/** What a machine with some gigabytes carries: a facility's process takes up to 90 MB. */
const MOST_PROCESSES = 100
const MOST_IN_PROCESS = 1000

/** What each facility may spend in the simulated study unless told; facilities' own models have no noise, so they go without. */
const SIMULATED_EPSILON = 8

/** The budget that `--privacy` names, or the study's own; null for none. */
const epsilonOf = ({ study, privacy, fineTune, strategy }: DemoArguments): number | null => {
  if (privacy === undefined)
    return study === "simulated" && fineTune === 0 && strategy !== "ditto" ? SIMULATED_EPSILON : null
  if (privacy === "off") return null
  const epsilon = Number(privacy)
  if (privacy.trim() !== "" && epsilon > 0 && epsilon < Number.POSITIVE_INFINITY) return epsilon
  throw new ConsiliumError("cli/usage", `--privacy ${JSON.stringify(privacy)} is no budget.`, {
    remedy: "Say --privacy off, or an epsilon above 0 such as --privacy 8; smaller is more private.",
  })
}

const planOf = (options: DemoArguments, configured: PrivacyTerms | null): DemoPlan => {
  const epsilon = configured === null ? epsilonOf(options) : (configured.privacy?.epsilon ?? null)
  const protection = configured?.protection ?? options.protection
  const terms = configured ?? noiseTerms({ ...options, epsilon, delta: DEMO_DELTA })
  if (epsilon !== null && options.fineTune > 0)
    throw new ConsiliumError("cli/usage", "Fine-tuning adds no noise, so it does not go with --privacy.", {
      remedy: "Leave --fine-tune out, or say --privacy off.",
    })
  if (epsilon !== null && options.strategy === "ditto")
    throw new ConsiliumError(
      "cli/usage",
      "Personal models add no noise, so ditto does not go with --privacy.",
      {
        remedy: "Take another --strategy, or say --privacy off.",
      },
    )
  if (options.fineTune > 0 && options.strategy === "ditto")
    throw new ConsiliumError("cli/usage", "With ditto each facility has a model of its own already.", {
      remedy: "Leave --fine-tune out, or take another --strategy.",
    })
  const defaults = DEFAULTS[options.study]
  const strategy = options.strategy ?? defaults.strategy
  const facilities = options.facilities ?? defaults.facilities
  const fogs = options.fogs ?? defaults.fogs
  if (isMadeUp(options.study) && options.data !== undefined)
    throw new ConsiliumError(
      "cli/usage",
      `The ${options.study} study makes its own rows and reads no --data.`,
      {
        remedy: "Leave --data out, or add --study heart or --study pneumonia.",
      },
    )
  if (options.study === "heart" && facilities !== 4)
    throw new ConsiliumError("cli/usage", `The heart study has four centres, not ${facilities}.`, {
      remedy: "Leave --facilities out, or use --study simulated.",
    })
  const most = options.inProcess === true ? MOST_IN_PROCESS : MOST_PROCESSES
  if (facilities > most)
    throw new ConsiliumError("cli/usage", `${facilities} facilities are more than ${most}.`, {
      remedy:
        options.inProcess === true
          ? `Name at most ${most} facilities.`
          : `Add --in-process, which takes up to ${MOST_IN_PROCESS} in one process.`,
    })
  if (options.inProcess === true && options.chaos === true)
    throw new ConsiliumError("cli/usage", "--chaos kills processes, and --in-process has none.", {
      remedy: "Leave one of them out.",
    })
  if (options.inProcess === true && options.explain === true)
    throw new ConsiliumError(
      "cli/usage",
      "--explain reads the leader's folder, and --in-process leaves none.",
      {
        remedy: "Leave one of them out.",
      },
    )
  if (fogs > facilities)
    throw new ConsiliumError("cli/usage", `${fogs} fogs are more than ${facilities} facilities.`, {
      remedy: "Name at most as many fogs as facilities.",
    })
  return {
    study: options.study,
    data: options.data ?? null,
    facilities,
    fogs,
    rounds: options.rounds ?? defaults.rounds,
    // two runs can be compared only if their secrets are the same
    seed: options.seed ?? (options.chaos === true ? CHAOS_SEED : null),
    strategy,
    proximalMu: options.mu,
    learningRate:
      options.learningRate ??
      (isMadeUp(options.study) && averages(strategy) && epsilon === null ? SIMULATED_RATE : undefined),
    fineTuneSteps: options.fineTune,
    protection,
    epsilon,
    terms,
  }
}

/** The terms of a privacy_config.yaml, told from beforehand. */
const termsIn = async ({ privacyConfig }: DemoArguments): Promise<PrivacyTerms | null> => {
  if (privacyConfig === undefined) return null
  const terms = privacyTerms(await readConfig(privacyConfigSchema, privacyConfig))
  for (const note of terms.notes) tell(`Note: ${note}`)
  return terms
}

/** The same study without noise. */
const quietly = (plan: DemoPlan): DemoPlan => ({
  ...plan,
  epsilon: null,
  terms: null,
  learningRate: isMadeUp(plan.study) && averages(plan.strategy) ? SIMULATED_RATE : undefined,
})

/** The rows on the sides that a study with noise has them on, for one without. */
const onPrivateSides = (records: Records): Records =>
  new Map([...records].map(([name, raw]) => [name, { ...raw, ...raw.independent }]))

/** The rows on the sides that the study has them on, with nothing missing. */
const asSplit = (records: Records, study: Study): ReadonlyMap<string, Sides> =>
  new Map([...records].map(([name, raw]) => [name, sidesOf(raw, study)]))

/** The folder of a run: a new one, or the one named, which must be empty. */
const runFolder = async (keep: string | undefined): Promise<string> => {
  if (keep === undefined) return mkdtemp(join(tmpdir(), "consilium-demo-"))
  const folder = resolve(keep)
  let found: readonly string[]
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    found = await readdir(folder)
  } catch (cause) {
    throw new ConsiliumError("cli/usage", `The folder ${folder} cannot be made.`, {
      remedy: "Name an empty or a new folder with --keep, where you may write.",
      cause,
    })
  }
  if (found.length > 0)
    throw new ConsiliumError("config/exists", `The folder ${folder} is not empty.`, {
      remedy: "Name an empty or a new folder with --keep.",
    })
  return folder
}

/** Runs the processes of a study to its end; `chaos` kills some of them on the way. */
const runProcesses = async (layout: DemoLayout, stop: AbortSignal, chaos: Chaos | null) => {
  const started = Date.now()
  const processes = await Processes.start(layout.folder, layout.processes, (line) => {
    tell(`  ${line}`)
    chaos?.hear(line)
  })
  chaos?.aim(processes)
  const killAll = (): void => processes.kill()
  process.once("exit", killAll)
  let complete = false
  try {
    await processes.studyEnded(stop)
    await chaos?.settled()
    complete = true
  } finally {
    await processes.end(complete)
    process.removeListener("exit", killAll)
  }
  const [outcome] = await readOutcomes(join(layout.folder, "leader", "data"))
  if (outcome === undefined)
    throw new ConsiliumError("cli/process-ended", "The leader ended without an outcome.", {
      remedy: `Read ${join(layout.folder, "logs", "leader.log")}.`,
    })
  return { outcome, processes: processes.list, seconds: (Date.now() - started) / 1000 }
}

/** The model of the same study when nobody is killed. */
const undisturbedHash = async (plan: DemoPlan, stop: AbortSignal): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "consilium-demo-"))
  try {
    tell("First the study undisturbed, to compare with:")
    const { outcome } = await runProcesses(await layOut(folder, plan), stop, null)
    return outcome.modelHash
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What came of a run, whoever ran it. */
interface Run {
  readonly records: Records
  readonly outcome: Outcome
  readonly processes: DemoReport["processes"]
  readonly seconds: number
  readonly audit: DemoReport["audit"]
  readonly chaos: DemoReport["chaos"]
  readonly explained: DemoReport["explained"]
  /** The model of every round, where the study trains a network. */
  readonly models: RoundModels
}

const auditOf = (
  outcome: Outcome,
  audit: {
    readonly logHead: string
    readonly modelHash: string
    readonly events: number
    readonly openedSums: number
  },
): DemoReport["audit"] => ({
  verified: audit.logHead === outcome.logHead && audit.modelHash === outcome.modelHash,
  events: audit.events,
  certifiedSums: audit.openedSums,
})

/** Lays something out in a run's folder; if that fails and nobody asked for the folder, it goes. */
const laidOut = async <T>(
  folder: string,
  { keep }: Pick<DemoArguments, "keep">,
  work: () => Promise<T>,
): Promise<T> =>
  work().catch(async (error) => {
    // nothing in it says more than the error
    if (keep === undefined) await rm(folder, { recursive: true, force: true })
    throw error
  })

const inOneProcess = async (folder: string, plan: DemoPlan, options: DemoArguments): Promise<Run> => {
  const { layout, records } = await laidOut(folder, options, async () => {
    const made = await layOutInProcess(folder, plan)
    return { layout: made, records: await recordsOf(made) }
  })
  tell(`The study runs in this process, among ${plan.facilities} facilities; its log comes to ${folder}.`)
  const narrate = (line: string): void => tell(`  ${line}`)
  const { outcome, audit, seconds, authority, models } = await demoInProcess(layout, records, {
    narrate,
    stop: stopSignal(false),
  })
  tell(`To check its log: consilium audit verify --file ${join(folder, LOG_FILE)} --authority ${authority}`)
  return {
    records,
    outcome,
    processes: [],
    seconds,
    audit: auditOf(outcome, audit),
    chaos: null,
    explained: null,
    models,
  }
}

const inProcesses = async (folder: string, plan: DemoPlan, options: DemoArguments): Promise<Run> => {
  const stop = stopSignal(false)
  const { layout, records } = await laidOut(folder, options, async () => {
    const made = await layOut(folder, plan)
    return { layout: made, records: await recordsOf(made) }
  })
  const undisturbed = options.chaos === true ? await undisturbedHash(plan, stop) : null
  tell(`The study is laid out in ${folder}; starting ${layout.processes.length} processes.`)
  const chaos = undisturbed === null ? null : new Chaos(tell)
  const { outcome, processes, seconds } = await runProcesses(layout, stop, chaos)
  const leader = layout.processes.find(({ role }) => role === "leader")?.config as string
  const audit = await auditFolder(leader, { study: outcome.id })
  return {
    records,
    outcome,
    processes: processes.map(({ role, name, pid }) => ({ role, name, pid })),
    seconds,
    audit: auditOf(outcome, audit),
    explained: options.explain === true ? await explainRun(leader, outcome.id) : null,
    models: await withStoredStudy(leader, outcome.id, ({ study, store }) =>
      roundModels(study, store.entries()),
    ),
    chaos:
      undisturbed === null || chaos === null
        ? null
        : {
            kills: chaos.kills,
            undisturbedHash: undisturbed,
            same: undisturbed === outcome.modelHash,
          },
  }
}

/**
 * A whole study on this machine: data, kits, a process per role or one for all, and a report that says what was checked.
 */
export const demo = async (options: DemoArguments): Promise<void> => {
  const plan = planOf(options, await termsIn(options))
  const folder = await runFolder(options.keep)
  const run = await (options.inProcess === true ? inOneProcess : inProcesses)(folder, plan, options)
  const { outcome, processes, seconds } = run
  const { records } = run
  const names = [...records.keys()]
  const study = studyOfPlan(plan, names)
  const withNames = (metrics: "global" | "personal") =>
    rowOf(
      outcome.facilities.map((facility) => ({
        name: facility.name,
        accuracy: facility[metrics]?.accuracy ?? null,
        balancedAccuracy: facility[metrics]?.balancedAccuracy ?? null,
        auc: facility[metrics]?.auc ?? null,
      })),
    )
  const sides = asSplit(records, study)
  const networks = plan.study === "pneumonia" ? imageModels(study, sides, plan.seed ?? 0) : null
  const report: DemoReport = {
    study: plan.study,
    protection: plan.protection,
    strategy: plan.strategy,
    proximalMu: proximalMuOf(plan.strategy, plan.proximalMu),
    seed: plan.seed,
    marks: [
      ...(plan.seed === null ? [] : ["insecure-seed"]),
      ...(isMadeUp(plan.study) ? ["synthetic-data"] : []),
      ...(options.inProcess === true ? ["in-process"] : []),
      ...(plan.epsilon === null ? [] : ["exact-metrics"]),
    ],
    modelHash: outcome.modelHash,
    logHead: outcome.logHead,
    seconds,
    processes,
    rounds: outcome.rounds.map(({ round, participants, seconds: took, bytes }) => ({
      round,
      participants,
      seconds: took,
      bytes,
    })),
    metrics: withNames("global"),
    personalised: personalises(plan) ? withNames("personal") : null,
    subgroups: outcome.subgroups,
    figures: outcome.figures,
    baselines: networks
      ? imageBaselines(study, sides, networks)
      : baselinesOf(plan.study, sides, plan.seed ?? 0),
    images: networks ? await imageReport(study, chestFolder(plan.data), sides, networks, run.models) : null,
    budget:
      plan.epsilon === null
        ? null
        : { epsilon: plan.epsilon, delta: plan.terms?.privacy?.delta ?? DEMO_DELTA },
    ended: outcome.reason,
    noise: noiseOf(plan, study),
    privacy: outcome.privacy,
    withoutNoise:
      plan.epsilon === null
        ? null
        : withoutNoise(studyOfPlan(quietly(plan), names), onPrivateSides(records), plan.seed ?? 0),
    audit: run.audit,
    chaos: run.chaos,
    explained: run.explained,
    folder,
  }
  process.stdout.write(options.format === "json" ? `${JSON.stringify(report)}\n` : reportText(report))
  if (report.chaos?.same === false)
    throw new ConsiliumError("cli/process-ended", "The disturbed study ended with another model.", {
      remedy: `Keep ${folder} and report it: its logs show what happened.`,
    })
}
