/**
 * Roots of unity from + - * / only: the same bits in every engine and on every processor.
 */

/** cos and sin of x in [0, pi / 4] by their Taylor series; the terms left out are below 2^-60. */
const cosine = (x: number): number => {
  const square = x * x
  let tail = 0
  for (let n = 18; n > 0; n -= 2) tail = ((1 - tail) * square) / (n * (n - 1))
  return 1 - tail
}
const sine = (x: number): number => {
  const square = x * x
  let tail = 0
  for (let n = 19; n > 1; n -= 2) tail = ((1 - tail) * square) / (n * (n - 1))
  return x - x * tail
}

export interface Roots {
  readonly cos: Float64Array
  readonly sin: Float64Array
}

/**
 * The first half of the 2 n-th roots of unity.
 *
 * Math:  exp(pi i k / n) for k in [0, n), n a multiple of 4
 * Error: 2^-52 at most in each part
 */
export const halfCircle = (n: number): Roots => {
  const cos = new Float64Array(n)
  const sin = new Float64Array(n)
  for (let k = 0; k <= n / 4; k++) {
    const angle = (Math.PI * k) / n
    const [c, s] = [cosine(angle), sine(angle)]
    // mirrored at 45 and at 90 degrees
    cos[k] = c
    sin[k] = s
    cos[n / 2 - k] = s
    sin[n / 2 - k] = c
    cos[n / 2 + k] = -s
    sin[n / 2 + k] = c
    if (k > 0) {
      cos[n - k] = -c
      sin[n - k] = s
    }
  }
  sin[0] = 0
  cos[n / 2] = 0
  return { cos, sin }
}
