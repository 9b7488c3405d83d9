import { type ChildProcess, spawn } from "node:child_process"
import { createWriteStream } from "node:fs"
import { mkdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ConsiliumError } from "@consilium/base/errors"
import type { DemoProcess } from "./layout.js"

const ENTRY = fileURLToPath(new URL("../process.js", import.meta.url))
const LAST_WORDS = 5_000
/**
 * Many processes share one machine here: collect young objects early rather than grow, 30 MB less for each; the many small
 * ones also keep less code at hand, another 3 MB, and one arena for what is not on the heap, 4 MB.
 */
const SMALL_HEAP = ["--max-semi-space-size=2"]
const SMALL_CODE = ["--optimize-for-size"]
const ONE_ARENA = { MALLOC_ARENA_MAX: "1" }

export interface RunningProcess extends DemoProcess {
  readonly pid: number
}

/** A process that was killed on purpose. */
export interface Kill {
  readonly role: DemoProcess["role"]
  readonly name: string
  readonly pid: number
}

interface Running extends DemoProcess {
  pid: number
  child: ChildProcess
  /** Set while this process is killed on purpose: it is started again when it is gone. */
  again: (() => void) | null
  /** Exit code, or null for a signal that nobody here sent on purpose. */
  readonly ended: Promise<number | null>
}

/** The real processes of a demo, one per role, each with a log file. They end with it, however it ends. */
export class Processes {
  readonly #logs: string
  readonly #running: Running[] = []
  readonly #tell: (line: string) => void

  private constructor(logs: string, tell: (line: string) => void) {
    this.#logs = logs
    this.#tell = tell
  }

  static async start(
    folder: string,
    plan: readonly DemoProcess[],
    tell: (line: string) => void,
  ): Promise<Processes> {
    const logs = join(folder, "logs")
    await mkdir(logs, { recursive: true, mode: 0o700 })
    const processes = new Processes(logs, tell)
    for (const process of plan) processes.#add(process)
    return processes
  }

  get list(): readonly RunningProcess[] {
    return this.#running.map(({ role, name, config, pid }) => ({ role, name, config, pid }))
  }

  #add(plan: DemoProcess): void {
    let end: (code: number | null) => void = () => undefined
    const ended = new Promise<number | null>((resolve) => {
      end = resolve
    })
    const child = this.#spawn(plan)
    const running: Running = { ...plan, child, pid: child.pid ?? 0, again: null, ended }
    this.#watch(running, end)
    this.#running.push(running)
  }

  #watch(running: Running, end: (code: number | null) => void): void {
    running.child.once("error", () => end(1))
    running.child.once("exit", (code) => {
      if (running.again === null) return end(code)
      running.child = this.#spawn(running)
      running.pid = running.child.pid ?? 0
      running.again()
      running.again = null
      this.#watch(running, end)
    })
  }

  /** Kills a process with SIGKILL, by its process id, and starts it again; null if it has ended by itself. */
  async crash(name: string): Promise<Kill | null> {
    const running = this.#running.find((process) => process.name === name) as Running
    const { pid, role } = running
    if (running.child.exitCode !== null || running.child.signalCode !== null) return null
    await new Promise<void>((resolve) => {
      running.again = resolve
      process.kill(pid, "SIGKILL")
    })
    return { role, name, pid }
  }

  #spawn(plan: DemoProcess): ChildProcess {
    const child = spawn(
      process.execPath,
      [
        ...SMALL_HEAP,
        ...(plan.role === "leader" ? [] : SMALL_CODE),
        ENTRY,
        plan.role,
        "start",
        "--config",
        plan.config,
        "--with-parent",
        "--patience",
        "120",
      ],
      // standard input stays open as long as the demo lives
      { stdio: ["pipe", "ignore", "pipe"], env: { ...process.env, ...ONE_ARENA } },
    )
    const log = createWriteStream(join(this.#logs, `${plan.name}.log`), { mode: 0o600, flags: "a" })
    child.stderr?.pipe(log)
    if (plan.role === "leader") child.stderr?.on("data", (chunk: Buffer) => this.#tellLines(chunk))
    child.stdin?.on("error", () => undefined)
    return child
  }

  #tellLines(chunk: Buffer): void {
    for (const line of chunk.toString("utf8").split("\n"))
      if (line.length > 0) this.#tell(line.replace(/^\S+Z leader: /, ""))
  }

  /**
   * Waits until the leader has ended well.
   * @throws {ConsiliumError} "cli/process-ended" if any process ends badly before that
   */
  async studyEnded(stop: AbortSignal): Promise<void> {
    const leader = this.#running.find(({ role }) => role === "leader") as Running
    const stopped = new Promise<never>((_resolve, reject) => {
      const fail = (): void =>
        reject(
          new ConsiliumError("cli/process-ended", "The demo was stopped.", { remedy: "Start it again." }),
        )
      if (stop.aborted) fail()
      stop.addEventListener("abort", fail, { once: true })
    })
    const badly = this.#running
      .filter((running) => running !== leader)
      .map(async (running) => {
        const code = await running.ended
        if (code !== 0) throw await this.#endedBadly(running, code)
        return new Promise<never>(() => undefined)
      })
    const code = await Promise.race([leader.ended, stopped, ...badly])
    if (code !== 0) throw await this.#endedBadly(leader, code)
  }

  async #endedBadly(running: Running, code: number | null): Promise<ConsiliumError> {
    const path = join(this.#logs, `${running.name}.log`)
    const text = await readFile(path, "utf8").catch(() => "")
    const last = text.trimEnd().split("\n").slice(-4).join("\n    ")
    return new ConsiliumError(
      "cli/process-ended",
      `The ${running.role} ${running.name} ended with ${code ?? "a signal"}:\n    ${last}`,
      {
        remedy: `Read ${path}.`,
      },
    )
  }

  /** Ends whatever still runs: first politely, then not. After a study that ended well only the authority is asked to go. */
  async end(complete: boolean): Promise<void> {
    const all = Promise.all(this.#running.map(({ ended }) => ended))
    for (const { child, role } of this.#running) if (!complete || role === "authority") child.kill("SIGTERM")
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_WORDS)
    })
    await Promise.race([all, patience])
    clearTimeout(timer)
    this.kill()
    await all
  }

  kill(): void {
    for (const { child } of this.#running) if (child.exitCode === null) child.kill("SIGKILL")
  }
}
