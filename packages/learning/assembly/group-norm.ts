import { columnSums } from "./matrix-vector"

/**
 * Normalisation of each row over groups of its channels. Sums go over the positions of one channel first, then over the
 * channels of the group. `statistics` holds, row by row, a mean for each channel and then 1 / deviation for each.
 */

/** Puts the sum over each group, times `factor`, into the place of each of its channels. */
function overGroups(channels: i32, groups: i32, factor: f32, values: usize): void {
  const bytes = ((channels / groups) as usize) << 2
  for (let g = 0; g < groups; g++) {
    let total: f32 = 0
    for (let at: usize = 0; at < bytes; at += 4) total += load<f32>(values + at)
    total *= factor
    for (let at: usize = 0; at < bytes; at += 4) store<f32>(values + at, total)
    values += bytes
  }
}

/** out[c] = sum over the positions of (x - mean[c])^2. */
function squaresAbout(positions: i32, channels: i32, x: usize, mean: usize, out: usize): void {
  const pixel = (channels as usize) << 2
  let c = 0
  for (; c + 4 <= channels; c += 4) {
    const at = (c as usize) << 2
    const middle = v128.load(mean + at)
    let total = f32x4.splat(0)
    let from = x + at
    for (let p = 0; p < positions; p++) {
      const d = f32x4.sub(v128.load(from), middle)
      total = f32x4.add(total, f32x4.mul(d, d))
      from += pixel
    }
    v128.store(out + at, total)
  }
  for (; c < channels; c++) {
    const at = (c as usize) << 2
    const middle = load<f32>(mean + at)
    let total: f32 = 0
    let from = x + at
    for (let p = 0; p < positions; p++) {
      const d = load<f32>(from) - middle
      total += d * d
      from += pixel
    }
    store<f32>(out + at, total)
  }
}

/** y = ((x - mean) / deviation) gamma + beta; n: positions times channels of a group, as a float. */
export function groupNorm(
  rows: i32,
  positions: i32,
  channels: i32,
  groups: i32,
  x: usize,
  gamma: usize,
  beta: usize,
  inverseCount: f32,
  epsilon: f32,
  y: usize,
  statistics: usize,
): void {
  const pixel = (channels as usize) << 2
  for (let r = 0; r < rows; r++) {
    const mean = statistics
    const inverse = statistics + pixel
    columnSums(positions, channels, x, channels as usize, mean)
    overGroups(channels, groups, inverseCount, mean)
    squaresAbout(positions, channels, x, mean, inverse)
    overGroups(channels, groups, inverseCount, inverse)
    for (let at: usize = 0; at < pixel; at += 4)
      store<f32>(inverse + at, (1 as f32) / sqrt<f32>(load<f32>(inverse + at) + epsilon))
    for (let p = 0; p < positions; p++) {
      let at: usize = 0
      for (; at + 16 <= pixel; at += 16) {
        const hat = f32x4.mul(f32x4.sub(v128.load(x + at), v128.load(mean + at)), v128.load(inverse + at))
        v128.store(y + at, f32x4.add(f32x4.mul(hat, v128.load(gamma + at)), v128.load(beta + at)))
      }
      for (; at < pixel; at += 4) {
        const hat = (load<f32>(x + at) - load<f32>(mean + at)) * load<f32>(inverse + at)
        store<f32>(y + at, hat * load<f32>(gamma + at) + load<f32>(beta + at))
      }
      x += pixel
      y += pixel
    }
    statistics += pixel << 1
  }
}

/** The gradients of one row's gamma and beta: sums over its positions of dy (x - mean) / deviation, and of dy. */
function slopes(
  positions: i32,
  channels: i32,
  x: usize,
  mean: usize,
  inverse: usize,
  dy: usize,
  out: usize,
): void {
  const pixel = (channels as usize) << 2
  columnSums(positions, channels, dy, channels as usize, out + pixel)
  let c = 0
  for (; c + 4 <= channels; c += 4) {
    const at = (c as usize) << 2
    const middle = v128.load(mean + at)
    const factor = v128.load(inverse + at)
    let total = f32x4.splat(0)
    let from = at
    for (let p = 0; p < positions; p++) {
      const hat = f32x4.mul(f32x4.sub(v128.load(x + from), middle), factor)
      total = f32x4.add(total, f32x4.mul(v128.load(dy + from), hat))
      from += pixel
    }
    v128.store(out + at, total)
  }
  for (; c < channels; c++) {
    const at = (c as usize) << 2
    const middle = load<f32>(mean + at)
    const factor = load<f32>(inverse + at)
    let total: f32 = 0
    let from = at
    for (let p = 0; p < positions; p++) {
      total += load<f32>(dy + from) * ((load<f32>(x + from) - middle) * factor)
      from += pixel
    }
    store<f32>(out + at, total)
  }
}

/**
 * dx = (dy gamma - A - hat B) / deviation, A and B the means over the group of dy gamma and of dy gamma hat. Writes the
 * gradients of gamma and beta of each row, side by side, to `rowGradients`; dx = 0 leaves dx out. scratch: 2 channels.
 */
export function groupNormBackward(
  rows: i32,
  positions: i32,
  channels: i32,
  groups: i32,
  x: usize,
  statistics: usize,
  gamma: usize,
  inverseCount: f32,
  dy: usize,
  rowGradients: usize,
  dx: usize,
  scratch: usize,
): void {
  const pixel = (channels as usize) << 2
  const plane = pixel * positions
  const second = scratch + pixel
  for (let r = 0; r < rows; r++) {
    const mean = statistics
    const inverse = statistics + pixel
    slopes(positions, channels, x, mean, inverse, dy, rowGradients)
    if (dx !== 0) {
      for (let at: usize = 0; at < pixel; at += 4) {
        store<f32>(scratch + at, load<f32>(gamma + at) * load<f32>(rowGradients + pixel + at))
        store<f32>(second + at, load<f32>(gamma + at) * load<f32>(rowGradients + at))
      }
      overGroups(channels, groups, inverseCount, scratch)
      overGroups(channels, groups, inverseCount, second)
      for (let from: usize = 0; from < plane; from += pixel) {
        let at: usize = 0
        for (; at + 16 <= pixel; at += 16) {
          const factor = v128.load(inverse + at)
          const hat = f32x4.mul(f32x4.sub(v128.load(x + from + at), v128.load(mean + at)), factor)
          const own = f32x4.sub(
            f32x4.mul(v128.load(dy + from + at), v128.load(gamma + at)),
            v128.load(scratch + at),
          )
          v128.store(
            dx + from + at,
            f32x4.mul(f32x4.sub(own, f32x4.mul(hat, v128.load(second + at))), factor),
          )
        }
        for (; at < pixel; at += 4) {
          const factor = load<f32>(inverse + at)
          const hat = (load<f32>(x + from + at) - load<f32>(mean + at)) * factor
          const own = load<f32>(dy + from + at) * load<f32>(gamma + at) - load<f32>(scratch + at)
          store<f32>(dx + from + at, (own - hat * load<f32>(second + at)) * factor)
        }
      }
      dx += plane
    }
    x += plane
    dy += plane
    statistics += pixel << 1
    rowGradients += pixel << 1
  }
}
