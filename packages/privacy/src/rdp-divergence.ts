import { discreteLaplaceLoss } from "./discrete-laplace-loss.js"
import { exp, expm1, log, log1p, logAddExp, logBinomial } from "./math.js"

/**
 * Renyi divergences of single mechanisms, per order alpha. All results are Renyi DP in nats: the divergence of order
 * alpha between the answers on neighbours, the larger of both directions. Sums are arranged so that A - 1, where
 * A = E[ratio^alpha], is a sum of terms of one sign: nothing cancels, however little noise or sampling there is.
 */

const LOG_3 = 1.0986122886681098
/** What rounding in double arithmetic may take from a result, given back so that a bound stays a bound. */
export const ROUNDING = 1 + 1e-10

/** log(A) / (alpha - 1) from log(A - 1), rounded up. */
export const divergenceFromLogExcess = (logExcess: number, alpha: number): number =>
  (ROUNDING * (logExcess < -36 ? exp(logExcess) : logAddExp(0, logExcess))) / (alpha - 1)

/** log(e^x - 1) for x > 0. */
export const logExpm1 = (x: number): number => (x > 30 ? x + log1p(-exp(-x)) : log(expm1(x)))

/** e^x - 1 - x, which is 0 or more; Infinity where it overflows. */
const expm2 = (x: number): number => {
  if (Math.abs(x) > 0.5) return expm1(x) - x
  let term = 0.5 * x * x
  let sum = term
  for (let n = 3; term !== 0 && Math.abs(term) > 1e-18 * sum; n++) {
    term *= x / n
    sum += term
  }
  return sum
}

/**
 * Renyi divergence of the Gaussian mechanism.
 *
 * Math:  alpha / (2 sigma^2)
 * Units: sigma = standard deviation / L2 sensitivity, under whichever relation the sensitivity is
 * Source: Mironov 2017 (arXiv:1702.07476), proposition 7
 */
export const gaussianRdp = (sigma: number, alpha: number): number =>
  sigma === 0 ? Infinity : alpha / 2 / sigma / sigma

/** One value of a privacy loss, log(P(x) / Q(x)), and its probability under P. */
export interface LossAtom {
  readonly loss: number
  readonly probability: number
}

/**
 * Renyi divergence of order alpha of a pair of distributions that is given by the finite distribution of its loss.
 *
 * Math:  log(1 + E[(e^((a-1) l) - 1 - (a-1) l) + (a-1)(e^-l - 1 + l)]) / (a - 1), l the loss under P; the linear parts
 *        cancel and E[e^-l] = 1, so that every term is positive
 * Units: losses in nats; order Infinity gives the largest loss
 * Source: definition 3 of Mironov 2017, rearranged
 */
export const discreteLossRdp = (atoms: readonly LossAtom[], alpha: number): number => {
  if (alpha === Infinity) return atoms.reduce((most, { loss }) => Math.max(most, loss), 0)
  const most = atoms.reduce((top, { loss }) => Math.max(top, Math.abs(loss)), 0)
  if (most === Infinity) return Infinity
  if (alpha * most < 30) {
    let excess = 0
    for (const { loss, probability } of atoms)
      excess += probability * (expm2((alpha - 1) * loss) + (alpha - 1) * expm2(-loss))
    return Math.min(most, (ROUNDING * log1p(excess)) / (alpha - 1))
  }
  let logMoment = -Infinity
  for (const { loss, probability } of atoms)
    logMoment = logAddExp(logMoment, log(probability) + (alpha - 1) * loss)
  return Math.min(most, (ROUNDING * Math.max(0, logMoment)) / (alpha - 1))
}

/**
 * The largest Renyi divergence of order alpha that epsilon-DP allows: that of randomised response on one bit.
 *
 * Math:  A = p e^((a-1) eps) + (1 - p) e^(-(a-1) eps), p = e^eps / (1 + e^eps)
 * Units: epsilon in nats, under any relation
 * Source: Bun and Steinke 2016 (arXiv:1605.02065), proposition 3.3 and its proof
 */
export const pureRdp = (epsilon: number, alpha: number): number => {
  if (epsilon === 0) return 0
  if (epsilon === Infinity) return Infinity
  const less = 1 / (1 + exp(epsilon))
  return discreteLossRdp(
    [
      { loss: epsilon, probability: 1 / (1 + exp(-epsilon)) },
      { loss: -epsilon, probability: less },
    ],
    alpha,
  )
}

/**
 * Renyi divergence of the Laplace mechanism.
 *
 * Math:  A = a / (2a - 1) e^((a-1)/b) + (a-1) / (2a - 1) e^(-a/b), summed without its vanishing first-order terms
 * Units: b = scale / L1 sensitivity; order Infinity gives 1/b
 * Source: Mironov 2017, proposition 6
 */
export const laplaceRdp = (b: number, alpha: number): number => {
  const epsilon = 1 / b
  if (epsilon === Infinity || alpha === Infinity) return epsilon
  const up = alpha / (2 * alpha - 1)
  const down = (alpha - 1) / (2 * alpha - 1)
  if (alpha * epsilon > 30) {
    const tail = exp(-(2 * alpha - 1) * epsilon)
    return Math.min(epsilon, ROUNDING * Math.max(0, epsilon + log(up + down * tail) / (alpha - 1)))
  }
  const excess = up * expm2((alpha - 1) * epsilon) + down * expm2(-alpha * epsilon)
  return Math.min(epsilon, (ROUNDING * log1p(excess)) / (alpha - 1))
}

/**
 * Renyi divergence of the discrete Laplace mechanism on one whole number, as a function of the order.
 *
 * Units: scale and sensitivity in grid steps; order Infinity gives sensitivity / scale
 * Source: definition 3 of Mironov 2017 for the loss of `discreteLaplaceLoss`
 */
export const discreteLaplaceRdp = (scale: number, sensitivity: number): ((alpha: number) => number) => {
  if (sensitivity === 0) return () => 0
  const epsilon = sensitivity / scale
  if (epsilon === Infinity) return () => epsilon
  const atoms = discreteLaplaceLoss(scale, sensitivity)
  return (alpha) => {
    if (alpha === Infinity) return epsilon
    // what the pieces of a long law spread may pass what pure DP allows by a hair
    return atoms === null
      ? pureRdp(epsilon, alpha)
      : Math.min(discreteLossRdp(atoms, alpha), pureRdp(epsilon, alpha))
  }
}

/**
 * Renyi divergence of randomised response.
 *
 * Math:  loss +-log(1 + (1 - p) k / p) on the two true answers, 0 on the others
 * Units: p = probability of a uniformly random answer, k buckets; neighbours differ in one true answer
 * Source: Warner 1965; loss as in Mironov 2017, proposition 5
 */
export const randomizedResponseRdp = (probability: number, buckets: number, alpha: number): number => {
  if (buckets === 1 || probability === 1) return 0
  if (probability === 0) return Infinity
  const other = probability / buckets
  const loss = log1p((1 - probability) / other)
  return discreteLossRdp(
    [
      { loss, probability: 1 - probability + other },
      { loss: -loss, probability: other },
      { loss: 0, probability: Math.max(0, other * (buckets - 2)) },
    ],
    alpha,
  )
}

/**
 * Depth of the binary tree that `steps` leaves fill: in how many complete dyadic nodes a leaf may lie.
 *
 * Math: floor(log2(steps)) + 1; 0 without steps
 */
export const treeDepth = (steps: number): number => {
  let depth = 0
  for (let left = steps; left >= 1; left = Math.floor(left / 2)) depth++
  return depth
}

/**
 * log(A - 1) of a Poisson-sampled mechanism at a whole order, from the divergences of the mechanism itself.
 *
 * Math:  A - 1 = sum over k = 2..a of C(a, k) (1 - q)^(a - k) q^k (c_k e^((k-1) eps(k)) - 1), all terms positive;
 *        c_k = 1 if `symmetric`, else c_2 = 1 and c_k = 3 from k = 3 on
 * Units: q = probability that a row joins the sample; neighbours by adding or removing one row
 * Source: Zhu and Wang 2019 (Poisson subsampled Renyi differential privacy), theorem 6 for any mechanism; without the
 *         factor 3 where an involution of the answers exchanges both distributions of a pair: Mironov, Talwar and
 *         Zhang 2019 (arXiv:1908.10530), theorem 5 and section 3.3
 */
export const logPoissonExcess = (
  q: number,
  alpha: number,
  symmetric: boolean,
  divergence: (order: number) => number,
): number => {
  const logQ = log(q)
  const logRest = log1p(-q)
  let sum = -Infinity
  for (let k = 2; k <= alpha; k++) {
    const moment = (k - 1) * divergence(k)
    const gain = symmetric || k === 2 ? logExpm1(moment) : logAddExp(LOG_3 + logExpm1(moment), Math.LN2)
    sum = logAddExp(sum, logBinomial(alpha, k) + (alpha - k) * logRest + k * logQ + gain)
  }
  return sum
}

/**
 * log(A - 1) of a mechanism on a sample of fixed size without replacement, at a whole order.
 *
 * Math:  A - 1 <= g^2 C(a, 2) min{4 (e^eps(2) - 1), e^eps(2) m_2} + sum over j = 3..a of g^j C(a, j) e^((j-1) eps(j)) m_j,
 *        m_j = min{2, (e^eps(inf) - 1)^j}
 * Units: g = sample size / data set size; neighbours by replacing one row
 * Source: Wang, Balle and Kasiviswanathan 2019 (arXiv:1808.00087), theorem 9
 */
export const logWithoutReplacementExcess = (
  g: number,
  alpha: number,
  divergence: (order: number) => number,
): number => {
  const pure = divergence(Infinity)
  const logPure = pure === Infinity ? Infinity : logExpm1(pure)
  const least = (j: number): number => Math.min(Math.LN2, j * logPure)
  const logG = log(g)
  const second = divergence(2)
  let sum = 2 * logG + logBinomial(alpha, 2) + Math.min(2 * Math.LN2 + logExpm1(second), second + least(2))
  for (let j = 3; j <= alpha; j++)
    sum = logAddExp(sum, j * logG + logBinomial(alpha, j) + (j - 1) * divergence(j) + least(j))
  return sum
}
