import { ConsiliumError } from "@consilium/base/errors"

/** The smallest pivot that counts as positive: below it the table of correlations contradicts itself, or nearly. */
const SMALLEST_PIVOT = 1e-6

/**
 * The lower triangle L with L L^T = a correlation matrix, which must be positive definite.
 *
 * Shape:  matrix and result size x size, row by row
 * Source: Cholesky's factorisation, rows in order
 * @throws {ConsiliumError} "records/bad-profile" if the matrix is not positive definite
 */
export const choleskyFactor = (matrix: Float64Array, size: number): Float64Array => {
  const out = new Float64Array(size * size)
  for (let row = 0; row < size; row++)
    for (let column = 0; column <= row; column++) {
      let rest = matrix[row * size + column] as number
      for (let k = 0; k < column; k++)
        rest -= (out[row * size + k] as number) * (out[column * size + k] as number)
      if (row !== column) {
        out[row * size + column] = rest / (out[column * size + column] as number)
        continue
      }
      if (!(rest > SMALLEST_PIVOT))
        throw new ConsiliumError(
          "records/bad-profile",
          `The correlations of ${size} columns contradict each other at column ${row + 1}.`,
          { remedy: "Weaken the correlations of that column." },
        )
      out[row * size + row] = Math.sqrt(rest)
    }
  return out
}
