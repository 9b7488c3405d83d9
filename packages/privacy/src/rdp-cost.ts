import type { DpEvent, NeighbouringRelation } from "./events.js"
import { expm1, log1p } from "./math.js"
import {
  discreteLaplaceRdp,
  divergenceFromLogExcess,
  gaussianRdp,
  laplaceRdp,
  logPoissonExcess,
  logWithoutReplacementExcess,
  pureRdp,
  randomizedResponseRdp,
  treeDepth,
} from "./rdp-divergence.js"
import { interpolated, poissonGaussianRdp } from "./rdp-sampled-gaussian.js"

/**
 * What an event costs in Renyi DP: one divergence per order, and the probability of the part that has none.
 */
export interface RdpCost {
  /** Divergence per order, in nats; Infinity where nothing is known. */
  readonly rdp: Float64Array
  /** log of the probability that no (epsilon, delta) event has failed: the sum of log(1 - delta), 0 or less. */
  readonly logKept: number
}

const uniform = (orders: readonly number[], value: number): RdpCost => ({
  rdp: new Float64Array(orders.length).fill(value),
  logKept: 0,
})
const perOrder = (orders: readonly number[], divergence: (alpha: number) => number): RdpCost => ({
  rdp: Float64Array.from(orders, divergence),
  logKept: 0,
})
/** count * x, where nothing happens 0 times and 0 is 0 however often. */
export const times = (count: number, x: number): number => (count === 0 || x === 0 ? 0 : count * x)

/** 1 / sigma^2 of the one Gaussian that events on the same sample amount to, or null if they are not all Gaussian. */
const gaussianPrecision = (event: DpEvent): number | null => {
  switch (event.type) {
    case "no-op":
      return 0
    case "gaussian":
      return 1 / event.noiseMultiplier / event.noiseMultiplier
    case "self-composed": {
      const inner = gaussianPrecision(event.event)
      return inner === null ? null : times(event.count, inner)
    }
    case "composed": {
      let sum = 0
      for (const part of event.events) {
        const inner = gaussianPrecision(part)
        if (inner === null) return null
        sum += inner
      }
      return sum
    }
    default:
      return null
  }
}

/** Mechanisms whose pairs of distributions are exchanged by an involution of the answers (x to shift - x, or a swap). */
const SYMMETRIC: ReadonlySet<string> = new Set([
  "laplace",
  "discrete-gaussian",
  "discrete-gaussian-vector",
  "discrete-laplace",
  "randomized-response",
])

/** True if the tree holds a release that no accountant knows: then no sampling rate makes it free. */
const holdsUnknown = (event: DpEvent): boolean => {
  switch (event.type) {
    case "composed":
      return event.events.some(holdsUnknown)
    case "self-composed":
    case "poisson-sampled":
    case "sampled-without-replacement":
      return holdsUnknown(event.event)
    case "gaussian":
    case "laplace":
    case "discrete-gaussian":
    case "discrete-gaussian-vector":
    case "discrete-laplace":
    case "randomized-response":
    case "tree-aggregation":
    case "epsilon-delta":
    case "no-op":
    case "non-private":
      return false
    default:
      return true
  }
}

/** Divergences of an event at 2, 3, ..., the highest finite order, and at Infinity. */
const wholeOrders = (
  event: DpEvent,
  orders: readonly number[],
  relation: NeighbouringRelation,
): { readonly cost: RdpCost; readonly divergence: (order: number) => number } => {
  const highest = Math.max(2, ...orders.filter((order) => order !== Infinity).map(Math.ceil))
  const grid = [...Array.from({ length: highest - 1 }, (_, i) => i + 2), Infinity]
  const cost = rdpCost(event, grid, relation)
  const divergence = (order: number): number =>
    cost.rdp[order === Infinity ? grid.length - 1 : order - 2] as number
  return { cost, divergence }
}

/**
 * (epsilon, delta)-DP on a sample.
 *
 * Math:  epsilon' = log(1 + q (e^epsilon - 1)), delta' = q delta
 * Source: Balle, Barthe and Gaboardi 2018 (arXiv:1807.01647), theorems 8 (Poisson, add or remove) and 9 (without
 *         replacement, replace one)
 */
const sampledPure = (q: number, epsilon: number): number =>
  epsilon > 700 ? epsilon : log1p(q * expm1(epsilon))

const sampledCost = (
  q: number,
  event: DpEvent,
  orders: readonly number[],
  relation: NeighbouringRelation,
  logExcess: (order: number, divergence: (order: number) => number) => number,
): RdpCost => {
  if (event.type === "epsilon-delta") {
    const epsilon = sampledPure(q, event.epsilon)
    return { ...perOrder(orders, (alpha) => pureRdp(epsilon, alpha)), logKept: log1p(-q * event.delta) }
  }
  const plain = rdpCost(event, orders, relation)
  const { cost, divergence } = wholeOrders(event, orders, relation)
  // the failing part of a sampled mixture is not covered by these theorems
  if (cost.logKept !== 0) return uniform(orders, Infinity)
  const pure = sampledPure(q, divergence(Infinity))
  const whole = (order: number): number => logExcess(order, divergence)
  const rdp = Float64Array.from(orders, (alpha, i) => {
    const least = Math.min(plain.rdp[i] as number, pureRdp(pure, alpha))
    if (alpha === Infinity) return Math.min(least, pure)
    if (!Number.isInteger(alpha)) return Math.min(least, interpolated(alpha, whole))
    return Math.min(least, divergenceFromLogExcess(whole(alpha), alpha))
  })
  return { rdp, logKept: 0 }
}

const poissonCost = (
  q: number,
  event: DpEvent,
  orders: readonly number[],
  relation: NeighbouringRelation,
): RdpCost => {
  if (q === 1) return rdpCost(event, orders, relation)
  if (holdsUnknown(event) || relation !== "add-or-remove-one") return uniform(orders, Infinity)
  if (q === 0) return uniform(orders, 0)
  if (event.type === "poisson-sampled")
    return poissonCost(q * event.samplingProbability, event.event, orders, relation)
  const precision = gaussianPrecision(event)
  if (precision === 0) return uniform(orders, 0)
  if (precision === Infinity) return uniform(orders, Infinity)
  if (precision !== null) return { rdp: poissonGaussianRdp(1 / Math.sqrt(precision), q, orders), logKept: 0 }
  const symmetric = SYMMETRIC.has(event.type)
  return sampledCost(q, event, orders, relation, (order, divergence) =>
    logPoissonExcess(q, order, symmetric, divergence),
  )
}

const withoutReplacementCost = (
  sampleSize: number,
  size: number,
  event: DpEvent,
  orders: readonly number[],
  relation: NeighbouringRelation,
): RdpCost => {
  if (sampleSize === size) return rdpCost(event, orders, relation)
  if (holdsUnknown(event) || relation !== "replace-one") return uniform(orders, Infinity)
  if (sampleSize === 0) return uniform(orders, 0)
  const q = sampleSize / size
  return sampledCost(q, event, orders, relation, (order, divergence) =>
    logWithoutReplacementExcess(q, order, divergence),
  )
}

/**
 * What an event costs per order. Whatever this does not know, or knows only for the other relation, costs Infinity.
 *
 * Units: nats per order
 * Source: composition: Mironov 2017 (arXiv:1702.07476), proposition 1; discrete Gaussian: Canonne, Kamath and Steinke
 *         2020 (arXiv:2004.00010), theorem 4 (a vector by adding its entries up); tree aggregation: Kairouz et al. 2021
 *         (arXiv:2103.00039), theorem 4.1; (epsilon, delta)-DP is epsilon-DP but for an event of probability delta:
 *         Kairouz, Oh and Viswanath 2015 (arXiv:1311.0776), section 5
 */
export const rdpCost = (
  event: DpEvent,
  orders: readonly number[],
  relation: NeighbouringRelation,
): RdpCost => {
  switch (event.type) {
    case "no-op":
      return uniform(orders, 0)
    case "gaussian":
      return perOrder(orders, (alpha) => gaussianRdp(event.noiseMultiplier, alpha))
    case "laplace":
      return perOrder(orders, (alpha) => laplaceRdp(event.noiseMultiplier, alpha))
    case "discrete-gaussian":
      if (event.sensitivity === 0) return uniform(orders, 0)
      return perOrder(orders, (alpha) => gaussianRdp(event.sigma / event.sensitivity, alpha))
    case "discrete-gaussian-vector":
      if (event.l2Sensitivity === 0) return uniform(orders, 0)
      return perOrder(orders, (alpha) => gaussianRdp(event.sigma / event.l2Sensitivity, alpha))
    case "discrete-laplace":
      return perOrder(orders, discreteLaplaceRdp(event.scale, event.sensitivity))
    case "randomized-response":
      if (relation !== "replace-one") return uniform(orders, Infinity)
      return perOrder(orders, (alpha) => randomizedResponseRdp(event.probability, event.buckets, alpha))
    case "tree-aggregation": {
      const depth = treeDepth(event.steps)
      return perOrder(orders, (alpha) => times(depth, gaussianRdp(event.noiseMultiplier, alpha)))
    }
    case "epsilon-delta":
      return { ...perOrder(orders, (alpha) => pureRdp(event.epsilon, alpha)), logKept: log1p(-event.delta) }
    case "composed": {
      const rdp = new Float64Array(orders.length)
      let logKept = 0
      for (const part of event.events) {
        const cost = rdpCost(part, orders, relation)
        for (let i = 0; i < rdp.length; i++) rdp[i] = (rdp[i] as number) + (cost.rdp[i] as number)
        logKept += cost.logKept
      }
      return { rdp, logKept }
    }
    case "self-composed": {
      const cost = rdpCost(event.event, orders, relation)
      return {
        rdp: cost.rdp.map((value) => times(event.count, value)),
        logKept: times(event.count, cost.logKept),
      }
    }
    case "poisson-sampled":
      return poissonCost(event.samplingProbability, event.event, orders, relation)
    case "sampled-without-replacement":
      return withoutReplacementCost(event.sampleSize, event.sourceDatasetSize, event.event, orders, relation)
    default:
      // non-private, unsupported, and every type that is not in the list
      return uniform(orders, Infinity)
  }
}
