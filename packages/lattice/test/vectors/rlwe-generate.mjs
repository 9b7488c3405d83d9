/**
 * Makes rlwe.json from rlwe-reference.mjs, in about half a minute:
 *
 *     node packages/lattice/test/vectors/rlwe-generate.mjs
 */
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import {
  binomial,
  centred,
  digest,
  draws,
  evaluations,
  fromEvaluations,
  inverse,
  modulo,
  packed,
  parametersId,
  primesOf,
  product,
  roundedQuotient,
  seedOf,
  substituted,
  sum,
  ternary,
  times,
  uniformValues,
} from "./rlwe-reference.mjs"

const vectors = {}

// one prime: encryption, products
{
  const n = 1024
  const [q] = primesOf(n, 26, 1)
  const draw = draws()
  const values = (a) => evaluations(a, q)
  const uniform = (seed) => {
    const v = uniformValues(seed, n, q)
    return { seed, values: v, coefficients: fromEvaluations(v, q) }
  }
  const freshSeed = () => seedOf("fresh-seed", draw(32))
  const withSecret = (s, message) => {
    const a = uniform(freshSeed())
    const c0 = sum(binomial(draw(32), n), message, times(product(a.coefficients, s), -1n))
    return { seed: a.seed, parts: [c0, a.coefficients], values: [values(c0), a.values] }
  }
  const s = ternary(draw(32), n)
  vectors.secret = { first: s.slice(0, 12).map(Number), digest: digest(values(s)) }

  const a = uniform(freshSeed())
  const b = sum(binomial(draw(32), n), times(product(a.coefficients, s), -1n))
  vectors.publicKey = { first: [...values(b).slice(0, 4)], digest: digest(values(b), a.values) }

  const message = Array.from({ length: n }, (_, i) => BigInt(((97 * i) % 2001) - 1000))
  const one = withSecret(s, message)
  vectors.encryptedWithSecret = { first: [...one.values[0].slice(0, 4)], digest: digest(...one.values) }
  const scale = Buffer.alloc(8)
  scale.writeDoubleBE(1)
  const bytes = Buffer.concat([
    Buffer.from([1, 1, 1, 2, 1, 0, 0, 0]),
    scale,
    parametersId(n, 0, [q]),
    packed(one.values[0], q),
    one.seed,
  ])
  vectors.bytes = { length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }

  const u = ternary(draw(32), n)
  const [e0, e1] = [binomial(draw(32), n), binomial(draw(32), n)]
  const two = [sum(product(b, u), e0, message), sum(product(a.coefficients, u), e1)]
  vectors.encryptedWithPublic = { first: [...values(two[0]).slice(0, 4)], digest: digest(...two.map(values)) }

  const tensor = (x, y) => [
    product(x[0], y[0]),
    sum(product(x[0], y[1]), product(x[1], y[0])),
    product(x[1], y[1]),
  ]
  vectors.ckksProduct = { digest: digest(...tensor(one.parts, two).map(values)) }

  const t = 12_289n
  const wholes = Array.from({ length: n }, (_, i) => centred(BigInt(7919 * i), t))
  const scaled = wholes.map((m) => (q / t) * m + roundedQuotient((q % t) * m, t))
  const [x, y] = [withSecret(s, scaled), withSecret(s, scaled)]
  const lift = ({ parts }) => parts.map((part) => part.map((c) => centred(c, q)))
  const scaledDown = tensor(lift(x), lift(y)).map((part) => part.map((z) => roundedQuotient(t * z, q)))
  vectors.bfvProduct = { digest: digest(...scaledDown.map(values)) }
}

// one prime and one special: switching keys
{
  const n = 2048
  const [q, p] = primesOf(n, 26, 2)
  const whole = q * p
  const draw = draws()
  const s = ternary(draw(32), n)
  const values = (a) => [evaluations(a, q), evaluations(a, p)]
  // the whole number with given residues
  const joined = (x, y) => x.map((a, i) => modulo(a * p * inverse(p, q) + y[i] * q * inverse(q, p), whole))
  const uniform = (seed) => joined(...[q, p].map((m) => fromEvaluations(uniformValues(seed, n, m), m)))
  const key = (old) => {
    const seed = seedOf("fresh-seed", draw(32))
    const a = uniform(seedOf("switching-row", seed, Buffer.from([0])))
    // P times the old secret, modulo q and p alike: the one group of primes is q
    const b = sum(binomial(draw(32), n), times(product(a, s), -1n), times(old, p))
    return { a, b: b.map((x) => modulo(x, whole)) }
  }
  const switched = (d, { a, b }) => {
    const small = d.map((x) => centred(x, q))
    return [b, a].map((row) => product(small, row).map((x) => roundedQuotient(centred(x, whole), p)))
  }
  const rows = (k) => digest(...values(k.b), ...values(k.a))
  const parts = [1, 2, 3].map((fill) => fromEvaluations(uniformValues(Buffer.alloc(32, fill), n, q), q))

  const relinearisation = key(product(s, s))
  vectors.relinearisationKey = { digest: rows(relinearisation) }
  const down = switched(parts[2], relinearisation)
  vectors.relinearised = { digest: digest(...down.map((x, i) => evaluations(sum(x, parts[i]), q))) }

  const g = 3
  const galois = key(substituted(s, g))
  vectors.galoisKey = { digest: rows(galois) }
  const [moved0, moved1] = switched(substituted(parts[1], g), galois)
  vectors.moved = {
    digest: digest(evaluations(sum(moved0, substituted(parts[0], g)), q), evaluations(moved1, q)),
  }
}

writeFileSync(new URL("rlwe.json", import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`)
