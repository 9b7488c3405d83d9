import { toHex } from "@consilium/base/bytes"
import { hash } from "@consilium/base/hash"
import { insecureSeededSecret } from "@consilium/base/testing"
import type { RoundSpec } from "../src/messages.js"
import { type Directory, participantId } from "../src/roster.js"
import { type Study, studyDigest } from "../src/study.js"
import type { EpochKeys } from "../src/sums/facility/epoch-keys.js"
import { acceptedKeys, ceremonyStream, type DealtKeys, keyDealing } from "../src/sums/facility/key-dealing.js"
import { keyShares } from "../src/sums/key-shares.js"
import { ownSideOf, settingOf } from "./sum-parties.js"

export interface Ceremony {
  /** 1 unless told. */
  readonly epoch?: number
  readonly seed?: number
  /** Facilities that deal: all unless told. The others hold shares, and no key of their own. */
  readonly dealers?: readonly string[]
  /** Whether a dealer's share does not reach a facility. */
  readonly lost?: (dealer: string, recipient: string) => boolean
}

export const ceremonySpec = (study: Study, directory: Directory, epoch: number): RoundSpec => ({
  study: studyDigest(study),
  round: 1,
  attempt: 1,
  purpose: "keys",
  epoch,
  roster: directory.digest,
  model: new Uint8Array(32),
})

/** The secret that a facility deals from, and floods its answers with. */
export const ceremonySecret = (name: string, epoch: number, seed = 1) =>
  insecureSeededSecret(seed, "epoch-secret", name, String(epoch))

/** What everybody answers for its dealing in a ceremony without messages. */
export const ceremonyChallenge = (spec: Uint8Array): Uint8Array => hash("test-challenge", spec)

/** What was dealt in a ceremony, at every facility: each share was sealed, opened, and checked against its dealer's answer. */
export const ceremonyOf = (
  study: Study,
  directory: Directory,
  { epoch = 1, seed = 1, dealers, lost }: Ceremony = {},
): ReadonlyMap<string, DealtKeys & { readonly secret: NonNullable<DealtKeys["secret"]> }> => {
  const setting = settingOf(study, directory, ceremonySpec(study, directory, epoch))
  const challenge = ceremonyChallenge(setting.spec)
  const names = directory.facilities.map(({ name }) => name)
  const held = new Map(names.map((name) => [name, new Map<string, Uint8Array>()]))
  const none = new Int32Array(0)
  for (const dealer of dealers ?? names) {
    const own = ownSideOf(dealer)
    const stream = () => ceremonyStream(setting, ceremonySecret(dealer, epoch, seed))
    const dealt = keyDealing.protect(setting, own, none, stream())
    const answer = keyDealing.answer?.(setting, own, none, stream(), challenge) as Uint8Array
    held.get(dealer)?.set(toHex(own.me), dealt.own as Uint8Array)
    for (const { recipient, sealed } of dealt.parts) {
      const { name } = directory.get(recipient)
      if (lost?.(dealer, name)) continue
      const part = keyDealing.openPart?.(setting, ownSideOf(name), own.me, sealed) as Uint8Array
      if (!keyShares.checked?.check(setting, own.me, recipient, part, challenge, answer))
        throw new Error(`The share of ${dealer}'s key for ${name} does not agree with its answer.`)
      held.get(name)?.set(toHex(own.me), part)
    }
  }
  return new Map(
    [...held].map(([name, parts]) => [name, { secret: ceremonySecret(name, epoch, seed), parts, challenge }]),
  )
}

/** The keys of an epoch at every facility: a ceremony without its messages, its test of zero and its certificate. */
export const epochKeysOf = (
  study: Study,
  directory: Directory,
  options: Ceremony = {},
): ReadonlyMap<string, EpochKeys> => {
  const { epoch = 1, dealers = directory.facilities.map(({ name }) => name) } = options
  const setting = settingOf(study, directory, ceremonySpec(study, directory, epoch))
  const among = new Set(dealers.map((name) => toHex(participantId(name))))
  const cohort = directory.facilities.map(({ id }) => id).filter((id) => among.has(toHex(id)))
  return new Map(
    [...ceremonyOf(study, directory, options)].map(([name, dealt]) => [
      name,
      acceptedKeys(setting, ownSideOf(name), dealt, { cohort }, 0),
    ]),
  )
}
