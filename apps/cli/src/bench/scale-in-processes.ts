import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readOutcomes } from "@consilium/node/roles/outcome"
import { layOut } from "../demo/layout.js"
import { Processes } from "../demo/processes.js"
import { connectionsInto } from "./connections.js"
import { type ProcessMemory, processMemory } from "./process-memory.js"
import type { ScaleRequest } from "./scale-run.js"

export interface InProcessesResult {
  /** From the start of the first process to the announcement of the first round. */
  readonly setUpSeconds: number
  readonly seconds: readonly number[]
  /** The most that each facility's process had in memory, bytes; none where the system does not tell. */
  readonly facilities: readonly ProcessMemory[]
  /** Facilities whose updates came into each round's sum. */
  readonly participants: readonly number[]
  /** Bodies of messages that came to the leader, bytes of each round. */
  readonly leaderIn: readonly number[]
  /** Most TCP connections that were open into the leader; null where the system does not tell. */
  readonly connections: number | null
  readonly modelHash: string
}

const SEED = 1
const LOOK_EVERY = 200
const WEIGH_EVERY = 1000

/** The same study as `measureScale` runs, in real processes over mutual TLS. */
export const runInProcesses = async (request: ScaleRequest): Promise<InProcessesResult> => {
  const folder = await mkdtemp(join(tmpdir(), "consilium-scale-"))
  try {
    const layout = await layOut(folder, {
      study: "synthetic-heart",
      data: null,
      seed: SEED,
      strategy: "fedavg",
      learningRate: undefined,
      fineTuneSteps: 0,
      epsilon: null,
      ...request,
    })
    const started = Date.now()
    const processes = await Processes.start(folder, layout.processes, () => undefined)
    const memory = new Map<number, ProcessMemory>()
    const leader = processes.list.find(({ role }) => role === "leader")
    let connections: number | null = null
    const look = async (): Promise<void> => {
      const seen = await connectionsInto(leader?.pid ?? 0)
      if (seen !== null) connections = Math.max(connections ?? 0, seen)
    }
    const weigh = async (): Promise<void> => {
      for (const { role, pid } of processes.list) {
        const found = role === "facility" ? await processMemory(pid) : null
        if (found === null) continue
        const before = memory.get(pid)
        memory.set(pid, { peakRss: found.peakRss, pss: Math.max(found.pss, before?.pss ?? 0) })
      }
    }
    const looking = setInterval(() => void look(), LOOK_EVERY)
    const weighing = setInterval(() => void weigh(), WEIGH_EVERY)
    let complete = false
    try {
      await processes.studyEnded(new AbortController().signal)
      complete = true
    } finally {
      clearInterval(looking)
      clearInterval(weighing)
      await processes.end(complete)
    }
    const [outcome] = await readOutcomes(join(folder, "leader", "data"))
    return {
      setUpSeconds: ((outcome?.startedAt ?? Number.NaN) - started) / 1000,
      seconds: (outcome?.rounds ?? []).map(({ seconds }) => seconds),
      facilities: [...memory.values()],
      participants: (outcome?.rounds ?? []).map(({ participants }) => participants.length),
      leaderIn: (outcome?.rounds ?? []).map(({ bytes: { leader: into } }) =>
        Object.values(into).reduce((sum, bytes) => sum + bytes, 0),
      ),
      connections,
      modelHash: outcome?.modelHash ?? "",
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
