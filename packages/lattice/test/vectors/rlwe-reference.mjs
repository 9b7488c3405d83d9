/**
 * Ring learning with errors by its definitions, in whole numbers of any size, with nothing of the library: hashes and
 * ciphers are Node's, transforms are sums, products are pairs of coefficients. Only for making and checking vectors.
 */
import { createCipheriv, createHash } from "node:crypto"

/** Draw number k of length n: byte i is 31 k + 7 i + 3. */
export const draws = () => {
  let k = 0
  return (length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => 31 * k + 7 * i + 3)
    k++
    return bytes
  }
}

const framed = (parts) => {
  const number = (value) => {
    const out = Buffer.alloc(8)
    out.writeBigUInt64BE(BigInt(value))
    return out
  }
  return Buffer.concat([number(parts.length), ...parts.flatMap((part) => [number(part.length), part])])
}
export const seedOf = (domain, ...parts) =>
  createHash("shake256", { outputLength: 32 })
    .update(framed([Buffer.from(`consilium/lattice/${domain}`), ...parts]))
    .digest()

/** Bytes of ChaCha20 from block 0 on. */
const stream = (key, nonce, length) => {
  const iv = Buffer.alloc(16)
  nonce.forEach((word, i) => {
    iv.writeUInt32LE(word, 4 + 4 * i)
  })
  return createCipheriv("chacha20", key, iv).update(Buffer.alloc(length))
}

export const modulo = (a, q) => ((a % q) + q) % q
export const centred = (a, q) => {
  const r = modulo(a, q)
  return 2n * r > q ? r - q : r
}
const power = (base, exponent, q) => {
  let [out, square] = [1n, base % q]
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) out = (out * square) % q
    square = (square * square) % q
  }
  return out
}
export const inverse = (a, q) => power(modulo(a, q), q - 2n, q)

/** The values of a polynomial at psi^(2 r + 1), r the place with its bits reversed, psi the smallest primitive root. */
export const evaluations = (coefficients, q) => {
  const n = coefficients.length
  const prime = Number(q)
  let root = 0n
  for (let g = 2n; root === 0n; g++) {
    const candidate = power(g, (q - 1n) / BigInt(2 * n), q)
    if (power(candidate, BigInt(n), q) === q - 1n) root = candidate
  }
  const powers = [1n]
  for (let i = 1; i < 2 * n; i++) powers.push((powers[i - 1] * root) % q)
  const smallest = powers.filter((_, i) => i % 2 === 1).reduce((a, b) => (b < a ? b : a))
  const psi = [1]
  for (let i = 1; i < 2 * n; i++) psi.push(Number((BigInt(psi[i - 1]) * smallest) % q))
  const bits = Math.log2(n)
  const small = coefficients.map((x) => Number(modulo(x, q)))
  return Uint32Array.from({ length: n }, (_, place) => {
    let r = 0
    for (let b = 0; b < bits; b++) r |= ((place >> b) & 1) << (bits - 1 - b)
    let sum = 0n
    for (let k = 0; k < n; k++) sum += BigInt(small[k]) * BigInt(psi[((2 * r + 1) * k) % (2 * n)])
    return Number(sum % BigInt(prime))
  })
}
/** The polynomial of such values: the transform is undone by its definition. */
export const fromEvaluations = (values, q) => {
  const n = values.length
  // the matrix of the transform times the matrix of inverse powers is n times the identity
  const rows = evaluationRoots(n, q)
  return Array.from({ length: n }, (_, k) => {
    let sum = 0n
    for (let place = 0; place < n; place++)
      sum += BigInt(values[place]) * rows.powers[(2 * n - ((rows.exponents[place] * k) % (2 * n))) % (2 * n)]
    return modulo(sum * inverse(BigInt(n), q), q)
  })
}
const evaluationRoots = (n, q) => {
  const x = evaluations(
    Array.from({ length: n }, (_, i) => (i === 1 ? 1n : 0n)),
    q,
  )
  const smallest = BigInt(x.reduce((a, b) => Math.min(a, b)))
  const powers = [1n]
  for (let i = 1; i < 2 * n; i++) powers.push((powers[i - 1] * smallest) % q)
  const place = new Map(powers.map((value, i) => [value, i]))
  return { powers, exponents: Array.from(x, (value) => place.get(BigInt(value))) }
}

export const uniformValues = (seed, n, q) => {
  const bits = q.toString(2).length
  const words = stream(seed, [1, Number(q), 0], 16 * n)
  const out = []
  for (let at = 0; out.length < n; at += 4) {
    const word = words.readUInt32LE(at) % 2 ** bits
    if (BigInt(word) < q) out.push(word)
  }
  return Uint32Array.from(out)
}
export const ternary = (key, n) =>
  [...stream(key, [2, 0, 0], 2 * n)]
    .filter((byte) => byte !== 255)
    .slice(0, n)
    .map((byte) => BigInt((byte % 3) - 1))
/** Of eight words four are for and four against four coefficients, 21 bits each. */
export const binomial = (key, n) => {
  const words = stream(key, [3, 0, 0], 8 * n)
  const ones = (at) => (words.readUInt32LE(at) % 2 ** 21).toString(2).replaceAll("0", "").length
  return Array.from({ length: n }, (_, i) => {
    const at = 32 * Math.floor(i / 4) + 4 * (i % 4)
    return BigInt(ones(at) - ones(at + 16))
  })
}

export const product = (a, b) => {
  const n = a.length
  const out = new Array(n).fill(0n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      if (i + j < n) out[i + j] += a[i] * b[j]
      else out[i + j - n] -= a[i] * b[j]
    }
  return out
}
export const sum = (...polynomials) =>
  polynomials[0].map((_, i) => polynomials.reduce((total, polynomial) => total + polynomial[i], 0n))
export const times = (polynomial, factor) => polynomial.map((x) => x * factor)
export const roundedQuotient = (a, b) => {
  const shifted = 2n * a + b
  return (shifted - modulo(shifted, 2n * b)) / (2n * b)
}
export const substituted = (a, g) => {
  const n = a.length
  const out = new Array(n).fill(0n)
  a.forEach((x, i) => {
    const at = (i * g) % (2 * n)
    out[at % n] = at < n ? x : -x
  })
  return out
}
/** The largest prime of some bits that is 1 modulo 2 n, and the next ones below it. */
export const primesOf = (n, bits, count) => {
  const isPrime = (x) => {
    for (let d = 3; d * d <= x; d += 2) if (x % d === 0) return false
    return true
  }
  const out = []
  for (let x = 2 ** bits - 2 * n + 1; out.length < count; x -= 2 * n) if (isPrime(x)) out.push(BigInt(x))
  return out
}
/** SHA-256 of the words of some polynomials, little-endian. */
export const digest = (...polynomials) => {
  const out = createHash("sha256")
  for (const polynomial of polynomials)
    for (const word of polynomial) {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(word)
      out.update(bytes)
    }
  return out.digest("hex")
}
/** Residues of one limb at the bits of q each, the first in the lowest bits. */
export const packed = (values, q) => {
  const bits = BigInt(q.toString(2).length)
  const whole = [...values].reduceRight((total, value) => (total << bits) + BigInt(value), 0n)
  const length = (values.length * Number(bits)) / 8
  return Buffer.from(whole.toString(16).padStart(2 * length, "0"), "hex").reverse()
}
/** 32 bytes that name parameters. */
export const parametersId = (degree, special, primes) => {
  const words = Buffer.alloc(4 * (primes.length + 2))
  for (const [i, word] of [degree, special, ...primes.map(Number)].entries()) words.writeUInt32BE(word, 4 * i)
  return seedOf("parameters", words)
}
