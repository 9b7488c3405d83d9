/**
 * The kernel's hot paths, one thread: median of many, in microseconds, and whole vectors of a million values, in
 * milliseconds.
 *
 *     npm run build
 *     npx rolldown packages/lattice/bench/ring.ts --platform node --format esm --dir .consilium/bench
 *     node .consilium/bench/ring.js              (from the root of the tree; add --json for one line a number)
 */
import { newSecretKey, PrfStream } from "@consilium/base/random"
import { LaneCodec } from "@consilium/lattice/ring/lane-codec"
import { nttPrimes } from "@consilium/lattice/ring/primes"
import { ERROR_PAIRS, Ring } from "@consilium/lattice/ring/ring"
import { seedOf } from "@consilium/lattice/ring/seeds"

const asJson = process.argv.includes("--json")
const report = (id: string, value: number, unit: string): void => {
  if (asJson) console.log(JSON.stringify({ id, value, unit }))
  else console.log(`${id.padEnd(46)} ${value.toPrecision(4).padStart(12)} ${unit}`)
}
const random = new PrfStream(newSecretKey(), "bench")

const median = (id: string, unit: "us" | "ms", runs: number, work: () => void): void => {
  for (let i = 0; i < runs; i++) work()
  const times = Array.from({ length: runs }, () => {
    const start = performance.now()
    work()
    return (performance.now() - start) * (unit === "us" ? 1000 : 1)
  }).sort((a, b) => a - b)
  report(id, times[runs >> 1] as number, unit)
}

const DEGREE = 4096
for (const degree of [1024, 2048, DEGREE, 8192, 16384]) {
  const one = Ring.of(degree, nttPrimes(degree, 30, 1))
  const x = one.inverse(one.uniformSecret(random))
  const y = one.zeroEvaluations()
  median(`lattice.ntt.${degree}`, "us", 2000, () => one.forward(x, y))
  median(`lattice.inverse-ntt.${degree}`, "us", 2000, () => one.inverse(y, x))
}
const one = Ring.of(DEGREE, nttPrimes(DEGREE, 30, 1))
const [a, b] = [one.uniformSecret(random), one.uniformSecret(random)]
const prepared = one.prepare(b)
const out = one.zeroEvaluations()
median("lattice.add", "us", 2000, () => one.add(a, b, out))
median("lattice.multiply", "us", 2000, () => one.multiply(a, b, out))
median("lattice.multiply-prepared", "us", 2000, () => one.multiplyPrepared(a, prepared, out))
const seed = seedOf("bench")
median("lattice.uniform", "us", 2000, () => one.uniform(seed, out))
median("lattice.ternary", "us", 2000, () => one.ternary(random))
median("lattice.centred-binomial", "us", 2000, () => one.centredBinomial(random))
const packed = one.pack(a)
median("lattice.pack", "us", 2000, () => one.pack(a, packed))
median("lattice.unpack", "us", 2000, () => one.unpackEvaluations(packed, out))

const VALUES = 1_000_000
const ring = Ring.of(DEGREE, nttPrimes(DEGREE, 26, 4))
const vector = Int32Array.from({ length: VALUES }, (_, i) => ((i * 7919) % 65_535) - 32_767)
const two = new LaneCodec(ring, { lanes: 2, laneBits: 24, deltaBits: 55, largest: 2 ** 21 })
const four = new LaneCodec(ring, { lanes: 4, laneBits: 22, deltaBits: 15 })
const protect = (codec: LaneCodec, secret: ReturnType<Ring["uniformSecret"]>, pairs: number): Uint8Array[] =>
  Array.from({ length: codec.blocks(VALUES) }, (_, block) =>
    ring.row({
      seed: seedOf("bench", Uint8Array.of(block)),
      secret,
      error: { random, pairs },
      message: codec.message(vector, block),
    }),
  )
const secret = ring.forward(ring.fromSmall(ring.ternary(random)))
median("lattice.protect-million.two-lanes", "ms", 7, () => protect(two, secret, ERROR_PAIRS))
median("lattice.protect-million.four-lanes", "ms", 7, () => protect(four, ring.uniformSecret(random), 44))
const rows = protect(two, secret, ERROR_PAIRS)
report("lattice.bytes-per-value.two-lanes", (rows.length * ring.packedLength) / VALUES, "B")
report("lattice.bytes-per-value.four-lanes", (four.blocks(VALUES) * ring.packedLength) / VALUES, "B")
const polynomials = rows.map((bytes) => ring.unpackCoefficients(bytes))
median("lattice.add-ten-million", "ms", 7, () => {
  for (const polynomial of polynomials) {
    const sum = polynomial.slice() as typeof polynomial
    for (let i = 1; i < 10; i++) ring.add(sum, polynomial, sum)
  }
})
median("lattice.add-ten-million-packed", "ms", 7, () => {
  for (const bytes of rows) {
    const sum = ring.zeroCoefficients()
    for (let i = 0; i < 10; i++) ring.addPacked(sum, bytes)
  }
})
const plain = ring.combine(two.message(vector, 0))
median("lattice.decode-million", "ms", 7, () => {
  for (let block = 0; block < two.blocks(VALUES); block++) two.decode(plain)
})
const start = performance.now()
Ring.of(16384, nttPrimes(16384, 27, 15))
report("lattice.set-up.16384.15", performance.now() - start, "ms")
