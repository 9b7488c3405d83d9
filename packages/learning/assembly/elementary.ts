/**
 * exp, log and the logistic function, four at a time, from + - * / and bit moves: the same bits on every machine.
 * `src/kernel/reference-elementary.ts` is the readable form, operation by operation.
 */
// biome-ignore-start lint/suspicious/noApproximativeNumericConstant: Math is another module here
const LOG2E: f32 = 1.4426950408889634
const SQRT2: f32 = 1.4142135623730951
// biome-ignore-end lint/suspicious/noApproximativeNumericConstant: as above
const LN2_HIGH: f32 = 0.693145751953125
const LN2_LOW: f32 = 1.428606820309417e-6

function twoToThe(k: v128): v128 {
  return i32x4.shl(i32x4.add(k, i32x4.splat(127)), 23)
}

/** e^x; 0 below -104, infinite above 89. */
export function exp4(x: v128): v128 {
  x = f32x4.min(f32x4.max(x, f32x4.splat(-104)), f32x4.splat(89))
  const k = f32x4.floor(f32x4.add(f32x4.mul(x, f32x4.splat(LOG2E)), f32x4.splat(0.5)))
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(k, f32x4.splat(LN2_HIGH))), f32x4.mul(k, f32x4.splat(LN2_LOW)))
  let p = f32x4.splat((1.0 / 5040.0) as f32)
  p = f32x4.add(f32x4.splat((1.0 / 720.0) as f32), f32x4.mul(r, p))
  p = f32x4.add(f32x4.splat((1.0 / 120.0) as f32), f32x4.mul(r, p))
  p = f32x4.add(f32x4.splat((1.0 / 24.0) as f32), f32x4.mul(r, p))
  p = f32x4.add(f32x4.splat((1.0 / 6.0) as f32), f32x4.mul(r, p))
  p = f32x4.add(f32x4.splat(0.5), f32x4.mul(r, p))
  const y = f32x4.add(f32x4.splat(1), f32x4.add(r, f32x4.mul(f32x4.mul(r, r), p)))
  const whole = i32x4.trunc_sat_f32x4_s(k)
  // in two steps, so that neither factor leaves the normal numbers
  const half = i32x4.shr_s(whole, 1)
  return f32x4.mul(f32x4.mul(y, twoToThe(half)), twoToThe(i32x4.sub(whole, half)))
}

/** log(x); -infinity at 0, NaN below. */
export function log4(x: v128): v128 {
  const small = f32x4.lt(x, f32x4.splat(1.1754943508222875e-38))
  const scaled = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, small)
  let k = i32x4.sub(i32x4.shr_u(scaled, 23), i32x4.splat(127))
  k = i32x4.sub(k, v128.and(small, i32x4.splat(23)))
  let m = v128.or(v128.and(scaled, i32x4.splat(0x7fffff)), i32x4.splat(0x3f800000))
  const large = f32x4.gt(m, f32x4.splat(SQRT2))
  m = v128.bitselect(f32x4.mul(m, f32x4.splat(0.5)), m, large)
  const e = f32x4.convert_i32x4_s(i32x4.sub(k, large))
  const f = f32x4.sub(m, f32x4.splat(1))
  const s = f32x4.div(f, f32x4.add(f32x4.splat(2), f))
  const z = f32x4.mul(s, s)
  let p = f32x4.splat((2.0 / 9.0) as f32)
  p = f32x4.add(f32x4.splat((2.0 / 7.0) as f32), f32x4.mul(z, p))
  p = f32x4.add(f32x4.splat((2.0 / 5.0) as f32), f32x4.mul(z, p))
  p = f32x4.add(f32x4.splat((2.0 / 3.0) as f32), f32x4.mul(z, p))
  const half = f32x4.mul(f32x4.splat(0.5), f32x4.mul(f, f))
  const tail = f32x4.add(f32x4.mul(s, f32x4.add(half, f32x4.mul(z, p))), f32x4.mul(e, f32x4.splat(LN2_LOW)))
  const y = f32x4.sub(f32x4.mul(e, f32x4.splat(LN2_HIGH)), f32x4.sub(f32x4.sub(half, tail), f))
  const odd = v128.bitselect(x, f32x4.splat(f32.NaN), f32x4.eq(x, f32x4.splat(f32.POSITIVE_INFINITY)))
  const zero = f32x4.eq(x, f32x4.splat(0))
  const edge = v128.bitselect(f32x4.splat(-f32.POSITIVE_INFINITY), odd, zero)
  const ordinary = v128.and(f32x4.gt(x, f32x4.splat(0)), f32x4.lt(x, f32x4.splat(f32.POSITIVE_INFINITY)))
  return v128.bitselect(y, edge, ordinary)
}

/** log(1 + t) for t in [0, 1]. */
export function logOnePlus4(t: v128): v128 {
  const one = f32x4.splat(1)
  const u = f32x4.add(one, t)
  return f32x4.add(log4(u), f32x4.div(f32x4.sub(t, f32x4.sub(u, one)), u))
}

/** 1 / (1 + e^-x), given e = e^-|x|. */
export function logistic4(x: v128, e: v128): v128 {
  const one = f32x4.splat(1)
  const above = v128.bitselect(one, e, f32x4.ge(x, f32x4.splat(0)))
  return f32x4.div(above, f32x4.add(one, e))
}

export function sigmoid4(x: v128): v128 {
  return logistic4(x, exp4(f32x4.neg(f32x4.abs(x))))
}
