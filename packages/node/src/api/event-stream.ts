import type { ServerResponse } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { ConsiliumError } from "@consilium/base/errors"
import { eventView } from "./event-sentences.js"
import type { LeaderService, StudyHandle } from "./leader-service.js"
import { Refusal } from "./problems.js"

export interface StreamLimits {
  /** Streams open at the same time. */
  readonly streams: number
  /** Studies that one stream covers: the newest. */
  readonly studies: number
  readonly heartbeatMs: number
  /** How often new studies are looked for. */
  readonly lookMs: number
  /** How long a reader may take until there is room for more; then it is cut off, and resumes where it was. */
  readonly patienceMs: number
  /** Then the reader comes again, and must still be permitted to. */
  readonly lifetimeMs: number
}

export const STREAM_LIMITS: StreamLimits = {
  streams: 64,
  studies: 128,
  heartbeatMs: 15_000,
  lookMs: 1000,
  patienceMs: 20_000,
  lifetimeMs: 3_600_000,
}

/** How far a reader is in each study's log, by the first 16 digits of the study's id. */
export type Position = ReadonlyMap<string, number>

const POSITION = /^[0-9a-f]{16}:\d{1,16}$/

const shortId = ({ id }: StudyHandle): string => id.slice(0, 16)

/** A position as an event's id: `<study>:<seq>` for every study that is read, joined by commas. */
export const positionText = (position: Position): string =>
  [...position].map(([study, seq]) => `${study}:${seq}`).join(",")

/** @throws {ConsiliumError} "api/malformed" */
export const parsePosition = (text: string): Position => {
  const position = new Map<string, number>()
  for (const part of text === "" ? [] : text.split(",")) {
    const [study = "", seq = ""] = part.split(":")
    if (!POSITION.test(part) || position.has(study) || !Number.isSafeInteger(Number(seq)))
      throw new ConsiliumError(
        "api/malformed",
        "The position to resume at is no list of `<16 hexadecimal digits>:<number>`, each study once.",
      )
    position.set(study, Number(seq))
  }
  return position
}

/** Server-sent events: every reader gets each event of each study once and in order, from where it was. */
export class EventStreams {
  readonly #service: LeaderService
  readonly #limits: StreamLimits
  readonly #open = new Set<Stream>()
  readonly #troubled: (error: unknown) => void

  constructor(service: LeaderService, limits: StreamLimits, troubled: (error: unknown) => void) {
    this.#service = service
    this.#limits = limits
    this.#troubled = troubled
  }

  get count(): number {
    return this.#open.size
  }

  /**
   * Refuses a stream that cannot be served, before anything of it is sent.
   * @throws {ConsiliumError} "api/overloaded", "api/bad-position"
   */
  check(position: Position): void {
    if (this.#open.size >= this.#limits.streams)
      throw new Refusal("api/overloaded", `All ${this.#limits.streams} event streams are in use.`, {
        "retry-after": "10",
      })
    for (const handle of this.#service.studies()) {
      const seq = position.get(shortId(handle)) ?? 0
      if (seq > handle.length)
        throw new ConsiliumError(
          "api/bad-position",
          `The stream was to be resumed after event ${seq} of a log that has ${handle.length}.`,
        )
    }
  }

  /** Serves a stream until the reader leaves, is too slow, or the streams are closed. */
  async serve(
    response: ServerResponse,
    headers: Readonly<Record<string, string>>,
    position: Position,
    only: string | null,
  ): Promise<void> {
    const stream = new Stream(response, this.#limits, position)
    this.#open.add(stream)
    try {
      response.writeHead(200, headers)
      await stream.run(() => {
        const all = this.#service.studies()
        return only === null ? all.slice(-this.#limits.studies) : all.filter(({ id }) => id === only)
      })
    } catch (error) {
      this.#troubled(error)
    } finally {
      this.#open.delete(stream)
      stream.end()
    }
  }

  close(): void {
    for (const stream of this.#open) stream.end()
  }
}

class Stream {
  readonly #response: ServerResponse
  readonly #limits: StreamLimits
  readonly #position: Map<string, number>
  readonly #ending = new AbortController()
  #room: Promise<void> | null = null

  constructor(response: ServerResponse, limits: StreamLimits, position: Position) {
    this.#response = response
    this.#limits = limits
    this.#position = new Map(position)
    response.once("close", () => this.#ending.abort())
    response.on("error", () => this.#ending.abort())
  }

  end(): void {
    this.#ending.abort()
    if (!this.#response.writableEnded) this.#response.end()
  }

  async run(studies: () => readonly StudyHandle[]): Promise<void> {
    const { signal } = this.#ending
    const heart = setInterval(() => void this.#send(": still here\n\n"), this.#limits.heartbeatMs)
    const age = setTimeout(() => this.end(), this.#limits.lifetimeMs)
    const pumps = new Map<string, Promise<void>>()
    let failed: (error: unknown) => void = () => undefined
    const failure = new Promise<never>((_, reject) => {
      failed = reject
    })
    failure.catch(() => undefined)
    try {
      await this.#send("retry: 2000\n\n")
      while (!signal.aborted) {
        for (const handle of studies())
          if (!pumps.has(handle.id)) {
            const pump = this.#pump(handle)
            pump.catch((error: unknown) => {
              if (!signal.aborted) failed(error)
            })
            pumps.set(handle.id, pump)
          }
        await Promise.race([
          sleep(this.#limits.lookMs, undefined, { signal }).catch(() => undefined),
          failure,
        ])
      }
    } finally {
      clearInterval(heart)
      clearTimeout(age)
      this.#ending.abort()
      await Promise.allSettled(pumps.values())
    }
  }

  async #pump(handle: StudyHandle): Promise<void> {
    const { signal } = this.#ending
    const study = shortId(handle)
    let sent = this.#position.get(study) ?? 0
    while (!signal.aborted) {
      for await (const entry of handle.entries(sent)) {
        sent = entry.header.seq
        this.#position.set(study, sent)
        const data = JSON.stringify(eventView(handle, entry))
        await this.#send(`id: ${positionText(this.#position)}\nevent: log\ndata: ${data}\n\n`)
        if (signal.aborted) return
      }
      await handle.grown(sent, signal)
    }
  }

  /** Writes, and waits while the reader has too much waiting for it. */
  async #send(text: string): Promise<void> {
    if (this.#ending.signal.aborted) return
    if (!this.#response.write(text)) this.#room ??= this.#awaitRoom()
    await this.#room
  }

  async #awaitRoom(): Promise<void> {
    const { signal } = this.#ending
    const patience = new AbortController()
    const drained = new Promise<boolean>((resolve) => {
      this.#response.once("drain", () => resolve(true))
      signal.addEventListener("abort", () => resolve(true), { once: true, signal: patience.signal })
    })
    const late = sleep(this.#limits.patienceMs, false, { signal: patience.signal }).catch(() => true)
    const inTime = await Promise.race([drained, late])
    patience.abort()
    this.#room = null
    if (!inTime) {
      this.#ending.abort()
      this.#response.destroy()
    }
  }
}
