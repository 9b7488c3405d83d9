/**
 * The negacyclic number-theoretic transform and its inverse, in place: residues in natural order to values in
 * bit-reversed order and back. Butterflies keep values lazy (forward below 4 q, inverse below 2 q) after Harvey,
 * "Faster arithmetic for number-theoretic transforms" (2014). Two layers share one pass over memory.
 */
import {
  constantProduct,
  FORWARD,
  FORWARD_QUOTIENTS,
  INVERSE,
  INVERSE_QUOTIENTS,
  LAST,
  LAST_TWIDDLE,
  lower,
  Q,
} from "./modular"

/** One layer of N / 2 butterflies at distance N / 2; taken first where the number of layers is odd. */
function forwardSingle(data: usize, bytes: usize, w: v128, wq: v128, q: v128, twice: v128): void {
  const half = bytes >> 1
  for (let at: usize = data; at < data + half; at += 16) {
    const x = lower(v128.load(at), twice)
    const y = constantProduct(v128.load(at + half), w, wq, q)
    v128.store(at, i32x4.add(x, y))
    v128.store(at + half, i32x4.add(i32x4.sub(x, y), twice))
  }
}

/** The layers with `groups` and 2 `groups` twiddles. */
function forwardPair(
  data: usize,
  bytes: usize,
  groups: usize,
  roots: usize,
  quotients: usize,
  q: v128,
): void {
  const twice = i32x4.shl(q, 1)
  const quarter = bytes / groups / 4
  for (let group: usize = 0; group < groups; group++) {
    const one = (groups + group) << 2
    const two = one << 1
    const w1 = v128.load32_splat(roots + one)
    const w1q = v128.load32_splat(quotients + one)
    const w2 = v128.load32_splat(roots + two)
    const w2q = v128.load32_splat(quotients + two)
    const w3 = v128.load32_splat(roots + two, 4)
    const w3q = v128.load32_splat(quotients + two, 4)
    const start = data + group * 4 * quarter
    for (let at = start; at < start + quarter; at += 16) {
      const b = at + quarter
      const c = b + quarter
      const d = c + quarter
      const y2 = constantProduct(v128.load(c), w1, w1q, q)
      const y3 = constantProduct(v128.load(d), w1, w1q, q)
      const x0 = lower(v128.load(at), twice)
      const x1 = lower(v128.load(b), twice)
      const z1 = constantProduct(i32x4.add(x1, y3), w2, w2q, q)
      const z3 = constantProduct(i32x4.add(i32x4.sub(x1, y3), twice), w3, w3q, q)
      const z0 = lower(i32x4.add(x0, y2), twice)
      const z2 = lower(i32x4.add(i32x4.sub(x0, y2), twice), twice)
      v128.store(at, i32x4.add(z0, z1))
      v128.store(b, i32x4.add(i32x4.sub(z0, z1), twice))
      v128.store(c, i32x4.add(z2, z3))
      v128.store(d, i32x4.add(i32x4.sub(z2, z3), twice))
    }
  }
}

/** The layers of distance 2 and 1, and the reduction below q. */
function forwardEnd(data: usize, bytes: usize, roots: usize, quotients: usize, q: v128): void {
  const twice = i32x4.shl(q, 1)
  let wide = bytes >> 2
  let narrow = bytes >> 1
  for (let at = data; at < data + bytes; at += 32) {
    const first = v128.load(at)
    const second = v128.load(at, 16)
    let x = lower(i32x4.shuffle(first, second, 0, 1, 4, 5), twice)
    let w = v128.load64_splat(roots + wide)
    let wq = v128.load64_splat(quotients + wide)
    w = i32x4.shuffle(w, w, 0, 0, 1, 1)
    wq = i32x4.shuffle(wq, wq, 0, 0, 1, 1)
    let y = constantProduct(i32x4.shuffle(first, second, 2, 3, 6, 7), w, wq, q)
    const sum = i32x4.add(x, y)
    const difference = i32x4.add(i32x4.sub(x, y), twice)
    x = lower(i32x4.shuffle(sum, difference, 0, 4, 2, 6), twice)
    y = i32x4.shuffle(sum, difference, 1, 5, 3, 7)
    y = constantProduct(y, v128.load(roots + narrow), v128.load(quotients + narrow), q)
    const p = lower(lower(i32x4.add(x, y), twice), q)
    const r = lower(lower(i32x4.add(i32x4.sub(x, y), twice), twice), q)
    v128.store(at, i32x4.shuffle(p, r, 0, 4, 1, 5))
    v128.store(at, i32x4.shuffle(p, r, 2, 6, 3, 7), 16)
    wide += 8
    narrow += 16
  }
}

export function forward(data: usize, degree: usize, modulus: usize): void {
  const bytes = degree << 2
  const roots = load<u32>(modulus + FORWARD) as usize
  const quotients = load<u32>(modulus + FORWARD_QUOTIENTS) as usize
  const q = v128.load32_splat(modulus + Q)
  let groups: usize = 1
  if (ctz(degree) & 1) {
    const w = v128.load32_splat(roots + 4)
    forwardSingle(data, bytes, w, v128.load32_splat(quotients + 4), q, i32x4.shl(q, 1))
    groups = 2
  }
  for (; groups < degree >> 2; groups <<= 2) forwardPair(data, bytes, groups, roots, quotients, q)
  forwardEnd(data, bytes, roots, quotients, q)
}

/** The layers of distance 1 and 2, from residues below q. */
function inverseStart(data: usize, bytes: usize, roots: usize, quotients: usize, q: v128): void {
  const twice = i32x4.shl(q, 1)
  let wide = bytes >> 2
  let narrow = bytes >> 1
  for (let at = data; at < data + bytes; at += 32) {
    const first = v128.load(at)
    const second = v128.load(at, 16)
    let x = i32x4.shuffle(first, second, 0, 2, 4, 6)
    let y = i32x4.shuffle(first, second, 1, 3, 5, 7)
    const sum = lower(i32x4.add(x, y), twice)
    let difference = i32x4.add(i32x4.sub(x, y), twice)
    difference = constantProduct(difference, v128.load(roots + narrow), v128.load(quotients + narrow), q)
    x = i32x4.shuffle(sum, difference, 0, 4, 2, 6)
    y = i32x4.shuffle(sum, difference, 1, 5, 3, 7)
    let w = v128.load64_splat(roots + wide)
    let wq = v128.load64_splat(quotients + wide)
    w = i32x4.shuffle(w, w, 0, 0, 1, 1)
    wq = i32x4.shuffle(wq, wq, 0, 0, 1, 1)
    const p = lower(i32x4.add(x, y), twice)
    const r = constantProduct(i32x4.add(i32x4.sub(x, y), twice), w, wq, q)
    v128.store(at, i32x4.shuffle(p, r, 0, 1, 4, 5))
    v128.store(at, i32x4.shuffle(p, r, 2, 3, 6, 7), 16)
    wide += 8
    narrow += 16
  }
}

/** The layers with 2 `groups` and `groups` twiddles. */
function inversePair(
  data: usize,
  bytes: usize,
  groups: usize,
  roots: usize,
  quotients: usize,
  q: v128,
): void {
  const twice = i32x4.shl(q, 1)
  const quarter = bytes / groups / 4
  for (let group: usize = 0; group < groups; group++) {
    const one = (groups + group) << 2
    const two = one << 1
    const w1 = v128.load32_splat(roots + one)
    const w1q = v128.load32_splat(quotients + one)
    const w2 = v128.load32_splat(roots + two)
    const w2q = v128.load32_splat(quotients + two)
    const w3 = v128.load32_splat(roots + two, 4)
    const w3q = v128.load32_splat(quotients + two, 4)
    const start = data + group * 4 * quarter
    for (let at = start; at < start + quarter; at += 16) {
      const b = at + quarter
      const c = b + quarter
      const d = c + quarter
      const x0 = v128.load(at)
      const x1 = v128.load(b)
      const x2 = v128.load(c)
      const x3 = v128.load(d)
      const y0 = lower(i32x4.add(x0, x1), twice)
      const y1 = constantProduct(i32x4.add(i32x4.sub(x0, x1), twice), w2, w2q, q)
      const y2 = lower(i32x4.add(x2, x3), twice)
      const y3 = constantProduct(i32x4.add(i32x4.sub(x2, x3), twice), w3, w3q, q)
      v128.store(at, lower(i32x4.add(y0, y2), twice))
      v128.store(b, lower(i32x4.add(y1, y3), twice))
      v128.store(c, constantProduct(i32x4.add(i32x4.sub(y0, y2), twice), w1, w1q, q))
      v128.store(d, constantProduct(i32x4.add(i32x4.sub(y1, y3), twice), w1, w1q, q))
    }
  }
}

/** The last layer, the division by N, and the reduction below q. */
function inverseEnd(data: usize, bytes: usize, modulus: usize, q: v128): void {
  const twice = i32x4.shl(q, 1)
  const half = bytes >> 1
  const w0 = v128.load32_splat(modulus + LAST)
  const w0q = v128.load32_splat(modulus + LAST, 4)
  const w1 = v128.load32_splat(modulus + LAST_TWIDDLE)
  const w1q = v128.load32_splat(modulus + LAST_TWIDDLE, 4)
  for (let at = data; at < data + half; at += 16) {
    const x = v128.load(at)
    const y = v128.load(at + half)
    v128.store(at, lower(constantProduct(i32x4.add(x, y), w0, w0q, q), q))
    const difference = i32x4.add(i32x4.sub(x, y), twice)
    v128.store(at + half, lower(constantProduct(difference, w1, w1q, q), q))
  }
}

/** `inverseEnd` with the layer before it, which has two twiddles. */
function inverseEndPair(data: usize, bytes: usize, modulus: usize, q: v128): void {
  const roots = load<u32>(modulus + INVERSE) as usize
  const quotients = load<u32>(modulus + INVERSE_QUOTIENTS) as usize
  const twice = i32x4.shl(q, 1)
  const quarter = bytes >> 2
  const w0 = v128.load32_splat(modulus + LAST)
  const w0q = v128.load32_splat(modulus + LAST, 4)
  const w1 = v128.load32_splat(modulus + LAST_TWIDDLE)
  const w1q = v128.load32_splat(modulus + LAST_TWIDDLE, 4)
  const w2 = v128.load32_splat(roots, 8)
  const w2q = v128.load32_splat(quotients, 8)
  const w3 = v128.load32_splat(roots, 12)
  const w3q = v128.load32_splat(quotients, 12)
  for (let at = data; at < data + quarter; at += 16) {
    const b = at + quarter
    const c = b + quarter
    const d = c + quarter
    const x0 = v128.load(at)
    const x1 = v128.load(b)
    const x2 = v128.load(c)
    const x3 = v128.load(d)
    // sums stay below 4 q, which `constantProduct` takes
    const y0 = lower(i32x4.add(x0, x1), twice)
    const y1 = constantProduct(i32x4.add(i32x4.sub(x0, x1), twice), w2, w2q, q)
    const y2 = lower(i32x4.add(x2, x3), twice)
    const y3 = constantProduct(i32x4.add(i32x4.sub(x2, x3), twice), w3, w3q, q)
    v128.store(at, lower(constantProduct(i32x4.add(y0, y2), w0, w0q, q), q))
    v128.store(b, lower(constantProduct(i32x4.add(y1, y3), w0, w0q, q), q))
    v128.store(c, lower(constantProduct(i32x4.add(i32x4.sub(y0, y2), twice), w1, w1q, q), q))
    v128.store(d, lower(constantProduct(i32x4.add(i32x4.sub(y1, y3), twice), w1, w1q, q), q))
  }
}

export function inverse(data: usize, degree: usize, modulus: usize): void {
  const bytes = degree << 2
  const roots = load<u32>(modulus + INVERSE) as usize
  const quotients = load<u32>(modulus + INVERSE_QUOTIENTS) as usize
  const q = v128.load32_splat(modulus + Q)
  inverseStart(data, bytes, roots, quotients, q)
  let groups = degree >> 4
  for (; groups > 1; groups >>= 2) inversePair(data, bytes, groups, roots, quotients, q)
  if (groups === 1) inverseEndPair(data, bytes, modulus, q)
  else inverseEnd(data, bytes, modulus, q)
}
