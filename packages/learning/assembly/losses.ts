import { exp4, log4, logistic4, logOnePlus4 } from "./elementary"
import { exp } from "./elementwise"
import { loadPart, storePart } from "./vectors"

function sigmoidLoss4(z: v128, y: v128, e: v128): v128 {
  const zero = f32x4.splat(0)
  return f32x4.add(f32x4.sub(f32x4.max(z, zero), f32x4.mul(z, y)), logOnePlus4(e))
}

/** losses = weight (max(z, 0) - z y + log(1 + e^-|z|)), deltas = weight (sigmoid(z) - y). */
export function sigmoidCrossEntropy(
  count: i32,
  z: usize,
  y: usize,
  weight: f32,
  deltas: usize,
  losses: usize,
): void {
  const w = f32x4.splat(weight)
  const end = ((count & ~3) as usize) << 2
  for (let at: usize = 0; at < end; at += 16) {
    const logit = v128.load(z + at)
    const label = v128.load(y + at)
    const e = exp4(f32x4.neg(f32x4.abs(logit)))
    v128.store(losses + at, f32x4.mul(w, sigmoidLoss4(logit, label, e)))
    v128.store(deltas + at, f32x4.mul(w, f32x4.sub(logistic4(logit, e), label)))
  }
  const rest = count & 3
  if (rest === 0) return
  const logit = loadPart(z + end, rest)
  const label = loadPart(y + end, rest)
  const e = exp4(f32x4.neg(f32x4.abs(logit)))
  storePart(losses + end, f32x4.mul(w, sigmoidLoss4(logit, label, e)), rest)
  storePart(deltas + end, f32x4.mul(w, f32x4.sub(logistic4(logit, e), label)), rest)
}

/** losses = weight (z - y)^2, deltas = (weight + weight) (z - y). */
export function squaredError(
  count: i32,
  z: usize,
  y: usize,
  weight: f32,
  deltas: usize,
  losses: usize,
): void {
  for (let at: usize = 0; at < (count as usize) << 2; at += 4) {
    const d = load<f32>(z + at) - load<f32>(y + at)
    store<f32>(losses + at, weight * (d * d))
    store<f32>(deltas + at, (weight + weight) * d)
  }
}

/** Each row minus its largest entry. */
function shiftRows(rows: i32, columns: i32, z: usize, y: usize): void {
  const bytes = (columns as usize) << 2
  for (let i = 0; i < rows; i++) {
    let top = load<f32>(z)
    for (let at: usize = 4; at < bytes; at += 4) top = max<f32>(top, load<f32>(z + at))
    for (let at: usize = 0; at < bytes; at += 4) store<f32>(y + at, load<f32>(z + at) - top)
    z += bytes
    y += bytes
  }
}

function rowSum(columns: i32, x: usize): f32 {
  let total: f32 = 0
  for (let at: usize = 0; at < (columns as usize) << 2; at += 4) total += load<f32>(x + at)
  return total
}

/** y = e^(z - top) / sum of them, row by row; z and y may be one array. */
export function softmax(rows: i32, columns: i32, z: usize, y: usize): void {
  shiftRows(rows, columns, z, y)
  exp(rows * columns, y, y)
  const bytes = (columns as usize) << 2
  for (let i = 0; i < rows; i++) {
    const total = rowSum(columns, y)
    for (let at: usize = 0; at < bytes; at += 4) store<f32>(y + at, load<f32>(y + at) / total)
    y += bytes
  }
}

/** losses = log(sum of e^(z - top)) - (z[class] - top), deltas = softmax(z) - (1 at the class). */
export function softmaxCrossEntropy(
  rows: i32,
  columns: i32,
  z: usize,
  classes: usize,
  deltas: usize,
  losses: usize,
): void {
  const bytes = (columns as usize) << 2
  shiftRows(rows, columns, z, deltas)
  for (let i = 0; i < rows; i++) {
    const at = (i as usize) << 2
    store<f32>(losses + at, load<f32>(deltas + bytes * i + ((load<f32>(classes + at) as usize) << 2)))
  }
  exp(rows * columns, deltas, deltas)
  let row = deltas
  for (let i = 0; i < rows; i++) {
    const at = (i as usize) << 2
    const total = rowSum(columns, row)
    for (let j: usize = 0; j < bytes; j += 4) store<f32>(row + j, load<f32>(row + j) / total)
    const own = row + ((load<f32>(classes + at) as usize) << 2)
    store<f32>(own, load<f32>(own) - 1)
    const logarithm = f32x4.extract_lane(log4(f32x4.splat(total)), 0)
    store<f32>(losses + at, logarithm - load<f32>(losses + at))
    row += bytes
  }
}
