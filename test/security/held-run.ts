import { cpSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import type { LogEntry } from "@consilium/federation/log"
import { type MessageOf, messageCodec } from "@consilium/federation/messages"
import { initialModel, modelHashOf } from "@consilium/federation/model"
import type { Protection } from "@consilium/federation/study"
import { protectionOf } from "@consilium/federation/sums/protections"
import { callAdmin } from "@consilium/node/admin/client"
import { edit, release } from "../failures/held-study.js"
import { type KnownKeys, knownEpochKeys, knownMaskKeys } from "./known-keys.js"
import { type KnownUpdate, knownUpdates, recordsOf } from "./known-updates.js"
import { LeaderApi, storedLog } from "./leader-api.js"
import type { LongSecret, Secret } from "./needles.js"
import { plantedSecrets, plantPatients } from "./planted-patients.js"
import { scanMemory } from "./process-memory.js"
import { roleLog } from "./role-log.js"
import { type Hit, Scanner } from "./scanner.js"
import { PROGRAM, StudyRun } from "./study-run.js"

export const FACILITIES = 6
export const ROUNDS = 2
const SEED = 20_417
/** Their policy asks a person before they train: one of each region, so that the study is held while it collects. */
export const HELD = ["hospital-1", "clinic-1"]
/** Its records hold patients whom nobody else could have. */
export const PLANTED = "hospital-2"
const OVERHEARD = pathToFileURL(fileURLToPath(new URL("./overheard.mjs", import.meta.url))).href

/** A study that was searched while facilities' updates were on their way, and after its end. */
export interface HeldRun {
  readonly run: StudyRun
  readonly modelHash: string
  /** Who must not read updates, keys or shares. */
  readonly told: readonly string[]
  /** Hits in the live memory of each process while the study was held. */
  readonly memory: ReadonlyMap<string, readonly Hit[]>
  readonly memoryBytes: number
  /** Hits in what the leader's API and the admin sockets answered while the study was held, and what they answered. */
  readonly answers: readonly Hit[]
  readonly asked: readonly string[]
  /** Hits in the files of each process after the end. */
  readonly files: ReadonlyMap<string, readonly Hit[]>
  /** Hits in all that the processes sent to each other over TLS. */
  readonly traffic: readonly Hit[]
  /** The sums that were opened, in the files of the leader: known to it, and so the control of the search there. */
  readonly sums: readonly Hit[]
  readonly opened: readonly Secret[]
  readonly updates: readonly KnownUpdate[]
  /** What facilities encrypted under; null where they do not. */
  readonly keys: KnownKeys | null
  readonly patients: readonly string[]
  readonly seconds: Readonly<Record<string, number>>
}

export interface HeldPlan {
  readonly protection: Protection
  readonly fogs: number
  /** What the leader keeps its study in. */
  readonly store: "pglite" | "segments"
  /** Whether the memory of processes can be read here. */
  readonly memory: boolean
}

/** Time to search in while the study is held, seconds; no figure of the model depends on it. */
const COLLECT = 240

export const layOutHeld = async ({
  protection,
  fogs,
  store,
}: Pick<HeldPlan, "protection" | "fogs" | "store">): Promise<StudyRun> => {
  const run = await StudyRun.layOut({ facilities: FACILITIES, fogs, rounds: ROUNDS, seed: SEED, protection })
  plantPatients(run, PLANTED)
  edit(join(run.folder, "study.yaml"), (text) => text.replace(/collect: \d+/, `collect: ${COLLECT}`))
  await run.reread()
  if (store === "segments")
    edit(join(run.folder, "leader/local/leader.yaml"), (text) =>
      text.replace(/^store: pglite$/m, "store: segments"),
    )
  return run
}

/** How many of the facilities' updates the fogs have logged, or the leader where updates are dealt. */
const received = async (run: StudyRun, api: LeaderApi): Promise<number> => {
  const added = protectionOf(run.study).added !== null
  const logged = added
    ? run.named("fog").flatMap((name) => roleLog(join(run.folder, name, "data")))
    : await api.log()
  return logged.filter(({ header }) => header.type === (added ? "update" : "submit")).length
}

/** What a leader has announced. */
const announced = (log: readonly LogEntry[]): readonly MessageOf<"announce">[] =>
  log
    .filter(({ header }) => header.type === "announce")
    .map(({ body }) => decode(messageCodec, body) as MessageOf<"announce">)

/** The sums that a leader has opened: a list of doubles, their number before them. */
const openedIn = (log: readonly LogEntry[]): readonly Secret[] =>
  log
    .filter(({ header }) => header.type === "sum-opened")
    .map(({ body }, i) => {
      const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
      const values = Array.from({ length: view.getUint32(0) }, (_, at) => view.getFloat64(4 + 8 * at))
      return { name: `opened sum ${i + 1}`, values }
    })

const filesOf = (run: StudyRun, scanner: Scanner, name: string): readonly Hit[] => [
  ...scanner.scanFolder(join(run.folder, name), name),
  ...scanner.scanFile(join(run.folder, "logs", `${name}.log`), `${name}.log`),
  ...scanner.scanFile(join(run.folder, "logs", `${name}.out`), `${name}.out`),
]

/** What those who may use a role's folder are told of it. */
const adminAnswers = async (
  run: StudyRun,
  running: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array>> => {
  const questions = [
    ...running.map((name) => [name, "status"] as const),
    ...["participants", "rosters"].map((command) => ["authority", command] as const),
  ]
  const out = new Map<string, Uint8Array>()
  for (const [name, command] of questions) {
    const answer = await callAdmin(join(run.folder, name, "data"), command)
    out.set(`${command} of ${name}`, new Uint8Array(Buffer.from(JSON.stringify(answer))))
  }
  return out
}

const keysOf = (
  run: StudyRun,
  log: readonly MessageOf<"announce">[],
  updates: readonly KnownUpdate[],
): KnownKeys | null => {
  const told = { run, specs: log.map(({ spec }) => spec), updates }
  switch (run.study.protection) {
    case "ckks":
      return knownEpochKeys(told)
    case "masked":
      return knownMaskKeys(told)
    default:
      return null
  }
}

/** Everything to search for: what nobody but its facility may hold, and the ciphertexts as a control. */
const soughtOf = (
  updates: readonly KnownUpdate[],
  keys: KnownKeys | null,
): readonly (Secret | LongSecret)[] => [
  ...updates.flatMap(({ secrets, shares }) => [...secrets, ...shares]),
  ...(keys === null
    ? []
    : [
        ...[...keys.own.values()].flat(),
        ...keys.shares.flatMap(({ secrets }) => secrets),
        ...keys.joint,
        ...[...keys.ciphertexts.values()].flat(),
      ]),
]

/** Runs a study, searches it while it is held, lets it go on, and searches what is left of it. */
export const searchHeld = async (run: StudyRun, plan: HeldPlan): Promise<HeldRun> => {
  const began = performance.now()
  const since = (): number => Math.round(performance.now() - began) / 1000
  for (const name of HELD)
    edit(join(run.folder, name, "local/facility.yaml"), (text) =>
      text.replace("approval: auto", "approval: ask"),
    )
  const api = await LeaderApi.prepare(run)
  const traffic = join(run.folder, "traffic")
  const environment = { NODE_OPTIONS: `--import=${OVERHEARD}`, OVERHEARD: traffic }
  for (const { name } of run.layout.processes) run.start(name, PROGRAM, environment)
  const others = run.named("facility").filter((name) => !HELD.includes(name))
  for (const name of others) await run.said(name, "update-submitted: round 1, attempt 1")
  await run.until(async () => (await received(run, api)) >= others.length, "all that was sent is logged")
  const collecting = since()

  const told = ["leader", ...run.named("fog"), "authority"]
  const records = new Map<string, Awaited<ReturnType<typeof recordsOf>>>()
  for (const name of run.named("facility")) records.set(name, await recordsOf(run, name))
  const updatesOf = (log: ReturnType<typeof announced>): readonly KnownUpdate[] => {
    const rounds = log.filter(({ spec }) => spec.purpose === "update")
    return [...records].flatMap(([name, rows]) => knownUpdates(run.study, name, rows, rounds, records.size))
  }
  const { raw, standardised } = await plantedSecrets(run, PLANTED)
  const patients = [...raw, ...standardised]
  const memory = new Map<string, readonly Hit[]>()
  let memoryBytes = 0
  const soFar = announced(await api.log())
  const first = updatesOf(soFar)
  const live = new Scanner([...soughtOf(first, keysOf(run, soFar, first)), ...patients])
  const answers = new Map([
    ...(await api.answers([toHex(modelHashOf(run.study, initialModel(run.study)))])),
    ...(await adminAnswers(run, ["leader", ...others])),
  ])
  if (plan.memory)
    for (const name of [...told, PLANTED]) {
      const scan = await scanMemory(live, run.pid(name), name)
      memory.set(name, scan.hits)
      memoryBytes += scan.bytes
    }
  const scanned = since()
  for (const name of HELD) await release(run, "simulated", name)
  const codes = await run.complete()
  const failed = Object.entries(codes).filter(([, code]) => code !== 0)
  if (failed.length > 0) throw new Error(`${JSON.stringify(failed)}\n${run.lastWords()}`)
  const ended = since()

  // the files are searched before the log is read: opening a database writes to it
  const log = await (async () => {
    const copy = join(run.folder, "copy of leader")
    cpSync(join(run.folder, "leader"), copy, { recursive: true })
    return storedLog(copy)
  })()
  const updates = updatesOf(announced(log))
  const keys = keysOf(run, announced(log), updates)
  const opened = openedIn(log)
  const scanner = new Scanner([...soughtOf(updates, keys), ...patients, ...opened])
  const isSum = ({ secret }: Hit): boolean => opened.some(({ name }) => name === secret)
  const found = new Map([...told, PLANTED].map((name) => [name, filesOf(run, scanner, name)]))
  const sent = scanner.scanFolder(traffic, "traffic")
  return {
    run,
    modelHash: (await run.outcome()).modelHash,
    told,
    memory,
    memoryBytes,
    answers: [...answers].flatMap(([where, answer]) => live.scan(answer, where)),
    asked: [...answers.keys()],
    files: new Map([...found].map(([name, hits]) => [name, hits.filter((hit) => !isSum(hit))])),
    traffic: sent.filter((hit) => !isSum(hit)),
    sums: (found.get("leader") as readonly Hit[]).filter(isSum),
    opened,
    updates,
    keys,
    patients: patients.map(({ name }) => name),
    seconds: { collecting, scanned, ended, searched: since() },
  }
}
