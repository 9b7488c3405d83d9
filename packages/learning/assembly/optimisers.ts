import { loadPart, storePart } from "./vectors"

/** w = w - rate g. */
export function sgdStep(count: i32, w: usize, g: usize, rate: f32): void {
  const end = ((count & ~3) as usize) << 2
  const four = f32x4.splat(rate)
  for (let at: usize = 0; at < end; at += 16)
    v128.store(w + at, f32x4.sub(v128.load(w + at), f32x4.mul(four, v128.load(g + at))))
  for (let at = end; at < (count as usize) << 2; at += 4)
    store<f32>(w + at, load<f32>(w + at) - rate * load<f32>(g + at))
}

/** v = decay v + g; w = w - rate v. */
export function momentumStep(count: i32, w: usize, g: usize, v: usize, rate: f32, decay: f32): void {
  const end = ((count & ~3) as usize) << 2
  const four = f32x4.splat(rate)
  const keep = f32x4.splat(decay)
  for (let at: usize = 0; at < end; at += 16) {
    const speed = f32x4.add(f32x4.mul(keep, v128.load(v + at)), v128.load(g + at))
    v128.store(v + at, speed)
    v128.store(w + at, f32x4.sub(v128.load(w + at), f32x4.mul(four, speed)))
  }
  for (let at = end; at < (count as usize) << 2; at += 4) {
    const speed = decay * load<f32>(v + at) + load<f32>(g + at)
    store<f32>(v + at, speed)
    store<f32>(w + at, load<f32>(w + at) - rate * speed)
  }
}

function loadFour(from: usize, part: i32): v128 {
  return part === 4 ? v128.load(from) : loadPart(from, part)
}
function storeFour(to: usize, x: v128, part: i32): void {
  if (part === 4) v128.store(to, x)
  else storePart(to, x, part)
}

/**
 * m = decay1 m + fresh1 g; v = decay2 v + fresh2 g^2;
 * w = (w - shrink w) - size m / (sqrt(v) / root + epsilon).
 */
export function adamStep(
  count: i32,
  w: usize,
  g: usize,
  m: usize,
  v: usize,
  size: f32,
  root: f32,
  epsilon: f32,
  decay1: f32,
  fresh1: f32,
  decay2: f32,
  fresh2: f32,
  shrink: f32,
): void {
  for (let i = 0; i < count; i += 4) {
    const part = count - i < 4 ? count - i : 4
    const at = (i as usize) << 2
    const slope = loadFour(g + at, part)
    const first = f32x4.add(
      f32x4.mul(f32x4.splat(decay1), loadFour(m + at, part)),
      f32x4.mul(f32x4.splat(fresh1), slope),
    )
    const second = f32x4.add(
      f32x4.mul(f32x4.splat(decay2), loadFour(v + at, part)),
      f32x4.mul(f32x4.splat(fresh2), f32x4.mul(slope, slope)),
    )
    storeFour(m + at, first, part)
    storeFour(v + at, second, part)
    const old = loadFour(w + at, part)
    const kept = f32x4.sub(old, f32x4.mul(f32x4.splat(shrink), old))
    const spread = f32x4.add(f32x4.div(f32x4.sqrt(second), f32x4.splat(root)), f32x4.splat(epsilon))
    const move = f32x4.div(f32x4.mul(f32x4.splat(size), first), spread)
    storeFour(w + at, f32x4.sub(kept, move), part)
  }
}
