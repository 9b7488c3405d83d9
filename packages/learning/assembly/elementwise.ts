import { exp4, log4, sigmoid4 } from "./elementary"
import { loadPart, storePart } from "./vectors"

/** Entries in whole vectors, in bytes. */
function whole(count: i32): usize {
  return ((count & ~3) as usize) << 2
}

export function exp(count: i32, x: usize, y: usize): void {
  const end = whole(count)
  for (let at: usize = 0; at < end; at += 16) v128.store(y + at, exp4(v128.load(x + at)))
  const rest = count & 3
  if (rest !== 0) storePart(y + end, exp4(loadPart(x + end, rest)), rest)
}

export function log(count: i32, x: usize, y: usize): void {
  const end = whole(count)
  for (let at: usize = 0; at < end; at += 16) v128.store(y + at, log4(v128.load(x + at)))
  const rest = count & 3
  if (rest !== 0) storePart(y + end, log4(loadPart(x + end, rest)), rest)
}

export function sigmoid(count: i32, x: usize, y: usize): void {
  const end = whole(count)
  for (let at: usize = 0; at < end; at += 16) v128.store(y + at, sigmoid4(v128.load(x + at)))
  const rest = count & 3
  if (rest !== 0) storePart(y + end, sigmoid4(loadPart(x + end, rest)), rest)
}

export function relu(count: i32, x: usize, y: usize): void {
  const end = whole(count)
  const zero = f32x4.splat(0)
  for (let at: usize = 0; at < end; at += 16) v128.store(y + at, f32x4.max(v128.load(x + at), zero))
  const rest = count & 3
  if (rest !== 0) storePart(y + end, f32x4.max(loadPart(x + end, rest), zero), rest)
}

/** dx = dy where y > 0, else 0. */
export function reluBackward(count: i32, y: usize, dy: usize, dx: usize): void {
  const end = whole(count)
  const zero = f32x4.splat(0)
  for (let at: usize = 0; at < end; at += 16)
    v128.store(dx + at, v128.and(v128.load(dy + at), f32x4.gt(v128.load(y + at), zero)))
  const rest = count & 3
  if (rest !== 0)
    storePart(dx + end, v128.and(loadPart(dy + end, rest), f32x4.gt(loadPart(y + end, rest), zero)), rest)
}

function polynomial4(x: v128, coefficients: usize, degree: i32): v128 {
  let y = v128.load_splat<f32>(coefficients + ((degree as usize) << 2))
  for (let i = degree - 1; i >= 0; i--)
    y = f32x4.add(v128.load_splat<f32>(coefficients + ((i as usize) << 2)), f32x4.mul(x, y))
  return y
}

/** y = c[0] + x (c[1] + x (c[2] + ...)). */
export function polynomial(count: i32, x: usize, coefficients: usize, degree: i32, y: usize): void {
  const end = whole(count)
  for (let at: usize = 0; at < end; at += 16)
    v128.store(y + at, polynomial4(v128.load(x + at), coefficients, degree))
  const rest = count & 3
  if (rest !== 0) storePart(y + end, polynomial4(loadPart(x + end, rest), coefficients, degree), rest)
}

/** out = x y; the three may be one array. */
export function multiply(count: i32, x: usize, y: usize, out: usize): void {
  const end = whole(count)
  for (let at: usize = 0; at < end; at += 16)
    v128.store(out + at, f32x4.mul(v128.load(x + at), v128.load(y + at)))
  for (let at = end; at < (count as usize) << 2; at += 4)
    store<f32>(out + at, load<f32>(x + at) * load<f32>(y + at))
}

/** out = x + y; the three may be one array. */
export function add(count: i32, x: usize, y: usize, out: usize): void {
  const end = whole(count)
  for (let at: usize = 0; at < end; at += 16)
    v128.store(out + at, f32x4.add(v128.load(x + at), v128.load(y + at)))
  for (let at = end; at < (count as usize) << 2; at += 4)
    store<f32>(out + at, load<f32>(x + at) + load<f32>(y + at))
}

/** out = factor x; the two may be one array. */
export function scale(count: i32, factor: f32, x: usize, out: usize): void {
  const end = whole(count)
  const four = f32x4.splat(factor)
  for (let at: usize = 0; at < end; at += 16) v128.store(out + at, f32x4.mul(four, v128.load(x + at)))
  for (let at = end; at < (count as usize) << 2; at += 4) store<f32>(out + at, factor * load<f32>(x + at))
}

export function fill(count: i32, value: f32, out: usize): void {
  const end = whole(count)
  const four = f32x4.splat(value)
  for (let at: usize = 0; at < end; at += 16) v128.store(out + at, four)
  for (let at = end; at < (count as usize) << 2; at += 4) store<f32>(out + at, value)
}

export function copy(count: i32, x: usize, out: usize): void {
  memory.copy(out, x, (count as usize) << 2)
}

/** The sum in double precision, one by one. */
export function sum(count: i32, x: usize): f64 {
  let total: f64 = 0
  for (let at: usize = 0; at < (count as usize) << 2; at += 4) total += load<f32>(x + at) as f64
  return total
}

/** 1 if no entry is infinite or NaN, else 0. */
export function finite(count: i32, x: usize): i32 {
  const end = whole(count)
  const zero = f32x4.splat(0)
  let odd = zero
  // x * 0 is a zero for finite x only
  for (let at: usize = 0; at < end; at += 16)
    odd = v128.or(odd, f32x4.ne(f32x4.mul(v128.load(x + at), zero), zero))
  const rest = count & 3
  if (rest !== 0) odd = v128.or(odd, f32x4.ne(f32x4.mul(loadPart(x + end, rest), zero), zero))
  return v128.any_true(odd) ? 0 : 1
}

/** factors = bound / max(sqrt(squares), bound): what brings a row to a norm of at most `bound`. */
export function clipFactors(count: i32, squares: usize, bound: f32, factors: usize): void {
  const end = whole(count)
  const four = f32x4.splat(bound)
  for (let at: usize = 0; at < end; at += 16)
    v128.store(factors + at, f32x4.div(four, f32x4.max(f32x4.sqrt(v128.load(squares + at)), four)))
  const rest = count & 3
  if (rest !== 0)
    storePart(
      factors + end,
      f32x4.div(four, f32x4.max(f32x4.sqrt(loadPart(squares + end, rest)), four)),
      rest,
    )
}

/** out = out + (x y + y). */
export function addOuterNorms(count: i32, x: usize, y: usize, out: usize): void {
  const end = whole(count)
  for (let at: usize = 0; at < end; at += 16) {
    const b = v128.load(y + at)
    const norm = f32x4.add(f32x4.mul(v128.load(x + at), b), b)
    v128.store(out + at, f32x4.add(v128.load(out + at), norm))
  }
  for (let at = end; at < (count as usize) << 2; at += 4) {
    const b = load<f32>(y + at)
    store<f32>(out + at, load<f32>(out + at) + (load<f32>(x + at) * b + b))
  }
}
