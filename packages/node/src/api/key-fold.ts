import { toHex } from "@consilium/base/bytes"
import type { MessageOf, RoundSpec } from "@consilium/federation/messages"
import type { Directory } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import { keyScheme } from "./key-scheme.js"
import { startAttempt, withPhase, withStep } from "./round-fold.js"
import type { CeremonyView, KeysView, LeftOutView } from "./study-view.js"

const DAY_MS = 24 * 60 * 60 * 1000

/** Who was proven to deal false shares, and how often in a row the test of somebody's key has failed. */
interface Liars {
  readonly proven: readonly string[]
  readonly failed: ReadonlyMap<string, number>
}

/** What is shown of a study's keys, and what the next event is read with. */
export interface KeyFold {
  readonly view: KeysView
  readonly lifetime: NonNullable<Study["keys"]>
  /** Failed tests of one key in a row after which nobody waits for its facility. */
  readonly patience: number
  /** Digest of the roster that the epoch's keys were dealt among. */
  readonly roster: string
  readonly liars: Liars
  /** Of the ceremony under way. */
  readonly under: {
    readonly dealt: readonly string[]
    /** Whose shares each facility holds and found right. */
    readonly good: ReadonlyMap<string, ReadonlySet<string>>
    readonly holders: readonly string[]
    readonly liars: Liars
    readonly proposedAt: string | null
  }
}

type Names = (id: Uint8Array) => string

const NO_LIARS: Liars = { proven: [], failed: new Map() }
const BEGINNING: KeyFold["under"] = {
  dealt: [],
  good: new Map(),
  holders: [],
  liars: NO_LIARS,
  proposedAt: null,
}

/** The keys of a study before its first event; null where its protection has none. */
export const startKeys = (study: Study, directory: Directory): KeyFold | null => {
  if (study.keys === null) return null
  const view: KeysView = {
    scheme: keyScheme(study, directory),
    epoch: 0,
    dealers: [],
    holders: [],
    leftOut: [],
    openings: { used: 0, left: 0 },
    since: null,
    ends: null,
    wanted: null,
    ceremonies: [],
  }
  return {
    view,
    lifetime: study.keys,
    patience: study.attempts,
    roster: "",
    liars: NO_LIARS,
    under: BEGINNING,
  }
}

const shown = (keys: KeyFold, changes: Partial<KeysView>): KeyFold => ({
  ...keys,
  view: { ...keys.view, ...changes },
})
const noted = (keys: KeyFold, changes: Partial<KeyFold["under"]>): KeyFold => ({
  ...keys,
  under: { ...keys.under, ...changes },
})

/** The ceremony under way, if there is one. */
export const ceremonyOf = (keys: KeyFold | null): CeremonyView | null => {
  const last = keys?.view.ceremonies.at(-1)
  return last === undefined || last.endedAt !== null ? null : last
}

/** The keys with another state of the ceremony under way. */
export const inCeremony = (keys: KeyFold, change: (ceremony: CeremonyView) => CeremonyView): KeyFold => {
  const under = ceremonyOf(keys)
  return under === null
    ? keys
    : shown(keys, { ceremonies: [...keys.view.ceremonies.slice(0, -1), change(under)] })
}

const leftOutBy = ({ liars, patience }: KeyFold, name: string): LeftOutView => {
  const failed = liars.failed.get(name) ?? 0
  if (liars.proven.includes(name))
    return { name, why: "It dealt a false share; no new keys are made for its sake.", returns: false }
  if (failed >= patience)
    return {
      name,
      why: `The test of its key failed ${failed} times in a row; no new keys are made for its sake.`,
      returns: false,
    }
  const why = failed > 0 ? "The test of its key failed." : "It was not there for the whole ceremony."
  return { name, why, returns: true }
}

/** The keys with the facilities that have none of them. */
const withLeftOut = (keys: KeyFold, directory: Directory): KeyFold => {
  const { epoch, dealers } = keys.view
  const missing = directory.facilities.map(({ name }) => name).filter((name) => !dealers.includes(name))
  return shown(keys, { leftOut: epoch === 0 ? [] : missing.map((name) => leftOutBy(keys, name)) })
}

/** The keys among other participants than before. */
export const amongOthers = (keys: KeyFold, study: Study, directory: Directory): KeyFold =>
  withLeftOut(shown(keys, { scheme: keyScheme(study, directory) }), directory)

/** Why a ceremony comes now: the leader says so to its operator only, but it follows from the log. */
const causeOf = ({ view, lifetime, roster }: KeyFold, spec: RoundSpec, at: string): string => {
  if (spec.attempt > 1) return "the ceremony before was given up"
  if (view.since === null) return "the study had no keys yet"
  if (roster !== toHex(spec.roster)) return "the list of participants has changed"
  if (view.openings.left === 0) return `the keys had opened the ${view.openings.used} sums they may open`
  if (view.ends !== null && at >= view.ends) return `the keys were ${lifetime.days} days old`
  return view.wanted ?? "the leader gave no cause"
}

export const ceremonyAnnounced = (
  keys: KeyFold,
  spec: RoundSpec,
  names: readonly string[],
  at: string,
): KeyFold => {
  const ceremony: CeremonyView = {
    epoch: spec.epoch,
    round: spec.round,
    cause: causeOf(keys, spec, at),
    ...startAttempt(spec, names, at),
    tested: [],
    openers: [],
    dealers: [],
    signers: [],
  }
  const ceremonies = [...keys.view.ceremonies, ceremony]
  return { ...shown(keys, { wanted: null, ceremonies }), under: BEGINNING }
}

/** An attempt at a round is announced under the keys: it may open one sum. */
export const openingUsed = (keys: KeyFold): KeyFold => {
  const { used, left } = keys.view.openings
  return shown(keys, { openings: { used: used + 1, left: Math.max(0, left - 1) } })
}

export const rotationAsked = (keys: KeyFold, by: string, reason: string): KeyFold =>
  shown(keys, { wanted: `${by} asked for it: ${reason}` })

/** A facility refused a round for want of a key: a ceremony comes before the next one, for those who may return. */
export const noteRefused = (keys: KeyFold, name: string, code: string): KeyFold => {
  const { since, wanted } = keys.view
  if (code !== "keys/left-out" || since === null || wanted !== null || !leftOutBy(keys, name).returns)
    return keys
  return shown(keys, { wanted: `${name} has no key in this epoch` })
}

const withCeremonyStep = (
  keys: KeyFold,
  name: string,
  step: string,
  at: string,
  detail: string | null = null,
): KeyFold => inCeremony(keys, (ceremony) => withStep(ceremony, name, step, at, detail))

export const dealtBy = (keys: KeyFold, name: string, at: string): KeyFold =>
  noted(withCeremonyStep(keys, name, "dealt", at), { dealt: [...keys.under.dealt, name] })

/** A dealer is out: by a complaint that proves it, or by the test of its key. */
export const dealerOut = (keys: KeyFold, name: string, at: string): KeyFold => {
  const { proven, failed } = keys.under.liars
  if (ceremonyOf(keys)?.phase !== "testing") {
    const out = withCeremonyStep(keys, name, "excluded", at, "It dealt a false share.")
    return noted(out, { liars: { proven: [...proven, name], failed } })
  }
  const times = (keys.liars.failed.get(name) ?? 0) + 1
  const why = "The test of its key failed: it shared another one, or somebody tested falsely."
  const out = withCeremonyStep(keys, name, "excluded", at, why)
  return noted(out, { liars: { proven, failed: new Map(failed).set(name, times) } })
}

export const checkedBy = (
  keys: KeyFold,
  name: string,
  { good, complaints }: MessageOf<"verdict">,
  nameOf: Names,
  at: string,
): KeyFold => {
  const disputed = complaints.map(({ dealer }) => nameOf(dealer)).join(", ")
  const detail = complaints.length === 0 ? null : `It disputes what it got from ${disputed}.`
  return noted(withCeremonyStep(keys, name, "checked-shares", at, detail), {
    good: new Map(keys.under.good).set(name, new Set(good.map(nameOf))),
  })
}

/** Keys are put to the test. Whoever dealt, and holds a share of each of them, may be named to open sums. */
export const testBegun = (
  keys: KeyFold,
  { dealers, openers }: MessageOf<"key-test">,
  nameOf: Names,
  at: string,
): KeyFold => {
  const { dealt, good } = keys.under
  const tested = dealers.map(nameOf)
  const able = (name: string): boolean =>
    dealt.includes(name) && tested.every((dealer) => good.get(name)?.has(dealer) === true)
  const testing = inCeremony(keys, (ceremony) =>
    withPhase({ ...ceremony, tested, openers: openers.map(nameOf) }, "testing", at),
  )
  return noted(testing, { holders: [...good.keys()].filter(able) })
}

export const testedBy = (
  keys: KeyFold,
  name: string,
  { answers: { length } }: MessageOf<"key-tested">,
  at: string,
): KeyFold => {
  const detail = length === 0 ? null : `It helped to open ${length === 1 ? "1 test" : `${length} tests`}.`
  return withCeremonyStep(keys, name, "tested-keys", at, detail)
}

export const keysProposed = (keys: KeyFold, at: string): KeyFold =>
  noted(
    inCeremony(keys, (ceremony) => withPhase(ceremony, "certifying", at)),
    { proposedAt: at },
  )

/** The list of dealers is certified: the epoch has begun, counted from when it was proposed. */
export const epochBegun = (
  keys: KeyFold,
  { proposal, signatures }: MessageOf<"certificate">,
  directory: Directory,
  nameOf: Names,
  at: string,
): KeyFold => {
  const { lifetime, under } = keys
  const dealers = proposal.cohort.map(({ facility }) => nameOf(facility))
  const signers = signatures.map(({ facility }) => nameOf(facility))
  const since = under.proposedAt ?? at
  const held = inCeremony(keys, (ceremony) => withPhase({ ...ceremony, dealers, signers }, "held", at))
  const begun = shown(held, {
    epoch: proposal.spec.epoch,
    dealers,
    holders: directory.facilities.map(({ name }) => name).filter((name) => under.holders.includes(name)),
    openings: { used: 0, left: lifetime.openings },
    since,
    ends: new Date(Date.parse(since) + lifetime.days * DAY_MS).toISOString(),
  })
  return withLeftOut({ ...begun, liars: under.liars, roster: toHex(proposal.spec.roster) }, directory)
}
