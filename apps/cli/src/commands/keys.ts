import { userInfo } from "node:os"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import {
  type RotationAnswer,
  rotationAnswerSchema,
  rotationRequestSchema,
} from "@consilium/node/api/key-schemas"
import { askRotation } from "@consilium/node/keys/ask-keys"
import type { FacilityKeys, HeldKeys, StudyKeys } from "@consilium/node/keys/key-status"
import { apiOf, type KeysPlace, keysAt } from "./keys-source.js"
import { print } from "./printed.js"
import { callLeader } from "./study-api.js"
import { studyNamed } from "./study-named.js"

const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",")
const plural = (n: number, one: string): string => `${grouped(n)} ${one}${n === 1 ? "" : "s"}`
const fact = (name: string, value: string): string => `  ${name.padEnd(13)} ${value}`

const DAY_MS = 24 * 60 * 60 * 1000
/** How far off a time is, in days. */
const inDays = (time: string, now: number): string => {
  const days = (Date.parse(time) - now) / DAY_MS
  return days < 0 ? "it has passed" : days < 1 ? "within a day" : `in ${plural(Math.floor(days), "day")}`
}

const NO_KEYS = "has no keys that are kept from round to round"

const schemeLines = ({ scheme }: NonNullable<StudyKeys["keys"]>): readonly string[] => [
  fact(
    "parameters",
    `degree ${grouped(scheme.degree)}, modulus of ${scheme.modulusBits} bits in ${plural(scheme.primes, "prime")}`,
  ),
  fact(
    "",
    `${plural(scheme.lanes, "lane")} of ${scheme.laneBits} bits, ${plural(scheme.polynomials, "polynomial")} an update`,
  ),
  fact("", `${grouped(scheme.updateBytes)} bytes an update, ${scheme.bytesPerValue} a value`),
  fact("", `security of ${scheme.securityBits} bits; openings hide keys to ${scheme.floodingBits} bits`),
]

const epochLines = ({ study, keys, facilities }: StudyKeys, now: number): readonly string[] => {
  if (keys === null) return []
  const { epoch, dealers, holders, leftOut, openings, since, ends, wanted } = keys
  const ceremony = keys.ceremonies.find(({ endedAt }) => endedAt === null)
  const next =
    ceremony !== undefined
      ? [
          fact(
            "under way",
            `a ceremony for epoch ${ceremony.epoch}, before round ${ceremony.round}: ${ceremony.phase}`,
          ),
        ]
      : []
  const asked = wanted === null ? [] : [fact("new keys", `before the next round: ${wanted}`)]
  if (epoch === 0)
    return [fact("epoch", "none yet: the first ceremony comes before round 1"), ...next, ...asked]
  const over = study.state === "complete" || study.state === "aborted"
  return [
    fact("epoch", `${epoch}, since ${since}${over ? "; the study is over, and its keys are destroyed" : ""}`),
    ...(over || ends === null
      ? []
      : [
          fact(
            "ends",
            `after ${plural(openings.left, "more opening")}, or at ${ends} (${inDays(ends, now)})`,
          ),
        ]),
    fact("openings", `${openings.used} used, ${openings.left} left`),
    fact("keys of", `${dealers.length} of ${facilities} facilities: ${[...dealers].sort().join(", ")}`),
    fact("can open", `${holders.length} hold a share of every key: ${[...holders].sort().join(", ")}`),
    ...leftOut.map(({ name, why }) => fact("left out", `${name}: ${why}`)),
    ...next,
    ...asked,
  ]
}

const studyLines = (one: StudyKeys, now: number): readonly string[] => {
  const { study, protection, threshold, keys } = one
  const head = `Keys of the study ${study.name} (${study.id.slice(0, 16)}, ${study.state})`
  if (keys === null) return [head, fact("protection", `${protection}, which ${NO_KEYS}`)]
  return [
    head,
    fact(
      "protection",
      `${keys.scheme.name}: updates stay encrypted while they are added; ${threshold} facilities open a sum`,
    ),
    ...schemeLines(keys),
    ...epochLines(one, now),
  ]
}

const whyNone = (lastCeremony: number, ceremony: string | null): string => {
  if (lastCeremony === 0) return " yet: no ceremony has begun"
  if (ceremony !== null) return " until the ceremony under way is held"
  return `: this facility has no keys since the ceremony of epoch ${lastCeremony}`
}

const heldLines = (
  { epoch, lastCeremony, ceremony, own, keys, shares, openingsLeft, ends }: HeldKeys,
  now: number,
) => [
  ...(epoch === null
    ? [fact("epoch", `none${whyNone(lastCeremony, ceremony)}`)]
    : [
        fact("epoch", String(epoch)),
        fact("own key", own ? "here" : "not among those of the epoch: its updates are in no sum"),
        fact(
          "shares",
          `of ${shares} of ${plural(keys, "key")}${shares < keys ? ": it cannot help to open every sum" : ""}`,
        ),
        fact("openings", `${openingsLeft} left by its own ledger`),
        ...(ends === null ? [] : [fact("ends", `${ends} at the latest (${inDays(ends, now)})`)]),
      ]),
  ...(ceremony === null ? [] : [fact("under way", `a ceremony for epoch ${lastCeremony}: ${ceremony}`)]),
]

const facilityLines = ({ facility, studies }: FacilityKeys, now: number): readonly string[] =>
  studies.flatMap(({ id, name, over, protection, held }) => [
    `What ${facility} holds of the keys of the study ${name} (${id.slice(0, 16)}${over ? ", over" : ""})`,
    fact("protection", held === null ? `${protection}, which ${NO_KEYS}` : protection),
    ...(held === null
      ? []
      : over
        ? [fact("keys", "none any more: they are destroyed when a study ends")]
        : heldLines(held, now)),
  ])

/** Shows the keys of a leader's studies, or what a facility holds of those of its own. */
export const keysStatus = async (options: KeysPlace): Promise<void> => {
  const { role, ...found } = await keysAt(options)
  const now = Date.now()
  const lines =
    "facility" in found ? facilityLines(found, now) : found.studies.flatMap((one) => studyLines(one, now))
  print(options.format, { role, ...found }, lines.length === 0 ? ["There is no study."] : lines)
}

/** Asks for new keys: through the leader's API, or through the admin socket in its data folder. */
export const keysRotate = async (
  options: KeysPlace & { readonly reason: string; readonly by?: string },
): Promise<void> => {
  const { config = "", study, reason, by } = options
  const api = apiOf(options)
  const name = by ?? (api === null ? userInfo().username : undefined)
  const wish = rotationRequestSchema.safeParse({ reason, ...(name === undefined ? {} : { by: name }) })
  if (!wish.success)
    throw new ConsiliumError(
      "cli/usage",
      "New keys are asked for with one line for --reason and one for --by.",
      {
        remedy: "Write at most 1024 bytes for the reason and 64 for the name, without line breaks.",
      },
    )
  let answer: RotationAnswer
  if (api === null) answer = await askRotation({ config, study }, wish.data)
  else {
    const { id } = await studyNamed(api, study)
    const body = { type: "application/json", bytes: utf8(JSON.stringify(wish.data)) }
    answer = await callLeader(
      api,
      { method: "POST", path: `/v1/studies/${id}/keys/rotate`, body },
      rotationAnswerSchema,
    )
  }
  print(options.format, answer, [
    answer.asked
      ? `The study ${answer.name} makes new keys before round ${answer.beforeRound}.`
      : `The study ${answer.name} makes new keys before round ${answer.beforeRound} already: nothing was added.`,
    fact("because", answer.why),
    fact(
      "until then",
      answer.epoch === 0 ? "no round is under way" : `the keys of epoch ${answer.epoch} are used`,
    ),
    "Every facility should run by then: who is not there for the whole ceremony has no key until the next one.",
  ])
}
