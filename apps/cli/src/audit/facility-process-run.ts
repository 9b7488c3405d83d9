import { type ChildProcess, spawn } from "node:child_process"
import { createWriteStream } from "node:fs"
import { mkdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ConsiliumError } from "@consilium/base/errors"

export interface AuditedProcess {
  readonly role: "authority" | "leader" | "fog" | "facility"
  readonly name: string
  readonly config: string
  /** The built program that it runs. */
  readonly program: string
}

interface Running {
  readonly child: ChildProcess
  /** Exit code, or null for a signal. */
  readonly ended: Promise<number | null>
}

/** Milliseconds without another round; a busy machine is given time. */
const PATIENCE = 120_000
const GLANCE = 50

/** The real processes of an audit, which are started, killed by their id, and ended with it, however it ends. */
export class AuditedProcesses {
  readonly #folder: string
  readonly #plan: readonly AuditedProcess[]
  readonly #stop: AbortSignal | undefined
  readonly #running = new Map<string, Running>()
  #rounds = 0

  private constructor(folder: string, plan: readonly AuditedProcess[], stop: AbortSignal | undefined) {
    this.#folder = folder
    this.#plan = plan
    this.#stop = stop
  }

  static async start(
    folder: string,
    plan: readonly AuditedProcess[],
    stop?: AbortSignal,
  ): Promise<AuditedProcesses> {
    await mkdir(join(folder, "logs"), { recursive: true, mode: 0o700 })
    const processes = new AuditedProcesses(folder, plan, stop)
    for (const { name } of plan) processes.start(name)
    return processes
  }

  /** Rounds that the leader has said to be closed. */
  get rounds(): number {
    return this.#rounds
  }

  start(name: string): void {
    const { role, config, program } = this.#plan.find((one) => one.name === name) as AuditedProcess
    // it ends when standard input closes, so with this process
    const child = spawn(
      process.execPath,
      [program, role, "start", "--config", config, "--with-parent", "--patience", "120"],
      { stdio: ["pipe", "ignore", "pipe"], env: { ...process.env, MALLOC_ARENA_MAX: "1" } },
    )
    child.stdin?.on("error", () => undefined)
    child.stderr?.pipe(createWriteStream(this.#log(name), { mode: 0o600, flags: "a" }))
    if (role === "leader")
      child.stderr?.on("data", (chunk: Buffer) => {
        for (const [, round] of chunk.toString("utf8").matchAll(/round (\d+) of \d+ closed/g))
          this.#rounds = Math.max(this.#rounds, Number(round))
      })
    const ended = new Promise<number | null>((resolve) => {
      child.once("error", () => resolve(1))
      child.once("exit", (code) => resolve(code))
    })
    this.#running.set(name, { child, ended })
  }

  #log(name: string): string {
    return join(this.#folder, "logs", `${name}.log`)
  }

  /** Kills a process with SIGKILL, by its process id. */
  async kill(name: string): Promise<void> {
    const { child, ended } = this.#running.get(name) as Running
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
    await ended
  }

  /**
   * Resolves when a condition holds.
   * @throws {ConsiliumError} "cli/process-ended" if a process ends badly before that, it takes too long, or the audit is stopped
   */
  async until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
    let rounds = this.#rounds
    let deadline = Date.now() + PATIENCE
    while (!(await holds())) {
      if (this.#rounds > rounds) deadline = Date.now() + PATIENCE
      rounds = this.#rounds
      if (this.#stop?.aborted)
        throw new ConsiliumError("cli/process-ended", "The audit was stopped.", { remedy: "Start it again." })
      const failed = [...this.#running].find(([, { child }]) => (child.exitCode ?? 0) !== 0)
      if (failed) throw await this.#failure(failed[0], `ended with ${failed[1].child.exitCode}`)
      if (Date.now() > deadline) throw await this.#failure("leader", `did not come to this: ${what}`)
      await sleep(GLANCE)
    }
  }

  /**
   * Resolves when a process has ended by itself and well.
   * @throws {ConsiliumError} "cli/process-ended"
   */
  async ended(name: string): Promise<void> {
    const { child } = this.#running.get(name) as Running
    await this.until(() => child.exitCode === 0, `${name} ends`)
  }

  async #failure(name: string, what: string): Promise<ConsiliumError> {
    const text = await readFile(this.#log(name), "utf8").catch(() => "")
    const last = text.trimEnd().split("\n").slice(-4).join("\n    ")
    return new ConsiliumError("cli/process-ended", `In the audit's study ${name} ${what}:\n    ${last}`, {
      remedy: "Run the audit again on an idle machine. If it ends so again, the build cannot run a study.",
    })
  }

  /** Ends whatever still runs. */
  async close(): Promise<void> {
    for (const { child } of this.#running.values())
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
  }
}
