import type { KernelMemory, MatrixKernels } from "./kernel.js"

const round = Math.fround

/** The sum of f(k) for k below `count`: four running sums and a tail, as vector code takes it. */
const fourfoldSum = (count: number, f: (k: number) => number): number => {
  const lanes: [number, number, number, number] = [0, 0, 0, 0]
  const whole = count - (count % 4)
  for (let k = 0; k < whole; k++) lanes[k % 4] = round((lanes[k % 4] as number) + f(k))
  let sum = round(round(lanes[0] + lanes[2]) + round(lanes[1] + lanes[3]))
  for (let k = whole; k < count; k++) sum = round(sum + f(k))
  return sum
}

export const referenceMatrices = ({ floats, integers, shorts }: KernelMemory): MatrixKernels => {
  const get = (address: number, index: number): number => floats[address / 4 + index] as number
  const put = (address: number, index: number, value: number): void => {
    floats[address / 4 + index] = value
  }
  return {
    gemm(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, start, startRow) {
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let sum = start === 0 ? 0 : get(start, i * startRow + j)
          for (let l = 0; l < k; l++)
            sum = round(sum + round(get(a, i * aRow + l * aColumn) * get(b, l * bRow + j * bColumn)))
          put(c, i * cRow + j, sum)
        }
    },
    matrixVector(m, k, a, aRow, x, out, start) {
      const first = start === 0 ? 0 : get(start, 0)
      for (let i = 0; i < m; i++) {
        const dot = fourfoldSum(k, (l) => round(get(a, i * aRow + l) * get(x, l)))
        put(out, i, round(dot + first))
      }
    },
    vectorMatrix(m, n, x, a, aRow, out) {
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let i = 0; i < m; i++) sum = round(sum + round(get(x, i) * get(a, i * aRow + j)))
        put(out, j, sum)
      }
    },
    columnSums(m, n, a, aRow, out) {
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let i = 0; i < m; i++) sum = round(sum + get(a, i * aRow + j))
        put(out, j, sum)
      }
    },
    rowSquaredNorms(m, k, a, aRow, out) {
      for (let i = 0; i < m; i++)
        put(
          out,
          i,
          fourfoldSum(k, (l) => round(get(a, i * aRow + l) * get(a, i * aRow + l))),
        )
    },
    scaleRows(m, n, a, aRow, factors) {
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) put(a, i * aRow + j, get(a, i * aRow + j) * get(factors, i))
    },
    gatherRows(m, n, from, indices, to) {
      for (let i = 0; i < m; i++) {
        const row = integers[indices / 4 + i] as number
        for (let j = 0; j < n; j++) put(to, i * n + j, get(from, row * n + j))
      }
    },
    integerGemm(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow) {
      const short = (address: number, index: number): number => shorts[address / 2 + index] as number
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let sum = 0
          for (let l = 0; l < k; l++)
            sum += short(a, i * aRow + l * aColumn) * short(b, l * bRow + j * bColumn)
          integers[c / 4 + i * cRow + j] = sum
        }
    },
  }
}
