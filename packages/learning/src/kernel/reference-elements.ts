import type { ElementKernels, KernelMemory } from "./kernel.js"
import { exp, log, sigmoid } from "./reference-elementary.js"

const round = Math.fround

export const referenceElements = ({ floats }: KernelMemory): ElementKernels => {
  const get = (address: number, index: number): number => floats[address / 4 + index] as number
  /** Writes f(i), rounded to 32 bits, to every place of `out`. */
  const write = (count: number, out: number, f: (index: number) => number): void => {
    for (let i = 0; i < count; i++) floats[out / 4 + i] = f(i)
  }
  return {
    exp: (count, x, y) => write(count, y, (i) => exp(get(x, i))),
    log: (count, x, y) => write(count, y, (i) => log(get(x, i))),
    sigmoid: (count, x, y) => write(count, y, (i) => sigmoid(get(x, i))),
    relu: (count, x, y) => write(count, y, (i) => Math.max(get(x, i), 0)),
    reluBackward: (count, y, dy, dx) => write(count, dx, (i) => (get(y, i) > 0 ? get(dy, i) : 0)),
    polynomial: (count, x, coefficients, degree, y) =>
      write(count, y, (i) => {
        let value = get(coefficients, degree)
        for (let d = degree - 1; d >= 0; d--) value = round(get(coefficients, d) + round(get(x, i) * value))
        return value
      }),
    multiply: (count, x, y, out) => write(count, out, (i) => get(x, i) * get(y, i)),
    add: (count, x, y, out) => write(count, out, (i) => get(x, i) + get(y, i)),
    addOuterNorms: (count, x, y, out) =>
      write(count, out, (i) => get(out, i) + round(round(get(x, i) * get(y, i)) + get(y, i))),
    scale(count, factor, x, out) {
      const single = round(factor)
      write(count, out, (i) => single * get(x, i))
    },
    fill: (count, value, out) => write(count, out, () => value),
    copy: (count, x, out) => floats.copyWithin(out / 4, x / 4, x / 4 + count),
    sum(count, x) {
      let total = 0
      for (let i = 0; i < count; i++) total += get(x, i)
      return total
    },
    finite(count, x) {
      for (let i = 0; i < count; i++) if (!Number.isFinite(get(x, i))) return 0
      return 1
    },
    clipFactors(count, squares, bound, factors) {
      const single = round(bound)
      write(count, factors, (i) => single / Math.max(round(Math.sqrt(get(squares, i))), single))
    },
  }
}
