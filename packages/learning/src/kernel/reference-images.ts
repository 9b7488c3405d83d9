import type { ImageKernels, KernelMemory } from "./kernel.js"

const round = Math.fround

export const referenceImages = ({ floats, integers }: KernelMemory): ImageKernels => {
  const get = (address: number, index: number): number => floats[address / 4 + index] as number
  const put = (address: number, index: number, value: number): void => {
    floats[address / 4 + index] = value
  }
  const zero = (count: number, address: number): void => {
    floats.fill(0, address / 4, address / 4 + count)
  }
  return {
    imageToColumns(h, w, channels, kh, kw, sy, sx, top, left, oh, ow, image, columns) {
      let at = 0
      for (let oy = 0; oy < oh; oy++)
        for (let ox = 0; ox < ow; ox++)
          for (let ky = 0; ky < kh; ky++)
            for (let kx = 0; kx < kw; kx++)
              for (let c = 0; c < channels; c++) {
                const y = oy * sy - top + ky
                const x = ox * sx - left + kx
                const inside = y >= 0 && y < h && x >= 0 && x < w
                put(columns, at++, inside ? get(image, (y * w + x) * channels + c) : 0)
              }
    },
    columnsToImage(h, w, channels, kh, kw, sy, sx, top, left, oh, ow, columns, image) {
      zero(h * w * channels, image)
      let at = 0
      for (let oy = 0; oy < oh; oy++)
        for (let ox = 0; ox < ow; ox++)
          for (let ky = 0; ky < kh; ky++)
            for (let kx = 0; kx < kw; kx++)
              for (let c = 0; c < channels; c++) {
                const y = oy * sy - top + ky
                const x = ox * sx - left + kx
                const value = get(columns, at++)
                if (y < 0 || y >= h || x < 0 || x >= w) continue
                const pixel = (y * w + x) * channels + c
                put(image, pixel, get(image, pixel) + value)
              }
    },
    maxPool(rows, h, w, channels, kh, kw, sy, sx, oh, ow, x, y, indices) {
      let at = 0
      for (let r = 0; r < rows; r++)
        for (let oy = 0; oy < oh; oy++)
          for (let ox = 0; ox < ow; ox++)
            for (let c = 0; c < channels; c++) {
              let best = 0
              let place = 0
              for (let k = 0; k < kh * kw; k++) {
                const line = r * h + oy * sy + Math.floor(k / kw)
                const value = get(x, (line * w + ox * sx + (k % kw)) * channels + c)
                if (k === 0) best = value
                else {
                  if (value > best) place = k
                  best = Math.max(best, value)
                }
              }
              put(y, at, best)
              integers[indices / 4 + at] = place
              at++
            }
    },
    maxPoolBackward(rows, h, w, channels, kh, kw, sy, sx, oh, ow, dy, indices, dx) {
      zero(rows * h * w * channels, dx)
      let at = 0
      for (let r = 0; r < rows; r++)
        for (let oy = 0; oy < oh; oy++)
          for (let ox = 0; ox < ow; ox++)
            for (let c = 0; c < channels; c++) {
              for (let k = 0; k < kh * kw; k++) {
                const line = r * h + oy * sy + Math.floor(k / kw)
                const pixel = (line * w + ox * sx + (k % kw)) * channels + c
                const share = integers[indices / 4 + at] === k ? get(dy, at) : 0
                put(dx, pixel, get(dx, pixel) + share)
              }
              at++
            }
    },
    averagePool(rows, h, w, channels, kh, kw, sy, sx, oh, ow, x, factor, y) {
      let at = 0
      for (let r = 0; r < rows; r++)
        for (let oy = 0; oy < oh; oy++)
          for (let ox = 0; ox < ow; ox++)
            for (let c = 0; c < channels; c++) {
              let total = 0
              for (let k = 0; k < kh * kw; k++) {
                const line = r * h + oy * sy + Math.floor(k / kw)
                total = round(total + get(x, (line * w + ox * sx + (k % kw)) * channels + c))
              }
              put(y, at++, total * round(factor))
            }
    },
    averagePoolBackward(rows, h, w, channels, kh, kw, sy, sx, oh, ow, dy, factor, dx) {
      zero(rows * h * w * channels, dx)
      let at = 0
      for (let r = 0; r < rows; r++)
        for (let oy = 0; oy < oh; oy++)
          for (let ox = 0; ox < ow; ox++)
            for (let c = 0; c < channels; c++) {
              const share = round(get(dy, at++) * round(factor))
              for (let k = 0; k < kh * kw; k++) {
                const line = r * h + oy * sy + Math.floor(k / kw)
                const pixel = (line * w + ox * sx + (k % kw)) * channels + c
                put(dx, pixel, get(dx, pixel) + share)
              }
            }
    },
  }
}
