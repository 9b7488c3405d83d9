import { insecureSeededRandom } from "@consilium/base/testing"
import SEAL from "node-seal"
import { Ckks } from "../src/ckks/ckks.js"
import { nttPrimes } from "../src/ring/primes.js"
import { rlweParameters } from "../src/rlwe/parameters.js"
import {
  ciphertextFromSeal,
  ciphertextToSeal,
  galoisKeysFromSeal,
  galoisKeysToSeal,
  publicKeyFromSeal,
  publicKeyToSeal,
  relinearisationKeyFromSeal,
  relinearisationKeyToSeal,
  sealId,
  sealParameters,
  secretFromSeal,
  secretToSeal,
} from "./seal-format.js"

/** The package exports one function, and types for another form of module. */
const startSeal = SEAL as unknown as typeof SEAL.default

const STEPS = 3
/**
 * Largest difference that errors make at these parameters, with room. SEAL's rotations cut polynomials into pieces in
 * [0, q) where ours are centred: their mean adds up in the slots near 1.
 */
export const tolerance = (what: string): number => (what.includes("they rotate") ? 0.05 : 0.004)
const SCALE = 2 ** 26

/** What SEAL's functions give where they are not told where to put it. */
const made = <T>(value: T): Extract<T, object> => {
  if (typeof value !== "object" || value === null) throw new Error("SEAL gave nothing")
  return value as Extract<T, object>
}

/** The largest difference between what one side put in and the other got out, for each thing that was exchanged. */
export type Differences = Readonly<Record<string, number>>

/** Encrypts random vectors on one side, computes and decrypts on the other, with keys made here and with keys made there. */
export const exchangeWithSeal = async (vectors: number): Promise<Differences> => {
  // the smallest first, not SEAL's own choice: the primes are given to it one by one
  const primes = [...nttPrimes(4096, 26, 4)].reverse()
  const parameters = rlweParameters({ degree: 4096, primes, special: 1 })
  const ctx = Ckks.with(parameters, SCALE)
  const random = insecureSeededRandom("exchange")

  const seal = await startSeal()
  const none = seal.ComprModeType.none
  const settings = seal.EncryptionParameters(seal.SchemeType.ckks)
  settings.loadArray(sealParameters(parameters))
  const context = seal.Context(settings, true, seal.SecurityLevel.tc128)
  if (!context.parametersSet()) throw new Error("SEAL refuses the parameters")
  const encoder = seal.CKKSEncoder(context)
  const evaluator = seal.Evaluator(context)
  const generator = seal.KeyGenerator(context)
  const theirSecret = generator.secretKey()
  const keyId = sealId(theirSecret.saveArray(none))
  const levelId = sealId(made(encoder.encode(new Float64Array(1), SCALE)).saveArray(none))

  const differences: Record<string, number> = {}
  const compare = (name: string, found: Float64Array, expected: (i: number) => number): void => {
    for (let i = 0; i < ctx.slots; i++) {
      const difference = Math.abs((found[i] as number) - expected(i))
      if (!(difference <= (differences[name] ?? 0))) differences[name] = difference
    }
  }
  const vector = (): Float64Array => {
    const bytes = random.bytes(4 * ctx.slots)
    return Float64Array.from(new Int32Array(bytes.buffer), (word) => word / 2 ** 31)
  }

  // keys made there, then keys made here
  for (const maker of ["their", "our"] as const) {
    const secret =
      maker === "our" ? ctx.newSecret(random) : secretFromSeal(parameters, theirSecret.saveArray(none))
    const ours = maker === "our"
    const secretKey = seal.SecretKey()
    const publicKey = seal.PublicKey()
    const relinKeys = seal.RelinKeys()
    const galoisKeys = seal.GaloisKeys()
    const own = {
      public: ctx.publicKey(secret, random),
      relinearisation: ctx.relinearisationKey(secret, random),
      galois: ctx.rotationKeys(secret, [STEPS], random),
    }
    secretKey.loadArray(context, ours ? secretToSeal(secret, keyId) : theirSecret.saveArray(none))
    publicKey.loadArray(
      context,
      ours ? publicKeyToSeal(own.public, keyId) : generator.createPublicKey().saveArray(none),
    )
    relinKeys.loadArray(
      context,
      ours
        ? relinearisationKeyToSeal(own.relinearisation, keyId)
        : generator.createRelinKeys().saveArray(none),
    )
    galoisKeys.loadArray(
      context,
      ours
        ? galoisKeysToSeal(own.galois, keyId)
        : generator.createGaloisKeys(Int32Array.of(STEPS)).saveArray(none),
    )
    const keys = ours
      ? own
      : {
          public: publicKeyFromSeal(parameters, publicKey.saveArray(none)),
          relinearisation: relinearisationKeyFromSeal(parameters, relinKeys.saveArray(none)),
          galois: galoisKeysFromSeal(parameters, galoisKeys.saveArray(none)),
        }
    const ourEvaluator = ctx.evaluator(keys)
    const encryptor = seal.Encryptor(context, publicKey, secretKey)
    const decryptor = seal.Decryptor(context, secretKey)
    const theirDecryption = (bytes: Uint8Array): Float64Array => {
      const cipher = seal.CipherText()
      cipher.loadArray(context, bytes)
      const plain = seal.PlainText()
      decryptor.decrypt(cipher, plain)
      return encoder.decode(plain)
    }
    const name = (what: string): string => `${maker} keys: ${what}`

    for (let run = 0; run < vectors; run++) {
      const x = vector()
      const at = (i: number): number => x[i] as number
      const square = (i: number): number => at(i) * at(i)
      const rotated = (i: number): number => at((i + STEPS) % ctx.slots)
      for (const key of [secret, keys.public]) {
        const mine = ctx.encrypt(x, key, random)
        compare(name("they decrypt ours"), theirDecryption(ciphertextToSeal(mine, levelId)), at)
      }
      const plain = made(encoder.encode(x, SCALE))
      for (const cipher of [encryptor.encrypt(plain), encryptor.encryptSymmetric(plain)]) {
        const theirs = ciphertextFromSeal(parameters, made(cipher).saveArray(none))
        compare(name("we decrypt theirs"), ctx.decrypt(theirs, secret), at)
      }
      const theirs = made(encryptor.encrypt(plain))
      const mine = ciphertextFromSeal(parameters, theirs.saveArray(none))
      const product = ourEvaluator.rescale(ourEvaluator.relinearise(ourEvaluator.multiply(mine, mine)))
      compare(name("we multiply theirs"), ctx.decrypt(product, secret), square)
      compare(name("we rotate theirs"), ctx.decrypt(ourEvaluator.rotate(mine, STEPS), secret), rotated)
      const ourBytes = ciphertextToSeal(ctx.encrypt(x, secret, random), levelId)
      const cipher = seal.CipherText()
      cipher.loadArray(context, ourBytes)
      const turned = made(evaluator.rotateVector(cipher, STEPS, galoisKeys))
      evaluator.square(cipher, cipher)
      evaluator.relinearize(cipher, relinKeys, cipher)
      evaluator.rescaleToNext(cipher, cipher)
      compare(name("they multiply ours"), theirDecryption(cipher.saveArray(none)), square)
      compare(name("they rotate ours"), theirDecryption(turned.saveArray(none)), rotated)
      const back = ciphertextFromSeal(parameters, cipher.saveArray(none))
      compare(name("we decrypt what they computed"), ctx.decrypt(back, secret), square)
      for (const object of [plain, theirs, cipher, turned]) object.delete()
    }
  }
  return differences
}
