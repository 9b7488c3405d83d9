/**
 * Matrix products in 32-bit floats. Every entry of the result is one running sum, taken in the order of k from where it
 * starts, whatever the tiles: tiles and panels change the speed and never the bits.
 */

/** Terms of one panel: with 8 columns it fills 8 KB, a quarter of a usual first-level cache. */
const DEPTH: i32 = 256
const PANEL_BYTES: usize = 8192
const TILE_ROW: usize = 32

/** Copies `width` columns of `depth` rows side by side, eight to a row; the rest of each row is zero. */
function pack(depth: i32, width: i32, b: usize, row: usize, column: usize, panel: usize): void {
  if (width === 8 && column === 4) {
    for (let k = 0; k < depth; k++) {
      v128.store(panel, v128.load(b))
      v128.store(panel, v128.load(b, 16), 16)
      b += row
      panel += TILE_ROW
    }
    return
  }
  for (let k = 0; k < depth; k++) {
    v128.store(panel, f32x4.splat(0))
    v128.store(panel, f32x4.splat(0), 16)
    let from = b
    for (let j = 0; j < width; j++) {
      store<f32>(panel + ((j as usize) << 2), load<f32>(from))
      from += column
    }
    b += row
    panel += TILE_ROW
  }
}

/** Four rows by eight columns: eight accumulators stay in registers. */
function fourRows(
  depth: i32,
  a: usize,
  row: usize,
  column: usize,
  panel: usize,
  c: usize,
  cRow: usize,
  s: usize,
  sRow: usize,
): void {
  let c00 = f32x4.splat(0)
  let c01 = f32x4.splat(0)
  let c10 = f32x4.splat(0)
  let c11 = f32x4.splat(0)
  let c20 = f32x4.splat(0)
  let c21 = f32x4.splat(0)
  let c30 = f32x4.splat(0)
  let c31 = f32x4.splat(0)
  if (s !== 0) {
    c00 = v128.load(s)
    c01 = v128.load(s, 16)
    s += sRow
    c10 = v128.load(s)
    c11 = v128.load(s, 16)
    s += sRow
    c20 = v128.load(s)
    c21 = v128.load(s, 16)
    s += sRow
    c30 = v128.load(s)
    c31 = v128.load(s, 16)
  }
  let a0 = a
  let a1 = a0 + row
  let a2 = a1 + row
  let a3 = a2 + row
  for (let k = 0; k < depth; k++) {
    const b0 = v128.load(panel)
    const b1 = v128.load(panel, 16)
    const x0 = v128.load_splat<f32>(a0)
    c00 = f32x4.add(c00, f32x4.mul(x0, b0))
    c01 = f32x4.add(c01, f32x4.mul(x0, b1))
    const x1 = v128.load_splat<f32>(a1)
    c10 = f32x4.add(c10, f32x4.mul(x1, b0))
    c11 = f32x4.add(c11, f32x4.mul(x1, b1))
    const x2 = v128.load_splat<f32>(a2)
    c20 = f32x4.add(c20, f32x4.mul(x2, b0))
    c21 = f32x4.add(c21, f32x4.mul(x2, b1))
    const x3 = v128.load_splat<f32>(a3)
    c30 = f32x4.add(c30, f32x4.mul(x3, b0))
    c31 = f32x4.add(c31, f32x4.mul(x3, b1))
    a0 += column
    a1 += column
    a2 += column
    a3 += column
    panel += TILE_ROW
  }
  v128.store(c, c00)
  v128.store(c, c01, 16)
  c += cRow
  v128.store(c, c10)
  v128.store(c, c11, 16)
  c += cRow
  v128.store(c, c20)
  v128.store(c, c21, 16)
  c += cRow
  v128.store(c, c30)
  v128.store(c, c31, 16)
}

function oneRow(depth: i32, a: usize, column: usize, panel: usize, c: usize, s: usize): void {
  let c0 = f32x4.splat(0)
  let c1 = f32x4.splat(0)
  if (s !== 0) {
    c0 = v128.load(s)
    c1 = v128.load(s, 16)
  }
  for (let k = 0; k < depth; k++) {
    const x = v128.load_splat<f32>(a)
    c0 = f32x4.add(c0, f32x4.mul(x, v128.load(panel)))
    c1 = f32x4.add(c1, f32x4.mul(x, v128.load(panel, 16)))
    a += column
    panel += TILE_ROW
  }
  v128.store(c, c0)
  v128.store(c, c1, 16)
}

function copyTile(rows: i32, width: i32, from: usize, fromRow: usize, to: usize, toRow: usize): void {
  for (let i = 0; i < rows; i++) {
    for (let j: usize = 0; j < (width as usize) << 2; j += 4) store<f32>(to + j, load<f32>(from + j))
    from += fromRow
    to += toRow
  }
}

/** One panel of columns against all rows; a narrow panel goes by way of `tile`, which has eight columns. */
function columns(
  m: i32,
  depth: i32,
  width: i32,
  a: usize,
  aRow: usize,
  aColumn: usize,
  panel: usize,
  c: usize,
  cRow: usize,
  s: usize,
  sRow: usize,
  tile: usize,
): void {
  let i = 0
  while (i < m) {
    const rows = m - i >= 4 ? 4 : 1
    if (width === 8) {
      if (rows === 4) fourRows(depth, a, aRow, aColumn, panel, c, cRow, s, sRow)
      else oneRow(depth, a, aColumn, panel, c, s)
    } else {
      if (s !== 0) copyTile(rows, width, s, sRow, tile, TILE_ROW)
      const start = s === 0 ? 0 : tile
      if (rows === 4) fourRows(depth, a, aRow, aColumn, panel, tile, TILE_ROW, start, TILE_ROW)
      else oneRow(depth, a, aColumn, panel, tile, start)
      copyTile(rows, width, tile, TILE_ROW, c, cRow)
    }
    i += rows
    a += aRow * rows
    c += cRow * rows
    if (s !== 0) s += sRow * rows
  }
}

/**
 * c[i, j] = start[i, j] + a[i, 0] b[0, j] + a[i, 1] b[1, j] + ... + a[i, k - 1] b[k - 1, j], added in this order. Steps
 * from row to row and from column to column are counted in entries; start = 0 begins at zero.
 */
export function gemm(
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
  start: usize,
  startRow: usize,
  scratch: usize,
): void {
  aRow <<= 2
  aColumn <<= 2
  bRow <<= 2
  bColumn <<= 2
  cRow <<= 2
  startRow <<= 2
  const tile = scratch + PANEL_BYTES
  for (let j = 0; j < n; j += 8) {
    const width = n - j < 8 ? n - j : 8
    const at = (j as usize) << 2
    let from = start === 0 ? 0 : start + at
    let fromRow = startRow
    let done = 0
    do {
      const depth = k - done < DEPTH ? k - done : DEPTH
      let panel = b + bColumn * j + bRow * done
      // eight columns that already lie side by side need no copy
      if (width !== 8 || bColumn !== 4 || bRow !== TILE_ROW) {
        pack(depth, width, panel, bRow, bColumn, scratch)
        panel = scratch
      }
      columns(m, depth, width, a + aColumn * done, aRow, aColumn, panel, c + at, cRow, from, fromRow, tile)
      from = c + at
      fromRow = cRow
      done += depth
    } while (done < k)
  }
}
