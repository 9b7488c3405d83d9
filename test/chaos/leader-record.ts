import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import type { LogEntry } from "@consilium/federation/log"
import { envelopeCodec, type Message, messageCodec } from "@consilium/federation/messages"
import { withStoredStudy } from "@consilium/node/audit-sources"

/** What a leader's log says of a study whose participants were killed. */
export interface LeaderRecord {
  /** Attempts at rounds and key ceremonies, in their order. */
  readonly attempts: readonly string[]
  /** Events that tell of somebody who broke the rules. */
  readonly suspicions: readonly string[]
  /** How many answers about secrets were given: one for each facility and question. */
  readonly answers: number
  /** Questions to a facility that it answered with other bytes the second time. */
  readonly otherAnswers: readonly string[]
}

/** Answers that depend on a key, and must be given once: a facility that goes back to one says the same again. */
const ANSWERS = ["key-tested", "partial"]

/** What an answer is about. */
const questionOf = (message: Message): string =>
  message.type === "partial"
    ? toHex(message.digest)
    : message.type === "key-tested"
      ? toHex(message.spec)
      : ""

class Reading {
  readonly attempts: string[] = []
  readonly suspicions: string[] = []
  readonly #taken = new Map<string, Set<string>>()
  readonly #dropped: { readonly who: string; readonly digest: string }[] = []

  add({ header, body }: LogEntry): void {
    const who = (type: string): string => `${toHex(header.actor)} ${type}`
    const [kind, type] = header.type.split(":") as [string, string | undefined]
    if (kind === "security") this.suspicions.push(header.type)
    if (kind === "announce") {
      const message = decode(messageCodec, body)
      if (message.type !== "announce") return
      const { purpose, epoch, round, attempt } = message.spec
      this.attempts.push(`${purpose} of epoch ${epoch}, round ${round}, attempt ${attempt}`)
    }
    if (ANSWERS.includes(kind)) {
      const question = `${who(kind)} ${questionOf(decode(messageCodec, decode(envelopeCodec, body).body))}`
      const digests = this.#taken.get(question) ?? new Set()
      this.#taken.set(question, digests.add(toHex(sha256(body))))
    }
    // of what was left without effect, the log keeps the digest
    if (kind === "dropped" && type !== undefined && ANSWERS.includes(type))
      this.#dropped.push({ who: who(type), digest: toHex(body) })
  }

  get answers(): number {
    return this.#taken.size
  }

  get otherAnswers(): readonly string[] {
    const twice = [...this.#taken].filter(([, digests]) => digests.size > 1).map(([question]) => question)
    const known = (who: string, digest: string): boolean =>
      [...this.#taken].some(([question, digests]) => question.startsWith(who) && digests.has(digest))
    const others = this.#dropped.filter(({ who, digest }) => !known(who, digest)).map(({ who }) => who)
    return [...twice, ...others]
  }
}

/** Reads the log of a leader that does not run, given its `leader.yaml`. */
export const leaderRecord = (configPath: string): Promise<LeaderRecord> =>
  withStoredStudy(configPath, null, async ({ store }) => {
    const reading = new Reading()
    for await (const entry of store.entries()) reading.add(entry)
    const { attempts, suspicions, answers, otherAnswers } = reading
    return { attempts, suspicions, answers, otherAnswers }
  })
