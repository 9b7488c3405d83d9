/**
 * CKKS and BFV, one thread: median of many, in milliseconds.
 *
 *     npm run build
 *     npx rolldown packages/lattice/bench/schemes.ts --platform node --format esm --dir .consilium/bench
 *     node .consilium/bench/schemes.js              (from the root of the tree; add --json for one line a number)
 */
import { newSecretKey, PrfStream } from "@consilium/base/random"
import { bfv } from "@consilium/lattice/bfv/bfv"
import { ckks } from "@consilium/lattice/ckks/ckks"

const asJson = process.argv.includes("--json")
const random = new PrfStream(newSecretKey(), "bench")
const report = (id: string, value: number, unit: string): void => {
  if (asJson) console.log(JSON.stringify({ id, value, unit }))
  else console.log(`${id.padEnd(46)} ${value.toPrecision(4).padStart(12)} ${unit}`)
}
const median = <T>(id: string, work: () => T, runs = 60): T => {
  for (let i = 0; i < runs / 3; i++) work()
  let result = work()
  const times = Array.from({ length: runs }, () => {
    const start = performance.now()
    result = work()
    return performance.now() - start
  }).sort((a, b) => a - b)
  report(id, times[runs >> 1] as number, "ms")
  return result
}

for (const { degree, bits, special, scale } of [
  { degree: 2048, bits: [26, 26], special: 0, scale: 2 ** 24 },
  { degree: 4096, bits: [26, 26, 26, 26], special: 1, scale: 2 ** 26 },
  { degree: 8192, bits: [30, 28, 28, 28, 28, 30], special: 1, scale: 2 ** 28 },
]) {
  const ctx = ckks({ degree, bits, special, scale })
  const name = (what: string): string => `lattice.ckks.${degree}.${bits.length}.${what}`
  const secret = ctx.newSecret(random)
  const key = ctx.publicKey(secret, random)
  const values = Float64Array.from({ length: ctx.slots }, (_, i) => 1 / (i + 1))
  const plain = median(name("encode"), () => ctx.encode(values))
  median(name("encode-coefficients"), () => ctx.encodeCoefficients(values))
  const a = median(name("encrypt-secret-key"), () => ctx.encrypt(plain, secret, random))
  median(name("encrypt-public-key"), () => ctx.encrypt(plain, key, random))
  const opened = median(name("decrypt"), () => ctx.decryptToPlain(a, secret))
  median(name("decode"), () => ctx.decode(opened))
  median(name("add"), () => ctx.add(a, a))
  median(name("multiply-plain"), () => ctx.multiplyPlain(a, plain))
  const bytes = median(name("to-bytes"), () => ctx.toBytes(a))
  median(name("from-bytes"), () => ctx.fromBytes(bytes))
  report(name("bytes"), bytes.length, "B")
  if (special === 0) continue
  const evaluator = ctx.evaluator({
    relinearisation: ctx.relinearisationKey(secret, random),
    galois: ctx.rotationKeys(secret, [1, 2, 4, 8], random),
  })
  const product = median(name("multiply"), () => evaluator.multiply(a, a))
  const small = median(name("relinearise"), () => evaluator.relinearise(product))
  median(name("rescale"), () => evaluator.rescale(small))
  median(name("rotate"), () => evaluator.rotate(a, 1))
  median(name("rotate-four-hoisted"), () => evaluator.rotateMany(a, [1, 2, 4, 8]))
}

const ctx = bfv({ degree: 4096, bits: [26, 26, 26, 26], special: 1, plainModulus: 65_537 })
const secret = ctx.newSecret(random)
const numbers = Int32Array.from({ length: 4096 }, (_, i) => i)
const plain = median("lattice.bfv.encode", () => ctx.encode(numbers))
const a = median("lattice.bfv.encrypt-secret-key", () => ctx.encrypt(plain, secret, random))
median("lattice.bfv.decrypt", () => ctx.decrypt(a, secret))
const product = median("lattice.bfv.multiply", () => ctx.multiply(a, a))
const key = ctx.relinearisationKey(secret, random)
median("lattice.bfv.relinearise", () => ctx.relinearise(product, key))
