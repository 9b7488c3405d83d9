import { compareBytes, concatBytes, toHex } from "@consilium/base/bytes"
import { newSecretKey, type RandomSource } from "@consilium/base/random"
import { type RoundSpec, specDigest } from "@consilium/federation/messages"
import { Directory, type Participant, participantId } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { type OwnKeys, ownKeysOf } from "@consilium/federation/suite"
import type { EpochKeys } from "@consilium/federation/sums/facility/epoch-keys"
import type { OwnSide } from "@consilium/federation/sums/facility/facility-scheme"
import { acceptedKeys, ceremonyStream, keyDealing } from "@consilium/federation/sums/facility/key-dealing"
import { facilitySchemeOf } from "@consilium/federation/sums/facility/schemes"
import { protectionOf } from "@consilium/federation/sums/protections"
import type { SumSetting } from "@consilium/federation/sums/secure-sum"
import { nodeSuite } from "@consilium/node/identity/suite"

type Keys = OwnKeys & { readonly signingKey: Uint8Array }

const participant = (
  name: string,
  role: Participant["role"],
  parent: string | null,
  keys: Keys,
): Participant => ({
  id: participantId(name),
  name,
  role,
  parent: parent === null ? null : participantId(parent),
  address: "",
  signingKey: keys.signingKey,
  sealingKey: keys.sealingKey,
  tlsKeyHash: new Uint8Array(32),
})

/** Facilities that protect their updates as they are shipped, and what of it their leader gets to see. */
export class SumAmongFacilities {
  readonly #study: Study
  readonly #directory: Directory
  readonly #keys: ReadonlyMap<string, Keys>
  readonly #random: RandomSource
  #epochKeys: ReadonlyMap<string, EpochKeys> = new Map()
  #epoch = 0
  #left = 0
  #attempt = 0

  constructor(study: Study, facilities: number, random: RandomSource) {
    const names = Array.from({ length: facilities }, (_, i) => `facility-${i + 1}`)
    const keys = new Map(
      ["leader", "fog", ...names].map((name) => [name, ownKeysOf(random.bytes(32), random.bytes(32))]),
    )
    const of = (name: string): Keys => keys.get(name) as Keys
    const participants = [
      participant("leader", "leader", null, of("leader")),
      participant("fog", "fog", "leader", of("fog")),
      ...names.map((name) => participant(name, "facility", "fog", of(name))),
    ].sort((a, b) => compareBytes(a.id, b.id))
    this.#study = study
    this.#directory = new Directory({ study: studyDigest(study), version: 1, issuedAt: 0, participants })
    this.#keys = keys
    this.#random = random
  }

  #setting(purpose: RoundSpec["purpose"]): SumSetting {
    const spec: RoundSpec = {
      study: studyDigest(this.#study),
      round: 1,
      attempt: this.#attempt,
      purpose,
      epoch: this.#epoch,
      roster: this.#directory.digest,
      model: new Uint8Array(32),
    }
    return {
      study: this.#study,
      directory: this.#directory,
      spec: specDigest(spec),
      epoch: spec.epoch,
      attempt: spec.attempt,
      suite: nodeSuite,
    }
  }

  #side({ id, name }: Participant): OwnSide {
    return {
      me: id,
      keys: this.#keys.get(name) as Keys,
      epochKeys: this.#epochKeys.get(name) ?? null,
    }
  }

  /** Deals new keys, as a ceremony does; whether shares agree is for those who doubt it. */
  #dealKeys(): void {
    const { facilities } = this.#directory
    this.#epoch += 1
    this.#attempt += 1
    const setting = this.#setting("keys")
    const secrets = new Map(facilities.map(({ name }) => [name, newSecretKey(this.#random)]))
    const held = new Map(facilities.map(({ name }) => [name, new Map<string, Uint8Array>()]))
    for (const dealer of facilities) {
      const own = this.#side(dealer)
      const secret = secrets.get(dealer.name)
      if (secret === undefined) continue
      const dealt = keyDealing.protect(setting, own, new Int32Array(0), ceremonyStream(setting, secret))
      if (dealt.own !== null) held.get(dealer.name)?.set(toHex(dealer.id), dealt.own)
      for (const { recipient, sealed } of dealt.parts) {
        const to = this.#directory.get(recipient)
        const part = keyDealing.openPart?.(setting, this.#side(to), dealer.id, sealed)
        if (part !== undefined) held.get(to.name)?.set(toHex(dealer.id), part)
      }
    }
    const cohort = { cohort: facilities.map(({ id }) => id) }
    this.#epochKeys = new Map(
      facilities.map((one) => [
        one.name,
        acceptedKeys(
          setting,
          this.#side(one),
          {
            secret: secrets.get(one.name) ?? newSecretKey(this.#random),
            parts: held.get(one.name) ?? new Map(),
            challenge: new Uint8Array(32),
          },
          cohort,
          0,
        ),
      ]),
    )
    this.#left = this.#study.keys?.openings ?? 0
  }

  /** All that passes the leader of a facility's protected update: what is added on the way, and every sealed share. */
  messageOf(values: Int32Array): Uint8Array {
    if (protectionOf(this.#study).keyed && this.#left === 0) this.#dealKeys()
    this.#left -= 1
    this.#attempt += 1
    const [facility] = this.#directory.facilities
    if (facility === undefined) throw new Error("A sum has facilities.")
    const setting = this.#setting("update")
    const scheme = facilitySchemeOf(this.#study, { purpose: "update" })
    const { payload, parts } = scheme.protect(setting, this.#side(facility), values, this.#random)
    return concatBytes(...(payload === null ? [] : [payload]), ...parts.map(({ sealed }) => sealed))
  }
}
