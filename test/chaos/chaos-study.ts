import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { isKeyed, type Protection } from "@consilium/federation/study"
import { auditFolder } from "@consilium/node/audit-folder"
import type { Outcome } from "@consilium/node/roles/outcome"
import type { DemoStrategy } from "../../apps/cli/src/demo/studies.js"
import { StudyRun } from "../security/study-run.js"
import { type LeaderRecord, leaderRecord } from "./leader-record.js"

/** The fixture: 3 facilities behind one fog, 2 rounds; the leader keeps files, which start in no time. */
const PLAN = { facilities: 3, fogs: 1, rounds: 2, seed: 7 } as const
const VICTIM = fileURLToPath(new URL("./victim.mjs", import.meta.url))
const PATIENCE = 180_000

export interface Ended {
  readonly outcome: Outcome
  readonly record: LeaderRecord
  readonly kills: number
  readonly seconds: number
  /** Points that each role passed in an undisturbed run. */
  readonly seen: readonly string[]
}

const linesOf = (path: string): readonly string[] => readFileSync(path, "utf8").split("\n").filter(Boolean)

/** One study whose participants are killed and started again until it is over. */
export class ChaosStudy {
  readonly #run: StudyRun
  readonly #files: {
    readonly seen: string
    readonly wanted: string
    readonly hits: string
    readonly deaths: string
  }
  #kills = 0

  private constructor(run: StudyRun) {
    this.#run = run
    const file = (name: string): string => join(run.folder, name)
    this.#files = { seen: file("seen"), wanted: file("wanted"), hits: file("hits"), deaths: file("deaths") }
    for (const path of Object.values(this.#files)) writeFileSync(path, "")
  }

  static async layOut(
    protection: Protection,
    store: "segments" | "pglite",
    strategy: DemoStrategy = "fedyogi",
  ): Promise<ChaosStudy> {
    const run = await StudyRun.layOut({ ...PLAN, protection, strategy })
    const leader = join(run.folder, "leader/local/leader.yaml")
    writeFileSync(
      leader,
      readFileSync(leader, "utf8")
        .replace(/^store: pglite$/m, `store: ${store}`)
        .replace("- 8443\n", ""),
    )
    return new ChaosStudy(run)
  }

  /** Runs undisturbed and tells which points there are, those of the first key ceremony apart from those after it. */
  undisturbed(): Promise<Ended> {
    return this.#complete({ CHAOS_SEEN: this.#files.seen, ...this.#parts })
  }

  /** Runs while every role kills itself at each of these points that it comes to, once; gives those at which one died. */
  async killedAt(points: readonly string[]): Promise<Ended & { readonly hits: readonly string[] }> {
    writeFileSync(this.#files.wanted, points.map((point) => `${point}\n`).join(""))
    const ended = await this.#complete({
      CHAOS_SEEN: this.#files.seen,
      CHAOS_WANTED: this.#files.wanted,
      CHAOS_HITS: this.#files.hits,
      CHAOS_DEATHS: this.#files.deaths,
      ...this.#parts,
    })
    return { ...ended, hits: [...new Set(linesOf(this.#files.deaths))] }
  }

  /** Runs while somebody is killed after each of some waits, in milliseconds; which one, a number says. */
  async killedAfter(kills: readonly { readonly wait: number; readonly who: number }[]): Promise<Ended> {
    let over = false
    const killing = (async () => {
      for (const { wait, who } of kills) {
        await sleep(wait)
        if (over) return
        const names = this.#names
        this.#run.kill(names[who % names.length] as string)
      }
    })()
    const ended = await this.#complete({})
    over = true
    await killing
    return ended
  }

  close(): Promise<void> {
    return this.#run.close()
  }

  get #names(): readonly string[] {
    return (["leader", "fog", "facility"] as const).flatMap((role) => this.#run.named(role))
  }

  /** Where roles note that the keys of the first ceremony are in use, if there is one. */
  get #parts(): NodeJS.ProcessEnv {
    return isKeyed(this.#run.study) ? { CHAOS_EPOCH: join(this.#run.folder, "epoch") } : {}
  }

  async #complete(environment: NodeJS.ProcessEnv): Promise<Ended> {
    const began = performance.now()
    this.#run.start("authority")
    await Promise.race([
      Promise.all(this.#names.map((name) => this.#keepRunning(name, environment))),
      sleep(PATIENCE, undefined, { ref: false }).then(() => {
        throw new Error(`The study was not over in ${PATIENCE / 1000} s.\n${this.#run.lastWords()}`)
      }),
    ])
    const seconds = (performance.now() - began) / 1000
    await this.#run.stop("authority")
    const outcome = await this.#run.outcome()
    const leader = join(this.#run.folder, "leader/local/leader.yaml")
    const audit = await auditFolder(leader)
    if (audit.modelHash !== outcome.modelHash)
      throw new Error("The log leads to another model than the outcome says.")
    const record = await leaderRecord(leader)
    return { outcome, record, kills: this.#kills, seconds, seen: linesOf(this.#files.seen) }
  }

  /** Starts a participant again whenever it is killed; it must end well in the end. */
  async #keepRunning(name: string, environment: NodeJS.ProcessEnv): Promise<void> {
    for (;;) {
      this.#run.start(name, VICTIM, environment)
      const code = await this.#run.exit(name)
      if (code === 0) return
      if (code !== null) throw new Error(`${name} ended with ${code}.\n${this.#run.lastWords()}`)
      this.#kills += 1
    }
  }
}
