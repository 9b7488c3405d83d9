import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { milliseconds } from "@consilium/base/units"
import { parameterHash } from "@consilium/learning/model-file"
import type { Attempt, LeaderContext, LeaderEffect, LeaderState, Progress } from "./leader-state.js"
import { nextHeader } from "./log.js"
import { type Message, messageCodec, type RoundSpec, specDigest } from "./messages.js"
import { modelFile } from "./model.js"
import { EVERYONE, openRoster, type Participant } from "./roster.js"
import { studyDigest } from "./study.js"
import type { SumSetting } from "./sums/secure-sum.js"
import { architectureOf } from "./training.js"

export const timerName = (spec: RoundSpec, phase: string): string => `${phase}/${spec.round}/${spec.attempt}`

/** One step of the leader under way: the log as it grows, and the effects in their order. */
export class Turn {
  readonly effects: LeaderEffect[] = []
  context: LeaderContext
  readonly at: number
  progress: Progress

  constructor(context: LeaderContext, progress: Progress, at: number) {
    this.context = context
    this.progress = progress
    this.at = at
  }

  /** The progress of the state that a turn ends in, with the log as the turn has left it. */
  progressOf(state: LeaderState): Progress {
    const { log, unshown, directory, nextRoster } = this.progress
    return { ...state.progress, log, unshown, directory, nextRoster }
  }

  /** Appends an event to the log. */
  record(type: string, actor: Uint8Array, body: Uint8Array): void {
    const { header, head } = nextHeader(this.progress.log, { at: this.at, actor, type, body })
    this.progress = { ...this.progress, log: head, unshown: [...this.progress.unshown, header] }
    this.effects.push({ type: "append", header, body })
  }

  /** Logs a message of the leader's own, then sends it to everyone. */
  say(message: Message): void {
    this.record(message.type, this.context.me.id, encode(messageCodec, message))
    this.effects.push({ type: "send", to: EVERYONE, message })
  }

  timer(spec: RoundSpec, phase: LeaderState["phase"], deadline: number): void {
    this.effects.push({
      type: "timer",
      name: timerName(spec, phase),
      milliseconds: milliseconds(deadline),
    })
  }

  /** Tells the operator. */
  tell(line: string): void {
    this.effects.push({ type: "progress", line })
  }
}

/** The next roster takes effect. */
const adoptRoster = (turn: Turn, signed: Uint8Array): void => {
  const { suite, authorityKey, directory: before } = turn.context
  const { directory } = openRoster(suite, authorityKey, signed)
  turn.context = { ...turn.context, directory }
  turn.progress = { ...turn.progress, directory, nextRoster: null }
  turn.say({ type: "roster", signed })
  const newcomers = directory.facilities.filter(({ id }) => before.find(id) === undefined)
  const gone = before.facilities.filter(({ id }) => directory.find(id) === undefined)
  const names = (of: readonly Participant[]): string => of.map(({ name }) => name).join(", ")
  if (newcomers.length > 0) turn.tell(`${names(newcomers)} joined the study`)
  if (gone.length > 0) turn.tell(`${names(gone)} left the study`)
}

/** Starts an attempt at a round from the current model. A new roster begins with a round, never with a redone one. */
export const announce = (turn: Turn, round: number, attempt: number): LeaderState => {
  if (turn.progress.nextRoster !== null && attempt === 1) adoptRoster(turn, turn.progress.nextRoster)
  const { study, directory } = turn.context
  const parameters = turn.progress.parameters
  const spec: RoundSpec = {
    study: studyDigest(study),
    round,
    attempt,
    epoch: 0,
    roster: directory.digest,
    model: parameterHash(architectureOf(study), parameters),
  }
  turn.say({ type: "announce", spec, model: modelFile(study, parameters, round - 1) })
  turn.timer(spec, "collecting", study.deadlines.collect)
  return {
    phase: "collecting",
    progress: turn.progress,
    attempt: { spec, digest: specDigest(spec), startedAt: turn.at, out: new Map() },
    submissions: new Map(),
    regions: new Map(),
  }
}

/** Ends an attempt without a sum: the next one follows, or the study is aborted. */
export const voidAttempt = (turn: Turn, attempt: Attempt, reason: string): LeaderState => {
  const { study, me } = turn.context
  const { round, attempt: number } = attempt.spec
  turn.say({ type: "void", spec: attempt.digest, reason })
  turn.tell(`round ${round}, attempt ${number} is void: ${reason}`)
  if (number < study.attempts) return announce(turn, round, number + 1)
  const why = `Round ${round} failed ${number} times; the last time: ${reason}.`
  turn.record("aborted", me.id, new Uint8Array(0))
  turn.say({ type: "ended", reason: why, head: null })
  turn.effects.push({ type: "ended" })
  return { phase: "aborted", progress: turn.progress, reason: why }
}

/** Facilities that are still waited for in an attempt. */
const active = (turn: Turn, attempt: Attempt): readonly Participant[] =>
  turn.context.directory.facilities.filter((f) => !attempt.out.has(toHex(f.id)))

/** Whether everybody who is waited for has answered. */
export const answered = (turn: Turn, attempt: Attempt, answers: ReadonlyMap<string, unknown>): boolean =>
  active(turn, attempt).every((f) => answers.has(toHex(f.id)))

/** What the parties to this attempt's sum agree on. */
export const settingOf = (turn: Turn, attempt: Attempt): SumSetting => {
  const { study, directory, suite } = turn.context
  return { study, directory, spec: attempt.digest, suite }
}

/** Values in the order of their keys: the fixed order of everything that is listed. */
export const sortedValues = <T>(map: ReadonlyMap<string, T>): readonly T[] =>
  [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)
