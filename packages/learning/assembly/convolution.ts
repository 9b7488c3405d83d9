/** Image positions as rows of a matrix, and back; images are stored row by row, the channels of a pixel together. */

function copyRun(count: i32, from: usize, to: usize): void {
  const end = (count as usize) << 2
  let at: usize = 0
  for (; at + 16 <= end; at += 16) v128.store(to + at, v128.load(from + at))
  for (; at < end; at += 4) store<f32>(to + at, load<f32>(from + at))
}
/** Copies whole vectors: for a count of 4 n + 3 one entry more than asked for. */
function copyOver(count: i32, from: usize, to: usize): void {
  const end = (count as usize) << 2
  for (let at: usize = 0; at < end; at += 16) v128.store(to + at, v128.load(from + at))
}
function addRun(count: i32, from: usize, to: usize): void {
  const end = (count as usize) << 2
  let at: usize = 0
  for (; at + 16 <= end; at += 16) v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)))
  for (; at < end; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at))
}
function zeroRun(count: i32, to: usize): void {
  const end = (count as usize) << 2
  let at: usize = 0
  for (; at + 16 <= end; at += 16) v128.store(to + at, f32x4.splat(0))
  for (; at < end; at += 4) store<f32>(to + at, 0)
}

/** One image to a matrix with a row for each output position and the window's entries in it; outside is zero. */
export function imageToColumns(
  height: i32,
  width: i32,
  channels: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  top: i32,
  left: i32,
  outHeight: i32,
  outWidth: i32,
  image: usize,
  columns: usize,
): void {
  const run = kernelWidth * channels
  const inside =
    top === 0 &&
    left === 0 &&
    strideY * (outHeight - 1) + kernelHeight <= height &&
    strideX * (outWidth - 1) + kernelWidth <= width
  // one entry too many is read within the image and overwritten by the next run, but for the last position
  const whole = (run & 3) === 0 || (run & 3) === 3
  if (inside && whole) {
    const line = ((width * channels) as usize) << 2
    const step = ((strideX * channels) as usize) << 2
    const bytes = (run as usize) << 2
    for (let oy = 0; oy < outHeight; oy++) {
      let corner = image + line * (oy * strideY)
      for (let ox = 0; ox < outWidth; ox++) {
        const exact = oy === outHeight - 1 && ox === outWidth - 1
        for (let ky = 0; ky < kernelHeight; ky++) {
          const from = corner + line * ky
          if (exact) copyRun(run, from, columns)
          else if (run <= 4) v128.store(columns, v128.load(from))
          else copyOver(run, from, columns)
          columns += bytes
        }
        corner += step
      }
    }
    return
  }
  for (let oy = 0; oy < outHeight; oy++)
    for (let ox = 0; ox < outWidth; ox++) {
      const x = ox * strideX - left
      const first = x < 0 ? (-x < kernelWidth ? -x : kernelWidth) : 0
      let last = width - x < kernelWidth ? width - x : kernelWidth
      if (last < first) last = first
      for (let ky = 0; ky < kernelHeight; ky++) {
        const y = oy * strideY - top + ky
        if (y < 0 || y >= height) zeroRun(run, columns)
        else {
          if (first > 0) zeroRun(first * channels, columns)
          const from = image + ((((y * width + x + first) * channels) as usize) << 2)
          copyRun((last - first) * channels, from, columns + (((first * channels) as usize) << 2))
          if (last < kernelWidth)
            zeroRun((kernelWidth - last) * channels, columns + (((last * channels) as usize) << 2))
        }
        columns += (run as usize) << 2
      }
    }
}

/** The transpose of `imageToColumns`: every entry is added to the pixel it came from, position by position. */
export function columnsToImage(
  height: i32,
  width: i32,
  channels: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  top: i32,
  left: i32,
  outHeight: i32,
  outWidth: i32,
  columns: usize,
  image: usize,
): void {
  zeroRun(height * width * channels, image)
  const run = kernelWidth * channels
  for (let oy = 0; oy < outHeight; oy++)
    for (let ox = 0; ox < outWidth; ox++) {
      const x = ox * strideX - left
      const first = x < 0 ? (-x < kernelWidth ? -x : kernelWidth) : 0
      let last = width - x < kernelWidth ? width - x : kernelWidth
      if (last < first) last = first
      for (let ky = 0; ky < kernelHeight; ky++) {
        const y = oy * strideY - top + ky
        if (y >= 0 && y < height) {
          const to = image + ((((y * width + x + first) * channels) as usize) << 2)
          addRun((last - first) * channels, columns + (((first * channels) as usize) << 2), to)
        }
        columns += (run as usize) << 2
      }
    }
}
