import { digestHex, sha256 } from "@consilium/base/hash"
import { insecureSeededRandom } from "@consilium/base/testing"
import { bfv } from "../src/bfv/bfv.js"
import { ckks } from "../src/ckks/ckks.js"
import { LaneCodec } from "../src/ring/lane-codec.js"
import { nttPrimes } from "../src/ring/primes.js"
import { ERROR_PAIRS, Ring } from "../src/ring/ring.js"
import { seedOf } from "../src/ring/seeds.js"
import { publicKeyToBytes, relinearisationKeyToBytes, secretToBytes } from "../src/rlwe/wire.js"

const digest = (bytes: Uint8Array): string => digestHex(sha256(bytes))
const digestOfDoubles = (values: Float64Array): string => {
  const view = new DataView(new ArrayBuffer(8 * values.length))
  values.forEach((value, i) => {
    view.setFloat64(8 * i, value)
  })
  return digest(new Uint8Array(view.buffer))
}

/** Digests of what seeds give, from the ring to products of ciphertexts and their decryption: one list for all engines. */
export const engineAnswers = (): Readonly<Record<string, string>> => {
  const random = insecureSeededRandom("engines")
  const out: Record<string, string> = {}

  const ring = Ring.of(4096, nttPrimes(4096, 26, 4))
  const codec = new LaneCodec(ring, { lanes: 2, laneBits: 24, deltaBits: 55 })
  const vector = Int32Array.from({ length: 8192 }, (_, i) => ((i * 7919) % 65_535) - 32_767)
  const key = ring.forward(ring.fromSmall(ring.ternary(random)))
  const row = { seed: seedOf("engines"), secret: key, error: { random, pairs: ERROR_PAIRS } }
  out.row = digest(ring.row({ ...row, message: codec.message(vector, 0) }))

  const ctx = ckks({ degree: 4096, bits: [30, 26, 26], special: 1, scale: 2 ** 26 })
  const secret = ctx.newSecret(random)
  const publicKey = ctx.publicKey(secret, random)
  const relinearisation = ctx.relinearisationKey(secret, random)
  out.secret = digest(secretToBytes(secret))
  out.publicKey = digest(publicKeyToBytes(publicKey))
  out.relinearisationKey = digest(relinearisationKeyToBytes(relinearisation))
  const x = Float64Array.from({ length: 2048 }, (_, i) => 1 / (i + 1))
  const [a, b] = [ctx.encrypt(x, secret, random), ctx.encrypt(x, publicKey, random)]
  out.encryptedWithSecret = digest(ctx.toBytes(a))
  out.encryptedWithPublic = digest(ctx.toBytes(b))
  const evaluator = ctx.evaluator({ relinearisation, galois: ctx.rotationKeys(secret, [5], random) })
  const product = evaluator.rescale(evaluator.relinearise(evaluator.multiply(a, b)))
  out.product = digest(ctx.toBytes(product))
  out.rotated = digest(ctx.toBytes(evaluator.rotate(product, 5)))
  out.decrypted = digestOfDoubles(ctx.decrypt(product, secret))

  const whole = bfv({ degree: 4096, bits: [30, 26, 26], special: 1, plainModulus: 65_537 })
  const numbers = Int32Array.from({ length: 4096 }, (_, i) => ((i * 7919) % 65_537) - 32_768)
  const c = whole.encrypt(numbers, secret, random)
  const square = whole.relinearise(whole.multiply(c, c), relinearisation)
  out.wholeProduct = digest(whole.toBytes(square))
  out.wholeDecrypted = digestOfDoubles(Float64Array.from(whole.decrypt(square, secret)))
  return out
}
