import type { KernelMemory, LossKernels } from "./kernel.js"
import { exp, log, logistic, logOnePlus } from "./reference-elementary.js"

const round = Math.fround

export const referenceLosses = ({ floats }: KernelMemory): LossKernels => {
  const get = (address: number, index: number): number => floats[address / 4 + index] as number
  const put = (address: number, index: number, value: number): void => {
    floats[address / 4 + index] = value
  }
  /** e^(z - top) of one row, in place of its `y`, and the sum of them from left to right. */
  const exponentials = (columns: number, z: number, y: number, row: number): number => {
    let top = get(z, row * columns)
    for (let j = 1; j < columns; j++) top = Math.max(top, get(z, row * columns + j))
    let total = 0
    for (let j = 0; j < columns; j++) {
      const e = exp(round(get(z, row * columns + j) - top))
      put(y, row * columns + j, e)
      total = round(total + e)
    }
    return total
  }
  return {
    sigmoidCrossEntropy(count, z, y, weight, deltas, losses) {
      const w = round(weight)
      for (let i = 0; i < count; i++) {
        const logit = get(z, i)
        const label = get(y, i)
        const e = exp(-Math.abs(logit))
        const loss = round(round(Math.max(logit, 0) - round(logit * label)) + logOnePlus(e))
        put(losses, i, w * loss)
        put(deltas, i, w * round(logistic(logit, e) - label))
      }
    },
    squaredError(count, z, y, weight, deltas, losses) {
      const w = round(weight)
      for (let i = 0; i < count; i++) {
        const d = round(get(z, i) - get(y, i))
        put(losses, i, w * round(d * d))
        put(deltas, i, round(w + w) * d)
      }
    },
    softmax(rows, columns, z, y) {
      for (let i = 0; i < rows; i++) {
        const total = exponentials(columns, z, y, i)
        for (let j = 0; j < columns; j++) put(y, i * columns + j, get(y, i * columns + j) / total)
      }
    },
    softmaxCrossEntropy(rows, columns, z, classes, deltas, losses) {
      for (let i = 0; i < rows; i++) {
        const own = i * columns + get(classes, i)
        let top = get(z, i * columns)
        for (let j = 1; j < columns; j++) top = Math.max(top, get(z, i * columns + j))
        const shifted = round(get(z, own) - top)
        const total = exponentials(columns, z, deltas, i)
        put(losses, i, log(total) - shifted)
        for (let j = 0; j < columns; j++) put(deltas, i * columns + j, get(deltas, i * columns + j) / total)
        put(deltas, own, get(deltas, own) - 1)
      }
    },
  }
}
