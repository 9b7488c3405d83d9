import { toHex } from "@consilium/base/bytes"
import { bytes, decode, encode, fixedBytes, list, record, text, u32, variant } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { milliseconds } from "@consilium/base/units"
import { type Message, messageCodec } from "@consilium/federation/messages"
import { Directory, type Roster, rosterCodec } from "@consilium/federation/roster"
import type { Input, MachineFactory, Reaction, RoleMachine, Work } from "../src/roles/machine.js"

/** What one participant tells another in these tests: a line, or a line with many bytes behind it. */
export const line = (text: string): Message => ({ type: "ended", reason: text, head: null })
export const heavy = (text: string, length: number): Message => ({
  type: "share",
  spec: sha256(utf8(text)),
  sealed: Buffer.alloc(Math.floor(length), `${text}, `),
})
export const textOf = (message: Message): string =>
  message.type === "ended"
    ? message.reason
    : message.type === "share"
      ? `${toHex(message.spec).slice(0, 8)} and ${message.sealed.length} bytes`
      : message.type

const localCodec = variant({
  say: record({ to: fixedBytes(16), message: bytes(64 << 20) }),
  did: record({ task: text(64) }),
  tick: record({ name: text(64) }),
})
export const say = (to: Uint8Array, message: Message): Uint8Array =>
  encode(localCodec, { type: "say", to, message: encode(messageCodec, message) })

const snapshotCodec = record({ roster: bytes(1 << 20), heard: list(text(256), 65_536), salt: u32 })

/**
 * A machine whose whole state is what it has heard, in order. It answers some lines and logs all of them:
 *
 *     task NAME        work to be done
 *     timer NAME MS    a timer
 *     checkpoint, end  what they say
 *     ask TEXT         answered with "heard N: TEXT"
 */
export class HearingMachine implements RoleMachine {
  readonly directory: Directory
  readonly signedRoster = new Uint8Array(0)
  readonly #heard: string[]
  /** Changes what it answers: another version of the program. */
  readonly #salt: number
  readonly #tasksRun: string[] | undefined

  constructor(directory: Directory, options: MachineOptions, snapshot: Uint8Array | null) {
    const kept = snapshot && decode(snapshotCodec, snapshot)
    this.directory = kept ? new Directory(decode(rosterCodec, kept.roster) as Roster) : directory
    this.#heard = kept ? [...kept.heard] : []
    this.#salt = options.salt ?? 0
    this.#tasksRun = options.tasksRun
  }

  get heard(): readonly string[] {
    return this.#heard
  }

  answers(event: Uint8Array): string | null {
    const local = decode(localCodec, event)
    return local.type === "did" ? local.task : null
  }

  snapshot(): Uint8Array | null {
    return encode(snapshotCodec, {
      roster: encode(rosterCodec, this.directory.roster),
      heard: this.#heard,
      salt: this.#salt,
    })
  }

  react(input: Input): Reaction {
    switch (input.type) {
      case "passing":
        return { sends: [], entries: [], work: [] }
      case "refused":
        return this.#hear(`refused ${input.code}`, input.about, [])
      case "message":
        return this.#follow(`${input.from.name}: ${textOf(input.message)}`, input.from.id)
      case "local": {
        const local = decode(localCodec, input.event)
        if (local.type === "did") return this.#hear(`did ${local.task}`, new Uint8Array(16), [])
        if (local.type === "tick") return this.#hear(`tick ${local.name}`, new Uint8Array(16), [])
        const message = decode(messageCodec, local.message)
        const said = this.#hear(`say ${textOf(message)}`, local.to, [])
        return { ...said, sends: [{ to: local.to, message }] }
      }
    }
  }

  #hear(what: string, actor: Uint8Array, work: readonly Work[]): Reaction {
    this.#heard.push(what)
    return { sends: [], entries: [{ type: "heard", actor, body: utf8(what) }], work }
  }

  #follow(what: string, from: Uint8Array): Reaction {
    const [verb = "", ...rest] = what.slice(what.indexOf(": ") + 2).split(" ")
    const [name = "", delay = "0"] = rest
    const heard = this.#hear(what, from, this.#workOf(verb, name, Number(delay)))
    if (verb !== "ask") return heard
    const answer = `heard ${this.#heard.length + this.#salt}: ${rest.join(" ")}`
    return { ...heard, sends: [{ to: from, message: line(answer) }] }
  }

  #workOf(verb: string, name: string, delay: number): readonly Work[] {
    switch (verb) {
      case "task":
        return [
          {
            type: "task",
            name,
            run: async () => {
              this.#tasksRun?.push(name)
              return encode(localCodec, { type: "did", task: name })
            },
          },
        ]
      case "timer":
        return [
          {
            type: "timer",
            milliseconds: milliseconds(delay),
            event: encode(localCodec, { type: "tick", name }),
          },
        ]
      case "checkpoint":
        return [{ type: "checkpoint" }]
      case "end":
        return [{ type: "ended", reason: name }]
      default:
        return []
    }
  }
}

export interface MachineOptions {
  readonly salt?: number
  /** Names of the tasks that were begun. */
  readonly tasksRun?: string[]
}

export const hearing =
  (directory: Directory, options: MachineOptions = {}): MachineFactory =>
  (snapshot) =>
    new HearingMachine(directory, options, snapshot)
