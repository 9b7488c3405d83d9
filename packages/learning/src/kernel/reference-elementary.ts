/**
 * exp, log and the logistic function in 32-bit floats: every operation is rounded to 32 bits, as the vector code in
 * `assembly/elementary.ts` does, four at a time.
 */
const round = Math.fround
const floats = new Float32Array(1)
const bits = new Int32Array(floats.buffer)

const LOG2E = round(Math.LOG2E)
// ln 2 in two parts: floor(ln2 * 2^15) / 2^15, so that k * LN2_HIGH is exact for |k| < 2^9, and the rest
const LN2_HIGH = 0.693145751953125
const LN2_LOW = round(1.428606820309417e-6)

// 1 / n!, the Taylor coefficients of exp from r^2 on: on |r| <= ln(2) / 2 the first term left out is below 2^-27
const EXP_3 = round(1 / 6)
const EXP_4 = round(1 / 24)
const EXP_5 = round(1 / 120)
const EXP_6 = round(1 / 720)
const EXP_7 = round(1 / 5040)

/** 2^k for k in [-126, 127]. */
const powerOfTwo = (k: number): number => {
  bits[0] = (k + 127) << 23
  return floats[0] as number
}

/**
 * e to the power x.
 *
 * Math:  x = k ln2 + r, |r| <= ln2 / 2; e^x = 2^k (1 + (r + r^2 (1/2! + r/3! + ... + r^5/7!)))
 * Error: under 1 ulp; 0 below -104, infinite above 89; subnormal results are rounded once more
 */
export const exp = (value: number): number => {
  const x = Math.min(Math.max(value, -104), 89)
  const k = Math.floor(round(round(x * LOG2E) + 0.5))
  const r = round(round(x - round(k * LN2_HIGH)) - round(k * LN2_LOW))
  let p = EXP_7
  p = round(EXP_6 + round(r * p))
  p = round(EXP_5 + round(r * p))
  p = round(EXP_4 + round(r * p))
  p = round(EXP_3 + round(r * p))
  p = round(0.5 + round(r * p))
  const y = round(1 + round(r + round(round(r * r) * p)))
  // in two steps, so that neither factor leaves the normal numbers
  const half = k >> 1
  return round(round(y * powerOfTwo(half)) * powerOfTwo((k | 0) - half))
}

// 2 / (2n + 1), the coefficients of 2 atanh(s) from s^3 on: on |s| <= 0.1716 the first term left out is below 2^-28
const LOG_1 = round(2 / 3)
const LOG_2 = round(2 / 5)
const LOG_3 = round(2 / 7)
const LOG_4 = round(2 / 9)

const SQRT2 = round(Math.SQRT2)
const SMALLEST_NORMAL = powerOfTwo(-126)
const TWO_23 = 8388608

/**
 * The natural logarithm. log(0) = -Infinity; below zero it is NaN.
 *
 * Math:   x = 2^k (1 + f), 1 + f in (sqrt(1/2), sqrt(2)]; s = f / (2 + f);
 *         log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R)), R = 2 s^2/3 + 2 s^4/5 + ... + 2 s^8/9
 * Error:  under 1 ulp
 * Source: as `log` of @consilium/base/elementary
 */
export const log = (x: number): number => {
  if (x === 0) return -Infinity
  if (!(x > 0) || x === Infinity) return x === Infinity ? x : NaN
  const small = x < SMALLEST_NORMAL
  floats[0] = small ? round(x * TWO_23) : x
  const pattern = bits[0] as number
  let k = (pattern >>> 23) - 127 - (small ? 23 : 0)
  bits[0] = (pattern & 0x7fffff) | 0x3f800000
  let m = floats[0] as number
  if (m > SQRT2) {
    m *= 0.5
    k += 1
  }
  const f = round(m - 1)
  const s = round(f / round(2 + f))
  const z = round(s * s)
  let p = LOG_4
  p = round(LOG_3 + round(z * p))
  p = round(LOG_2 + round(z * p))
  p = round(LOG_1 + round(z * p))
  const half = round(0.5 * round(f * f))
  const tail = round(round(s * round(half + round(z * p))) + round(k * LN2_LOW))
  return round(round(k * LN2_HIGH) - round(round(half - tail) - f))
}

/** log(1 + t) for t in [0, 1]: the rounding error of 1 + t is known exactly and put back. */
export const logOnePlus = (t: number): number => {
  const u = round(1 + t)
  return round(log(u) + round(round(t - round(u - 1)) / u))
}

/** 1 / (1 + e^-x), given e = e^-|x|. */
export const logistic = (x: number, e: number): number => round((x >= 0 ? 1 : e) / round(1 + e))

/**
 * The logistic function: the probability of a logit.
 *
 * Math:  1 / (1 + e^-x)
 * Error: at most 3 ulp
 */
export const sigmoid = (x: number): number => logistic(x, exp(-Math.abs(x)))
