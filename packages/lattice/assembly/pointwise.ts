/** Arithmetic on whole limbs, place by place. All operands and results are residues below q unless a line says otherwise. */
import {
  BARRETT,
  BITS,
  constantProduct,
  HIGH_QUOTIENT,
  HIGH_WORD,
  lower,
  ONE_QUOTIENT,
  Q,
  SIGN_OFFSET,
} from "./modular"

export function add(into: usize, a: usize, b: usize, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  for (let at: usize = 0; at < count << 2; at += 16)
    v128.store(into + at, lower(i32x4.add(v128.load(a + at), v128.load(b + at)), q))
}

export function subtract(into: usize, a: usize, b: usize, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  for (let at: usize = 0; at < count << 2; at += 16) {
    const difference = i32x4.sub(v128.load(a + at), v128.load(b + at))
    v128.store(into + at, i32x4.min_u(difference, i32x4.add(difference, q)))
  }
}

export function negate(into: usize, a: usize, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  for (let at: usize = 0; at < count << 2; at += 16)
    v128.store(into + at, lower(i32x4.sub(q, v128.load(a + at)), q))
}

/**
 * a b mod q after Barrett: with k bits in q, t = floor(a b / 2^(k-2)) and m = floor(2^(2k+1) / q), the quotient
 * floor(t m / 2^(k+3)) is the true one or one less.
 */
function product(a: v128, b: v128, q: v128, m: v128, down: i32, up: i32): v128 {
  const t = i32x4.shuffle(
    i64x2.shr_u(i64x2.extmul_low_i32x4_u(a, b), down),
    i64x2.shr_u(i64x2.extmul_high_i32x4_u(a, b), down),
    0,
    2,
    4,
    6,
  )
  const quotients = i32x4.shuffle(
    i64x2.shr_u(i64x2.extmul_low_i32x4_u(t, m), up),
    i64x2.shr_u(i64x2.extmul_high_i32x4_u(t, m), up),
    0,
    2,
    4,
    6,
  )
  return lower(i32x4.sub(i32x4.mul(a, b), i32x4.mul(quotients, q)), q)
}

export function multiply(into: usize, a: usize, b: usize, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  const m = v128.load32_splat(modulus + BARRETT)
  const bits = load<i32>(modulus + BITS)
  for (let at: usize = 0; at < count << 2; at += 16)
    v128.store(into + at, product(v128.load(a + at), v128.load(b + at), q, m, bits - 2, bits + 3))
}

/** into = a b + c. */
export function multiplyAdd(into: usize, a: usize, b: usize, c: usize, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  const m = v128.load32_splat(modulus + BARRETT)
  const bits = load<i32>(modulus + BITS)
  for (let at: usize = 0; at < count << 2; at += 16) {
    const p = product(v128.load(a + at), v128.load(b + at), q, m, bits - 2, bits + 3)
    v128.store(into + at, lower(i32x4.add(p, v128.load(c + at)), q))
  }
}

/** into = a b, with floor(b 2^32 / q) at `quotients`; `a` may be any 32-bit numbers. */
export function multiplyPrepared(
  into: usize,
  a: usize,
  b: usize,
  quotients: usize,
  count: usize,
  modulus: usize,
): void {
  const q = v128.load32_splat(modulus + Q)
  for (let at: usize = 0; at < count << 2; at += 16) {
    const p = constantProduct(v128.load(a + at), v128.load(b + at), v128.load(quotients + at), q)
    v128.store(into + at, lower(p, q))
  }
}

/** The quotients that `multiplyPrepared` takes. */
export function prepare(into: usize, a: usize, count: usize, modulus: usize): void {
  const q = load<u32>(modulus + Q) as u64
  for (let at: usize = 0; at < count << 2; at += 4)
    store<u32>(into + at, (((load<u32>(a + at) as u64) << 32) / q) as u32)
}

/** into = a w for a constant w, given with its quotient; `a` may be any 32-bit numbers. */
export function scale(into: usize, a: usize, w: u32, wq: u32, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  const factor = i32x4.splat(w)
  const companion = i32x4.splat(wq)
  for (let at: usize = 0; at < count << 2; at += 16)
    v128.store(into + at, lower(constantProduct(v128.load(a + at), factor, companion, q), q))
}

/** into += e for signed numbers above -q and below q. */
export function accumulateSmall(into: usize, e: usize, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  for (let at: usize = 0; at < count << 2; at += 16) {
    const value = v128.load(e + at)
    const residue = i32x4.add(value, v128.and(q, i32x4.shr_s(value, 31)))
    v128.store(into + at, lower(i32x4.add(v128.load(into + at), residue), q))
  }
}

/**
 * into += w x for signed 32-bit numbers x. Taken as x + 2^31, which is not negative; `offset` is -2^31 w mod q.
 */
export function accumulateScaled(
  into: usize,
  x: usize,
  w: u32,
  wq: u32,
  offset: u32,
  count: usize,
  modulus: usize,
): void {
  const q = v128.load32_splat(modulus + Q)
  const factor = i32x4.splat(w)
  const companion = i32x4.splat(wq)
  const shift = i32x4.splat(offset)
  const sign = i32x4.splat(0x80000000)
  for (let at: usize = 0; at < count << 2; at += 16) {
    const p = lower(constantProduct(v128.xor(v128.load(x + at), sign), factor, companion, q), q)
    v128.store(into + at, lower(i32x4.add(lower(i32x4.add(p, shift), q), v128.load(into + at)), q))
  }
}

/** into += x for signed 64-bit numbers x: low word + 2^32 (high word + 2^31) - 2^63. */
export function accumulateWide(into: usize, x: usize, count: usize, modulus: usize): void {
  const q = v128.load32_splat(modulus + Q)
  const one = i32x4.splat(1)
  const oneQuotient = v128.load32_splat(modulus + ONE_QUOTIENT)
  const word = v128.load32_splat(modulus + HIGH_WORD)
  const wordQuotient = v128.load32_splat(modulus + HIGH_QUOTIENT)
  const shift = v128.load32_splat(modulus + SIGN_OFFSET)
  const sign = i32x4.splat(0x80000000)
  for (let at: usize = 0; at < count << 2; at += 16) {
    const first = v128.load(x + (at << 1))
    const second = v128.load(x + (at << 1), 16)
    const low = lower(constantProduct(i32x4.shuffle(first, second, 0, 2, 4, 6), one, oneQuotient, q), q)
    const upper = v128.xor(i32x4.shuffle(first, second, 1, 3, 5, 7), sign)
    const highPart = lower(constantProduct(upper, word, wordQuotient, q), q)
    const sum = lower(i32x4.add(lower(i32x4.add(low, highPart), q), shift), q)
    v128.store(into + at, lower(i32x4.add(sum, v128.load(into + at)), q))
  }
}

/** 1 if all residues are below q, else 0. */
export function isReduced(a: usize, count: usize, modulus: usize): i32 {
  const q = v128.load32_splat(modulus + Q)
  let beyond = i32x4.splat(0)
  for (let at: usize = 0; at < count << 2; at += 16)
    beyond = v128.or(beyond, i32x4.ge_u(v128.load(a + at), q))
  return (v128.any_true(beyond) as i32) ^ 1
}

/** 1 if all signed numbers lie in [-limit, limit], else 0; the time tells nothing of them. */
export function isWithin(a: usize, count: usize, limit: i32): i32 {
  const most = i32x4.splat(limit)
  const least = i32x4.splat(-limit)
  let beyond = i32x4.splat(0)
  for (let at: usize = 0; at < count << 2; at += 16) {
    const value = v128.load(a + at)
    beyond = v128.or(beyond, v128.or(i32x4.gt_s(value, most), i32x4.lt_s(value, least)))
  }
  return (v128.any_true(beyond) as i32) ^ 1
}

/** X -> X^g on coefficients: that of X^i goes to X^(g i mod 2N), and X^(N + j) is -X^j. g is odd. */
export function automorphism(into: usize, a: usize, g: u32, degree: u32, modulus: usize): void {
  const q = load<u32>(modulus + Q)
  const mask = (degree << 1) - 1
  let to: u32 = 0
  for (let i: u32 = 0; i < degree; i++) {
    const value = load<u32>(a + ((i as usize) << 2))
    const negative = (q - value) & (0 - ((value !== 0) as u32))
    const place = to & (degree - 1)
    store<u32>(into + ((place as usize) << 2), to >= degree ? negative : value)
    to = (to + g) & mask
  }
}

/** The same on values: place i holds the value at psi^(2 r + 1), r = i with its bits reversed, found in `order`. */
export function automorphismOfValues(into: usize, a: usize, g: u32, degree: u32, order: usize): void {
  const mask = (degree << 1) - 1
  for (let i: u32 = 0; i < degree; i++) {
    const exponent = ((load<u32>(order + ((i as usize) << 2)) << 1) + 1) * g
    const from = load<u32>(order + ((((exponent & mask) >> 1) as usize) << 2))
    store<u32>(into + ((i as usize) << 2), load<u32>(a + ((from as usize) << 2)))
  }
}
