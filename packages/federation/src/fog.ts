import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import { allSent, type HeldUpdates, sumOfHeld, withoutUpdateOf, withUpdate } from "./collecting.js"
import {
  addTraffic,
  type Message,
  type MessageOf,
  noTraffic,
  type RoundSpec,
  specDigest,
  type Traffic,
} from "./messages.js"
import { attemptName, isEarlier, NOTHING_YET, type Place } from "./purpose.js"
import type { Refused } from "./refused.js"
import { checkSuccession, type Directory, openRoster, type Participant } from "./roster.js"
import { type Study, studyDigest } from "./study.js"
import type { CryptoSuite } from "./suite.js"
import { protectionOf } from "./sums/protections.js"
import type { SumSetting } from "./sums/secure-sum.js"

export interface FogContext {
  readonly study: Study
  readonly directory: Directory
  readonly me: Participant
  readonly suite: CryptoSuite
  /** Signs rosters. */
  readonly authorityKey: Uint8Array
}

interface Idle {
  readonly phase: "idle"
  readonly directory: Directory
  readonly last: Place
  readonly traffic: Traffic
}
interface Collecting {
  readonly phase: "collecting"
  readonly directory: Directory
  readonly spec: RoundSpec
  readonly digest: Uint8Array
  readonly traffic: Traffic
  readonly updates: HeldUpdates
  /** Facilities that sit this attempt out: they refused, or contradicted themselves. */
  readonly out: ReadonlySet<string>
}
/** The region's sum was sent; what comes late is dropped. */
interface Forwarded {
  readonly phase: "forwarded"
  readonly directory: Directory
  readonly spec: RoundSpec
  readonly digest: Uint8Array
  readonly traffic: Traffic
}

export type FogState = Idle | Collecting | Forwarded

export type FogEvent =
  /** A message for this fog, or one that passes through it from one of its facilities. */
  | { readonly type: "message"; readonly from: Participant; readonly message: Message }
  /** Bytes received from a facility of this region. */
  | { readonly type: "received"; readonly traffic: Traffic }
  | { readonly type: "timer"; readonly name: string }
  | Refused

export type FogEffect =
  | { readonly type: "record"; readonly event: string; readonly detail: string }
  | {
      readonly type: "security"
      readonly code: string
      readonly about: Uint8Array
      readonly evidence: Uint8Array
      readonly detail: string
    }
  | { readonly type: "send"; readonly to: Uint8Array; readonly message: Message }
  | { readonly type: "timer"; readonly name: string; readonly milliseconds: Milliseconds }
  | { readonly type: "ended"; readonly reason: string }

interface Step {
  readonly state: FogState
  readonly effects: readonly FogEffect[]
}

export const startFog = ({ directory }: FogContext): FogState => ({
  phase: "idle",
  directory,
  last: NOTHING_YET,
  traffic: noTraffic,
})

/** A fog waits for its facilities this share of the leader's deadline, so that its sum is there in time. */
const SHARE_OF_DEADLINE = 0.8

/**
 * A fog's side of the protocol: it adds what its facilities send, if the protection lets it, and reports what crossed
 * its edge. Everything else passes through. Pure and total.
 */
export const stepFog = (given: FogContext, state: FogState, event: FogEvent): Step => {
  const context = { ...given, directory: state.directory }
  switch (event.type) {
    case "received":
      return { state: { ...state, traffic: addTraffic(state.traffic, event.traffic) }, effects: [] }
    case "timer":
      return state.phase === "collecting" && event.name === timerName(state.spec)
        ? forward(context, state)
        : { state, effects: [] }
    case "refused":
      return { state, effects: [{ ...event, type: "security" }] }
    case "message":
      return onMessage(context, state, event.from, event.message)
  }
}

const onMessage = (context: FogContext, state: FogState, from: Participant, message: Message): Step => {
  const child = context.directory.childrenOf(context.me.id).some(({ id }) => equalBytes(id, from.id))
  if (message.type === "update" || message.type === "refusal" ? !child : from.role !== "leader")
    return { state, effects: [] }
  switch (message.type) {
    case "roster":
      return onRoster(context, state, message)
    case "announce":
      return onAnnounce(context, state, message)
    case "update":
      return onUpdate(context, state, from, message)
    case "refusal":
      return state.phase === "collecting" &&
        message.purpose === state.spec.purpose &&
        message.round === state.spec.round &&
        message.attempt === state.spec.attempt
        ? settle(context, { ...state, out: new Set(state.out).add(toHex(from.id)) })
        : { state, effects: [] }
    case "candidate":
      return reportTraffic(context, state)
    case "ended":
      return { state, effects: [{ type: "ended", reason: message.reason }] }
    default:
      return { state, effects: [] }
  }
}

const onRoster = (context: FogContext, state: FogState, message: MessageOf<"roster">): Step => {
  try {
    const { directory } = openRoster(context.suite, context.authorityKey, message.signed)
    if (equalBytes(directory.digest, state.directory.digest)) return { state, effects: [] }
    checkSuccession(state.directory, directory)
    const detail = `roster ${directory.roster.version}, ${directory.childrenOf(context.me.id).length} facilities here`
    return { state: { ...state, directory }, effects: [{ type: "record", event: "roster-changed", detail }] }
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    const { code, message: detail } = error
    const about = context.directory.leader.id
    return { state, effects: [{ type: "security", code, about, evidence: sha256(message.signed), detail }] }
  }
}

const timerName = ({ purpose, round, attempt }: RoundSpec): string => `collect/${purpose}/${round}/${attempt}`

const onAnnounce = (context: FogContext, state: FogState, message: MessageOf<"announce">): Step => {
  const { spec, members } = message
  const last = state.phase === "idle" ? state.last : state.spec
  // a ceremony brings nothing to add, and its shares only pass through
  if (spec.purpose === "keys") return { state, effects: [] }
  if (!isEarlier(last, spec)) return { state, effects: [] }
  if (!equalBytes(spec.study, studyDigest(context.study))) return { state, effects: [] }
  const digest = specDigest(spec)
  const { traffic, directory } = state
  if (protectionOf(context.study).added === null)
    return { state: { phase: "forwarded", directory: state.directory, spec, digest, traffic }, effects: [] }
  return {
    state: {
      phase: "collecting",
      directory,
      spec,
      digest,
      traffic,
      updates: new Map(),
      out: leftOut(context, members),
    },
    effects: [
      {
        type: "timer",
        name: timerName(spec),
        milliseconds: milliseconds(Math.floor(context.study.deadlines.collect * SHARE_OF_DEADLINE)),
      },
    ],
  }
}

/** Facilities of the region that no sum of the epoch can hold. */
const leftOut = (
  { directory, me }: FogContext,
  members: MessageOf<"announce">["members"],
): ReadonlySet<string> => {
  const among = new Set(members?.map(toHex))
  const children = members === null ? [] : directory.childrenOf(me.id)
  return new Set(children.map(({ id }) => toHex(id)).filter((id) => !among.has(id)))
}

/** What the parties to this attempt's sum agree on. */
const settingOf = (
  context: FogContext,
  { spec, digest }: Pick<Collecting, "spec" | "digest">,
): SumSetting => ({
  study: context.study,
  directory: context.directory,
  suite: context.suite,
  spec: digest,
  epoch: spec.epoch,
  attempt: spec.attempt,
})

const onUpdate = (
  context: FogContext,
  state: FogState,
  from: Participant,
  message: MessageOf<"update">,
): Step => {
  const { submission, payload } = message
  if (state.phase !== "collecting" || !equalBytes(submission.submission.spec, state.digest))
    return {
      state,
      effects: [
        { type: "record", event: "update-dropped", detail: `An update of ${from.name} came too late.` },
      ],
    }
  try {
    const updates = withUpdate(settingOf(context, state), state.updates, from, message)
    return updates === state.updates || state.out.has(toHex(from.id))
      ? { state, effects: [] }
      : settle(context, { ...state, updates })
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    const { code, message: detail } = error
    const rejected: FogEffect = { type: "security", code, about: from.id, evidence: sha256(payload), detail }
    if (code !== "round/equivocation") return { state, effects: [rejected] }
    const out = new Set(state.out).add(toHex(from.id))
    const settled = settle(context, { ...state, updates: withoutUpdateOf(state.updates, from), out })
    return { state: settled.state, effects: [rejected, ...settled.effects] }
  }
}

/** Sends the region's sum once every facility of the region has sent or sits out. */
const settle = (context: FogContext, state: Collecting): Step =>
  allSent(context.directory.childrenOf(context.me.id), state.updates, state.out)
    ? forward(context, state)
    : { state, effects: [] }

const forward = (context: FogContext, state: Collecting): Step => {
  const { spec, digest, traffic, directory, updates } = state
  const region = sumOfHeld(settingOf(context, state), updates)
  const effects: FogEffect[] =
    region === null
      ? []
      : [
          {
            type: "send",
            to: context.directory.leader.id,
            message: { type: "region", spec: digest, ...region },
          },
        ]
  return {
    state: { phase: "forwarded", directory, spec, digest, traffic },
    effects: [
      {
        type: "record",
        event: "region-summed",
        detail: `${attemptName(spec)}, ${updates.size} facilities`,
      },
      ...effects,
    ],
  }
}

const reportTraffic = (context: FogContext, state: FogState): Step => ({
  state: { ...state, traffic: noTraffic },
  effects: [
    {
      type: "send",
      to: context.directory.leader.id,
      message: {
        type: "traffic",
        round: state.phase === "idle" ? state.last.round : state.spec.round,
        received: state.traffic,
      },
    },
  ],
})
