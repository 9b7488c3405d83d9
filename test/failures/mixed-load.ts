import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { socketOf } from "@consilium/node/admin/socket"
import type { StudyRun } from "../security/study-run.js"
import { faultOf } from "./answers.js"
import { type Kind, kindsOf, type Targets } from "./load-kinds.js"

/** What was sent and what came of it. */
export interface Tally {
  readonly what: string
  readonly toBeGranted: NonNullable<Kind["granted"]>
  granted: number
  refused: number
  closed: number
}

/** A mixed load on all ports of a study, until it is stopped. */
export class MixedLoad {
  readonly tallies: Tally[] = []
  /** What no answer may be, each once. */
  readonly faults = new Set<string>()
  #over = false
  #lanes: Promise<unknown> = Promise.resolve()

  static async start(run: StudyRun, targets: Targets): Promise<MixedLoad> {
    const load = new MixedLoad()
    const kinds = await kindsOf(run, targets)
    load.#lanes = Promise.all(
      kinds.flatMap((kind) => {
        const tally: Tally = {
          what: kind.what,
          toBeGranted: kind.granted ?? "never",
          granted: 0,
          refused: 0,
          closed: 0,
        }
        load.tallies.push(tally)
        return Array.from({ length: kind.lanes }, () => load.#lane(kind, tally))
      }),
    )
    return load
  }

  /** Sends nothing new, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#over = true
    await this.#lanes
  }

  async #lane(kind: Kind, tally: Tally): Promise<void> {
    while (!this.#over) {
      const answer = await kind.send()
      if (answer === "closed") tally.closed += 1
      else if (answer.status < 400) tally.granted += 1
      else tally.refused += 1
      const fault = faultOf(answer)
      if (fault !== null) this.faults.add(`${kind.what}: ${fault}`)
      await sleep(kind.pauseMs)
    }
  }
}

/** Where the admin sockets of a study's processes are. */
export const socketsOf = async (run: StudyRun): Promise<readonly string[]> => {
  const folders = ["authority/data", "leader/data", "hospital-1/data", "clinic-1/data"]
  const found = await Promise.all(folders.map((folder) => socketOf(join(run.folder, folder))))
  return found.filter((path) => path !== null)
}
