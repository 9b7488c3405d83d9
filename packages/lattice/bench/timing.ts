/**
 * Whether the time of what touches secrets tells anything of them: two classes of secrets, Welch's t of their times.
 *
 *     npm run build
 *     npx rolldown packages/lattice/bench/timing.ts --platform node --format esm --dir .consilium/bench
 *     node .consilium/bench/timing.js              (from the root of the tree; add --json for one line a number)
 *
 * Ends with exit code 1 if a number is on the wrong side of its limit.
 */
import { newSecretKey, PrfStream } from "@consilium/base/random"
import { bfv } from "@consilium/lattice/bfv/bfv"
import { ckks } from "@consilium/lattice/ckks/ckks"
import { encryptWithPublic, encryptWithSecret, phase } from "@consilium/lattice/rlwe/encryption"
import { RlweSecret } from "@consilium/lattice/rlwe/keys"
import { secretToBytes } from "@consilium/lattice/rlwe/wire"

const LIMIT = 10
const asJson = process.argv.includes("--json")
const random = new PrfStream(newSecretKey(), "timing")

/**
 * After Reparaz, Balasch and Verbauwhede 2017 ("dude, is my code constant time?"): two classes are run in random order, and
 * Welch's t of their times, slowest tenth cut off, says whether they differ; above 10 they surely do. Every class is put
 * into the same memory before it is timed. Of three runs the smallest counts: what the machine's other work does to one
 * run does not come again.
 */
const onceWelch = (run: () => unknown, first: () => void, second: () => void, rounds: number): number => {
  const times: [number[], number[]] = [[], []]
  for (const byte of random.bytes(rounds)) {
    const which = (byte & 1) as 0 | 1
    ;[first, second][which]?.()
    const before = performance.now()
    run()
    times[which].push(performance.now() - before)
  }
  const [a, b] = times.map((all) => {
    const warm = all.slice(Math.floor(all.length / 20))
    const kept = warm.sort((x, y) => x - y).slice(0, Math.floor(0.9 * warm.length))
    const mean = kept.reduce((sum, x) => sum + x, 0) / kept.length
    const variance = kept.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (kept.length - 1)
    return { mean, error: variance / kept.length }
  }) as [{ mean: number; error: number }, { mean: number; error: number }]
  return Math.abs(a.mean - b.mean) / Math.sqrt(a.error + b.error)
}
const test = (
  id: string,
  run: () => unknown,
  first: () => void,
  second: () => void,
  leaks = false,
  rounds = 4000,
): void => {
  const value = Math.min(...[1, 2, 3].map(() => onceWelch(run, first, second, rounds)))
  const unit = leaks ? `t, must be above ${LIMIT}` : `t, is silent below ${LIMIT}`
  if (value > LIMIT !== leaks) process.exitCode = 1
  if (asJson) console.log(JSON.stringify({ id: `lattice.timing.${id}`, value, unit }))
  else console.log(`${`lattice.timing.${id}`.padEnd(52)} ${value.toPrecision(3).padStart(8)} ${unit}`)
}

const N = 2048
const real = ckks({ degree: N, bits: [26, 26], scale: 2 ** 20 })
const whole = bfv({ degree: N, bits: [26, 26], plainModulus: 12_289 })
const { parameters } = real
const { ring } = parameters

/** One secret whose memory takes either class: all coefficients zero, or the usual third. */
const held = RlweSecret.generate(parameters, random)
const usual = held.values().slice()
const zeros = new Uint32Array(usual.length)
const asZero = (): void => held.values().set(zeros)
const asUsual = (): void => held.values().set(usual)

const message = ring.zeroEvaluations()
const someMessage = ring.uniformSecret(random)
const noMessage = ring.zeroEvaluations()
const zeroMessage = (): void => message.set(noMessage)
const usualMessage = (): void => message.set(someMessage)
const key = real.publicKey(RlweSecret.generate(parameters, random), random)
const ciphertext = encryptWithSecret(RlweSecret.generate(parameters, random), someMessage, random)

test("encrypt-secret-key.secret", () => encryptWithSecret(held, message, random), asZero, asUsual)
asUsual()
test("encrypt-secret-key.message", () => encryptWithSecret(held, message, random), zeroMessage, usualMessage)
test("encrypt-public-key.message", () => encryptWithPublic(key, message, random), zeroMessage, usualMessage)
test("decrypt.secret", () => phase(held, ciphertext), asZero, asUsual)
asUsual()

const values = new Float64Array(N / 2)
const someValues = Float64Array.from(new Int32Array(random.bytes(2 * N).buffer), (x) => x / 2 ** 31)
const allOnes = new Float64Array(N / 2).fill(1)
const ones = (): void => values.set(allOnes)
const usualValues = (): void => values.set(someValues)
test("ckks-encode.values", () => real.encode(values), ones, usualValues)
const plain = { parameters, values: message, level: 1, scale: 2 ** 20 }
const [encodedOnes, encodedUsual] = [allOnes, someValues].map((x) => real.encode(x).values)
const plainOnes = (): void => message.set(encodedOnes ?? [])
const plainUsual = (): void => message.set(encodedUsual ?? [])
test("ckks-decode.values", () => real.decode(plain), plainOnes, plainUsual)

const wholes = new Int32Array(N)
const someWholes = Int32Array.from(new Uint16Array(random.bytes(2 * N).buffer), (x) => (x % 12_289) - 6144)
const allWholeOnes = new Int32Array(N).fill(1)
const wholeOnes = (): void => wholes.set(allWholeOnes)
const wholeUsual = (): void => wholes.set(someWholes)
test("bfv-encode.numbers", () => whole.encode(wholes), wholeOnes, wholeUsual)
const encodedWhole = { parameters, plainModulus: 12_289, coefficients: new Int32Array(N) }
const [ofOnes, ofUsual] = [allWholeOnes, someWholes].map((x) => whole.encode(x).coefficients)
const coefficientsOnes = (): void => encodedWhole.coefficients.set(ofOnes ?? [])
const coefficientsUsual = (): void => encodedWhole.coefficients.set(ofUsual ?? [])
test("bfv-decode.numbers", () => whole.decode(encodedWhole), coefficientsOnes, coefficientsUsual)
// whole ciphertexts, opened by one secret: the numbers in them differ
const opener = RlweSecret.generate(parameters, random)
const [realOnes, realUsual] = [allOnes, someValues].map((x) => real.encrypt(x, opener, random))
const [bfvOnes, bfvUsual] = [allWholeOnes, someWholes].map((x) => whole.encrypt(x, opener, random))
const parts = [ring.zeroEvaluations(), ring.zeroEvaluations()]
const put = (from: { readonly parts: readonly Uint32Array[] } | undefined) => (): void =>
  parts.forEach((part, i) => {
    part.set(from?.parts[i] ?? [])
  })
const both = { parameters, parts, limbs: 2 }
test(
  "ckks-decrypt.message",
  () => real.decrypt({ ...both, level: 1, scale: 2 ** 20, size: 2 }, opener),
  put(realOnes),
  put(realUsual),
)
test(
  "bfv-decrypt.message",
  () => whole.decrypt({ ...both, plainModulus: 12_289 }, opener),
  put(bfvOnes),
  put(bfvUsual),
)
test("bfv-encrypt.numbers", () => whole.encrypt(wholes, opener, random), wholeOnes, wholeUsual)
const secrets = { small: held.expose().fill(0), usual: held.expose() }
const exposed = new Int32Array(N)
test(
  "secret-to-bytes.secret",
  () => secretToBytes(RlweSecret.from(parameters, exposed)),
  () => exposed.set(secrets.small),
  () => exposed.set(secrets.usual),
)
test("same-against-same", () => phase(held, ciphertext), asUsual, asUsual)

/** What must be found: a product that passes over zeros of the secret, as a schoolbook one does. */
const leaky = (secret: Int32Array): number => {
  let sum = 0
  for (let i = 0; i < secret.length; i++)
    if (secret[i] !== 0) for (let j = 0; j < 8; j++) sum += (ciphertext.parts[0]?.[(i + j) % N] ?? 0) % 12_289
  return sum
}
test(
  "leaky-control",
  () => leaky(exposed),
  () => exposed.set(secrets.small),
  () => exposed.set(secrets.usual),
  true,
)
