import { multiplyModulo } from "../src/ring/modular.js"

/** The product modulo X^N + 1 and q by the definition: every pair of coefficients, with a sign beyond X^(N-1). */
export const schoolbook = (a: Uint32Array, b: Uint32Array, q: number): Uint32Array => {
  const n = a.length
  const out = new Uint32Array(n)
  for (let i = 0; i < n; i++) {
    if (a[i] === 0) continue
    for (let j = 0; j < n; j++) {
      const p = multiplyModulo(a[i] as number, b[j] as number, q)
      const at = (i + j) % n
      out[at] = ((out[at] as number) + (i + j < n ? p : q - p)) % q
    }
  }
  return out
}

/**
 * Pearson's statistic over its quantile of 1 - 10^-6 (Wilson and Hilferty 1931): above 1 is an alarm, raised with
 * probability 10^-6 on fresh randomness. Every cell must expect at least 20.
 */
export const chiSquareRatio = (observed: readonly number[], expected: readonly number[]): number => {
  const statistic = observed.reduce(
    (sum, count, i) => sum + (count - (expected[i] as number)) ** 2 / (expected[i] as number),
    0,
  )
  const freedom = observed.length - 1
  const part = 2 / (9 * freedom)
  return statistic / (freedom * (1 - part + 4.76 * Math.sqrt(part)) ** 3)
}

/** binomial(n, k), as a double. */
export const choose = (n: number, k: number): number => {
  let out = 1
  for (let i = 0; i < k; i++) out = (out * (n - i)) / (i + 1)
  return out
}
