import { integerProduct, integerProductBound } from "@consilium/learning/integer-product"
import { referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import fc from "fast-check"
import { describe, expect, it } from "vitest"

const slow = (m: number, n: number, k: number, a: (i: number, l: number) => number, b: typeof a): number[] =>
  Array.from({ length: m * n }, (_, at) => {
    let sum = 0n
    for (let l = 0; l < k; l++) sum += BigInt(a(Math.floor(at / n), l)) * BigInt(b(l, at % n))
    return Number(sum)
  })

describe("products of 16-bit integers", () => {
  it("are exact, in every exchange of rows and columns, on both kernels", () => {
    const size = fc.integer({ min: 0, max: 19 })
    fc.assert(
      fc.property(size, size, size, fc.boolean(), fc.boolean(), fc.nat(1e6), (m, n, k, left, right, seed) => {
        const value = (i: number): number => ((i * 7919 + seed * 31) % 16384) - 8192
        const a = Int16Array.from({ length: m * k }, (_, i) => value(i))
        const b = Int16Array.from({ length: k * n }, (_, i) => value(i + 1000))
        const one = left ? { rows: k, columns: m, values: a } : { rows: m, columns: k, values: a }
        const other = right ? { rows: n, columns: k, values: b } : { rows: k, columns: n, values: b }
        const expected = slow(
          m,
          n,
          k,
          (i, l) => a[left ? l * m + i : i * k + l]!,
          (l, j) => b[right ? j * k + l : l * n + j]!,
        )
        expect([...integerProduct(one, other, { left, right })]).toEqual(expected)
        expect([...integerProduct(one, other, { left, right }, referenceKernel)]).toEqual(expected)
      }),
      { numRuns: 40 },
    )
  })

  it("go up to the last sum that fits and no further", () => {
    const row = (values: readonly number[]) => ({
      rows: 1,
      columns: values.length,
      values: Int16Array.from(values),
    })
    const column = (values: readonly number[]) => ({ ...row(values), rows: values.length, columns: 1 })
    // 2 * 32767 * 32767 = 2147352578, 131069 below the limit
    expect([...integerProduct(row([32767, 32767]), column([32767, 32767]))]).toEqual([2147352578])
    expect([...integerProduct(row([-32767, -32767]), column([32767, 32767]))]).toEqual([-2147352578])
    // two products of -32768 by itself are exactly 2^31: the one sum that a vector of pairs gets wrong
    expect(() => integerProduct(row([-32768, -32768]), column([-32768, -32768]))).toThrowError(
      "A sum of 2 products may reach 2147483648; 32 bits hold 2147483647.",
    )
    expect(() => integerProduct(row([32767, 1, 1]), column([32767, 0, 0]))).toThrowError(
      "A sum of 3 products",
    )
    expect(integerProductBound(3, Int16Array.of(-5, 2), Int16Array.of(7))).toBe(105)
    expect([...integerProduct(row(Array(8).fill(-16384)), column(Array(8).fill(16383)))]).toEqual([
      8 * -16384 * 16383,
    ])
  })

  it("refuse matrices that do not fit together", () => {
    const matrix = (rows: number, columns: number, count = rows * columns) => ({
      rows,
      columns,
      values: new Int16Array(count),
    })
    expect(() => integerProduct(matrix(2, 3), matrix(2, 3))).toThrowError(
      "A matrix with rows of 3 cannot be multiplied by one with columns of 2.",
    )
    expect(() => integerProduct(matrix(2, 3, 5), matrix(3, 2))).toThrowError("has 6 entries, not 5")
  })
})
