import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import type { RandomSource } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { chooseMaskedParameters, MaskedParameters, type MaskKeys } from "../src/masked/masked-parameters.js"
import { MaskedSum, MaskKey } from "../src/masked/masked-sum.js"
import { MaskedPublicSum } from "../src/masked/public-masked-sum.js"
import type { RingOptions } from "../src/ring/ring.js"
import { type Permit, SeedLedger, type Use } from "../src/sums/seed-ledger.js"
import type { Point, SumContext } from "../src/sums/sum-context.js"
import { chooseSumParameters } from "../src/threshold/choose-parameters.js"
import type { EpochKey, HeldShare } from "../src/threshold/epoch-key.js"
import { acceptShare, dealKey } from "../src/threshold/key-dealing.js"
import { ThresholdPublicSum } from "../src/threshold/public-sum.js"
import { ThresholdParameters } from "../src/threshold/threshold-parameters.js"
import { ThresholdSum } from "../src/threshold/threshold-sum.js"

export const study = sha256(utf8("study"))
export const spec = sha256(utf8("spec"))
export const contextOf = (change: Partial<SumContext> = {}): SumContext => ({
  study,
  epoch: 1,
  spec,
  attempt: 1,
  ...change,
})
export const permitOf = <U extends Use>(
  admission: { readonly kind: "first"; readonly permit: Permit<U> } | { readonly kind: "repeated" },
): Permit<U> => {
  if (admission.kind === "repeated") throw new Error("the request is not the first")
  return admission.permit
}

export interface SchemeDemand {
  readonly facilities: number
  readonly threshold: number
  readonly values: number
  readonly largest: number
}
/** One scheme with its keys dealt, seen alike. */
export interface Scheme {
  readonly degree: number
  readonly blocks: number
  readonly payloadLength: number
  readonly openingLength: number
  /** What each facility sends; kept, so that it can open later. */
  protect(context: SumContext, point: Point, values: Int32Array): Uint8Array
  add(context: SumContext, updates: readonly Uint8Array[]): Uint8Array
  /** A fresh answer, whatever was answered before. */
  answer(context: SumContext, cohort: readonly Point[], active: readonly Point[], point: Point): Uint8Array
  open(
    context: SumContext,
    cohort: readonly Point[],
    active: readonly Point[],
    sum: Uint8Array,
    answers: readonly { readonly point: Point; readonly opening: Uint8Array }[],
  ): Int32Array
  /** What t - 1 facilities hold of a victim's key. */
  sharesOf(context: SumContext, dealer: Point, holders: readonly Point[]): readonly Uint32Array[]
}

export interface ThresholdSetup {
  readonly sum: ThresholdSum
  readonly keys: readonly EpochKey[]
  /** For each facility, its shares of all keys. */
  readonly held: readonly (readonly HeldShare[])[]
}
export const thresholdSetup = (
  form: "ckks" | "bfv",
  demand: SchemeDemand,
  random: RandomSource,
  options: RingOptions = {},
  epoch = 1,
): ThresholdSetup => {
  const { literal, explanation } = chooseSumParameters({ ...demand, form })
  if (literal === null) throw new Error(explanation.join("\n"))
  const parameters = ThresholdParameters.of(literal, options)
  const ceremony = { study, epoch }
  const points = Array.from({ length: demand.facilities }, (_, i) => i + 1)
  const dealt = points.map((dealer) => dealKey(parameters, ceremony, dealer, random).secret)
  return {
    sum: new ThresholdSum(parameters),
    keys: dealt.map(({ key }) => key),
    held: points.map((holder) =>
      points.map((dealer) =>
        acceptShare(
          parameters,
          ceremony,
          dealer,
          holder,
          dealt[dealer - 1]?.shares[holder - 1] as Uint8Array,
        ),
      ),
    ),
  }
}

const threshold = (
  form: "ckks" | "bfv",
  demand: SchemeDemand,
  seed: string,
  options: RingOptions,
): Scheme => {
  const random = insecureSeededRandom("sum-schemes", form, seed)
  const { sum, keys, held } = thresholdSetup(form, demand, random, options)
  const { parameters } = sum
  const server = new ThresholdPublicSum(parameters)
  const begin = (): SeedLedger => SeedLedger.begin(parameters.openable)
  return {
    degree: parameters.literal.degree,
    blocks: parameters.blocks,
    payloadLength: sum.payloadLength,
    openingLength: sum.payloadLength,
    protect: (context, point, values) =>
      sum.protect(
        context,
        keys[point - 1] as EpochKey,
        permitOf(begin().protect(context, values)),
        values,
        random,
      ),
    add: (context, updates) => server.add(context, updates),
    answer(context, cohort, active, point) {
      const request = { context, cohort, active }
      const permit = permitOf(begin().open(parameters, request))
      return sum.partial(request, point, held[point - 1] as readonly HeldShare[], permit, random)
    },
    open: (context, cohort, active, total, answers) =>
      server.open({ context, cohort, active }, total, answers),
    sharesOf: (_, dealer, holders) =>
      holders.map((holder) =>
        parameters.ring.unpackEvaluations(
          ((held[holder - 1] as readonly HeldShare[])[dealer - 1] as HeldShare).expose(),
        ),
      ),
  }
}

const masked = (keys: MaskKeys, demand: SchemeDemand, seed: string, options: RingOptions): Scheme => {
  const random = insecureSeededRandom("sum-schemes", "masked", keys, seed)
  const { literal, explanation } = chooseMaskedParameters({ ...demand, keys })
  if (literal === null) throw new Error(explanation.join("\n"))
  const parameters = MaskedParameters.of(literal, options)
  const sum = new MaskedSum(parameters)
  const server = new MaskedPublicSum(parameters)
  const dealt = new Map<string, readonly Uint8Array[]>()
  const nameOf = ({ epoch, attempt }: SumContext, dealer: Point): string => `${epoch} ${attempt} ${dealer}`
  const shareOf = (context: SumContext, dealer: Point, holder: Point): Uint8Array =>
    dealt.get(nameOf(context, dealer))?.[holder - 1] as Uint8Array
  return {
    degree: literal.degree,
    blocks: parameters.blocks,
    payloadLength: sum.payloadLength,
    openingLength: sum.shareLength,
    protect(context, point, values) {
      const { update, shares } = sum.protect(context, point, new MaskKey(parameters, random), values, random)
      dealt.set(nameOf(context, point), shares)
      return update
    },
    add: (context, updates) => server.add(context, updates),
    answer(context, cohort, _, point) {
      const request = { context, cohort }
      const shares = cohort.map((dealer) => ({ dealer, share: shareOf(context, dealer, point) }))
      return sum.answer(request, point, shares, permitOf(SeedLedger.begin(0).unmask(parameters, request)))
    },
    open: (context, cohort, _, total, answers) => server.open({ context, cohort }, total, answers),
    sharesOf: (context, dealer, holders) =>
      holders.map((holder) =>
        parameters.keyRing.unpackEvaluations(shareOf(context, dealer, holder).subarray(16, -8)),
      ),
  }
}

export type SchemeMaker = (demand: SchemeDemand, seed: string, options?: RingOptions) => Scheme
/** Every scheme of this package, for the one suite. */
export const SCHEMES: Readonly<Record<string, SchemeMaker>> = {
  "threshold ckks": (demand, seed, options = {}) => threshold("ckks", demand, seed, options),
  "threshold bfv": (demand, seed, options = {}) => threshold("bfv", demand, seed, options),
  "masked, gaussian keys": (demand, seed, options = {}) => masked("gaussian", demand, seed, options),
  "masked, uniform keys": (demand, seed, options = {}) => masked("uniform", demand, seed, options),
}

/** Random vectors, and their sum by hand. */
export const vectorsOf = (
  count: number,
  length: number,
  largest: number,
  kind: "random" | "extreme" | "equal",
  seed: string,
): { readonly vectors: readonly Int32Array[]; readonly sum: Int32Array } => {
  const random = insecureSeededRandom("vectors", seed)
  const vectors = Array.from({ length: count }, () => {
    if (kind === "equal") return new Int32Array(length).fill(-largest)
    const words = new Uint32Array(random.bytes(4 * length).buffer)
    return Int32Array.from(words, (word) =>
      kind === "extreme" ? (word % 2 === 0 ? largest : -largest) : (word % (2 * largest + 1)) - largest,
    )
  })
  const sum = new Int32Array(length)
  for (const vector of vectors)
    for (let i = 0; i < length; i++) sum[i] = (sum[i] as number) + (vector[i] as number)
  return { vectors, sum }
}

/** Protects, adds, answers and opens. */
export const wholeSum = (
  scheme: Scheme,
  context: SumContext,
  cohort: readonly Point[],
  active: readonly Point[],
  vectors: readonly Int32Array[],
): Int32Array => {
  const updates = cohort.map((point, i) => scheme.protect(context, point, vectors[i] as Int32Array))
  const half = Math.ceil(updates.length / 2)
  const regional = [updates.slice(0, half), updates.slice(half)].map((part) => scheme.add(context, part))
  const answers = active.map((point) => ({ point, opening: scheme.answer(context, cohort, active, point) }))
  return scheme.open(context, cohort, active, scheme.add(context, regional), answers)
}
