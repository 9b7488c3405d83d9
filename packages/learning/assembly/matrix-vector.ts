import { sumLanes } from "./vectors"

/**
 * out[i] = (sum over k of a[i, k] x[k]) + start, start the one number at `start`, or zero. Four running sums, of every
 * fourth k, are added as (0 + 2) + (1 + 3); the last one to three products follow one by one.
 */
export function matrixVector(
  m: i32,
  k: i32,
  a: usize,
  aRow: usize,
  x: usize,
  out: usize,
  start: usize,
): void {
  aRow <<= 2
  const first: f32 = start === 0 ? 0 : load<f32>(start)
  const whole = ((k & ~3) as usize) << 2
  const all = (k as usize) << 2
  let i = 0
  for (; i + 4 <= m; i += 4) {
    const a1 = a + aRow
    const a2 = a1 + aRow
    const a3 = a2 + aRow
    let s0 = f32x4.splat(0)
    let s1 = f32x4.splat(0)
    let s2 = f32x4.splat(0)
    let s3 = f32x4.splat(0)
    for (let at: usize = 0; at < whole; at += 16) {
      const w = v128.load(x + at)
      s0 = f32x4.add(s0, f32x4.mul(v128.load(a + at), w))
      s1 = f32x4.add(s1, f32x4.mul(v128.load(a1 + at), w))
      s2 = f32x4.add(s2, f32x4.mul(v128.load(a2 + at), w))
      s3 = f32x4.add(s3, f32x4.mul(v128.load(a3 + at), w))
    }
    let t0 = sumLanes(s0)
    let t1 = sumLanes(s1)
    let t2 = sumLanes(s2)
    let t3 = sumLanes(s3)
    for (let at = whole; at < all; at += 4) {
      const w = load<f32>(x + at)
      t0 += load<f32>(a + at) * w
      t1 += load<f32>(a1 + at) * w
      t2 += load<f32>(a2 + at) * w
      t3 += load<f32>(a3 + at) * w
    }
    store<f32>(out, t0 + first)
    store<f32>(out, t1 + first, 4)
    store<f32>(out, t2 + first, 8)
    store<f32>(out, t3 + first, 12)
    out += 16
    a = a3 + aRow
  }
  for (; i < m; i++) {
    let s = f32x4.splat(0)
    for (let at: usize = 0; at < whole; at += 16)
      s = f32x4.add(s, f32x4.mul(v128.load(a + at), v128.load(x + at)))
    let t = sumLanes(s)
    for (let at = whole; at < all; at += 4) t += load<f32>(a + at) * load<f32>(x + at)
    store<f32>(out, t + first)
    out += 4
    a += aRow
  }
}

/** out[j] = x[0] a[0, j] + x[1] a[1, j] + ..., added in this order. */
export function vectorMatrix(m: i32, n: i32, x: usize, a: usize, aRow: usize, out: usize): void {
  aRow <<= 2
  let j = 0
  for (; j + 32 <= n; j += 32) {
    let s0 = f32x4.splat(0)
    let s1 = f32x4.splat(0)
    let s2 = f32x4.splat(0)
    let s3 = f32x4.splat(0)
    let s4 = f32x4.splat(0)
    let s5 = f32x4.splat(0)
    let s6 = f32x4.splat(0)
    let s7 = f32x4.splat(0)
    let from = a
    let factor = x
    for (let i = 0; i < m; i++) {
      const f = v128.load_splat<f32>(factor)
      s0 = f32x4.add(s0, f32x4.mul(f, v128.load(from)))
      s1 = f32x4.add(s1, f32x4.mul(f, v128.load(from, 16)))
      s2 = f32x4.add(s2, f32x4.mul(f, v128.load(from, 32)))
      s3 = f32x4.add(s3, f32x4.mul(f, v128.load(from, 48)))
      s4 = f32x4.add(s4, f32x4.mul(f, v128.load(from, 64)))
      s5 = f32x4.add(s5, f32x4.mul(f, v128.load(from, 80)))
      s6 = f32x4.add(s6, f32x4.mul(f, v128.load(from, 96)))
      s7 = f32x4.add(s7, f32x4.mul(f, v128.load(from, 112)))
      from += aRow
      factor += 4
    }
    v128.store(out, s0)
    v128.store(out, s1, 16)
    v128.store(out, s2, 32)
    v128.store(out, s3, 48)
    v128.store(out, s4, 64)
    v128.store(out, s5, 80)
    v128.store(out, s6, 96)
    v128.store(out, s7, 112)
    out += 128
    a += 128
  }
  for (; j + 4 <= n; j += 4) {
    let s = f32x4.splat(0)
    let from = a
    for (let i = 0; i < m; i++) {
      s = f32x4.add(s, f32x4.mul(v128.load_splat<f32>(x + ((i as usize) << 2)), v128.load(from)))
      from += aRow
    }
    v128.store(out, s)
    out += 16
    a += 16
  }
  for (; j < n; j++) {
    let s: f32 = 0
    let from = a
    for (let i = 0; i < m; i++) {
      s += load<f32>(x + ((i as usize) << 2)) * load<f32>(from)
      from += aRow
    }
    store<f32>(out, s)
    out += 4
    a += 4
  }
}

/** out[j] = a[0, j] + a[1, j] + ..., added in this order from zero. */
export function columnSums(m: i32, n: i32, a: usize, aRow: usize, out: usize): void {
  aRow <<= 2
  let j = 0
  for (; j + 16 <= n; j += 16) {
    let s0 = f32x4.splat(0)
    let s1 = f32x4.splat(0)
    let s2 = f32x4.splat(0)
    let s3 = f32x4.splat(0)
    let from = a
    for (let i = 0; i < m; i++) {
      s0 = f32x4.add(s0, v128.load(from))
      s1 = f32x4.add(s1, v128.load(from, 16))
      s2 = f32x4.add(s2, v128.load(from, 32))
      s3 = f32x4.add(s3, v128.load(from, 48))
      from += aRow
    }
    v128.store(out, s0)
    v128.store(out, s1, 16)
    v128.store(out, s2, 32)
    v128.store(out, s3, 48)
    out += 64
    a += 64
  }
  for (; j + 4 <= n; j += 4) {
    let s = f32x4.splat(0)
    let from = a
    for (let i = 0; i < m; i++) {
      s = f32x4.add(s, v128.load(from))
      from += aRow
    }
    v128.store(out, s)
    out += 16
    a += 16
  }
  for (; j < n; j++) {
    let s: f32 = 0
    let from = a
    for (let i = 0; i < m; i++) {
      s += load<f32>(from)
      from += aRow
    }
    store<f32>(out, s)
    out += 4
    a += 4
  }
}

/** out[i] = sum over k of a[i, k]^2, in the order of `matrixVector`. */
export function rowSquaredNorms(m: i32, k: i32, a: usize, aRow: usize, out: usize): void {
  aRow <<= 2
  const whole = ((k & ~3) as usize) << 2
  const all = (k as usize) << 2
  for (let i = 0; i < m; i++) {
    let s = f32x4.splat(0)
    for (let at: usize = 0; at < whole; at += 16) {
      const v = v128.load(a + at)
      s = f32x4.add(s, f32x4.mul(v, v))
    }
    let t = sumLanes(s)
    for (let at = whole; at < all; at += 4) {
      const v = load<f32>(a + at)
      t += v * v
    }
    store<f32>(out, t)
    out += 4
    a += aRow
  }
}

/** a[i, j] = a[i, j] factors[i], in place. */
export function scaleRows(m: i32, n: i32, a: usize, aRow: usize, factors: usize): void {
  aRow <<= 2
  const whole = ((n & ~3) as usize) << 2
  const all = (n as usize) << 2
  for (let i = 0; i < m; i++) {
    const f = load<f32>(factors)
    const four = f32x4.splat(f)
    for (let at: usize = 0; at < whole; at += 16) v128.store(a + at, f32x4.mul(v128.load(a + at), four))
    for (let at = whole; at < all; at += 4) store<f32>(a + at, load<f32>(a + at) * f)
    factors += 4
    a += aRow
  }
}

/** Copies the rows that `indices` (32-bit) names, one under the other. */
export function gatherRows(m: i32, n: i32, from: usize, indices: usize, to: usize): void {
  if (n === 1) {
    for (let at: usize = 0; at < (m as usize) << 2; at += 4)
      store<f32>(to + at, load<f32>(from + ((load<u32>(indices + at) as usize) << 2)))
    return
  }
  const bytes = (n as usize) << 2
  const whole = ((n & ~3) as usize) << 2
  for (let i = 0; i < m; i++) {
    const row = from + (load<u32>(indices) as usize) * bytes
    for (let at: usize = 0; at < whole; at += 16) v128.store(to + at, v128.load(row + at))
    for (let at = whole; at < bytes; at += 4) store<f32>(to + at, load<f32>(row + at))
    indices += 4
    to += bytes
  }
}
