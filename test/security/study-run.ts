import { type ChildProcess, execFile, spawn } from "node:child_process"
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import type { Study } from "@consilium/federation/study"
import { studyFileSchema, studyOf } from "@consilium/node/config/study-file"
import { readConfig } from "@consilium/node/config/yaml-file"
import { type Outcome, readOutcomes } from "@consilium/node/roles/outcome"
import { type DemoLayout, type DemoPlan, type DemoProcess, layOut } from "../../apps/cli/src/demo/layout.js"
import { ROOT } from "../source-tree.js"

/** The built program that the processes of a study run. */
export const PROGRAM = join(ROOT, "apps/cli/dist/process.js")

/** Builds what the processes run, if it is not built from the sources as they are; NOBUILD takes what is built. */
export const buildProgram = async (): Promise<void> => {
  if (process.env.NOBUILD !== undefined) return
  await promisify(execFile)(process.execPath, [join(ROOT, "scripts/run.mjs"), "build"])
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), "consilium-security-"))

interface Running {
  readonly child: ChildProcess
  /** Exit code, or null for a signal. */
  readonly ended: Promise<number | null>
}

const PATIENCE = 60_000

/** A simulated study in a folder of its own, whose processes are started, watched and stopped one by one. */
export class StudyRun {
  readonly layout: DemoLayout
  #study: Study
  readonly #running = new Map<string, Running>()

  private constructor(layout: DemoLayout, study: Study) {
    this.layout = layout
    this.#study = study
  }

  get study(): Study {
    return this.#study
  }

  /** Takes the study from its file again, after a change to it. */
  async reread(): Promise<void> {
    this.#study = studyOf(await readConfig(studyFileSchema, join(this.folder, "study.yaml")))
  }

  static async layOut(
    plan: Pick<DemoPlan, "facilities" | "fogs" | "rounds" | "seed" | "protection"> &
      Partial<Pick<DemoPlan, "epsilon" | "strategy">>,
  ): Promise<StudyRun> {
    const layout = await layOut(temporaryFolder(), {
      study: "synthetic-heart",
      data: null,
      strategy: "fedyogi",
      learningRate: undefined,
      fineTuneSteps: 0,
      epsilon: null,
      ...plan,
    })
    mkdirSync(join(layout.folder, "logs"))
    const study = studyOf(await readConfig(studyFileSchema, join(layout.folder, "study.yaml")))
    return new StudyRun(layout, study)
  }

  get folder(): string {
    return this.layout.folder
  }

  /** Names of the processes of a role. */
  named(role: DemoProcess["role"]): readonly string[] {
    return this.layout.processes.filter((process) => process.role === role).map(({ name }) => name)
  }

  /** Starts a process; its standard error goes to its log file, its standard output to `<name>.out`. */
  start(name: string, program: string = PROGRAM, environment: NodeJS.ProcessEnv = {}): void {
    const plan = this.layout.processes.find((process) => process.name === name) as DemoProcess
    const streams = ["out", "log"].map((kind) =>
      openSync(join(this.folder, "logs", `${name}.${kind}`), "a", 0o600),
    )
    const child = spawn(
      process.execPath,
      [program, plan.role, "start", "--config", plan.config, "--with-parent", "--patience", "120"],
      { stdio: ["pipe", ...streams], env: { ...process.env, ...environment } },
    )
    for (const stream of streams) closeSync(stream)
    child.stdin?.on("error", () => undefined)
    const ended = new Promise<number | null>((resolve) => {
      child.once("error", () => resolve(1))
      child.once("exit", (code) => resolve(code))
    })
    this.#running.set(name, { child, ended })
  }

  startAllBut(names: readonly string[]): void {
    for (const { name } of this.layout.processes) if (!names.includes(name)) this.start(name)
  }

  /** Resolves with the exit code of the process that runs under a name now, or null for a signal. */
  exit(name: string): Promise<number | null> {
    return (this.#running.get(name) as Running).ended
  }

  /** Kills a process by its id, if it runs. */
  kill(name: string): void {
    const child = this.#running.get(name)?.child
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(child.pid, "SIGKILL")
  }

  /** Asks a process to end in good order. */
  async stop(name: string): Promise<void> {
    this.#running.get(name)?.child.kill("SIGTERM")
    await this.ended(name)
  }

  pid(name: string): number {
    return (this.#running.get(name) as Running).child.pid as number
  }

  output(name: string, kind: "out" | "log"): string {
    return readFileSync(join(this.folder, "logs", `${name}.${kind}`), "utf8")
  }

  /** Resolves when a process has said something. */
  async said(name: string, what: string): Promise<void> {
    await this.until(() => this.output(name, "log").includes(what), `${name} says "${what}"`)
  }

  /** Resolves when a condition holds; rejects if it takes too long or a process has ended badly. */
  async until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = Date.now() + PATIENCE
    while (!(await holds())) {
      const failed = [...this.#running].find(([, { child }]) => (child.exitCode ?? 0) !== 0)
      if (failed)
        throw new Error(`${failed[0]} ended while "${what}" was awaited:\n${this.output(failed[0], "log")}`)
      if (Date.now() > deadline) throw new Error(`It did not come to "${what}".\n${this.lastWords()}`)
      await sleep(20)
    }
  }

  /** The exit code of a process, once it has ended. */
  async ended(name: string): Promise<number | null> {
    const late = sleep(PATIENCE, "late" as const, { ref: false })
    const code = await Promise.race([(this.#running.get(name) as Running).ended, late])
    if (code === "late") throw new Error(`${name} did not end.\n${this.lastWords()}`)
    return code
  }

  /** Waits for the study's own end; the exit codes of all processes but the authority's, which is then ended. */
  async complete(): Promise<Readonly<Record<string, number | null>>> {
    const codes: Record<string, number | null> = {}
    for (const name of this.#running.keys()) if (name !== "authority") codes[name] = await this.ended(name)
    this.#running.get("authority")?.child.kill("SIGTERM")
    codes.authority = await this.ended("authority")
    return codes
  }

  async outcome(): Promise<Outcome> {
    const [outcome] = await readOutcomes(join(this.folder, "leader/data"))
    if (outcome === undefined) throw new Error(`The leader left no outcome.\n${this.lastWords()}`)
    return outcome
  }

  /** Ends whatever still runs and deletes the folder. */
  async close(): Promise<void> {
    for (const { child } of this.#running.values())
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
    rmSync(this.folder, { recursive: true, force: true })
  }

  lastWords(): string {
    return [...this.#running.keys()]
      .map((name) => `--- ${name}\n${this.output(name, "log").split("\n").slice(-16).join("\n")}`)
      .join("\n")
  }
}
