import type { KernelMemory, OptimiserKernels } from "./kernel.js"

const round = Math.fround

export const referenceOptimisers = ({ floats }: KernelMemory): OptimiserKernels => {
  const get = (address: number, index: number): number => floats[address / 4 + index] as number
  const put = (address: number, index: number, value: number): void => {
    floats[address / 4 + index] = value
  }
  return {
    sgdStep(count, w, g, rate) {
      const r = round(rate)
      for (let i = 0; i < count; i++) put(w, i, get(w, i) - round(r * get(g, i)))
    },
    momentumStep(count, w, g, v, rate, decay) {
      const r = round(rate)
      const d = round(decay)
      for (let i = 0; i < count; i++) {
        const speed = round(round(d * get(v, i)) + get(g, i))
        put(v, i, speed)
        put(w, i, get(w, i) - round(r * speed))
      }
    },
    adamStep(count, w, g, m, v, size, root, epsilon, decay1, fresh1, decay2, fresh2, shrink) {
      for (let i = 0; i < count; i++) {
        const slope = get(g, i)
        const first = round(round(round(decay1) * get(m, i)) + round(round(fresh1) * slope))
        const second = round(round(round(decay2) * get(v, i)) + round(round(fresh2) * round(slope * slope)))
        put(m, i, first)
        put(v, i, second)
        const kept = round(get(w, i) - round(round(shrink) * get(w, i)))
        const spread = round(round(round(Math.sqrt(second)) / round(root)) + round(epsilon))
        put(w, i, kept - round(round(round(size) * first) / spread))
      }
    },
  }
}
