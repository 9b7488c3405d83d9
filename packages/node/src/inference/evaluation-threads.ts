import { Worker } from "node:worker_threads"
import { ERROR_TABLE, type ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import { serverModelToBytes } from "@consilium/inference/files/server-model"
import { planToBytes } from "@consilium/inference/plan/plan"
import { Refusal } from "../api/problems.js"
import type { AskedRequest, Evaluated, Evaluator, HeldKey, UploadedKey } from "./evaluator.js"
import type { ModelVersion } from "./model-shelf.js"
import type { FromWorker, ToWorker } from "./worker-messages.js"

interface Job {
  readonly version: ModelVersion
  readonly asker: string
  /** The key that it needs. */
  readonly key: HeldKey | null
  /** What a thread is told; it may be told again, so each is a copy. */
  readonly message: (job: number) => Extract<ToWorker, { readonly job: number }>
  readonly done: (message: FromWorker) => void
  readonly fail: (error: unknown) => void
}

/** Requests that wait for a thread, and those of one asker; more are refused. */
const MOST_WAITING = 256
const MOST_WAITING_OF_ONE = 64
/** A thread is given the model and the key once; one that asks again and again does not work. */
const MOST_NEEDS = 4

/** A thread, and the request it works on. */
class Thread {
  readonly #worker: Worker
  #job: { readonly number: number; readonly work: Job; needs: number } | null = null
  #number = 0

  constructor(entry: URL, idle: () => void, broken: (thread: Thread) => void) {
    // without the flags of this process: a built file runs as it is
    this.#worker = new Worker(entry, { execArgv: [] })
    this.#worker.unref()
    this.#worker.on("message", (message: FromWorker) => {
      void this.#heard(message, idle)
    })
    this.#worker.on("error", (cause) => {
      this.#fail(
        new ConsiliumError("api/failed", "A thread that evaluates encrypted patients ended.", { cause }),
      )
      broken(this)
    })
  }

  get busy(): boolean {
    return this.#job !== null
  }

  begin(work: Job): void {
    this.#number += 1
    this.#job = { number: this.#number, work, needs: 0 }
    this.#ask()
  }

  #ask(): void {
    if (this.#job === null) return
    const { number, work } = this.#job
    const message = work.message(number)
    const given = message.kind === "answer" ? message.request : message.bytes
    this.#worker.postMessage(message, [given.buffer as ArrayBuffer])
  }

  #fail(error: unknown): void {
    const job = this.#job
    this.#job = null
    job?.work.fail(error)
  }

  async #heard(message: FromWorker, idle: () => void): Promise<void> {
    const job = this.#job
    if (job === null || job.number !== message.job) return
    const { work } = job
    if (message.kind === "needs") {
      try {
        job.needs += 1
        if (job.needs > MOST_NEEDS) throw new Error("a thread forgets what it is given")
        await this.#give(message.what, work)
        this.#ask()
        return
      } catch (error) {
        this.#fail(error)
        idle()
        return
      }
    }
    this.#job = null
    if (message.kind === "refused") work.fail(refusalOf(message))
    else work.done(message)
    idle()
  }

  async #give(what: "model" | "key", { version, key }: Job): Promise<void> {
    const { plan, served } = version
    const given: ToWorker | null =
      what === "model"
        ? { kind: "model", plan, planBytes: planToBytes(served.plan), model: serverModelToBytes(served) }
        : key && { kind: "key", plan, id: key.id, nonce: key.nonce, bytes: await key.bytes() }
    if (given !== null) this.#worker.postMessage(given)
  }

  async end(error: unknown): Promise<void> {
    this.#fail(error)
    await this.#worker.terminate()
  }
}

const refusalOf = ({ code, message, remedy }: Extract<FromWorker, { kind: "refused" }>): ConsiliumError =>
  new ConsiliumError(Object.hasOwn(ERROR_TABLE, code) ? (code as ErrorCode) : "api/failed", message, {
    remedy,
  })

/** Computes in threads of its own, so that what takes milliseconds holds up nothing else. Threads start when they are first needed. */
export class EvaluationThreads implements Evaluator {
  readonly #entry: URL
  readonly #most: number
  readonly #threads: Thread[] = []
  /** By asker; the one who was served last is last. */
  readonly #waiting = new Map<string, Job[]>()
  #closed = false

  /** @param entry the built file of the thread's program */
  constructor(most: number, entry: URL = new URL("./evaluation-worker.js", import.meta.url)) {
    this.#most = most
    this.#entry = entry
  }

  async answer(version: ModelVersion, { asker, request, key }: AskedRequest): Promise<Evaluated> {
    const { plan } = version
    const message: Job["message"] = (job) =>
      // a copy: a part of a batch would take the whole of it along
      ({ kind: "answer", job, plan, request: new Uint8Array(request), keyId: key?.id ?? null })
    const told = await this.#ask(asker, { version, key, message })
    if (told.kind !== "answer") throw new TypeError("A thread answered something else.")
    return { answer: told.answer, ms: told.ms }
  }

  async check(version: ModelVersion, { asker, nonce, bytes }: UploadedKey): Promise<string> {
    const { plan } = version
    const message: Job["message"] = (job) => ({
      kind: "check",
      job,
      plan,
      nonce,
      bytes: new Uint8Array(bytes),
    })
    const told = await this.#ask(asker, { version, key: null, message })
    if (told.kind !== "checked") throw new TypeError("A thread answered something else.")
    return told.id
  }

  #ask(asker: string, work: Pick<Job, "version" | "key" | "message">): Promise<FromWorker> {
    if (this.#closed) return Promise.reject(new ConsiliumError("api/not-ready", "The server is ending."))
    const own = this.#waiting.get(asker) ?? []
    const all = [...this.#waiting.values()].reduce((sum, { length }) => sum + length, 0)
    if (all >= MOST_WAITING || own.length >= MOST_WAITING_OF_ONE)
      return Promise.reject(
        new Refusal(
          "inference/overloaded",
          `${own.length} requests of this asker and ${all} in all are waiting already.`,
          { "retry-after": "1" },
        ),
      )
    return new Promise((done, fail) => {
      this.#waiting.set(asker, [...own, { ...work, asker, done, fail }])
      this.#next()
    })
  }

  /** Askers take turns, so that one who asks much holds up no other for longer than one request. */
  #takeTurn(): Job | undefined {
    const [turn] = this.#waiting
    if (turn === undefined) return undefined
    const [asker, [job, ...rest]] = turn
    this.#waiting.delete(asker)
    if (rest.length > 0) this.#waiting.set(asker, rest)
    return job
  }

  readonly #next = (): void => {
    while (this.#waiting.size > 0) {
      const thread = this.#threads.find(({ busy }) => !busy) ?? this.#another()
      if (thread === null) return
      thread.begin(this.#takeTurn() as Job)
    }
  }

  #another(): Thread | null {
    if (this.#threads.length >= this.#most) return null
    const thread = new Thread(this.#entry, this.#next, (broken) => {
      this.#threads.splice(this.#threads.indexOf(broken), 1)
      this.#next()
    })
    this.#threads.push(thread)
    return thread
  }

  async close(): Promise<void> {
    this.#closed = true
    const ending = new ConsiliumError("api/not-ready", "The server is ending.")
    const left = [...this.#waiting.values()].flat()
    this.#waiting.clear()
    for (const { fail } of left) fail(ending)
    await Promise.all(this.#threads.splice(0).map((thread) => thread.end(ending)))
  }
}
