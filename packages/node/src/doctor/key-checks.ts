import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { callAdmin } from "../admin/client.js"
import {
  type FacilityKeys,
  facilityKeysSchema,
  type HeldKeys,
  leaderKeysSchema,
  type StudyKeys,
} from "../keys/key-status.js"
import { type Check, type Finding, notChecked, note, passed } from "./finding.js"
import type { RoleUnderTest } from "./role-under-test.js"

const DAY_MS = 24 * 60 * 60 * 1000
/** The part of a lifetime that is left when its end is said to be near. */
const NEAR = 0.1

const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? "" : "s"}`

/** What wears keys out: sums that they open, and time. */
interface Wear {
  readonly left: number
  readonly most: number
  readonly since: string | null
  readonly ends: string | null
}

/** When the keys of an epoch end, if that is near; null if it is not. */
const nearEnd = ({ left, most, since, ends }: Wear, now: number): string | null => {
  if (left === 0) return "have opened as many sums as they may"
  if (since !== null && ends !== null) {
    const days = (Date.parse(ends) - now) / DAY_MS
    const lifetime = (Date.parse(ends) - Date.parse(since)) / DAY_MS
    if (days <= 0) return `have been too old since ${ends}`
    if (days <= NEAR * lifetime) return `end at ${ends}`
  }
  return left <= NEAR * most ? `may open ${plural(left, "more sum")} of ${most}` : null
}

const CEREMONY_COMES =
  "Nothing need be done: new keys are made before the next round. A facility that does not run then is left out."

/** What a leader's people should know of the keys of its studies, as of some time. */
export const leaderKeysFinding = (studies: readonly StudyKeys[], now: number): Finding => {
  const keyed = studies.filter(({ study, keys }) => study.state === "running" && keys !== null)
  if (keyed.length === 0) return passed("No study under way has keys.")
  const said: string[] = []
  const remedies = new Set<string>()
  for (const { study, keys } of keyed) {
    if (keys === null) continue
    const { epoch, leftOut, openings, since, ends } = keys
    const lost = leftOut.find(({ returns }) => !returns)
    if (lost !== undefined)
      throw new ConsiliumError(
        "keys/left-out",
        `In the study ${study.name} ${lost.name} has no key in epoch ${epoch}. ${lost.why}`,
        {
          remedy: `Ask the administrator of ${lost.name} what happened. Once that is settled, \`consilium keys rotate\` asks for new keys, in which it can take part.`,
        },
      )
    if (leftOut.length > 0) {
      said.push(
        `in the study ${study.name} ${leftOut.map(({ name }) => name).join(", ")} ${leftOut.length === 1 ? "has" : "have"} no key in epoch ${epoch}, so no update of ${leftOut.length === 1 ? "it" : "theirs"} is in a sum`,
      )
      remedies.add(
        "See that it runs and reaches its parent: new keys are made before the round that follows its next refusal.",
      )
    }
    const near =
      epoch === 0
        ? null
        : nearEnd({ left: openings.left, most: openings.used + openings.left, since, ends }, now)
    if (near !== null) {
      said.push(`the keys of epoch ${epoch} of the study ${study.name} ${near}`)
      remedies.add(CEREMONY_COMES)
    }
  }
  if (said.length > 0) return note(sentence(said), [...remedies].join(" "))
  return passed(
    `${keyed.map(({ study, keys }) => `${study.name}: ${keys?.epoch === 0 ? "the first keys are to be made" : `${plural(keys?.dealers.length ?? 0, "key")} in epoch ${keys?.epoch}, ${plural(keys?.openings.left ?? 0, "opening")} left`}`).join("; ")}.`,
  )
}

const sentence = (said: readonly string[]): string => {
  const text = said.join("; ")
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

const RUN_ON =
  "Keep this facility running: it gets a key when new ones are made, before one of the next rounds."

const heldFinding = (study: string, held: HeldKeys, now: number): readonly [string, string] | null => {
  const { epoch, lastCeremony, ceremony, own, keys, shares, openingsLeft, lifetime, since, ends } = held
  if (ceremony !== null || lastCeremony === 0) return null
  if (epoch === null)
    return [
      `this facility has no key in the study ${study}: it was not there for the whole ceremony of epoch ${lastCeremony}, and no update of its is in a sum`,
      RUN_ON,
    ]
  if (!own)
    return [
      `this facility's key is not among those of epoch ${epoch} of the study ${study}, so no update of its is in a sum`,
      RUN_ON,
    ]
  if (shares < keys)
    return [
      `this facility holds shares of ${shares} of the ${keys} keys of the study ${study}: it trains, but cannot help to open sums that hold the others`,
      "Nothing need be done unless it repeats: then look at its connection, for shares were lost on their way.",
    ]
  const near = nearEnd({ left: openingsLeft ?? 0, most: lifetime.openings, since, ends }, now)
  return near === null ? null : [`the keys of epoch ${epoch} of the study ${study} ${near}`, CEREMONY_COMES]
}

/** What a facility's people should know of the keys that it holds, as of some time. */
export const facilityKeysFinding = ({ studies }: FacilityKeys, now: number): Finding => {
  const keyed = studies.flatMap(({ name, over, held }) => (over || held === null ? [] : [{ name, held }]))
  if (keyed.length === 0) return passed("No study under way has keys.")
  const found = keyed.flatMap(({ name, held }) => {
    const one = heldFinding(name, held, now)
    return one === null ? [] : [one]
  })
  if (found.length > 0)
    return note(
      sentence(found.map(([says]) => says)),
      [...new Set(found.map(([, remedy]) => remedy))].join(" "),
    )
  return passed(
    `${keyed
      .map(({ name, held }) =>
        held.epoch === null
          ? `${name}: keys are to be made`
          : `${name}: its key and ${plural(held.shares, "share")} in epoch ${held.epoch}, ${plural(held.openingsLeft ?? 0, "opening")} left`,
      )
      .join("; ")}.`,
  )
}

/** Whether anybody is without a key, or keys are near their end: a leader and a facility say so while they run. */
export const keysCheck = (under: RoleUnderTest, now: () => number = Date.now): Check => ({
  id: "keys",
  async run() {
    const { role, dataFolder } = await under.place()
    const { state } = await under.folder()
    if (state !== "running") return notChecked("It does not run; it says what keys it has while it does.")
    const ask = async <T>(result: Parameters<typeof callAdmin<T>>[3]["result"]): Promise<T> =>
      callAdmin(dataFolder, "keys", {}, { result, timeoutMs: 10_000 })
    try {
      return role === "leader"
        ? leaderKeysFinding((await ask(leaderKeysSchema)).studies, now())
        : facilityKeysFinding(await ask(facilityKeysSchema), now())
    } catch (error) {
      if (!isConsiliumError(error, "admin/not-running")) throw error
      return notChecked("It runs, and does not take commands yet.")
    }
  },
})
