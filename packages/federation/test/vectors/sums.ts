import { toHex } from "@consilium/base/bytes"
import { encode, list, u16 } from "@consilium/base/encoding"
import { hash, sha256 } from "@consilium/base/hash"
import { PrfStream } from "@consilium/base/random"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import {
  chooseMaskedParameters,
  type MaskedLiteral,
  MaskedParameters,
} from "@consilium/lattice/masked/masked-parameters"
import { MaskedSum, MaskKey } from "@consilium/lattice/masked/masked-sum"
import type { RingOptions } from "@consilium/lattice/ring/ring"
import { type Permit, SeedLedger, type Use } from "@consilium/lattice/sums/seed-ledger"
import type { SumContext } from "@consilium/lattice/sums/sum-context"
import { chooseSumParameters } from "@consilium/lattice/threshold/choose-parameters"
import type { EpochKey, HeldShare } from "@consilium/lattice/threshold/epoch-key"
import { shareAssociatedData } from "@consilium/lattice/threshold/key-check"
import { acceptShare, dealKey } from "@consilium/lattice/threshold/key-dealing"
import { type ThresholdLiteral, ThresholdParameters } from "@consilium/lattice/threshold/threshold-parameters"
import { ThresholdSum } from "@consilium/lattice/threshold/threshold-sum"
import { specDigest } from "../../src/messages.js"
import { studyDigest } from "../../src/study.js"
import { portableSuite, seal } from "../../src/suite.js"
import type { ProtectedUpdate } from "../../src/sums/facility/facility-scheme.js"
import { ceremonyStream, keyDealing } from "../../src/sums/facility/key-dealing.js"
import { ceremonySecret, ceremonySpec } from "../epoch-keys.js"
import { keysFor } from "../members.js"
import { ownSideOf, settingOf } from "../sum-parties.js"
import {
  answerAll,
  digestOf,
  digestsOfUpdate,
  firstOf,
  protectAll,
  type SumScene,
  sumScene,
  updatesOf,
} from "../sum-runs.js"

/** One small sum of three of four facilities, of whom three open. */
const FACILITIES = 4
const VALUES = 100
const SENDERS = ["clinic-1", "clinic-2", "clinic-3"] as const

/** SHA-256 of what each facility sends, in hexadecimal. */
export type Digests = Readonly<Record<string, string | readonly string[]>>
export type SumVectors = Readonly<Record<string, Digests>>

const NEW = ["ckks", "bfv", "masked"] as const
const scenes = NEW.map((protection) => [protection, sumScene(protection, FACILITIES, VALUES)] as const)
const valuesOf = (name: string): Int32Array => updatesOf(SENDERS, VALUES, "random").get(name) as Int32Array
/** What a facility sends to its parent, to each of the others, and keeps, in that order. */
const sentBy = (updates: (name: string) => readonly string[]): Digests =>
  Object.fromEntries(SENDERS.map((name) => [name, updates(name)]))

/** The digests of what this package makes. */
export const sumVectors = (): SumVectors => {
  const vectors = scenes.map(([protection, scene]): readonly [string, Digests] => {
    const sent = protectAll(scene, new Map(SENDERS.map((name) => [name, valuesOf(name)])))
    const { partials } = answerAll(scene, sent, firstOf(scene, scene.names))
    return [
      protection,
      {
        study: toHex(studyDigest(scene.study)),
        ...sentBy((name) => digestsOfUpdate(sent.updates.get(name) as ProtectedUpdate)),
        openings: partials.map(({ opening }) => digestOf(opening)),
      },
    ]
  })
  return { ...Object.fromEntries(vectors), keys: keysDealt() }
}

const [[, keyed]] = scenes as unknown as readonly [readonly ["ckks", SumScene]]
const keysDealt = (): Digests => {
  const { study, directory } = keyed
  const setting = settingOf(study, directory, ceremonySpec(study, directory, 1))
  return sentBy((name) => {
    const stream = ceremonyStream(setting, ceremonySecret(name, 1))
    return digestsOfUpdate(keyDealing.protect(setting, ownSideOf(name), new Int32Array(0), stream))
  })
}

// --- the same from the lattice package and the portable suite alone, as the protocol describes it

const permitOf = <U extends Use>(
  admission: { readonly kind: "first"; readonly permit: Permit<U> } | { readonly kind: "repeated" },
): Permit<U> => {
  if (admission.kind === "repeated") throw new Error("The request is not the first.")
  return admission.permit
}
const digest = (bytes: Uint8Array): string => toHex(sha256(bytes))

/** Facilities in the order of their ids, whose places are their points. */
const pointsOf = ({ directory }: SumScene): readonly { readonly name: string; readonly point: number }[] =>
  directory.facilities.map(({ name }, i) => ({ name, point: i + 1 }))
const pointOf = (scene: SumScene, name: string): number =>
  pointsOf(scene).find((facility) => facility.name === name)?.point as number

/** Seals the share of each facility but the dealer, in the order of their ids; then what stays. */
const sealedShares = (
  scene: SumScene,
  dealer: number,
  shares: readonly Uint8Array[],
  binding: (recipient: number) => Uint8Array,
  random: PrfStream,
): readonly string[] => [
  ...pointsOf(scene).flatMap(({ name, point }) =>
    point === dealer
      ? []
      : [
          digest(
            seal(
              portableSuite,
              keysFor(name).sealingKey,
              shares[point - 1] as Uint8Array,
              binding(point),
              random,
            ),
          ),
        ],
  ),
  digest(shares[dealer - 1] as Uint8Array),
]

const demand = { facilities: FACILITIES, threshold: 3, values: VALUES, largest: 32_767 }
const contextFor = ({ study, spec }: SumScene): SumContext => ({
  study: studyDigest(study),
  epoch: spec.epoch,
  spec: specDigest(spec),
  attempt: 1,
})
const cohortOf = (scene: SumScene): readonly number[] =>
  SENDERS.map((name) => pointOf(scene, name)).sort((a, b) => a - b)

const thresholdVectors = (scene: SumScene, form: "ckks" | "bfv", options: RingOptions) => {
  const { literal } = chooseSumParameters({
    ...demand,
    form,
    // 500 openings of one polynomial and the ceremony's four; twice as many views of one sum as with one set of openers
    polynomialsPerEpoch: 504,
    statisticalBits: 51,
  })
  const parameters = ThresholdParameters.of(literal as ThresholdLiteral, options)
  const context = contextFor(scene)
  const ceremony = specDigest(ceremonySpec(scene.study, scene.directory, 1))
  const secretOf = (name: string) => insecureSeededSecret(1, "epoch-secret", name, "1")
  const dealt = pointsOf(scene).map(({ name, point }) => {
    const random = new PrfStream(secretOf(name), "key-dealing", ceremony)
    return { name, point, random, ...dealKey(parameters, context, point, random).secret }
  })
  const sum = new ThresholdSum(parameters)
  const begin = SeedLedger.begin(500)
  const active = [1, 2, 3]
  const request = { context, cohort: cohortOf(scene), active }
  const points = list(u16, 4096)
  return {
    sums: {
      study: toHex(context.study),
      ...sentBy((name) => {
        const key = dealt.find((one) => one.name === name)?.key as EpochKey
        const values = valuesOf(name)
        const permit = permitOf(begin.protect(context, values))
        return [
          digest(sum.protect(context, key, permit, values, insecureSeededRandom(1, "protecting", name))),
        ]
      }),
      openings: active.map((point) => {
        const held: readonly HeldShare[] = dealt.map((dealer) =>
          acceptShare(parameters, context, dealer.point, point, dealer.shares[point - 1] as Uint8Array),
        )
        const { name } = dealt[point - 1] as (typeof dealt)[number]
        const flooding = new PrfStream(
          secretOf(name),
          "flooding",
          context.spec,
          encode(points, request.cohort),
          encode(points, active),
        )
        return digest(sum.partial(request, point, held, permitOf(begin.open(parameters, request)), flooding))
      }),
    },
    keys: sentBy((name) => {
      const { point, shares, random } = dealt.find((one) => one.name === name) as (typeof dealt)[number]
      const binding = (recipient: number) =>
        hash("key-share", ceremony, shareAssociatedData(parameters, context, point, recipient))
      return sealedShares(scene, point, shares, binding, random)
    }),
  }
}

const maskedVectors = (scene: SumScene, options: RingOptions): Digests => {
  const { literal } = chooseMaskedParameters(demand)
  const parameters = MaskedParameters.of(literal as MaskedLiteral, options)
  const context = contextFor(scene)
  const sum = new MaskedSum(parameters)
  const dealt = SENDERS.map((name) => {
    const random = insecureSeededRandom(1, "protecting", name)
    const point = pointOf(scene, name)
    const key = new MaskKey(parameters, random)
    return { name, point, random, ...sum.protect(context, point, key, valuesOf(name), random) }
  })
  const request = { context, cohort: cohortOf(scene) }
  return {
    study: toHex(context.study),
    ...sentBy((name) => {
      const { point, random, update, shares } = dealt.find(
        (one) => one.name === name,
      ) as (typeof dealt)[number]
      const binding = (recipient: number) =>
        hash("mask-share", context.spec, sum.shareAssociatedData(context, point, recipient))
      return [digest(update), ...sealedShares(scene, point, shares, binding, random)]
    }),
    openings: [1, 2, 3].map((point) => {
      const shares = dealt.map((dealer) => ({
        dealer: dealer.point,
        share: dealer.shares[point - 1] as Uint8Array,
      }))
      return digest(
        sum.answer(request, point, shares, permitOf(SeedLedger.begin(0).unmask(parameters, request))),
      )
    }),
  }
}

/** The digests of the same sum without this package's sums, for the generator. */
export const independentVectors = (options: RingOptions): SumVectors => {
  const [ckks, bfv, masked] = scenes.map(([, scene]) => scene) as [SumScene, SumScene, SumScene]
  const { sums, keys } = thresholdVectors(ckks, "ckks", options)
  return {
    ckks: sums,
    bfv: thresholdVectors(bfv, "bfv", options).sums,
    masked: maskedVectors(masked, options),
    keys,
  }
}
