import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import type { SecretKey } from "@consilium/base/random"
import { insecureSeededSecret } from "@consilium/base/testing"
import type { Examples } from "@consilium/learning/data"
import { type Charge, ledgerEntryOf } from "../src/charge.js"
import { startFacility, stepFacility } from "../src/facility.js"
import type {
  FacilityContext,
  FacilityEffect,
  FacilityEvent,
  FacilityState,
  FacilityStep,
} from "../src/facility-state.js"
import { countFigures } from "../src/figures/count-figures.js"
import {
  type FogContext,
  type FogEffect,
  type FogEvent,
  type FogState,
  startFog,
  stepFog,
} from "../src/fog.js"
import { startLeader, stepLeader } from "../src/leader.js"
import type { LeaderContext, LeaderEffect, LeaderEvent, LeaderState } from "../src/leader-state.js"
import { emptyLedger, type LedgerHead, ledgerHeadAfter } from "../src/ledger-chain.js"
import { afterCharged, afterCounted, startLocalState } from "../src/local-state.js"
import { headerHash, type LogEntry } from "../src/log.js"
import {
  type CosignedHead,
  type Envelope,
  envelopeCodec,
  type Message,
  pack,
  type RoundSpec,
  trafficOf,
  unpack,
} from "../src/messages.js"
import type { LocalPolicy, Preparation } from "../src/policy.js"
import { type Directory, EVERYONE, openRoster, type Participant } from "../src/roster.js"
import { routeAt } from "../src/routing.js"
import { type Study, studyDigest } from "../src/study.js"
import { measureSubgroups } from "../src/subgroup-figures.js"
import { type CryptoSuite, portableSuite } from "../src/suite.js"
import { measure, personalModel, trainRound } from "../src/training.js"
import { Agenda } from "./agenda.js"
import {
  authorityKey,
  directoryOf,
  keysFor as platformKeysFor,
  suite as platformSuite,
  portableKeysFor,
  type StudyChanges,
  type TestKeys,
  testPolicy,
  testStudy,
  toyRecords,
} from "./members.js"

/** A message on one edge of the tree. */
export interface Hop {
  readonly from: string
  readonly to: string
  readonly sender: string
  readonly message: Message
  /** How many hops came before this one. */
  readonly index: number
}

/** What a participant is about to say. */
export interface Utterance {
  readonly by: string
  /** A name, or "everyone". */
  readonly to: string
  readonly message: Message
}

export interface Training {
  readonly facility: string
  readonly spec: RoundSpec
  readonly values: Int32Array
}

export type TrainingAnswer =
  | {
      readonly values?: Int32Array
      readonly after?: number | undefined
      readonly fails?: string | undefined
    }
  | "never"

export interface Options {
  readonly seed?: number
  /** How many, or their names. */
  readonly facilities?: number | readonly string[]
  readonly fogs?: number
  /** How many of the facilities talk to the leader directly; all without fogs. */
  readonly direct?: number
  readonly study?: StudyChanges
  readonly policies?: Readonly<Record<string, Partial<LocalPolicy>>>
  readonly records?: (facility: string) => { readonly train: Examples; readonly holdOut: Examples }
  /** What facilities prepare their rows with: `declared` unless told. */
  readonly preparation?: Preparation
  /** Everybody's public-key operations: the platform's unless told. */
  readonly portable?: boolean
  readonly secretOf?: (facility: string, round: number) => SecretKey
  /**
   * Milliseconds until each copy of a message is there; none drops it. The first copy keeps its place on its edge, further
   * ones come when they come.
   */
  readonly schedule?: (hop: Hop) => readonly number[]
  /** What is said instead: the message itself, another, several, nothing. It is signed by the speaker. */
  readonly speak?: (utterance: Utterance) => readonly Utterance[]
  /** What a facility's machine does instead: its new state and its effects. */
  readonly corrupt?: (facility: string, step: FacilityStep) => FacilityStep
  /** Bytes that arrive instead of those sent. */
  readonly wire?: (hop: Hop, bytes: Uint8Array) => Uint8Array
  /** Rosters that the leader is given, signed or not, after the first announcement of a round; round 0 is before all. */
  readonly rosters?: readonly {
    readonly during: number
    readonly after?: number
    readonly signed: Uint8Array
  }[]
  /** When a person asks for new keys, after the first announcement of a round. */
  readonly rotations?: readonly { readonly during: number; readonly after?: number }[]
  /** Rounds whose model a person releases, after the first announcement of a round. */
  readonly releases?: readonly { readonly during: number; readonly round: number }[]
  /** When a person stops the study: milliseconds after the first announcement of a round; round 0 is before all. */
  readonly stops?: readonly { readonly during: number; readonly after?: number }[]
  /** Where facilities' privacy ledgers stand when the study begins: without entries unless told. */
  readonly ledgers?: Readonly<Record<string, LedgerHead>>
  /** What is posted to a facility's machine before the study begins. */
  readonly before?: (facility: string) => readonly FacilityEvent[]
  /** What training gives: values, after some time, or an error, or never anything. */
  readonly train?: (training: Training) => TrainingAnswer
}

export interface Security {
  readonly by: string
  readonly code: string
  readonly about: string
  readonly detail: string
}

/** What came of a run, and everything that was said. */
export interface Outcome {
  readonly study: Study
  /** Who was enrolled when the study began. */
  readonly directory: Directory
  /** The name of anybody who was ever enrolled. */
  readonly nameOf: (id: Uint8Array) => string
  readonly leader: LeaderState
  readonly facilities: ReadonlyMap<string, FacilityState>
  readonly fogs: ReadonlyMap<string, FogState>
  readonly log: readonly LogEntry[]
  readonly said: readonly (Utterance & { readonly at: number })[]
  readonly security: readonly Security[]
  readonly records: readonly { readonly by: string; readonly event: string; readonly detail: string }[]
  /** Co-signed heads of the leader's log, by the facility that keeps them. */
  readonly cosigned: ReadonlyMap<string, readonly CosignedHead[]>
  /** What facilities' privacy ledgers were charged, by facility. */
  readonly charges: ReadonlyMap<string, readonly Charge[]>
  /** Where their ledgers stand at the end. */
  readonly ledgers: Readonly<Record<string, LedgerHead>>
  /** What the leader tells its operator. */
  readonly lines: readonly string[]
  /** Every message's bytes that could not be read where they arrived. */
  readonly garbled: number
}

export const LATENCY = 10
/** The part of a node that is the same for all roles: it delivers what is addressed to it and passes on the rest. */
interface Station {
  /** The directory of its machine. */
  readonly directory: () => Directory
  readonly deliver: (from: Participant, message: Message, envelope: Uint8Array) => void
  readonly refused: (about: Participant, error: ConsiliumError, evidence: Uint8Array) => void
  /** A message of a child, wherever it goes. */
  readonly passing?: (from: Participant, message: Message, bytes: number, here: boolean) => void
}

const openedOrNone = ({ signed }: { readonly signed: Uint8Array }): readonly Directory[] => {
  try {
    return [openRoster(platformSuite, authorityKey, signed).directory]
  } catch (error) {
    if (error instanceof ConsiliumError) return []
    throw error
  }
}

/** A leader, fogs and facilities in one process, with virtual time, real signatures and real bytes between them. */
class Federation {
  readonly options: Options
  readonly study: Study
  readonly directory: Directory
  readonly agenda = new Agenda()
  readonly stations = new Map<string, Station>()
  readonly said: (Utterance & { readonly at: number })[] = []
  readonly security: Security[] = []
  readonly records: { by: string; event: string; detail: string }[] = []
  readonly lines: string[] = []
  readonly log: LogEntry[] = []
  readonly cosigned = new Map<string, CosignedHead[]>()
  readonly charges = new Map<string, Charge[]>()
  readonly ledgers: Record<string, LedgerHead> = {}
  /** Everybody who is in a roster, with the first directory that names them. */
  readonly people = new Map<string, { readonly participant: Participant; readonly directory: Directory }>()
  readonly suite: CryptoSuite
  readonly keysFor: (name: string) => TestKeys
  garbled = 0
  readonly #edgeFree = new Map<string, number>()
  #hops = 0

  constructor(options: Options) {
    const { facilities = 4, fogs = 2, direct } = options
    this.options = options
    this.suite = options.portable ? portableSuite : platformSuite
    this.keysFor = options.portable ? portableKeysFor : platformKeysFor
    this.study = testStudy(typeof facilities === "number" ? facilities : facilities.length, options.study)
    this.directory = directoryOf(this.study, facilities, fogs, direct)
    for (const directory of [this.directory, ...(options.rosters ?? []).flatMap(openedOrNone)])
      for (const participant of directory.roster.participants)
        if (!this.people.has(participant.name)) this.people.set(participant.name, { participant, directory })
  }

  readonly nameOf = (id: Uint8Array): string => {
    if (toHex(id) === toHex(EVERYONE)) return "everyone"
    const found = [...this.people.values()].find(({ participant }) => toHex(participant.id) === toHex(id))
    return found?.participant.name ?? toHex(id)
  }

  named(name: string): Participant {
    const found = this.people.get(name)
    if (found === undefined) throw new Error(`Nobody is called ${name}.`)
    return found.participant
  }

  /** Sends a message; a new roster goes to those below in the old tree as well. */
  say(by: Participant, to: Uint8Array, message: Message, before?: Directory): void {
    const meant: Utterance = { by: by.name, to: this.nameOf(to), message }
    for (const utterance of this.options.speak?.(meant) ?? [meant]) {
      this.said.push({ ...utterance, at: this.agenda.now })
      const speaker = this.named(utterance.by)
      const receiver = utterance.to === "everyone" ? EVERYONE : this.named(utterance.to).id
      const { sign } = this.keysFor(speaker.name)
      const envelope = pack(studyDigest(this.study), speaker.id, receiver, utterance.message, sign)
      this.#forward(speaker, envelope, utterance.message, before)
    }
  }

  #forward(at: Participant, envelope: Envelope, message: Message, before?: Directory): void {
    const directory = this.#station(at).directory()
    const changes = message.type === "roster"
    const { down, up } = routeAt(changes ? directory : (before ?? directory), at, envelope)
    const gone = before === undefined || !changes ? [] : routeAt(before, at, envelope).down
    const children = new Map([...gone, ...down].map((child) => [child.name, child]))
    for (const child of children.values()) this.#cross(at, child, envelope, message)
    if (up) this.#cross(at, directory.get(at.parent as Uint8Array), envelope, message)
  }

  #station({ name }: Participant): Station {
    const station = this.stations.get(name)
    if (station === undefined) throw new Error(`Nobody runs ${name}.`)
    return station
  }

  #cross(from: Participant, to: Participant, envelope: Envelope, message: Message): void {
    const { schedule, wire } = this.options
    // somebody whom only a roster names that the leader was not given
    if (!this.stations.has(to.name)) return
    const hop: Hop = {
      from: from.name,
      to: to.name,
      sender: this.nameOf(envelope.from),
      message,
      index: this.#hops++,
    }
    const bytes = encode(envelopeCodec, envelope)
    const arriving = wire?.(hop, bytes) ?? bytes
    const edge = `${from.name}>${to.name}`
    ;(schedule?.(hop) ?? [LATENCY]).forEach((after, copy) => {
      // an edge is a queue: what was sent later does not come earlier
      const at =
        copy === 0
          ? Math.max(this.agenda.now + after, this.#edgeFree.get(edge) ?? 0)
          : this.agenda.now + after
      if (copy === 0) this.#edgeFree.set(edge, at)
      this.agenda.add(at - this.agenda.now, () => this.#arrive(from, to, arriving))
    })
  }

  #arrive(from: Participant, to: Participant, bytes: Uint8Array): void {
    let envelope: Envelope
    try {
      envelope = decode(envelopeCodec, bytes)
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      this.garbled += 1
      return
    }
    const station = this.#station(to)
    const before = station.directory()
    const sender = before.find(envelope.from)
    const { here } = routeAt(before, to, envelope)
    const fromParent = to.parent !== null && toHex(to.parent) === toHex(from.id)
    if (sender === undefined) return
    let message: Message
    try {
      message = unpack(this.suite, sender, envelope)
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      if (here || !fromParent) station.refused(sender, error, sha256(bytes))
      return
    }
    if (!fromParent) station.passing?.(sender, message, envelope.body.length, here)
    if (here) station.deliver(sender, message, bytes)
    if (!here || fromParent) this.#forward(to, envelope, message, before)
  }

  note(by: Participant, effect: FacilityEffect | FogEffect): void {
    if (effect.type === "record")
      this.records.push({ by: by.name, event: effect.event, detail: effect.detail })
    if (effect.type === "security")
      this.security.push({
        by: by.name,
        code: effect.code,
        about: this.nameOf(effect.about),
        detail: effect.detail,
      })
    if (effect.type === "charge") {
      this.charges.set(by.name, [...(this.charges.get(by.name) ?? []), effect.charge])
      this.ledgers[by.name] = ledgerHeadAfter(ledgerEntryOf(studyDigest(this.study), effect.charge))
    }
    if (effect.type === "cosigned")
      this.cosigned.set(by.name, [...(this.cosigned.get(by.name) ?? []), effect.head])
  }
}

/** A person's decision that the model of a round be in use. */
export const releaseOf = (round: number, at: number): Extract<LeaderEvent, { type: "release" }> => ({
  type: "release",
  at,
  round,
  by: "R. Person",
  reason: "fewer false alarms",
})

/** A person's decision to end the study. */
export const stopOf = (at: number): Extract<LeaderEvent, { type: "stop" }> => ({
  type: "stop",
  at,
  by: "R. Person",
  via: "token owner",
  reason: "the labels of one facility are wrong",
})

/** Runs the leader's machine; returns how to ask for its state. */
const addLeader = (world: Federation): (() => LeaderState) => {
  const { study, directory, agenda, suite } = world
  const me = directory.leader
  const keys = world.keysFor(me.name)
  const context: LeaderContext = { study, directory, me, keys, suite, authorityKey }
  let state = startLeader(context)
  const giveRosters = (round: number): void => {
    for (const { during, after = 0, signed } of world.options.rosters ?? [])
      if (during === round) agenda.add(after, () => post({ type: "roster", at: agenda.now, signed }))
    for (const { during, after = 0 } of world.options.rotations ?? [])
      if (during === round)
        agenda.add(after, () =>
          post({ type: "rotate", at: agenda.now, by: "R. Person", reason: "a laptop was lost" }),
        )
    for (const { during, round: released } of world.options.releases ?? [])
      if (during === round) agenda.add(0, () => post(releaseOf(released, agenda.now)))
    for (const { during, after = 0 } of world.options.stops ?? [])
      if (during === round) agenda.add(after, () => post(stopOf(agenda.now)))
  }
  const perform = (effect: LeaderEffect, before: Directory): void => {
    switch (effect.type) {
      case "append":
        world.log.push({
          header: effect.header,
          body: effect.body,
          signature: keys.sign(headerHash(effect.header)),
        })
        return
      case "send":
        world.say(me, effect.to, effect.message, before)
        if (
          effect.message.type === "announce" &&
          effect.message.spec.attempt === 1 &&
          effect.message.spec.purpose === "update"
        )
          giveRosters(effect.message.spec.round)
        return
      case "timer":
        agenda.add(effect.milliseconds, () => post({ type: "timer", at: agenda.now, name: effect.name }))
        return
      case "progress":
        world.lines.push(effect.line)
        return
      case "find-ledger":
        post({ ...effect, type: "ledger-found", at: agenda.now, evidence: [] })
        return
      case "ended":
        return
    }
  }
  const post = (event: LeaderEvent): void => {
    let enrolled = state.progress.directory
    const step = stepLeader(context, state, event)
    state = step.state
    for (const effect of step.effects) {
      perform(effect, enrolled)
      // what was said before the roster changed is for those of before
      if (effect.type === "send" && effect.message.type === "roster") enrolled = state.progress.directory
    }
  }
  world.stations.set(me.name, {
    directory: () => state.progress.directory,
    deliver: (from, message, envelope) => post({ type: "message", at: agenda.now, from, message, envelope }),
    passing: (from, message, bytes) => post({ type: "received", from, traffic: trafficOf(message, bytes) }),
    refused: (about, error, evidence) =>
      post({
        type: "refused",
        at: agenda.now,
        about: about.id,
        code: error.code,
        detail: error.message,
        evidence,
      }),
  })
  giveRosters(0)
  agenda.add(0, () => post({ type: "start", at: agenda.now }))
  return () => state
}

const addFog = (world: Federation, me: Participant): (() => FogState) => {
  const { study, agenda, suite } = world
  const { directory } = world.people.get(me.name) as { readonly directory: Directory }
  const context: FogContext = { study, directory, me, suite, authorityKey }
  let state = startFog(context)
  const perform = (effect: FogEffect): void => {
    world.note(me, effect)
    switch (effect.type) {
      case "send":
        world.say(me, effect.to, effect.message)
        return
      case "timer":
        agenda.add(effect.milliseconds, () => post({ type: "timer", name: effect.name }))
        return
      case "security": {
        const { code, about, evidence } = effect
        world.say(me, directory.leader.id, { type: "security", code, about, evidence })
        return
      }
    }
  }
  const post = (event: FogEvent): void => {
    const step = stepFog(context, state, event)
    state = step.state
    for (const effect of step.effects) perform(effect)
  }
  world.stations.set(me.name, {
    directory: () => state.directory,
    deliver: (from, message) => post({ type: "message", from, message }),
    passing: (from, message, bytes, here) => {
      post({ type: "received", traffic: trafficOf(message, bytes) })
      if (!here && message.type === "refusal") post({ type: "message", from, message })
    },
    refused: (about, error, evidence) =>
      post({ type: "refused", about: about.id, code: error.code, detail: error.message, evidence }),
  })
  return () => state
}

const addFacility = (world: Federation, me: Participant, index: number): (() => FacilityState) => {
  const { study, agenda, options, suite } = world
  const { directory } = world.people.get(me.name) as { readonly directory: Directory }
  const seed = options.seed ?? 1
  const columns = study.model.features.length
  const { train, holdOut } = options.records?.(me.name) ?? {
    train: toyRecords(`${me.name}/train`, columns, 10 + 3 * index),
    holdOut: toyRecords(`${me.name}/hold-out`, columns, 12),
  }
  const secretOf =
    options.secretOf ??
    ((facility, round) => insecureSeededSecret(seed, "round-secret", study.name, facility, String(round)))
  const policy = testPolicy(options.policies?.[me.name])
  const keys = world.keysFor(me.name)
  const preparation = options.preparation ?? "declared"
  const context: FacilityContext = { study, directory, me, keys, suite, policy, authorityKey, preparation }
  const patients = Array.from({ length: train.rows }, (_, row) => row)
  const inUnits = {
    names: study.model.features,
    columns,
    features: holdOut.features,
    patients: Array.from({ length: holdOut.rows }, (_, row) => row),
  }
  let state = startFacility(context)
  let local = startLocalState()
  const ledger = options.ledgers?.[me.name]
  if (ledger !== undefined) world.ledgers[me.name] = ledger

  const runTraining = (effect: Extract<FacilityEffect, { type: "train" }>): void => {
    const { spec, digest, parameters, control: common } = effect
    const secret = secretOf(me.name, spec.round)
    let trained: ReturnType<typeof trainRound>
    try {
      trained = trainRound({ study, spec, parameters, common, examples: train, patients, local, secret })
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      post({ type: "training-failed", spec: digest, code: error.code, reason: error.message })
      return
    }
    const answer = options.train?.({ facility: me.name, spec, values: trained.values }) ?? {}
    if (answer === "never") return
    if (answer.fails !== undefined) {
      post({ type: "training-failed", spec: digest, code: "learning/diverged", reason: answer.fails })
      return
    }
    local = trained.local
    const event: FacilityEvent = {
      type: "trained",
      spec: digest,
      values: answer.values ?? trained.values,
      secret,
    }
    if (answer.after === undefined) post(event)
    else agenda.add(answer.after, () => post(event))
  }
  const count = ({ spec, digest, parameters }: Extract<FacilityEffect, { type: "count" }>): void => {
    const secret = secretOf(me.name, spec.round)
    const holdOutPatients = inUnits.patients
    const work = { study, spec, parameters, train: { ...train, patients }, holdOut, holdOutPatients, secret }
    try {
      post({ type: "trained", spec: digest, values: countFigures(work), secret })
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      post({ type: "training-failed", spec: digest, code: error.code, reason: error.message })
    }
  }
  const drawSecret = ({ digest, epoch }: Extract<FacilityEffect, { type: "draw-secret" }>): void => {
    const secret = insecureSeededSecret(seed, "epoch-secret", study.name, me.name, String(epoch))
    post({ type: "drawn", spec: digest, secret })
  }
  const finish = (effect: Extract<FacilityEffect, { type: "finish" }>): void => {
    const { round, parameters, model, metrics } = effect
    const spec = { round, attempt: 1, model }
    const secret = secretOf(me.name, round)
    const own = personalModel({ study, spec, parameters, examples: train, local, secret })
    post({
      type: "finished",
      global: metrics ? measure(study, parameters, holdOut) : null,
      personal: metrics && own !== null ? measure(study, own, holdOut) : null,
      subgroups: metrics ? measureSubgroups(study, parameters, holdOut, inUnits) : null,
    })
  }
  const perform = (effect: FacilityEffect): void => {
    world.note(me, effect)
    switch (effect.type) {
      case "send":
        world.say(me, effect.to, effect.message)
        return
      case "train":
        runTraining(effect)
        return
      case "count":
        count(effect)
        return
      case "draw-secret":
        drawSecret(effect)
        return
      case "counted":
        local = afterCounted(local, effect.base)
        return
      case "charge":
        if (effect.charge.purpose === "update") local = afterCharged(local, effect.charge.model)
        return
      case "enter": {
        const { seq, hash: previous } = world.ledgers[me.name] ?? emptyLedger(me.id)
        const place = { seq: seq + 1, previous, month: "2026-11" }
        post({ type: "entered", spec: effect.digest, place })
        return
      }
      case "measure":
        post({
          type: "measured",
          spec: effect.spec,
          metrics: measure(study, effect.parameters, holdOut),
        })
        return
      case "finish":
        finish(effect)
        return
    }
  }
  const post = (event: FacilityEvent): void => {
    const honest = stepFacility(context, state, event)
    const step = options.corrupt?.(me.name, honest) ?? honest
    state = step.state
    for (const effect of step.effects) perform(effect)
  }
  world.stations.set(me.name, {
    directory: () => state.memory.directory,
    deliver: (from, message) => post({ type: "message", at: agenda.now, from, message }),
    refused: (about, error, evidence) =>
      post({ type: "refused", about: about.id, code: error.code, detail: error.message, evidence }),
  })
  for (const event of options.before?.(me.name) ?? []) post(event)
  return () => state
}

/** Runs a study from its first announcement until nothing more happens. */
export const runStudy = (options: Options = {}): Outcome => {
  const world = new Federation(options)
  const { directory } = world
  const leader = addLeader(world)
  const newcomers = [...world.people.values()]
    .map(({ participant }) => participant)
    .filter(({ id }) => directory.find(id) === undefined)
  const withRole = (role: Participant["role"]) => newcomers.filter((person) => person.role === role)
  const fogs = [...directory.fogs, ...withRole("fog")].map((fog) => [fog.name, addFog(world, fog)] as const)
  const facilities = [...directory.facilities, ...withRole("facility")].map(
    (me, i) => [me.name, addFacility(world, me, i)] as const,
  )
  world.agenda.run()
  const { study, log, said, security, records, lines, garbled, cosigned, charges, ledgers, nameOf } = world
  return {
    study,
    directory,
    nameOf,
    leader: leader(),
    facilities: new Map(facilities.map(([name, state]) => [name, state()])),
    fogs: new Map(fogs.map(([name, state]) => [name, state()])),
    log,
    said,
    security,
    records,
    cosigned,
    charges,
    ledgers,
    lines,
    garbled,
  }
}
