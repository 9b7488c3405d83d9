import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { zeroTestHolds, zeroTestId } from "@consilium/lattice/threshold/zero-check"
import { describe, expect, it } from "vitest"
import { Directory } from "../src/roster.js"
import {
  type EpochKeys,
  epochKeysCodec,
  eraseKeys,
  restoredKeys,
  storedKeys,
} from "../src/sums/facility/epoch-keys.js"
import { answerZeroTest } from "../src/sums/facility/key-dealing.js"
import { ceremonyOf as latticeCeremony, thresholdParameters } from "../src/sums/lattice-parameters.js"
import { type Ceremony, ceremonyOf, ceremonySpec, epochKeysOf } from "./epoch-keys.js"
import { errorOf } from "./errors.js"
import { changedRoster } from "./members.js"
import { ownSideOf, settingOf } from "./sum-parties.js"
import {
  answerAll,
  digestOf,
  digestsOf,
  NAMES,
  protectAll,
  sumScene,
  updatesOf,
  without,
} from "./sum-runs.js"

const scene = sumScene("ckks", 5, 15)
const { study, directory, threshold } = scene
const idOf = (name: string): Uint8Array => directory.named(name).id
const updates = updatesOf(NAMES, 15, "random")

describe("keys of an epoch", () => {
  const throughBytes = (keys: EpochKeys): Uint8Array => encode(epochKeysCodec, storedKeys(keys))

  it("come back from the bytes they are kept in: they protect and open the same bytes, and no more often", () => {
    const restored = new Map(
      [...scene.keys].map(([name, keys]) => {
        const again = restoredKeys(study, directory, idOf(name), decode(epochKeysCodec, throughBytes(keys)))
        return [name, again as EpochKeys]
      }),
    )
    const sums = [scene, { ...scene, keys: restored }].map((one) => {
      const sent = protectAll(one, updates)
      return { sent, answered: answerAll(one, sent) }
    })
    const [honest, again] = sums.map(({ sent, answered }) => digestsOf(sent, answered))
    expect(again).toEqual(honest)
    for (const [name, { epochKeys }] of sums[1]?.answered.own ?? []) {
      const kept = throughBytes(epochKeys as EpochKeys)
      const after = restoredKeys(study, directory, idOf(name), decode(epochKeysCodec, kept)) as EpochKeys
      expect(
        errorOf(() =>
          protectAll(
            { ...scene, keys: new Map([[name, after]]) },
            new Map([[name, updates.get(name) as Int32Array]]),
          ),
        ).code,
      ).toBe("lattice/already-used")
    }
  })

  it("do not come back under another roster, whose facilities have other places", () => {
    const stored = decode(epochKeysCodec, throughBytes(scene.keys.get("clinic-1") as EpochKeys))
    const next = new Directory(changedRoster(directory.roster, { leave: ["clinic-5"] }))
    expect(restoredKeys(study, next, idOf("clinic-1"), stored)).toBeNull()
  })

  it("[S24] are gone once they are erased, and are never shown", () => {
    const keys = epochKeysOf(study, directory).get("clinic-1") as EpochKeys
    const shown = JSON.stringify(keys)
    expect(shown).not.toContain(toHex(keys.secret.expose()))
    expect(shown).toContain('"key":"[secret]"')
    eraseKeys(keys)
    const left = [keys.secret.expose(), keys.key?.expose(), ...keys.shares.map((share) => share.expose())]
    for (const bytes of left) expect(bytes?.every((byte) => byte === 0)).toBe(true)
  })

  it("are those of the facilities that dealt, as far as their shares arrived", () => {
    const options: Ceremony = {
      dealers: without("clinic-2"),
      lost: (dealer, recipient) => dealer === "clinic-3" && recipient === "clinic-4",
    }
    const keys = epochKeysOf(study, directory, options)
    const dealt = NAMES.map((name) => {
      const { key, dealers, shares } = keys.get(name) as EpochKeys
      return `${name}: ${key ? "a key" : "no key"}, ${shares.length} shares of ${dealers.length}`
    })
    expect(dealt).toEqual([
      "clinic-1: a key, 4 shares of 4",
      "clinic-2: no key, 4 shares of 4",
      "clinic-3: a key, 4 shares of 4",
      "clinic-4: a key, 3 shares of 4",
      "clinic-5: a key, 4 shares of 4",
    ])
  })
})

describe("the test opening of zero", () => {
  const setting = settingOf(study, directory, ceremonySpec(study, directory, 1))
  const parameters = thresholdParameters(setting)
  const dealers = without("clinic-2").map(idOf)
  const openers = scene.names.slice(0, threshold).map(idOf)
  const dealt = ceremonyOf(study, directory, { dealers: without("clinic-2") })
  const answersOf = (name: string, of = dealt) =>
    answerZeroTest(setting, ownSideOf(name), of.get(name) as NonNullable<ReturnType<typeof of.get>>, {
      dealers,
      openers,
    })
  const challenge = dealt.get("clinic-1")?.challenge as Uint8Array
  const holds = (dealer: string, test: Uint8Array | null): boolean =>
    zeroTestHolds(
      parameters,
      zeroTestId(parameters, latticeCeremony(setting), challenge),
      directory.pointOf(idOf(dealer)),
      test ?? new Uint8Array(0),
      openers.map((id) => directory.pointOf(id)),
      openers.map((id) => {
        const about = answersOf(directory.get(id).name).answers.find(
          (answer) => toHex(answer.dealer) === toHex(idOf(dealer)),
        )
        return { point: directory.pointOf(id), opening: about?.opening ?? new Uint8Array(0) }
      }),
    )

  it("[S23] holds for every dealer that encrypts under the key it has shared, and for no other key", () => {
    const other = ceremonyOf(study, directory, { dealers: without("clinic-2"), seed: 2 })
    for (const dealer of without("clinic-2")) {
      expect(holds(dealer, answersOf(dealer).test)).toBe(true)
      expect(holds(dealer, answersOf(dealer, other).test)).toBe(false)
    }
  })

  it("is given by dealers, answered by openers, and is the same bytes when asked again", () => {
    for (const name of NAMES) {
      const { test, answers } = answersOf(name)
      expect(test !== null).toBe(name !== "clinic-2")
      const opens = openers.some((id) => toHex(id) === toHex(idOf(name)))
      expect(answers.map(({ dealer }) => toHex(dealer))).toEqual(opens ? dealers.map(toHex) : [])
      const again = answersOf(name)
      expect(again.answers.map(({ opening }) => digestOf(opening))).toEqual(
        answers.map(({ opening }) => digestOf(opening)),
      )
      expect(digestOf(again.test ?? new Uint8Array(0))).toBe(digestOf(test ?? new Uint8Array(0)))
    }
  })

  it("is not answered by an opener that lacks a dealer's share, and says whose", () => {
    const [opener] = scene.names as [string]
    const lost = (dealer: string, recipient: string) => dealer === "clinic-3" && recipient === opener
    const lacking = ceremonyOf(study, directory, { dealers: without("clinic-2"), lost })
    const refusal = errorOf(() => answersOf(opener, lacking))
    expect([refusal.code, refusal.message]).toEqual([
      "cohort/missing-part",
      "This facility holds no checked share of clinic-3's key.",
    ])
  })
})
