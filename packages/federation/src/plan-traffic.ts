import { equalBytes } from "@consilium/base/bytes"
import { addTraffic, noTraffic, type Traffic } from "./messages.js"
import { modelFile } from "./model.js"
import { ceremonySizes, type PlannedSetting, type SumSizes, sumSizes } from "./plan.js"
import {
  ceremonyMessages,
  type FacilityMessages,
  fogMessages,
  leaderMessages,
  type Party,
  roundMessages,
  type Sized,
} from "./plan-messages.js"
import { isPrivate } from "./privacy-plan.js"
import type { Participant } from "./roster.js"
import { encodeBase, startControl } from "./round-base.js"
import { isKeyed, openingThreshold, parameterCount } from "./study.js"
import { protectionOf } from "./sums/protections.js"

/** Largest body that an envelope takes. */
export const LARGEST_BODY = 64 << 20

/** What crosses the edges in one attempt in which nothing goes wrong: bodies of messages, as the study's own accounts count them. */
export interface AttemptTraffic {
  readonly facilities: readonly {
    readonly name: string
    /** What it sends, whoever it is for. */
    readonly up: Traffic
    /** What comes to it. */
    readonly down: number
    /** Messages that it sends. */
    readonly messages: number
  }[]
  readonly fogs: readonly { readonly name: string; readonly in: Traffic; readonly messages: number }[]
  readonly leader: {
    /** Everything that comes to it or passes it on the way up. */
    readonly in: Traffic
    /** Everything that it sends and passes on, to all its children together. */
    readonly out: number
    /** Messages of its own. */
    readonly messages: number
  }
  readonly messages: number
  readonly largest: { readonly type: string; readonly bytes: number }
}

const times = (count: number, { traffic }: Sized): Traffic => ({
  update: count * traffic.update,
  relayed: count * traffic.relayed,
  opening: count * traffic.opening,
  metadata: count * traffic.metadata,
})
const total = (all: readonly Traffic[]): Traffic => all.reduce(addTraffic, noTraffic)

export const bytesOf = ({ update, relayed, opening, metadata }: Traffic): number =>
  update + relayed + opening + metadata

/** A message and how many times its sender sends it. */
type Sent = readonly [message: Sized, times: number]

const isAny = (message: Sized | null): message is Sized => message !== null

/** Everything that one facility says to the leader itself. */
const toLeader = (said: FacilityMessages, opens: boolean, direct: boolean): readonly Sized[] =>
  [
    said.submission.type === "update" && !direct ? null : said.submission,
    said.opening,
    said.verdict,
    said.tested,
    said.signature,
    opens ? said.partial : null,
    said.report,
  ].filter(isAny)

interface Said {
  readonly of: (facility: Participant, place: number) => FacilityMessages
  readonly opens: (place: number) => boolean
  readonly fog: (region: number) => readonly Sized[]
  readonly leader: readonly Sized[]
}

const attemptTraffic = ({ directory }: PlannedSetting, said: Said): AttemptTraffic => {
  const { facilities, fogs, leader } = directory
  const others = facilities.length - 1
  const everyone = said.leader.reduce((sum, { bytes }) => sum + bytes, 0)
  const members = facilities.map((facility, place) => {
    const messages = said.of(facility, place)
    const direct = facility.parent !== null && equalBytes(facility.parent, leader.id)
    const region = direct ? 1 : directory.childrenOf(facility.parent as Uint8Array).length
    const here = toLeader(messages, said.opens(place), direct)
    const update: readonly Sent[] = here.includes(messages.submission) ? [] : [[messages.submission, 1]]
    const shares: readonly Sent[] = messages.share === null ? [] : [[messages.share, others]]
    const sent: readonly Sent[] = [...update, ...shares, ...here.map((message): Sent => [message, 1])]
    return {
      facility,
      sent,
      up: total(sent.map(([message, count]) => times(count, message))),
      down: everyone + others * (messages.share?.bytes ?? 0),
      atLeader: total([
        ...here.map((message) => times(1, message)),
        // shares for facilities of the same fog turn round there
        ...(messages.share === null ? [] : [times(facilities.length - region, messages.share)]),
      ]),
      passedOn: (facilities.length - region) * (messages.share?.bytes ?? 0),
      messages: sent.reduce((sum, [, count]) => sum + count, 0),
      largest: [...sent].sort(([a], [b]) => b.bytes - a.bytes)[0]?.[0] as Sized,
    }
  })
  const regions = fogs.map((fog) => {
    const of = members.filter(
      ({ facility }) => facility.parent !== null && equalBytes(facility.parent, fog.id),
    )
    return { fog, in: total(of.map(({ up }) => up)), said: said.fog(of.length) }
  })
  const children = directory.childrenOf(leader.id).length
  const every = [
    ...members.map(({ largest }) => largest),
    ...regions.flatMap(({ said }) => said),
    ...said.leader,
  ]
  const { type, bytes } = every.reduce((most, one) => (one.bytes > most.bytes ? one : most))
  return {
    facilities: members.map(({ facility: { name }, up, down, messages }) => ({ name, up, down, messages })),
    fogs: regions.map(({ fog: { name }, in: received, said }) => ({
      name,
      in: received,
      messages: said.length,
    })),
    leader: {
      in: total([
        ...members.map(({ atLeader }) => atLeader),
        ...regions.flatMap(({ said }) => said.map((message) => times(1, message))),
      ]),
      out: children * everyone + members.reduce((sum, { passedOn }) => sum + passedOn, 0),
      messages: said.leader.length,
    },
    messages:
      members.reduce((sum, { messages }) => sum + messages, 0) +
      regions.reduce((sum, { said }) => sum + said.length, 0) +
      said.leader.length,
    largest: { type, bytes },
  }
}

const partyOf = ({ study, directory }: PlannedSetting, figures: boolean): Party => ({
  facilities: directory.facilities.length,
  threshold: openingThreshold(study, directory.facilities.length),
  ledger: isPrivate(study),
  figures,
})

/** What the leader logs from one proposal to the next, where round follows round. */
const loggedInRound = (setting: PlannedSetting, { payload, answer, opening }: SumSizes, openers: number) => {
  const { study, directory } = setting
  const facilities = directory.facilities.length
  const direct = directory.childrenOf(directory.leader.id).filter(({ role }) => role === "facility").length
  const each = (count: number, ...types: readonly string[]) => types.map((type) => [type, count] as const)
  return [
    ...each(1, "propose", "certificate", "sum-opened", "candidate", "closed", "announce"),
    ...each(facilities, "signature", study.validation === "off" ? "dropped:report" : "report"),
    ...each(opening === null ? 0 : openers, "partial"),
    ...each(directory.fogs.length, "traffic", ...(payload === null ? [] : ["region"])),
    ...(payload === null ? each(facilities, "submit") : each(direct, "update")),
    ...(answer === null ? [] : [...each(1, "lock", "openings"), ...each(facilities, "opening", "verdict")]),
  ]
}

/** What crosses the edges in one round; null if the protection's sizes are not known. */
export const roundTraffic = (setting: PlannedSetting, figures: boolean): AttemptTraffic | null => {
  const sizes = sumSizes(setting)
  if (sizes === null) return null
  const { study } = setting
  const party = partyOf(setting, figures)
  const named = protectionOf(study).opened === "named"
  const openers = named ? party.threshold : party.facilities
  const messages = roundMessages(party, sizes)
  const parameters = new Float64Array(parameterCount(study))
  return attemptTraffic(setting, {
    of: () => messages,
    // the first t that signed, in the order of their ids
    opens: (place) => place < openers,
    fog: (region) => fogMessages(party, sizes, region),
    leader: leaderMessages(party, sizes, {
      base: encodeBase(study, { parameters, control: startControl(study) }, 1),
      model: modelFile(study, parameters, 1),
      ceremony: false,
      members: isKeyed(study),
      openers: named ? party.threshold : 0,
      logged: loggedInRound(setting, sizes, openers),
    }),
  })
}

/** What crosses the edges in the first key ceremony; null where facilities need no keys. */
export const ceremonyTraffic = (setting: PlannedSetting): AttemptTraffic | null => {
  const { study, directory } = setting
  if (!isKeyed(study)) return null
  const party = partyOf(setting, false)
  const sizes = ceremonySizes(setting)
  const { facilities, threshold } = party
  const [opener, other] = [true, false].map((opens) => ceremonyMessages(party, sizes, opens)) as [
    FacilityMessages,
    FacilityMessages,
  ]
  // in epoch e the holders from place e on test the keys
  const tests = (place: number): boolean => (place - 1 + facilities) % facilities < threshold
  const each = (count: number, ...types: readonly string[]) => types.map((type) => [type, count] as const)
  return attemptTraffic(setting, {
    of: (_facility, place) => (tests(place) ? opener : other),
    opens: () => false,
    // there is nothing to add, and fogs count once a round
    fog: () => [],
    leader: leaderMessages(
      party,
      { payload: null, share: sizes.share, answer: sizes.answer },
      {
        base: new Uint8Array(0),
        model: new Uint8Array(0),
        ceremony: true,
        members: false,
        openers: 0,
        logged: [
          ...each(1, "announce", "lock", "openings", "key-test"),
          ...each(directory.facilities.length, "submit", "opening", "verdict", "key-tested"),
        ],
      },
    ),
  })
}
