/**
 * Products of 16-bit integers, added up in 32 bits. The caller sees to it that no sum overflows; then their order has no
 * meaning.
 */

/** Rows of `depth` entries each, side by side, the rest up to `padded` zero. */
function packRows(
  rows: i32,
  depth: i32,
  padded: i32,
  from: usize,
  row: usize,
  column: usize,
  to: usize,
): void {
  for (let i = 0; i < rows; i++) {
    let at = from
    for (let k = 0; k < padded; k++) {
      store<i16>(to, k < depth ? load<i16>(at) : 0)
      at += column
      to += 2
    }
    from += row
  }
}

function lanes(x: v128): i32 {
  return (
    i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3)
  )
}

/** c[i, j] = sum over k of a[i, k] b[k, j]. Steps are counted in entries; scratch: 2 (m + n) (k rounded up to 8) bytes. */
export function integerGemm(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: usize,
  aColumn: usize,
  b: usize,
  bRow: usize,
  bColumn: usize,
  c: usize,
  cRow: usize,
  scratch: usize,
): void {
  const padded = (k + 7) & ~7
  const bytes = (padded as usize) << 1
  const right = scratch + bytes * m
  packRows(m, k, padded, a, aRow << 1, aColumn << 1, scratch)
  packRows(n, k, padded, b, bColumn << 1, bRow << 1, right)
  cRow <<= 2
  for (let i = 0; i < m; i++) {
    const left = scratch + bytes * i
    const quad = i + 4 <= m
    for (let j = 0; j < n; j++) {
      const x = right + bytes * j
      const to = c + cRow * i + ((j as usize) << 2)
      if (quad && j + 2 <= n) {
        const l1 = left + bytes
        const l2 = l1 + bytes
        const l3 = l2 + bytes
        const y = x + bytes
        let s00 = i32x4.splat(0)
        let s01 = i32x4.splat(0)
        let s10 = i32x4.splat(0)
        let s11 = i32x4.splat(0)
        let s20 = i32x4.splat(0)
        let s21 = i32x4.splat(0)
        let s30 = i32x4.splat(0)
        let s31 = i32x4.splat(0)
        for (let at: usize = 0; at < bytes; at += 16) {
          const v = v128.load(x + at)
          const w = v128.load(y + at)
          const p = v128.load(left + at)
          s00 = i32x4.add(s00, i32x4.dot_i16x8_s(p, v))
          s01 = i32x4.add(s01, i32x4.dot_i16x8_s(p, w))
          const q = v128.load(l1 + at)
          s10 = i32x4.add(s10, i32x4.dot_i16x8_s(q, v))
          s11 = i32x4.add(s11, i32x4.dot_i16x8_s(q, w))
          const r = v128.load(l2 + at)
          s20 = i32x4.add(s20, i32x4.dot_i16x8_s(r, v))
          s21 = i32x4.add(s21, i32x4.dot_i16x8_s(r, w))
          const s = v128.load(l3 + at)
          s30 = i32x4.add(s30, i32x4.dot_i16x8_s(s, v))
          s31 = i32x4.add(s31, i32x4.dot_i16x8_s(s, w))
        }
        store<i32>(to, lanes(s00))
        store<i32>(to, lanes(s01), 4)
        store<i32>(to + cRow, lanes(s10))
        store<i32>(to + cRow, lanes(s11), 4)
        store<i32>(to + cRow * 2, lanes(s20))
        store<i32>(to + cRow * 2, lanes(s21), 4)
        store<i32>(to + cRow * 3, lanes(s30))
        store<i32>(to + cRow * 3, lanes(s31), 4)
        j++
      } else {
        const rows = quad ? 4 : 1
        for (let r = 0; r < rows; r++) {
          let s = i32x4.splat(0)
          for (let at: usize = 0; at < bytes; at += 16)
            s = i32x4.add(s, i32x4.dot_i16x8_s(v128.load(left + bytes * r + at), v128.load(x + at)))
          store<i32>(to + cRow * r, lanes(s))
        }
      }
    }
    if (quad) i += 3
  }
}
