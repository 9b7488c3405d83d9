import { setTimeout as sleep } from "node:timers/promises"
import type { DemoProcess } from "./layout.js"
import type { Kill, Processes } from "./processes.js"

/** After which rounds somebody is killed, and who: in the end all three at once. */
const PLAN: readonly { readonly round: number; readonly roles: readonly DemoProcess["role"][] }[] = [
  { round: 1, roles: ["facility"] },
  { round: 2, roles: ["fog"] },
  { round: 3, roles: ["leader"] },
  { round: 5, roles: ["leader", "fog", "facility"] },
]
/** Milliseconds into the next round: it is in the middle of something then. */
const INTO_THE_ROUND = 60

/** Kills participants of a running demo as it goes from round to round. */
export class Chaos {
  readonly kills: Kill[] = []
  readonly #tell: (line: string) => void
  readonly #done = new Set<number>()
  #processes: Processes | null = null
  #pending: Promise<unknown> = Promise.resolve()

  constructor(tell: (line: string) => void) {
    this.#tell = tell
  }

  aim(processes: Processes): void {
    this.#processes = processes
  }

  /** Reads what the leader tells. */
  hear(line: string): void {
    const round = Number(/^round (\d+) of \d+ closed/.exec(line.trim())?.[1] ?? 0)
    const next = PLAN.find((plan) => plan.round === round && !this.#done.has(round))
    if (next === undefined) return
    this.#done.add(round)
    this.#pending = this.#pending.then(() => this.#kill(next.roles))
  }

  /** Resolves when everybody who was killed runs again. */
  async settled(): Promise<void> {
    await this.#pending
  }

  async #kill(roles: readonly DemoProcess["role"][]): Promise<void> {
    await sleep(INTO_THE_ROUND)
    const processes = this.#processes
    if (processes === null) return
    const victims = roles.flatMap((role) =>
      processes.list.filter((process) => process.role === role).slice(0, 1),
    )
    const tried = await Promise.all(victims.map(({ name }) => processes.crash(name)))
    const kills = tried.filter((kill) => kill !== null)
    if (kills.length === 0) return
    this.kills.push(...kills)
    this.#tell(
      `  killed and started again: ${kills.map(({ name, pid }) => `${name} (process ${pid})`).join(", ")}`,
    )
  }
}
