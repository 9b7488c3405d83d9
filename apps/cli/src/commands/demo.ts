import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import type { Protection, Strategy } from "@consilium/federation/study"
import { auditFolder } from "@consilium/node/audit-folder"
import { facilityFileSchema } from "@consilium/node/config/role-files"
import { type RawRecords, readRecords } from "@consilium/node/local-records"
import { readOutcomes } from "@consilium/node/roles/outcome"
import { baselinesOf, rowOf } from "../demo/baselines.js"
import { Chaos } from "../demo/chaos.js"
import { type DemoLayout, type DemoPlan, layOut, studyOfPlan } from "../demo/layout.js"
import { Processes } from "../demo/processes.js"
import { type DemoReport, reportText } from "../demo/report.js"
import { DEMO_DELTA } from "../demo/studies.js"
import { withoutNoise } from "../demo/without-noise.js"
import { stopSignal } from "./stopping.js"

interface DemoArguments {
  readonly study: "simulated" | "heart"
  readonly data?: string
  readonly facilities?: number
  readonly fogs?: number
  readonly rounds?: number
  readonly seed?: number
  readonly strategy?: Strategy
  readonly learningRate?: number
  readonly fineTune: number
  readonly protection: Protection
  readonly privacy: string
  readonly chaos?: boolean
  readonly keep?: string
  readonly format: "text" | "json"
}

const tell = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const CHAOS_SEED = 42

const DEFAULTS = {
  simulated: { facilities: 6, fogs: 2, rounds: 10, strategy: "fedavg" },
  heart: { facilities: 4, fogs: 1, rounds: 15, strategy: "fedyogi" },
} as const

/** The simulated study has no published tuning; averaging gets near the pooled model in ten rounds at this rate. */
const SIMULATED_RATE = 0.01

/** The budget that `--privacy` names; null for none. */
const epsilonOf = (privacy: string): number | null => {
  if (privacy === "off") return null
  const epsilon = Number(privacy)
  if (privacy.trim() !== "" && epsilon > 0 && epsilon < Number.POSITIVE_INFINITY) return epsilon
  throw new ConsiliumError("cli/usage", `--privacy ${JSON.stringify(privacy)} is no budget.`, {
    remedy: "Say --privacy off, or an epsilon above 0 such as --privacy 8; smaller is more private.",
  })
}

const planOf = (options: DemoArguments): DemoPlan => {
  const epsilon = epsilonOf(options.privacy)
  if (epsilon !== null && options.fineTune > 0)
    throw new ConsiliumError("cli/usage", "Fine-tuning adds no noise, so it does not go with --privacy.", {
      remedy: "Leave --fine-tune out, or say --privacy off.",
    })
  const defaults = DEFAULTS[options.study]
  const strategy = options.strategy ?? defaults.strategy
  const facilities = options.facilities ?? defaults.facilities
  const fogs = options.fogs ?? defaults.fogs
  if (options.study === "simulated" && options.data !== undefined)
    throw new ConsiliumError("cli/usage", "The simulated study makes its own rows and reads no --data.", {
      remedy: "Leave --data out, or add --study heart.",
    })
  if (options.study === "heart" && facilities !== 4)
    throw new ConsiliumError("cli/usage", `The heart study has four centres, not ${facilities}.`, {
      remedy: "Leave --facilities out, or use --study simulated.",
    })
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
    learningRate:
      options.learningRate ??
      (options.study === "simulated" && strategy === "fedavg" && epsilon === null
        ? SIMULATED_RATE
        : undefined),
    fineTuneSteps: options.fineTune,
    protection: options.protection,
    epsilon,
  }
}

/** The same study without noise. */
const quietly = (plan: DemoPlan): DemoPlan => ({
  ...plan,
  epsilon: null,
  learningRate: plan.study === "simulated" && plan.strategy === "fedavg" ? SIMULATED_RATE : undefined,
})

/** The rows on the sides that the study has them on. */
const asSplit = (records: ReadonlyMap<string, RawRecords>, plan: DemoPlan): typeof records =>
  plan.epsilon === null
    ? records
    : new Map([...records].map(([name, raw]) => [name, { ...raw, ...raw.independent }]))

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

/** Lays the study out and reads all records, so that a file that cannot be used is told before anything starts. */
const prepare = async (folder: string, plan: DemoPlan) => {
  const layout = await layOut(folder, plan)
  const records = new Map(
    await Promise.all(
      [...layout.facilities].map(
        async ([name, { configPath, file }]) =>
          [name, await readRecords(name, configPath, facilityFileSchema.parse(file))] as const,
      ),
    ),
  )
  return { layout, records: asSplit(records, plan) }
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

/** A whole study on this machine: data, kits, a process per role, and a report that says what was checked. */
export const demo = async (options: DemoArguments): Promise<void> => {
  const plan = planOf(options)
  const stop = stopSignal(false)
  const folder = await runFolder(options.keep)
  const { layout, records } = await prepare(folder, plan).catch(async (error) => {
    // nobody has asked for the folder, and nothing in it says more than the error
    if (options.keep === undefined) await rm(folder, { recursive: true, force: true })
    throw error
  })
  const undisturbed = options.chaos === true ? await undisturbedHash(plan, stop) : null
  tell(`The study is laid out in ${folder}; starting ${layout.processes.length} processes.`)
  const chaos = undisturbed === null ? null : new Chaos(tell)
  const { outcome, processes, seconds } = await runProcesses(layout, stop, chaos)
  const leader = layout.processes.find(({ role }) => role === "leader")?.config as string
  const audit = await auditFolder(leader, { study: outcome.id })
  const withNames = (metrics: "global" | "personal") =>
    rowOf(
      outcome.facilities.map((facility) => ({
        name: facility.name,
        accuracy: facility[metrics]?.accuracy ?? null,
        balancedAccuracy: facility[metrics]?.balancedAccuracy ?? null,
        auc: facility[metrics]?.auc ?? null,
      })),
    )
  const report: DemoReport = {
    study: plan.study,
    protection: plan.protection,
    strategy: plan.strategy,
    seed: plan.seed,
    marks: [
      ...(plan.seed === null ? [] : ["insecure-seed"]),
      ...(plan.study === "simulated" ? ["synthetic-data"] : []),
      ...(plan.epsilon === null ? [] : ["exact-metrics"]),
    ],
    modelHash: outcome.modelHash,
    logHead: outcome.logHead,
    seconds,
    processes: processes.map(({ role, name, pid }) => ({ role, name, pid })),
    rounds: outcome.rounds.map(({ round, participants, seconds: took, bytes }) => ({
      round,
      participants,
      seconds: took,
      bytes,
    })),
    metrics: withNames("global"),
    personalised: plan.fineTuneSteps > 0 ? withNames("personal") : null,
    baselines: baselinesOf(plan.study, records, plan.seed ?? 0),
    budget: plan.epsilon === null ? null : { epsilon: plan.epsilon, delta: DEMO_DELTA },
    privacy: outcome.privacy,
    withoutNoise:
      plan.epsilon === null
        ? null
        : withoutNoise(studyOfPlan(quietly(plan), [...records.keys()]), records, plan.seed ?? 0),
    audit: {
      verified: audit.logHead === outcome.logHead && audit.modelHash === outcome.modelHash,
      events: audit.events,
      certifiedSums: audit.certifiedRounds,
    },
    chaos:
      undisturbed === null || chaos === null
        ? null
        : {
            kills: chaos.kills,
            undisturbedHash: undisturbed,
            same: undisturbed === outcome.modelHash,
          },
    folder,
  }
  process.stdout.write(options.format === "json" ? `${JSON.stringify(report)}\n` : reportText(report))
  if (report.chaos?.same === false)
    throw new ConsiliumError("cli/process-ended", "The disturbed study ended with another model.", {
      remedy: `Keep ${folder} and report it: its logs show what happened.`,
    })
}
