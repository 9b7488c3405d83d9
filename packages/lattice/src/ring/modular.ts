/** (a b) mod q for a, b < q < 2^32, exact in doubles: no intermediate reaches 2^53. */
export const multiplyModulo = (a: number, b: number, q: number): number => {
  const high = Math.floor(a / 2 ** 16)
  const low = a % 2 ** 16
  return (((((high * b) % q) * 2 ** 16) % q) + low * b) % q
}

/** base^exponent mod q. */
export const powerModulo = (base: number, exponent: number, q: number): number => {
  let result = 1 % q
  let square = base % q
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = multiplyModulo(result, square, q)
    square = multiplyModulo(square, square, q)
  }
  return result
}

/** The inverse of a modulo a prime q (Fermat). */
export const inverseModulo = (a: number, q: number): number => powerModulo(a, q - 2, q)

/** The residue in [0, q) of any whole number. */
export const residueOf = (value: bigint, q: number): number => {
  const residue = Number(value % BigInt(q))
  return residue < 0 ? residue + q : residue
}
