/**
 * sin and cos from + - * / only: the same bits in every engine and on every processor.
 */
// the Taylor series on [0, pi / 4]: the first terms left out are below 2^-57 of the result
const TERMS = 9

const cosine = (x: number): number => {
  const z = x * x
  let sum = 1
  for (let n = TERMS; n > 0; n--) sum = 1 - (z / ((2 * n - 1) * (2 * n))) * sum
  return sum
}
const sine = (x: number): number => {
  const z = x * x
  let sum = 1
  for (let n = TERMS; n > 0; n--) sum = 1 - (z / (2 * n * (2 * n + 1))) * sum
  return x * sum
}

/**
 * The sine and the cosine of pi t.
 *
 * Math:  the nearest half turn is taken off exactly; what is left lies in [-1/4, 1/4] and its series is summed
 * Error: at most 2^-51
 */
export const sincosPi = (t: number): { readonly sin: number; readonly cos: number } => {
  if (!Number.isFinite(t)) return { sin: NaN, cos: NaN }
  const turn = t - 2 * Math.floor(t / 2)
  const quarter = Math.floor(2 * turn + 0.5)
  const left = (turn - quarter / 2) * Math.PI
  const s = sine(left)
  const c = cosine(left)
  switch (quarter % 4) {
    case 0:
      return { sin: s, cos: c }
    case 1:
      return { sin: c, cos: -s }
    case 2:
      return { sin: -s, cos: -c }
    default:
      return { sin: -c, cos: s }
  }
}

/** The cosine of pi t; see `sincosPi`. */
export const cosPi = (t: number): number => sincosPi(t).cos
