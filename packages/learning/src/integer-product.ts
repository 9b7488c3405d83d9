import { ConsiliumError } from "@consilium/base/errors"
import type { Kernel } from "./kernel/kernel.js"
import { wasmKernel } from "./kernel/wasm-kernel.js"
import { checkWhole } from "./settings.js"

/** A matrix of 16-bit integers, row by row. */
export interface IntegerMatrix {
  readonly rows: number
  readonly columns: number
  readonly values: Int16Array
}

/** Which operands of a product are taken with rows and columns exchanged. */
export interface Exchanged {
  readonly left?: boolean
  readonly right?: boolean
}

const LARGEST = 0x7fffffff

const largest = (values: Int16Array): number => {
  let most = 0
  for (const value of values) most = Math.max(most, Math.abs(value))
  return most
}

const checkMatrix = ({ rows, columns, values }: IntegerMatrix): void => {
  checkWhole("number of rows of a matrix", rows, 0)
  checkWhole("number of columns of a matrix", columns, 0)
  if (values.length !== rows * columns)
    throw new ConsiliumError(
      "learning/bad-setting",
      `A matrix of ${rows} x ${columns} has ${rows * columns} entries, not ${values.length}.`,
    )
}

/**
 * The largest size that an entry of a product can have, which the 32-bit sums must hold: k |a| |b| with the largest
 * entries of both operands and k terms an entry.
 */
export const integerProductBound = (terms: number, left: Int16Array, right: Int16Array): number =>
  terms * largest(left) * largest(right)

/**
 * The exact product of two matrices of 16-bit integers: the numbers of a trainer that works in fixed point, which a
 * circuit or a secret-shared computation can follow to the last bit.
 *
 * Math:  a b, a^T b, a b^T or a^T b^T
 * Shape: left: m x k, right: k x n, after the exchange of rows and columns; result: m x n
 * @throws {ConsiliumError} "learning/overflow" if a sum might not fit 32 bits, whatever the signs; "learning/bad-setting"
 *   if the shapes do not fit together
 */
export const integerProduct = (
  left: IntegerMatrix,
  right: IntegerMatrix,
  exchanged: Exchanged = {},
  newKernel: (bytes: number) => Kernel = wasmKernel,
): Int32Array => {
  checkMatrix(left)
  checkMatrix(right)
  const [m, k] = exchanged.left ? [left.columns, left.rows] : [left.rows, left.columns]
  const [terms, n] = exchanged.right ? [right.columns, right.rows] : [right.rows, right.columns]
  if (k !== terms)
    throw new ConsiliumError(
      "learning/bad-setting",
      `A matrix with rows of ${k} cannot be multiplied by one with columns of ${terms}.`,
    )
  const bound = integerProductBound(k, left.values, right.values)
  if (bound > LARGEST)
    throw new ConsiliumError(
      "learning/overflow",
      `A sum of ${k} products may reach ${bound}; 32 bits hold ${LARGEST}.`,
    )
  const a = 64
  const b = a + Math.ceil((2 * m * k) / 64) * 64
  const c = b + Math.ceil((2 * k * n) / 64) * 64
  const scratch = c + Math.ceil((4 * m * n) / 64) * 64
  const kernel = newKernel(scratch + 2 * (m + n) * Math.ceil(k / 8) * 8)
  kernel.shorts.set(left.values, a / 2)
  kernel.shorts.set(right.values, b / 2)
  const [aRow, aColumn] = exchanged.left ? [1, left.columns] : [left.columns, 1]
  const [bRow, bColumn] = exchanged.right ? [1, right.columns] : [right.columns, 1]
  kernel.integerGemm(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, n, scratch)
  return kernel.integers.slice(c / 4, c / 4 + m * n)
}
