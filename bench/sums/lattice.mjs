import { sha256 } from "@consilium/base/hash"
import { newSecretKey, PrfStream } from "@consilium/base/random"
import { chooseMaskedParameters, MaskedParameters } from "@consilium/lattice/masked/masked-parameters"
import { MaskedSum, MaskKey } from "@consilium/lattice/masked/masked-sum"
import { MaskedPublicSum } from "@consilium/lattice/masked/public-masked-sum"
import { nttPrimes } from "@consilium/lattice/ring/primes"
import { Ring } from "@consilium/lattice/ring/ring"
import { SeedLedger } from "@consilium/lattice/sums/seed-ledger"
import { chooseSumParameters } from "@consilium/lattice/threshold/choose-parameters"
import { acceptShare, dealKey } from "@consilium/lattice/threshold/key-dealing"
import { ThresholdPublicSum } from "@consilium/lattice/threshold/public-sum"
import { ThresholdParameters } from "@consilium/lattice/threshold/threshold-parameters"
import { ThresholdSum } from "@consilium/lattice/threshold/threshold-sum"
import { median, mustBeExact, timeRow } from "./timing.mjs"

const RUNS = 5
const study = sha256(new Uint8Array(1))
const spec = sha256(new Uint8Array(2))
const fresh = () => new PrfStream(newSecretKey(), "bench")
const contextOf = (attempt) => ({ study, epoch: 1, spec, attempt })

const literalOf = ({ literal, explanation }) => {
  if (literal === null) throw new Error(explanation.join("\n"))
  return literal
}

/** Threshold sums at full flooding, from protecting one facility's whole vector to the exact sum. */
export const measureThreshold = async (form, demand, vectors, expected) => {
  const literal = literalOf(chooseSumParameters({ ...demand, form }))
  const parameters = ThresholdParameters.of(literal)
  const scheme = new ThresholdSum(parameters)
  const server = new ThresholdPublicSum(parameters)
  const random = fresh()
  const points = vectors.map((_, i) => i + 1)
  const ceremony = { study, epoch: 1 }
  const dealt = points.map((dealer) => dealKey(parameters, ceremony, dealer, random).secret)
  const heldBy = (holder) =>
    points.map((dealer) =>
      acceptShare(parameters, ceremony, dealer, holder, dealt[dealer - 1].shares[holder - 1]),
    )
  const begin = () => SeedLedger.begin(parameters.openable)
  const protectOne = (attempt, point) => {
    const context = contextOf(attempt)
    const { permit } = begin().protect(context, vectors[point - 1])
    return scheme.protect(context, dealt[point - 1].key, permit, vectors[point - 1], random)
  }
  const protecting = await median(RUNS, (run) => protectOne(run + 2, 1))
  const context = contextOf(1)
  const updates = points.map((point) => protectOne(1, point))
  const adding = await median(RUNS, () => server.add(context, updates))
  const active = points.slice(0, literal.threshold)
  const request = { context, cohort: points, active }
  const answerOf = (point, held) => {
    const { permit } = begin().open(parameters, request)
    return scheme.partial(request, point, held, permit, random)
  }
  const first = heldBy(1)
  const opening = await median(RUNS, () => answerOf(1, first))
  const partials = active.map((point) => ({ point, opening: answerOf(point, heldBy(point)) }))
  const decoding = await median(RUNS, () => server.open(request, adding.result, partials))
  mustBeExact(form, decoding.result, expected)
  const id = (what) => `sums.${form}.${what}`
  const perValue = scheme.payloadLength / demand.values
  return [
    timeRow(id("protect"), protecting),
    timeRow(id("add"), adding),
    timeRow(id("open"), opening),
    timeRow(id("decode"), decoding),
    { id: id("up"), value: perValue, unit: "B/value" },
    { id: id("opening"), value: perValue, unit: "B/value" },
    { id: id("key-share"), value: dealt[0].shares[0].length, unit: "B/recipient" },
    { id: id("flooding"), value: Number(parameters.floodSigma), unit: "sigma" },
  ]
}

/** Masked sums: the same, with an opening of constant size. */
export const measureMasked = async (keys, demand, vectors, expected) => {
  const literal = literalOf(chooseMaskedParameters({ ...demand, keys }))
  const parameters = MaskedParameters.of(literal)
  const scheme = new MaskedSum(parameters)
  const server = new MaskedPublicSum(parameters)
  const random = fresh()
  const points = vectors.map((_, i) => i + 1)
  const context = contextOf(1)
  const protectOne = (point) =>
    scheme.protect(context, point, new MaskKey(parameters, random), vectors[point - 1], random)
  const protecting = await median(RUNS, () => protectOne(1))
  const dealt = points.map(protectOne)
  const updates = dealt.map(({ update }) => update)
  const adding = await median(RUNS, () => server.add(context, updates))
  const request = { context, cohort: points }
  const answerOf = (point) => {
    const shares = points.map((dealer) => ({ dealer, share: dealt[dealer - 1].shares[point - 1] }))
    return scheme.answer(request, point, shares, SeedLedger.begin(0).unmask(parameters, request).permit)
  }
  const opening = await median(RUNS, () => answerOf(1))
  const answers = points.map((point) => ({ point, opening: answerOf(point) }))
  const decoding = await median(RUNS, () => server.open(request, adding.result, answers))
  mustBeExact(`masked, ${keys} keys`, decoding.result, expected)
  const id = (what) => `sums.${keys === "gaussian" ? "masked" : `masked-${keys}`}.${what}`
  return [
    timeRow(id("protect"), protecting),
    timeRow(id("add"), adding),
    timeRow(id("open"), opening),
    timeRow(id("decode"), decoding),
    { id: id("up"), value: scheme.payloadLength / demand.values, unit: "B/value" },
    { id: id("recipient"), value: scheme.shareLength, unit: "B/recipient" },
    { id: id("opening"), value: scheme.shareLength / demand.values, unit: "B/value" },
  ]
}

/** One forward transform at degree 4096 with a prime of 30 bits. */
export const measureTransform = async () => {
  const ring = Ring.of(4096, nttPrimes(4096, 30, 1))
  const a = ring.inverse(ring.uniformSecret(fresh()))
  const out = ring.zeroEvaluations()
  for (let i = 0; i < 2000; i++) ring.forward(a, out)
  const { ms } = await median(4001, () => ring.forward(a, out))
  return [{ id: "ring.ntt.4096", value: 1000 * ms, unit: "us" }]
}
