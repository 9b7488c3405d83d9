/** The obvious reference for schemes: polynomials of whole numbers of any size, by the definition. */

/** The product modulo X^N + 1, every pair of coefficients. */
export const schoolbookProduct = (a: readonly bigint[], b: readonly bigint[]): bigint[] => {
  const n = a.length
  const out = new Array<bigint>(n).fill(0n)
  a.forEach((x, i) => {
    if (x === 0n) return
    for (let j = 0; j < n; j++) {
      const at = (i + j) % n
      const p = x * (b[j] as bigint)
      out[at] = (out[at] as bigint) + (i + j < n ? p : -p)
    }
  })
  return out
}

const evaluated = (a: readonly bigint[], bits: number): bigint => {
  if (a.length === 1) return a[0] as bigint
  const middle = a.length / 2
  return evaluated(a.slice(0, middle), bits) + (evaluated(a.slice(middle), bits) << BigInt(middle * bits))
}

/**
 * The same product by way of one product of whole numbers: both polynomials at a power of two so large that the
 * coefficients of the product do not meet (Kronecker). Tests hold it against `schoolbookProduct`.
 */
export const wholeProduct = (
  a: readonly bigint[],
  b: readonly bigint[],
  coefficientBits: number,
): bigint[] => {
  const n = a.length
  const bits = 2 * coefficientBits + 32
  const digits = (x: bigint, count: number): bigint[] => {
    if (count === 1) return [x]
    const half = count / 2
    const low = BigInt.asIntN(half * bits, x)
    return [...digits(low, half), ...digits((x - low) >> BigInt(half * bits), half)]
  }
  const product = digits(evaluated(a, bits) * evaluated(b, bits), 2 * n)
  return Array.from({ length: n }, (_, i) => (product[i] as bigint) - (product[i + n] as bigint))
}

/** The nearest whole number to a / b for b > 0; halves go up. */
export const roundedQuotient = (a: bigint, b: bigint): bigint => {
  const shifted = 2n * a + b
  const quotient = shifted / (2n * b)
  return shifted < 0n && quotient * 2n * b !== shifted ? quotient - 1n : quotient
}

/** The representative of a modulo q that is nearest to 0. */
export const centredModulo = (a: bigint, q: bigint): bigint => {
  const residue = ((a % q) + q) % q
  return 2n * residue > q ? residue - q : residue
}

/** X -> X^g. */
export const substituted = (a: readonly bigint[], g: number): bigint[] => {
  const n = a.length
  const out = new Array<bigint>(n).fill(0n)
  a.forEach((x, i) => {
    const at = (i * g) % (2 * n)
    out[at % n] = at < n ? x : -x
  })
  return out
}
