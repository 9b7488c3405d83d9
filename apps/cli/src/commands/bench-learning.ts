import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { ConsiliumError } from "@consilium/base/errors"

export interface BenchLearningOptions {
  readonly format: "text" | "json"
  /** A second of warm-up in the place of twenty, and short runs: to see that it works, not how fast it is. */
  readonly quick?: boolean
  /** The Python whose NumPy is measured; python3 of the PATH if left out. */
  readonly python?: string
}

/** One figure. A peer that is not there has no value, and a note that says why. */
export interface BenchRow {
  readonly id: string
  readonly value: number | null
  readonly unit: string
  readonly peer?: string
  /** How many times the peer's rate the engine's is: the ratio of the medians. */
  readonly ratio?: number
  /** The same per second of processor time, which a busy machine disturbs less. */
  readonly cpuRatio?: number
  readonly bar?: string
  readonly met?: boolean
  readonly note?: string
}

export interface BenchReport {
  readonly machine: string
  readonly date: string
  /** Processes that wanted a processor, as the system counts them, before and after. */
  readonly load: readonly [number, number]
  readonly quick: boolean
  readonly rows: readonly BenchRow[]
}

type Workload = "lr" | "mlp" | "cnn"
const WORKLOADS: readonly Workload[] = ["lr", "mlp", "cnn"]
const RUNS = 7
const LARGEST_LOSS_DIFFERENCE = 1e-4
const ROOT = fileURLToPath(new URL("../../../../", import.meta.url))

interface Rates {
  readonly rate: number
  readonly cpuRate: number
}

const failed = (message: string): never => {
  throw new ConsiliumError("cli/bench-failed", message)
}

/** A measuring program that is asked one thing at a time. */
class Measured {
  readonly name: string
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  #ended = ""

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name
    this.#child = spawn(command, [...args], { stdio: ["pipe", "pipe", "pipe"] })
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })
    this.#answers = lines[Symbol.asyncIterator]()
    this.#child.on("error", (error: NodeJS.ErrnoException) => {
      this.#ended = error.code === "ENOENT" ? `${command} is not installed` : error.message
      lines.close()
    })
    this.#child.stdin?.on("error", () => undefined)
    this.#child.stderr?.on("data", (bytes: Buffer) => {
      this.#ended = `${this.#ended}${bytes}`.slice(-600)
    })
  }

  /** What the program says first: who it is, or what it lacks. */
  async greeting(): Promise<{ readonly peer?: string; readonly missing?: string }> {
    const answer = await this.#next()
    return answer === null
      ? { missing: this.#ended || "it ended at once" }
      : (answer as { readonly peer?: string; readonly missing?: string })
  }

  async ask(request: object): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`)
    return (await this.#next()) ?? failed(`The measuring of ${this.name} ended: ${this.#ended}`)
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#answers.next()
    return done === true ? null : JSON.parse(value as string)
  }

  end(): void {
    this.#child.stdin?.end()
    this.#child.kill()
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] as number

/** A side of a comparison: which program, and under which name it knows the workload. */
interface Side {
  readonly program: Measured
  readonly workload: string
}

/** Loads a workload into every side, and refuses to time sides that compute something else. */
const loadAll = async (sides: readonly Side[], folder: string): Promise<void> => {
  let expected: readonly number[] = []
  for (const { program, workload } of sides) {
    const { losses } = (await program.ask({ op: "load", folder, name: workload })) as { losses: number[] }
    // clipped steps go elsewhere, and are compared with nobody's
    if (workload.endsWith("-clipped")) continue
    if (expected.length === 0) expected = losses
    const farthest = Math.max(...losses.map((loss, i) => Math.abs(loss - (expected[i] ?? Number.NaN))))
    if (losses.length !== expected.length || !(farthest <= LARGEST_LOSS_DIFFERENCE))
      failed(`The losses of ${program.name} differ from the engine's by ${farthest} in ${workload}.`)
  }
}

/** Warms every side up, then lets them take turns; all rates of each. */
const takeTurns = async (sides: readonly Side[], quick: boolean): Promise<readonly Rates[][]> => {
  const run = async ({ program, workload }: Side, seconds: number): Promise<Rates> =>
    (await program.ask({ op: "run", name: workload, seconds })) as Rates
  for (const side of sides) await run(side, quick ? 1 : 20)
  const found: Rates[][] = sides.map(() => [])
  for (let turn = 0; turn < RUNS; turn++)
    for (const [at, side] of sides.entries()) found[at]?.push(await run(side, quick ? 0.2 : 1))
  return found
}

/** What is measured beside the engine, and what must come of it. */
interface Peer {
  readonly id: string
  readonly command: string
  readonly args: readonly string[]
  readonly workloads: Readonly<Partial<Record<Workload, { readonly name: string; readonly bar?: number }>>>
}

const peersOf = (python: string): readonly Peer[] => {
  const program = (name: string): string => join(ROOT, "bench/peers", name)
  const tfjs = (backend: string, bar: number): readonly Peer[] => {
    const command = { command: process.execPath, args: [program("tfjs.mjs"), backend] }
    return [
      { id: `tfjs-${backend}`, ...command, workloads: { lr: { name: "lr" }, mlp: { name: "mlp", bar } } },
      {
        id: `tfjs-${backend}-by-hand`,
        ...command,
        workloads: { lr: { name: "lr-by-hand" }, mlp: { name: "mlp-by-hand" } },
      },
    ]
  }
  return [
    ...tfjs("cpu", 40),
    ...tfjs("wasm", 15),
    {
      id: "numpy",
      command: python,
      args: [program("numpy-peer.py")],
      workloads: { lr: { name: "lr" }, mlp: { name: "mlp", bar: 0.75 }, cnn: { name: "cnn", bar: 3 } },
    },
  ]
}

const rounded = (value: number): number => Number(value.toPrecision(4))
const MOST_CLIPPING = 1.15

const measure = async (
  workload: Workload,
  own: Measured,
  peers: readonly { readonly peer: Peer; readonly program: Measured; readonly name: string }[],
  folder: string,
  quick: boolean,
): Promise<readonly BenchRow[]> => {
  const present = peers.filter(({ peer }) => peer.workloads[workload] !== undefined)
  const sides: readonly Side[] = [
    { program: own, workload },
    { program: own, workload: `${workload}-clipped` },
    ...present.map(({ peer, program }) => ({
      program,
      workload: peer.workloads[workload]?.name ?? workload,
    })),
  ]
  await loadAll(sides, folder)
  const rates = await takeTurns(sides, quick)
  const of = (at: number, kind: keyof Rates): number => median((rates[at] ?? []).map((run) => run[kind]))
  const [plain, plainCpu] = [of(0, "rate"), of(0, "cpuRate")]
  const clipping = plain / of(1, "rate")
  const barred = workload !== "cnn"
  return [
    { id: `learning.${workload}.own`, value: rounded(plain), unit: "samples/s" },
    ...present.map(({ peer, name }, i): BenchRow => {
      const [ratio, cpuRatio] = [plain / of(i + 2, "rate"), plainCpu / of(i + 2, "cpuRate")]
      const bar = peer.workloads[workload]?.bar
      return {
        id: `learning.${workload}.${peer.id}`,
        value: rounded(of(i + 2, "rate")),
        unit: "samples/s",
        peer: name,
        ratio: rounded(ratio),
        cpuRatio: rounded(cpuRatio),
        ...(bar === undefined ? {} : { bar: `>= ${bar}`, met: ratio >= bar }),
      }
    }),
    {
      id: `learning.clipping.${workload}`,
      value: rounded(clipping),
      unit: "times SGD",
      cpuRatio: rounded(plainCpu / of(1, "cpuRate")),
      ...(barred ? { bar: `<= ${MOST_CLIPPING}`, met: clipping <= MOST_CLIPPING } : {}),
    },
  ]
}

const print = (report: BenchReport, format: BenchLearningOptions["format"]): void => {
  if (format === "json") {
    process.stdout.write(`${JSON.stringify(report)}\n`)
    return
  }
  const verdict = ({ bar, met }: BenchRow): string =>
    bar === undefined ? "" : ` (${bar}: ${met ? "met" : "not met"})`
  const lines = report.rows.map((row) => {
    const value = row.value === null ? `- ${row.note}` : `${row.value.toLocaleString("en")} ${row.unit}`
    const ratio = row.ratio === undefined ? "" : `, the engine ${row.ratio} times as fast`
    return `${row.id.padEnd(36)} ${value}${ratio}${verdict(row)}${row.peer === undefined ? "" : `  [${row.peer}]`}`
  })
  const quick = report.quick ? "quick run: the figures only show that it works\n" : ""
  process.stdout.write(
    `${report.machine}, ${report.date}, load ${report.load.join(" to ")}\n${quick}${lines.join("\n")}\n`,
  )
}

/**
 * Measures the learning engine beside TensorFlow.js and NumPy, each in a process of its own: same first parameters, rows
 * and batches; the losses of the first steps must agree to 1e-4; then a warm-up, then seven turns of all sides.
 */
export const benchLearning = async (options: BenchLearningOptions): Promise<BenchReport> => {
  const { quick = false, python = "python3" } = options
  const program = join(ROOT, "bench/learning/own.mjs")
  if (!existsSync(program))
    throw new ConsiliumError(
      "cli/not-available",
      "The programs that are measured are not part of this copy.",
      {
        remedy: "Run the command from a clone of the repository.",
      },
    )
  const folder = mkdtempSync(join(tmpdir(), "consilium-bench-"))
  const load = (): number => rounded(loadavg()[0] as number)
  const before = load()
  const own = new Measured("the engine", process.execPath, [program])
  const started: Measured[] = [own]
  try {
    const rows: BenchRow[] = []
    const { missing } = await own.greeting()
    if (missing !== undefined) failed(`The engine cannot be measured: ${missing}`)
    await own.ask({ op: "write", folder })
    const present: { peer: Peer; program: Measured; name: string }[] = []
    const absent: BenchRow[] = []
    for (const peer of peersOf(python)) {
      const measured = new Measured(peer.id, peer.command, peer.args)
      started.push(measured)
      const greeting = await measured.greeting()
      if (greeting.peer !== undefined) present.push({ peer, program: measured, name: greeting.peer })
      else
        for (const workload of Object.keys(peer.workloads))
          absent.push({
            id: `learning.${workload}.${peer.id}`,
            value: null,
            unit: "samples/s",
            note: `not installed: ${greeting.missing?.trim().split("\n").at(-1)}`,
          })
    }
    for (const workload of WORKLOADS) rows.push(...(await measure(workload, own, present, folder, quick)))
    const [processor] = cpus()
    const report: BenchReport = {
      machine: `${processor?.model.trim()}, ${cpus().length} processors, ${process.platform} ${process.arch}, Node ${process.versions.node}`,
      date: new Date().toISOString(),
      load: [before, load()],
      quick,
      rows: [...rows, ...absent],
    }
    print(report, options.format)
    return report
  } finally {
    for (const measured of started) measured.end()
    rmSync(folder, { recursive: true, force: true })
  }
}
