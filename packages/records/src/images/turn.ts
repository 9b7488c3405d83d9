/** sin and cos from + - * / only: the same bits in every engine and on every processor. */
// the Taylor series on [-pi / 4, pi / 4]: the first terms left out are below 2^-57
const TERMS = 9
/** The widest turn there is, in degrees. */
export const MOST_DEGREES = 45

/**
 * Sine and cosine of a turn of at most 45 degrees either way.
 *
 * Units: degrees
 * Error: at most 2^-51
 */
export const turn = (degrees: number): { readonly sin: number; readonly cos: number } => {
  const x = (degrees * Math.PI) / 180
  const z = x * x
  let sin = 1
  let cos = 1
  for (let n = TERMS; n > 0; n--) {
    sin = 1 - (z / (2 * n * (2 * n + 1))) * sin
    cos = 1 - (z / ((2 * n - 1) * (2 * n))) * cos
  }
  return { sin: x * sin, cos }
}
