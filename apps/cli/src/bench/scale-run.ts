import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Protection } from "@consilium/federation/study"
import { facilityFileSchema, policyOf } from "@consilium/node/config/role-files"
import { runInProcess } from "@consilium/node/in-process/federation"
import { RememberedChecks } from "@consilium/node/in-process/remembered-checks"
import type { RawRecords } from "@consilium/node/local-records"
import { layOutInProcess } from "../demo/layout.js"
import { recordsOf } from "../demo/records.js"
import { type Activity, WhereTimeGoes } from "./where-time-goes.js"

/** One federation to be measured. */
export interface ScaleRequest {
  readonly protection: Protection
  readonly facilities: number
  readonly fogs: number
  readonly rounds: number
}

export interface ScaleResult extends ScaleRequest {
  /** From the start to the announcement of the first round: keys of participants, and of an epoch where there are any. */
  readonly setUpSeconds: number
  /** Of each round. */
  readonly seconds: readonly number[]
  /** Seconds of processor time of the rounds after the first, together. */
  readonly cpuSeconds: number
  /** Of the rounds after the first, together. */
  readonly spent: readonly (readonly [Activity, number])[]
  /** Largest resident memory of the process, bytes. */
  readonly peakRss: number
  /** Bodies of messages that came to the leader over its edges, bytes of each round. */
  readonly leaderIn: readonly number[]
  /** Whose connections end at the leader. */
  readonly leaderChildren: number
  /** Parcels into the leader as encoded, bytes of the whole study. */
  readonly leaderParcels: number
  /** How many signatures were to be checked, in the rounds of all participants together, and how many differed. */
  readonly signatures: { readonly asked: number; readonly different: number }
  readonly modelHash: string
}

const SEED = 1

/** Runs a federation in this process and says how long it took, and where the time went. */
export const measureScale = async (request: ScaleRequest): Promise<ScaleResult> => {
  const folder = await mkdtemp(join(tmpdir(), "consilium-scale-"))
  try {
    const layout = await layOutInProcess(folder, {
      study: "synthetic-heart",
      data: null,
      seed: SEED,
      strategy: "fedavg",
      learningRate: undefined,
      fineTuneSteps: 0,
      epsilon: null,
      ...request,
    })
    const records = await recordsOf(layout)
    const facilities = new Map(
      [...layout.facilities].map(([name, { file }]) => [
        name,
        { records: records.get(name) as RawRecords, policy: policyOf(facilityFileSchema.parse(file)) },
      ]),
    )
    const checks = new RememberedChecks()
    const profile = new WhereTimeGoes()
    let sampled: Promise<unknown> | null = null
    let cpu = process.cpuUsage()
    let spent: ReadonlyMap<Activity, number> = new Map()
    let cpuSeconds = 0
    let finished: Promise<void> = Promise.resolve()
    const closed = (round: number): void => {
      if (round === 1 && request.rounds > 1) {
        sampled = profile.start()
        cpu = process.cpuUsage()
      }
      if (round !== request.rounds || sampled === null) return
      const { user, system } = process.cpuUsage(cpu)
      cpuSeconds = (user + system) / 1e6
      finished = sampled.then(async () => {
        spent = await profile.stop()
      })
    }
    const started = Date.now()
    const { outcome, traffic } = await runInProcess({
      study: layout.study,
      places: layout.places,
      facilities,
      stop: new AbortController().signal,
      checks,
      narrate: (line) => {
        const round = /^round (\d+) of \d+ closed/.exec(line)?.[1]
        if (round !== undefined) closed(Number(round))
      },
    })
    await finished
    const intoLeader = traffic.filter(({ parent }) => parent === "leader")
    return {
      ...request,
      setUpSeconds: ((outcome.startedAt ?? started) - started) / 1000,
      seconds: outcome.rounds.map(({ seconds }) => seconds),
      cpuSeconds,
      spent: [...spent],
      peakRss: process.resourceUsage().maxRSS * 1024,
      leaderIn: outcome.rounds.map(({ bytes: { leader } }) =>
        Object.values(leader).reduce((sum, bytes) => sum + bytes, 0),
      ),
      leaderChildren: intoLeader.length,
      leaderParcels: intoLeader.reduce((sum, { up }) => sum + up, 0),
      signatures: { asked: checks.counts.verified, different: checks.counts.verifiedAnew },
      modelHash: outcome.modelHash,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
