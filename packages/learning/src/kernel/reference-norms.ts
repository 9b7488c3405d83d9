import type { KernelMemory, NormKernels } from "./kernel.js"

const round = Math.fround

export const referenceNorms = ({ floats }: KernelMemory): NormKernels => {
  const get = (address: number, index: number): number => floats[address / 4 + index] as number
  const put = (address: number, index: number, value: number): void => {
    floats[address / 4 + index] = value
  }
  const sumOver = (count: number, f: (index: number) => number): number => {
    let sum = 0
    for (let i = 0; i < count; i++) sum = round(sum + f(i))
    return sum
  }
  return {
    groupNorm(rows, positions, channels, groups, x, gamma, beta, inverseCount, epsilon, y, statistics) {
      const size = channels / groups
      const share = round(inverseCount)
      for (let r = 0; r < rows; r++) {
        const pixel = (p: number, c: number): number => (r * positions + p) * channels + c
        for (let g = 0; g < channels; g += size) {
          const total = sumOver(size, (i) => sumOver(positions, (p) => get(x, pixel(p, g + i))))
          const mean = round(total * share)
          const squares = sumOver(size, (i) =>
            sumOver(positions, (p) => {
              const d = round(get(x, pixel(p, g + i)) - mean)
              return round(d * d)
            }),
          )
          const inverse = round(1 / round(Math.sqrt(round(round(squares * share) + round(epsilon)))))
          for (let c = g; c < g + size; c++) {
            put(statistics, 2 * r * channels + c, mean)
            put(statistics, 2 * r * channels + channels + c, inverse)
            for (let p = 0; p < positions; p++) {
              const hat = round(round(get(x, pixel(p, c)) - mean) * inverse)
              put(y, pixel(p, c), round(hat * get(gamma, c)) + get(beta, c))
            }
          }
        }
      }
    },
    groupNormBackward(
      rows,
      positions,
      channels,
      groups,
      x,
      statistics,
      gamma,
      inverseCount,
      dy,
      rowGradients,
      dx,
    ) {
      const size = channels / groups
      const share = round(inverseCount)
      for (let r = 0; r < rows; r++) {
        const pixel = (p: number, c: number): number => (r * positions + p) * channels + c
        const inverse = (c: number): number => get(statistics, 2 * r * channels + channels + c)
        const hat = (p: number, c: number): number =>
          round(round(get(x, pixel(p, c)) - get(statistics, 2 * r * channels + c)) * inverse(c))
        const ofGamma = (c: number): number => get(rowGradients, 2 * r * channels + c)
        const ofBeta = (c: number): number => get(rowGradients, 2 * r * channels + channels + c)
        for (let c = 0; c < channels; c++) {
          put(
            rowGradients,
            2 * r * channels + c,
            sumOver(positions, (p) => round(get(dy, pixel(p, c)) * hat(p, c))),
          )
          put(
            rowGradients,
            2 * r * channels + channels + c,
            sumOver(positions, (p) => get(dy, pixel(p, c))),
          )
        }
        if (dx === 0) continue
        for (let g = 0; g < channels; g += size) {
          const first = round(sumOver(size, (i) => round(get(gamma, g + i) * ofBeta(g + i))) * share)
          const second = round(sumOver(size, (i) => round(get(gamma, g + i) * ofGamma(g + i))) * share)
          for (let c = g; c < g + size; c++)
            for (let p = 0; p < positions; p++) {
              const own = round(round(get(dy, pixel(p, c)) * get(gamma, c)) - first)
              put(dx, pixel(p, c), round(own - round(hat(p, c) * second)) * inverse(c))
            }
        }
      }
    },
  }
}
