import { loadPart, storePart } from "./vectors"

/**
 * Windows that lie wholly inside the image, four channels at a time. `indices` (32-bit) tells which place of its window
 * each maximum came from: the first of equals.
 */
export function maxPool(
  rows: i32,
  height: i32,
  width: i32,
  channels: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  outHeight: i32,
  outWidth: i32,
  x: usize,
  y: usize,
  indices: usize,
): void {
  const pixel = (channels as usize) << 2
  const line = pixel * width
  const plane = line * height
  for (let r = 0; r < rows; r++) {
    for (let oy = 0; oy < outHeight; oy++)
      for (let ox = 0; ox < outWidth; ox++) {
        const corner = x + line * (oy * strideY) + pixel * (ox * strideX)
        for (let c = 0; c < channels; c += 4) {
          const at = (c as usize) << 2
          const part = channels - c < 4 ? channels - c : 4
          let best = f32x4.splat(0)
          let place = i32x4.splat(0)
          for (let ky = 0; ky < kernelHeight; ky++)
            for (let kx = 0; kx < kernelWidth; kx++) {
              const from = corner + at + line * ky + pixel * kx
              const value = part === 4 ? v128.load(from) : loadPart(from, part)
              const now = ky * kernelWidth + kx
              if (now === 0) best = value
              else {
                place = v128.bitselect(i32x4.splat(now), place, f32x4.gt(value, best))
                best = f32x4.max(best, value)
              }
            }
          if (part === 4) {
            v128.store(y + at, best)
            v128.store(indices + at, place)
          } else {
            storePart(y + at, best, part)
            storePart(indices + at, place, part)
          }
        }
        y += pixel
        indices += pixel
      }
    x += plane
  }
}

export function maxPoolBackward(
  rows: i32,
  height: i32,
  width: i32,
  channels: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  outHeight: i32,
  outWidth: i32,
  dy: usize,
  indices: usize,
  dx: usize,
): void {
  const pixel = (channels as usize) << 2
  const line = pixel * width
  const plane = line * height
  memory.fill(dx, 0, plane * rows)
  for (let r = 0; r < rows; r++) {
    for (let oy = 0; oy < outHeight; oy++)
      for (let ox = 0; ox < outWidth; ox++) {
        const corner = dx + line * (oy * strideY) + pixel * (ox * strideX)
        for (let c = 0; c < channels; c += 4) {
          const at = (c as usize) << 2
          const part = channels - c < 4 ? channels - c : 4
          const slope = part === 4 ? v128.load(dy + at) : loadPart(dy + at, part)
          const place = part === 4 ? v128.load(indices + at) : loadPart(indices + at, part)
          for (let ky = 0; ky < kernelHeight; ky++)
            for (let kx = 0; kx < kernelWidth; kx++) {
              const to = corner + at + line * ky + pixel * kx
              const share = v128.and(slope, i32x4.eq(place, i32x4.splat(ky * kernelWidth + kx)))
              if (part === 4) v128.store(to, f32x4.add(v128.load(to), share))
              else storePart(to, f32x4.add(loadPart(to, part), share), part)
            }
        }
        dy += pixel
        indices += pixel
      }
    dx += plane
  }
}

/** y = (sum of the window, line by line) * factor. */
export function averagePool(
  rows: i32,
  height: i32,
  width: i32,
  channels: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  outHeight: i32,
  outWidth: i32,
  x: usize,
  factor: f32,
  y: usize,
): void {
  const pixel = (channels as usize) << 2
  const line = pixel * width
  const plane = line * height
  for (let r = 0; r < rows; r++) {
    for (let oy = 0; oy < outHeight; oy++)
      for (let ox = 0; ox < outWidth; ox++) {
        const corner = x + line * (oy * strideY) + pixel * (ox * strideX)
        for (let c = 0; c < channels; c += 4) {
          const at = (c as usize) << 2
          const part = channels - c < 4 ? channels - c : 4
          let total = f32x4.splat(0)
          for (let ky = 0; ky < kernelHeight; ky++)
            for (let kx = 0; kx < kernelWidth; kx++) {
              const from = corner + at + line * ky + pixel * kx
              total = f32x4.add(total, part === 4 ? v128.load(from) : loadPart(from, part))
            }
          const mean = f32x4.mul(total, f32x4.splat(factor))
          if (part === 4) v128.store(y + at, mean)
          else storePart(y + at, mean, part)
        }
        y += pixel
      }
    x += plane
  }
}

export function averagePoolBackward(
  rows: i32,
  height: i32,
  width: i32,
  channels: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  outHeight: i32,
  outWidth: i32,
  dy: usize,
  factor: f32,
  dx: usize,
): void {
  const pixel = (channels as usize) << 2
  const line = pixel * width
  const plane = line * height
  memory.fill(dx, 0, plane * rows)
  for (let r = 0; r < rows; r++) {
    for (let oy = 0; oy < outHeight; oy++)
      for (let ox = 0; ox < outWidth; ox++) {
        const corner = dx + line * (oy * strideY) + pixel * (ox * strideX)
        for (let c = 0; c < channels; c += 4) {
          const at = (c as usize) << 2
          const part = channels - c < 4 ? channels - c : 4
          const slope = part === 4 ? v128.load(dy + at) : loadPart(dy + at, part)
          const share = f32x4.mul(slope, f32x4.splat(factor))
          for (let ky = 0; ky < kernelHeight; ky++)
            for (let kx = 0; kx < kernelWidth; kx++) {
              const to = corner + at + line * ky + pixel * kx
              if (part === 4) v128.store(to, f32x4.add(v128.load(to), share))
              else storePart(to, f32x4.add(loadPart(to, part), share), part)
            }
        }
        dy += pixel
      }
    dx += plane
  }
}
