import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { type RandomSource, uniformBelow } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { expect } from "vitest"
import type { RoundSpec } from "../src/messages.js"
import { Directory } from "../src/roster.js"
import { openingThreshold, PROTECTIONS, type Protection, type Study, studyDigest } from "../src/study.js"
import type { EpochKeys } from "../src/sums/facility/epoch-keys.js"
import type { FacilityScheme, OwnSide, ProtectedUpdate } from "../src/sums/facility/facility-scheme.js"
import { facilitySchemeOf } from "../src/sums/facility/schemes.js"
import { maskedParameters, thresholdParameters } from "../src/sums/lattice-parameters.js"
import { protectionOf } from "../src/sums/protections.js"
import type { PartialOpening, SecureSum, SumRequest, SumSetting } from "../src/sums/secure-sum.js"
import { epochKeysOf } from "./epoch-keys.js"
import { facilityNames, rosterOf, type StudyChanges, testStudy } from "./members.js"
import { ownSideOf, settingOf } from "./sum-parties.js"

/** A study among facilities that hold its keys, about to add up. */
export interface SumScene {
  readonly study: Study
  readonly directory: Directory
  readonly spec: RoundSpec
  readonly setting: SumSetting
  readonly sum: SecureSum
  readonly scheme: FacilityScheme
  /** t. */
  readonly threshold: number
  readonly names: readonly string[]
  /** Keys of the epoch by facility, where the protection has any. */
  readonly keys: ReadonlyMap<string, EpochKeys>
}

/** The protections that have something. */
export const those = (which: (protection: Protection) => boolean): readonly Protection[] =>
  PROTECTIONS.filter(which)

const scenes = new Map<string, SumScene>()

/** The first attempt of a study whose updates have so many values of 16 bits; `changes` may weigh them. */
export const sumScene = (
  protection: Protection,
  facilities: number,
  values: number,
  changes: StudyChanges = {},
): SumScene => {
  const name = JSON.stringify([protection, facilities, values, changes])
  const known = scenes.get(name)
  if (known !== undefined) return known
  // a model of no feature is no study, but its one value is the shortest sum
  const features = Array.from({ length: values - 1 }, (_, i) => `x${i}`)
  const study = testStudy(facilities, {
    protection,
    model: { features },
    quantisation: { weights: "equal", largestWeight: 1 },
    ...changes,
  })
  const directory = new Directory(rosterOf(study, facilities, 2))
  const sum = protectionOf(study)
  const spec: RoundSpec = {
    study: studyDigest(study),
    round: 1,
    attempt: 1,
    purpose: "update",
    epoch: sum.keyed ? 1 : 0,
    roster: directory.digest,
    model: new Uint8Array(32).fill(3),
  }
  const scene: SumScene = {
    study,
    directory,
    spec,
    setting: settingOf(study, directory, spec),
    sum,
    scheme: facilitySchemeOf(study, spec),
    threshold: openingThreshold(study, facilities),
    names: directory.facilities.map((facility) => facility.name),
    keys: sum.keyed ? epochKeysOf(study, directory) : new Map(),
  }
  scenes.set(name, scene)
  return scene
}

/** The parameters of a protection in a lattice. */
export const parametersOf = ({ sum, setting }: SumScene) =>
  sum.keyed ? thresholdParameters(setting) : maskedParameters(setting)

/** The same facilities with the same keys in another attempt. */
export const anotherAttempt = (scene: SumScene, change: Partial<RoundSpec>): SumScene => {
  const spec = { ...scene.spec, ...change }
  return { ...scene, spec, setting: settingOf(scene.study, scene.directory, spec) }
}

export const sideOf = ({ keys }: Pick<SumScene, "keys">, name: string): OwnSide =>
  ownSideOf(name, keys.get(name) ?? null)

/** The settings that a payload, a part or an answer of one attempt must not fit. */
export const otherSettings = ({
  study,
  directory,
  spec,
}: Pick<SumScene, "study" | "directory" | "spec">): ReadonlyMap<string, SumSetting> => {
  const changed = (change: Partial<RoundSpec>) => settingOf(study, directory, { ...spec, ...change })
  const other = { ...study, nonce: new Uint8Array(32).fill(8) }
  return new Map([
    ["epoch", changed({ epoch: spec.epoch + 1 })],
    ["attempt", changed({ attempt: 2 })],
    ["round", changed({ round: 2 })],
    ["model", changed({ model: new Uint8Array(32).fill(9) })],
    ["study", settingOf(other, directory, { ...spec, study: studyDigest(other) })],
  ])
}

/** The stream from which a facility protects its update. */
export const protectionStream = (name: string, seed = 1): RandomSource =>
  insecureSeededRandom(seed, "protecting", name)

/** What the check of dealt shares is challenged with. */
export const CHALLENGE = new Uint8Array(32).fill(4)

/** What was sent for a sum, and what facilities hold of it. */
export interface Sent {
  readonly cohort: readonly Uint8Array[]
  readonly updates: ReadonlyMap<string, ProtectedUpdate>
  /** The fogs' sums. */
  readonly regions: readonly Uint8Array[]
  /** The parts that a facility holds, by dealer. */
  readonly held: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>
  /** Every facility's own side once it has protected. */
  readonly own: ReadonlyMap<string, OwnSide>
}

/** Protects the updates of the facilities named, adds them at their fogs, and opens and checks what was dealt. */
export const protectAll = (
  { setting, sum, scheme, names, keys, directory }: SumScene,
  updates: ReadonlyMap<string, Int32Array>,
  seed = 1,
): Sent => {
  const sent = new Map<string, ProtectedUpdate>()
  const own = new Map(names.map((name) => [name, sideOf({ keys }, name)]))
  const held = new Map(names.map((name) => [name, new Map<string, Uint8Array>()]))
  for (const [name, values] of updates) {
    const side = own.get(name) as OwnSide
    const dealer = side.me
    const protectedUpdate = scheme.protect(setting, side, values, protectionStream(name, seed))
    sent.set(name, protectedUpdate)
    own.set(name, { ...side, epochKeys: protectedUpdate.epochKeys })
    if (protectedUpdate.own !== null) held.get(name)?.set(toHex(dealer), protectedUpdate.own)
    const answer = scheme.answer?.(setting, side, values, protectionStream(name, seed), CHALLENGE)
    for (const { recipient, sealed } of protectedUpdate.parts) {
      const to = directory.get(recipient).name
      const part = scheme.openPart?.(setting, own.get(to) as OwnSide, dealer, sealed) as Uint8Array
      if (sum.checked && answer)
        expect(sum.checked.check(setting, dealer, recipient, part, CHALLENGE, answer)).toBe(true)
      held.get(to)?.set(toHex(dealer), part)
    }
  }
  const payloadsOf = (fog: Uint8Array): readonly Uint8Array[] =>
    directory.childrenOf(fog).flatMap(({ name }) => sent.get(name)?.payload ?? [])
  return {
    cohort: directory.facilities.filter(({ name }) => updates.has(name)).map(({ id }) => id),
    updates: sent,
    regions: directory.fogs.flatMap(({ id }) => sum.added?.add(setting, payloadsOf(id)) ?? []),
    held,
    own,
  }
}

/** The answers of some facilities for a list. */
export interface Answered {
  readonly request: SumRequest
  readonly partials: readonly PartialOpening[]
  /** Every opener's own side once it has answered. */
  readonly own: ReadonlyMap<string, OwnSide>
}

/** The first t facilities of some. */
export const firstOf = ({ threshold }: SumScene, names: readonly string[]): readonly string[] =>
  names.slice(0, threshold)

/** Answers for what was sent: of all facilities where any may open, of the first t where they are named. */
export const answerAll = (
  scene: SumScene,
  sent: Sent,
  openers: readonly string[] = scene.sum.opened === "named" ? firstOf(scene, scene.names) : scene.names,
  cohort: readonly Uint8Array[] = sent.cohort,
): Answered => {
  const { setting, sum, scheme, directory } = scene
  const named = sum.opened === "named" ? openers.map((name) => directory.named(name).id) : []
  const request: SumRequest = { cohort, openers: named }
  const own = new Map(sent.own)
  const partials = openers.flatMap((name) => {
    const side = sent.own.get(name) as OwnSide
    const answer = scheme.partial?.(setting, side, request, sent.held.get(name) ?? new Map())
    if (answer === undefined) return []
    own.set(name, { ...side, epochKeys: answer.epochKeys })
    return [{ facility: side.me, opening: answer.opening }]
  })
  return { request, partials, own }
}

export const combined = (
  { setting, sum }: SumScene,
  { regions }: Pick<Sent, "regions">,
  { request, partials }: Pick<Answered, "request" | "partials">,
): Float64Array => sum.combine(setting, request, regions, partials)

/** Digests of what leaves a facility and what stays: easier to compare than the bytes. */
export const digestsOfUpdate = ({ payload, parts, own }: ProtectedUpdate): readonly string[] =>
  [...(payload ? [payload] : []), ...parts.map(({ sealed }) => sealed), ...(own ? [own] : [])].map(digestOf)
export const digestOf = (bytes: Uint8Array): string => toHex(sha256(bytes))

/** Digests of everything that was sent for a sum. */
export const digestsOf = ({ updates, regions }: Sent, { partials }: Answered): readonly string[] => [
  ...[...updates.values()].flatMap(digestsOfUpdate),
  ...regions.map(digestOf),
  ...partials.map(({ opening }) => digestOf(opening)),
]

/** All the steps of one sum: what comes out, in whole numbers of any size. */
export const wholeSum = (
  scene: SumScene,
  updates: ReadonlyMap<string, Int32Array>,
  openers?: readonly string[],
): readonly bigint[] => {
  const sent = protectAll(scene, updates)
  return asIntegers(combined(scene, sent, answerAll(scene, sent, openers)))
}

/** The sum by hand. */
export const obviousSum = (updates: ReadonlyMap<string, Int32Array>, length: number): readonly bigint[] =>
  Array.from({ length }, (_, j) => [...updates.values()].reduce((sum, u) => sum + BigInt(u[j] as number), 0n))

type Make = (length: number, bound: number, facility: number, random: RandomSource) => Int32Array
/** Five facilities. */
export const NAMES: readonly string[] = facilityNames(5)
export const without = (name: string): readonly string[] => NAMES.filter((other) => other !== name)

export const asIntegers = (sum: Float64Array): readonly bigint[] => [...sum].map(BigInt)

/** The ways of spoiling bytes that their length gives away. */
export const OTHER_LENGTH = /cut|more|empty/

const MAKES = {
  random: (length, bound, _, random) =>
    Int32Array.from({ length }, () => uniformBelow(random, 2 * bound + 1) - bound),
  largest: (length, bound) => new Int32Array(length).fill(bound),
  smallest: (length, bound) => new Int32Array(length).fill(-bound),
  opposite: (length, bound, facility) =>
    Int32Array.from({ length }, (_, j) => ((j + facility) % 2 ? bound : -bound)),
  equal: (length) => new Int32Array(length).fill(7),
  zero: (length) => new Int32Array(length),
} satisfies Record<string, Make>
export type Kind = keyof typeof MAKES
export const KINDS = Object.keys(MAKES) as readonly Kind[]

/** A vector for each of the facilities named. */
export const updatesOf = (
  names: readonly string[],
  length: number,
  kind: Kind,
  bound = 32_767,
): ReadonlyMap<string, Int32Array> => {
  const random = insecureSeededRandom("updates", kind, String(length))
  return new Map(names.map((name, i) => [name, MAKES[kind](length, bound, i, random)]))
}
