import { toHex } from "@consilium/base/bytes"
import { encode, list, u16 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { PrfStream, type RandomSource, type SecretKey } from "@consilium/base/random"
import { SeedLedger } from "@consilium/lattice/sums/seed-ledger"
import { keyChallenge } from "@consilium/lattice/threshold/key-check"
import { acceptShare, dealKey } from "@consilium/lattice/threshold/key-dealing"
import { zeroTestId } from "@consilium/lattice/threshold/zero-check"
import { encryptZero, partialZero } from "@consilium/lattice/threshold/zero-test"
import { MAX_PARTICIPANTS } from "../../roster.js"
import { openSealed } from "../../suite.js"
import { keyShareBinding } from "../key-shares.js"
import { ceremonyOf, thresholdParameters } from "../lattice-parameters.js"
import type { SumRequest, SumSetting } from "../secure-sum.js"
import type { EpochKeys } from "./epoch-keys.js"
import type { FacilityScheme, OwnSide } from "./facility-scheme.js"
import { sealShares } from "./parts.js"

const points = list(u16, MAX_PARTICIPANTS)

/** All that a facility deals in a ceremony follows from the secret it drew for it. */
export const ceremonyStream = (setting: Pick<SumSetting, "spec">, secret: SecretKey): PrfStream =>
  new PrfStream(secret, "key-dealing", setting.spec)

const dealingOf = (setting: SumSetting, me: Uint8Array, random: RandomSource) =>
  dealKey(thresholdParameters(setting), ceremonyOf(setting), setting.directory.pointOf(me), random).secret

/** Deals a fresh key of an epoch to all facilities. */
export const keyDealing: FacilityScheme = {
  protect(setting, { me, epochKeys }, _values, random) {
    const { shares } = dealingOf(setting, me, random)
    const binding = (recipient: Uint8Array): Uint8Array => keyShareBinding(setting, me, recipient)
    return { payload: null, ...sealShares(setting, me, shares, binding, random), epochKeys }
  },
  answer(setting, { me }, _values, random, challenge) {
    const { dealing } = dealingOf(setting, me, random)
    return dealing.answer(keyChallenge(thresholdParameters(setting), challenge))
  },
  openPart: (setting, { me, keys }, dealer, sealed) =>
    openSealed(keys, sealed, keyShareBinding(setting, dealer, me)),
  partial: null,
}

/** What was dealt in a ceremony, at one facility. */
export interface DealtKeys {
  /** Null where this facility dealt nothing. */
  readonly secret: SecretKey | null
  /** Opened and checked parts, by dealer. */
  readonly parts: ReadonlyMap<string, Uint8Array>
  /** Digest of everything that was dealt. */
  readonly challenge: Uint8Array
}

export interface ZeroTest {
  readonly dealers: readonly Uint8Array[]
  readonly openers: readonly Uint8Array[]
}

/**
 * What a facility gives to the test opening of zero: its own encryption of zero if it is a dealer, and its answer about
 * every dealer if it is to open. One test for each ceremony.
 * @throws {ConsiliumError} "cohort/missing-part"
 */
export const answerZeroTest = (
  setting: SumSetting,
  { me }: OwnSide,
  { secret, parts, challenge }: DealtKeys,
  { dealers, openers }: ZeroTest,
): {
  readonly test: Uint8Array | null
  readonly answers: readonly { readonly dealer: Uint8Array; readonly opening: Uint8Array }[]
} => {
  const parameters = thresholdParameters(setting)
  const ceremony = ceremonyOf(setting)
  const { directory } = setting
  const among = (ids: readonly Uint8Array[]): boolean => ids.some((id) => toHex(id) === toHex(me))
  if (secret === null) return { test: null, answers: [] }
  const id = zeroTestId(parameters, ceremony, challenge)
  const active = openers.map((opener) => directory.pointOf(opener)).sort((a, b) => a - b)
  // other openers get other noise: what two answers under one noise differ by is the share itself
  const named = encode(points, active)
  const stream = (purpose: string, about: Uint8Array): PrfStream =>
    new PrfStream(secret, purpose, setting.spec, about, named)
  const ledger = SeedLedger.begin(0)
  const permitted = <P>(
    admission: { readonly kind: "first"; readonly permit: P } | { readonly kind: "repeated" },
  ): P => {
    if (admission.kind === "first") return admission.permit
    throw new ConsiliumError("lattice/already-used", "A test of a key was asked for twice.")
  }
  const test = among(dealers)
    ? encryptZero(
        parameters,
        ceremony,
        id,
        dealingOf(setting, me, ceremonyStream(setting, secret)).key,
        permitted(ledger.zeroTest(id)),
        stream("zero-test", me),
      )
    : null
  if (!among(openers)) return { test, answers: [] }
  const answers = dealers.map((dealer) => {
    const part = parts.get(toHex(dealer))
    if (part === undefined)
      throw new ConsiliumError(
        "cohort/missing-part",
        `This facility holds no checked share of ${directory.get(dealer).name}'s key.`,
      )
    const point = directory.pointOf(dealer)
    const share = acceptShare(parameters, ceremony, point, directory.pointOf(me), part)
    const permit = permitted(ledger.zeroOpen(id, point, active))
    const opening = partialZero(
      parameters,
      ceremony,
      id,
      share,
      active,
      permit,
      stream("zero-opening", dealer),
    )
    share.erase()
    return { dealer, opening }
  })
  return { test, answers }
}

/** The keys of an epoch whose dealers are certified. */
export const acceptedKeys = (
  setting: SumSetting,
  { me }: OwnSide,
  { secret, parts }: DealtKeys & { readonly secret: SecretKey },
  { cohort }: Pick<SumRequest, "cohort">,
  since: number,
): EpochKeys => {
  const parameters = thresholdParameters(setting)
  const ceremony = ceremonyOf(setting)
  const { directory } = setting
  const mine = cohort.some((id) => toHex(id) === toHex(me))
  return {
    epoch: setting.epoch,
    roster: directory.digest,
    since,
    secret,
    key: mine ? dealingOf(setting, me, ceremonyStream(setting, secret)).key : null,
    dealers: cohort,
    shares: cohort.flatMap((dealer) => {
      const part = parts.get(toHex(dealer))
      return part === undefined
        ? []
        : [acceptShare(parameters, ceremony, directory.pointOf(dealer), directory.pointOf(me), part)]
    }),
    ledger: SeedLedger.begin(parameters.openable),
  }
}
