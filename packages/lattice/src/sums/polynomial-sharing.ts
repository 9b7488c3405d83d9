import { inverseModulo, multiplyModulo } from "../ring/modular.js"
import type { Evaluations, Ring } from "../ring/ring.js"
import type { Point } from "./sum-context.js"

/**
 * Shamir's scheme over each prime of a ring, coefficient by coefficient; the secret is the value at 0.
 *
 * Math:   f(x) = f_0 + f_1 x + ... + f_(t-1) x^(t-1) modulo each prime; points 1, 2, ..., n
 * Source: Shamir 1979
 */
export const shareAt = (ring: Ring, polynomial: readonly Evaluations[], point: Point): Evaluations => {
  const factors = Uint32Array.from(ring.primes, () => point)
  const share = ring.zeroEvaluations()
  for (let degree = polynomial.length - 1; degree >= 0; degree--)
    ring.add(ring.scaleByResidues(share, factors, share), polynomial[degree] as Evaluations, share)
  return share
}

/** What the values at some points are multiplied by to give the value at `target`, for each prime. */
export const lagrange = (ring: Ring, points: readonly Point[], point: Point, target = 0): Uint32Array =>
  Uint32Array.from(ring.primes, (q) => {
    let [above, below] = [1, 1]
    for (const other of points) {
      if (other === point) continue
      above = multiplyModulo(above, (target - other + q) % q, q)
      below = multiplyModulo(below, (point - other + q) % q, q)
    }
    return multiplyModulo(above, inverseModulo(below, q), q)
  })

/** The value at `target` of the polynomial through some values. */
export const interpolate = (
  ring: Ring,
  values: readonly { readonly point: Point; readonly value: Evaluations }[],
  target = 0,
): Evaluations => {
  const points = values.map(({ point }) => point)
  const out = ring.zeroEvaluations()
  const term = ring.zeroEvaluations()
  for (const { point, value } of values)
    ring.add(out, ring.scaleByResidues(value, lagrange(ring, points, point, target), term), out)
  term.fill(0)
  return out
}
