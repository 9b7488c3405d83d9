/** Where a polynomial is least and greatest over an interval, and how little and how much it is there. */
export interface PolynomialRange {
  readonly low: number
  readonly high: number
  readonly lowAt: number
  readonly highAt: number
}

/**
 * The value of coefficients[0] + coefficients[1] x + ..., by Horner's rule.
 */
export const polynomialValue = (coefficients: readonly number[], x: number): number => {
  let sum = 0
  for (let k = coefficients.length - 1; k >= 0; k--) sum = sum * x + (coefficients[k] as number)
  return sum
}

/** The coefficients of the derivative. */
export const derivativeOf = (coefficients: readonly number[]): readonly number[] =>
  coefficients.slice(1).map((value, k) => value * (k + 1))

/** The root of a polynomial that is monotone between two places with values of different sign, by bisection. */
const rootBetween = (coefficients: readonly number[], from: number, to: number): number => {
  const rising = polynomialValue(coefficients, to) > 0
  let low = from
  let high = to
  for (;;) {
    const middle = low / 2 + high / 2
    if (middle <= low || middle >= high) return middle
    if (polynomialValue(coefficients, middle) > 0 === rising) high = middle
    else low = middle
  }
}

/** Ends and stationary points of a polynomial on an interval, rising; those of its derivative part them. */
const stationaryPlaces = (coefficients: readonly number[], low: number, high: number): readonly number[] => {
  if (coefficients.length <= 2) return [low, high]
  const slopes = derivativeOf(coefficients)
  const places = [low]
  const pieces = stationaryPlaces(slopes, low, high)
  for (let k = 1; k < pieces.length; k++) {
    const from = pieces[k - 1] as number
    const to = pieces[k] as number
    if (polynomialValue(slopes, from) > 0 !== polynomialValue(slopes, to) > 0)
      places.push(rootBetween(slopes, from, to))
  }
  places.push(high)
  return places
}

/** What covers the rounding of coefficients, values and places of extremes, relative to the sizes added up. */
const SLACK = 1e-12

/**
 * The range of a polynomial over an interval.
 *
 * Math:  the least and the greatest of its values at the ends and where its derivative changes sign
 * Error: wider than the range by 1e-12 of sum |c_k| |x|^k, which is more than all rounding together up to degree 16
 */
export const polynomialRange = (
  coefficients: readonly number[],
  low: number,
  high: number,
): PolynomialRange => {
  let least = { at: low, value: Infinity }
  let greatest = { at: low, value: -Infinity }
  for (const at of stationaryPlaces(coefficients, low, high)) {
    const value = polynomialValue(coefficients, at)
    if (value < least.value) least = { at, value }
    if (value > greatest.value) greatest = { at, value }
  }
  const sizes = coefficients.map(Math.abs)
  const slack = SLACK * polynomialValue(sizes, Math.max(Math.abs(low), Math.abs(high)))
  return {
    low: least.value - slack,
    high: greatest.value + slack,
    lowAt: least.at,
    highAt: greatest.at,
  }
}
