import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { milliseconds } from "@consilium/base/units"
import { type Due, dueAfter } from "./agenda.js"
import { evaluatedRounds } from "./figures/opened-figures.js"
import { showLastModel } from "./leader-finishing.js"
import type {
  Attempt,
  Collecting,
  LeaderContext,
  LeaderEffect,
  LeaderState,
  Pending,
  Progress,
} from "./leader-state.js"
import { nextHeader } from "./log.js"
import { type Message, messageCodec, type RoundSpec, specDigest } from "./messages.js"
import { attemptName, isFigures } from "./purpose.js"
import { EVERYONE, openRoster, type Participant } from "./roster.js"
import { baseHash, encodeBase } from "./round-base.js"
import { studyDigest } from "./study.js"
import type { SumSetting } from "./sums/secure-sum.js"

export const timerName = ({ purpose, epoch, round, attempt }: RoundSpec, phase: string): string => {
  if (purpose === "keys") return `${phase}/epoch/${epoch}`
  return purpose === "update" ? `${phase}/${round}/${attempt}` : `${phase}/${purpose}/${round}/${attempt}`
}

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
    const { log, unshown, directory, nextRoster, keys, rotation } = this.progress
    return { ...state.progress, log, unshown, directory, nextRoster, keys, rotation }
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

/**
 * Starts an attempt at a round from the current model, under keys that may be used. A new roster begins with a round, never
 * with a redone one.
 */
export const announce = (turn: Turn, next: Due): LeaderState => {
  const { purpose, round, attempt } = next
  if (turn.progress.nextRoster !== null && attempt === 1) adoptRoster(turn, turn.progress.nextRoster)
  const due = ceremonyDue(turn, attempt)
  if (due !== null) {
    turn.tell(
      `facilities deal new keys before ${purpose === "update" ? `round ${round}` : attemptName(next)}: ${due}`,
    )
    return announceKeys(turn, next, 1)
  }
  const { study, directory } = turn.context
  const { parameters, control, keys } = turn.progress
  // figures are about a model alone
  const base = { parameters, control: purpose === "update" ? control : null }
  const spec: RoundSpec = {
    study: studyDigest(study),
    round,
    attempt,
    purpose,
    epoch: keys.epoch,
    roster: directory.digest,
    model: baseHash(study, base),
  }
  const dealers = keys.current?.dealers ?? null
  const out = new Map<string, string>()
  if (dealers !== null) {
    turn.progress = { ...turn.progress, keys: withOpening(keys) }
    const among = new Set(dealers.map(toHex))
    for (const { id } of directory.facilities) if (!among.has(toHex(id))) out.set(toHex(id), "keys/left-out")
  }
  const modelRound = purpose === "evaluation" ? round : Math.max(0, round - 1)
  turn.say({ type: "announce", spec, model: encodeBase(study, base, modelRound), members: dealers })
  return begin(turn, spec, out)
}

const begin = (turn: Turn, spec: RoundSpec, out: Attempt["out"]): Collecting => {
  turn.timer(spec, "collecting", turn.context.study.deadlines.collect)
  return {
    phase: "collecting",
    progress: turn.progress,
    attempt: { spec, digest: specDigest(spec), startedAt: turn.at, out },
    submissions: new Map(),
    regions: new Map(),
    direct: new Map(),
  }
}

const DAY_MS = 24 * 60 * 60 * 1000

/** Why facilities must deal new keys before this attempt, or null if they need none or have what they need. */
const ceremonyDue = (turn: Turn, attempt: number): string | null => {
  const { study, directory } = turn.context
  const { current } = turn.progress.keys
  if (study.keys === null) return null
  if (current === null) return "the study has none yet"
  if (!equalBytes(current.roster, directory.digest)) return "the roster has changed"
  if (current.openings >= study.keys.openings)
    return `those of this epoch have opened ${current.openings} sums`
  // the rest can wait for the next round: a redone one goes on under the keys it began with
  if (attempt > 1) return null
  if (turn.at >= current.since + study.keys.days * DAY_MS)
    return `those of this epoch are ${study.keys.days} days old`
  return turn.progress.rotation
}

const withOpening = (keys: Progress["keys"]): Progress["keys"] => ({
  ...keys,
  current: keys.current && { ...keys.current, openings: keys.current.openings + 1 },
})

/** Starts a ceremony, after which `next` is announced. Every ceremony is for an epoch of its own, held or not. */
export const announceKeys = (turn: Turn, next: Pending, attempt: number): LeaderState => {
  const { study, directory } = turn.context
  const { keys } = turn.progress
  turn.progress = {
    ...turn.progress,
    rotation: null,
    keys: { ...keys, epoch: keys.epoch + 1, pending: next },
  }
  const spec: RoundSpec = {
    study: studyDigest(study),
    round: next.round,
    attempt,
    purpose: "keys",
    epoch: keys.epoch + 1,
    roster: directory.digest,
    model: new Uint8Array(32),
  }
  turn.say({ type: "announce", spec, model: new Uint8Array(0), members: null })
  return begin(turn, spec, new Map())
}

/** Ends an attempt without a sum or without keys: the next one follows, or the study is aborted. */
export const voidAttempt = (turn: Turn, attempt: Attempt, reason: string): LeaderState => {
  const { study, me } = turn.context
  const { round, attempt: number, purpose, epoch } = attempt.spec
  const ceremony = purpose === "keys"
  turn.say({ type: "void", spec: attempt.digest, reason })
  turn.tell(
    ceremony
      ? `the key ceremony of epoch ${epoch} is void: ${reason}`
      : `${attemptName(attempt.spec)} is void: ${reason}`,
  )
  const { pending } = turn.progress.keys
  if (number < study.attempts)
    return purpose === "keys"
      ? announceKeys(turn, pending ?? { purpose: "update", round, attempt: 1 }, number + 1)
      : announce(turn, { purpose, round, attempt: number + 1 })
  if (isFigures(purpose)) {
    turn.tell(`${attemptName({ purpose, round, attempt: 1 })} is given up after ${number} attempts`)
    return goOn(turn, { purpose, round })
  }
  const what = ceremony ? `The key ceremony before round ${round}` : `Round ${round}`
  const why = `${what} failed ${number} times; the last time: ${reason}.`
  turn.record("aborted", me.id, new Uint8Array(0))
  turn.say({ type: "ended", reason: why, head: null })
  turn.effects.push({ type: "ended" })
  return { phase: "aborted", progress: turn.progress, reason: why }
}

/** Goes on with what follows what is done, or given up; at the end shows the last model. */
export const goOn = (turn: Turn, done: Pick<Due, "purpose" | "round"> | RoundSpec): LeaderState => {
  const { study } = turn.context
  const { figures, closed } = turn.progress
  const next = dueAfter(study, done, evaluatedRounds(study, figures))
  return next === null ? showLastModel(turn, closed.length) : announce(turn, next)
}

/** Facilities that are still waited for in an attempt. */
const active = (turn: Turn, attempt: Attempt): readonly Participant[] =>
  turn.context.directory.facilities.filter((f) => !attempt.out.has(toHex(f.id)))

/** Whether everybody who is waited for has answered. Only facilities answer and sit out, so few answers are not all. */
export const answered = (turn: Turn, attempt: Attempt, answers: ReadonlyMap<string, unknown>): boolean =>
  answers.size + attempt.out.size >= turn.context.directory.facilities.length &&
  active(turn, attempt).every((f) => answers.has(toHex(f.id)))

/** What the parties to this attempt's sum agree on. */
export const settingOf = (turn: Turn, attempt: Attempt): SumSetting => {
  const { study, directory, suite } = turn.context
  const { epoch, attempt: number } = attempt.spec
  return { study, directory, spec: attempt.digest, epoch, attempt: number, suite }
}

/** Values in the order of their keys: the fixed order of everything that is listed. */
export const sortedValues = <T>(map: ReadonlyMap<string, T>): readonly T[] =>
  [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)
