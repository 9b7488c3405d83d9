// SEAL as it is mostly used, on the same models and patients: rows of scaled columns. Results are checked before they are given out to be
// timed.
import { createRequire } from "node:module"

const DEGREE = 8192
const SCALE = 2 ** 40
/** A logistic regression takes one level, the network of squares two; the last prime is for keys. */
const LINEAR_BITS = [60, 40, 60]
const NETWORK_BITS = [60, 40, 40, 60]
const LARGEST_ERROR = 1e-3

/** The library and its version; null where it is not installed. */
export const startSeal = async () => {
  let load
  try {
    load = (await import("node-seal")).default
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error
    return null
  }
  const { version } = createRequire(import.meta.url)("node-seal/package.json")
  return { seal: await load(), version }
}

const checkClose = (what, found, expected) => {
  const error = Math.max(...expected.map((logit, i) => Math.abs(found[i] - logit)))
  if (!(error <= LARGEST_ERROR)) throw new Error(`SEAL, ${what}: logits are off by ${error}`)
}

const parts = (seal, bits) => {
  const settings = seal.EncryptionParameters(seal.SchemeType.ckks)
  settings.setPolyModulusDegree(DEGREE)
  settings.setCoeffModulus(seal.CoeffModulus.Create(DEGREE, Int32Array.from(bits)))
  const context = seal.Context(settings, true, seal.SecurityLevel.tc128)
  const generator = seal.KeyGenerator(context)
  return {
    generator,
    encoder: seal.CKKSEncoder(context),
    encryptor: seal.Encryptor(context, generator.createPublicKey()),
    decryptor: seal.Decryptor(context, generator.secretKey()),
    evaluator: seal.Evaluator(context),
    none: seal.ComprModeType.none,
  }
}
const encrypted = ({ encoder, encryptor }, values) => {
  const plain = encoder.encode(values, SCALE)
  const cipher = encryptor.encrypt(plain)
  plain.delete()
  return cipher
}
const opened = ({ encoder, decryptor }, cipher) => {
  const plain = decryptor.decrypt(cipher)
  const values = encoder.decode(plain)
  plain.delete()
  return values
}

/** One patient in the first slots; the dot product by rotating and adding, under Galois keys for just these rotations. */
export const sealLinear = (seal, rows, linear) => {
  const use = parts(seal, LINEAR_BITS)
  const { generator, encoder, evaluator, none } = use
  const width = 2 ** Math.ceil(Math.log2(linear.weights.length))
  const steps = Array.from({ length: Math.log2(width) }, (_, i) => 2 ** i)
  const galois = generator.createGaloisKeys(Int32Array.from(steps))
  const weights = encoder.encode(
    Float64Array.from({ length: width }, (_, i) => linear.weights[i] ?? 0),
    SCALE,
  )
  const slots = (row) => Float64Array.from({ length: width }, (_, i) => row[i] ?? 0)
  const answer = (cipher) => {
    const sum = cipher.clone()
    evaluator.multiplyPlain(sum, weights, sum)
    evaluator.rescaleToNext(sum, sum)
    for (const step of steps) {
      const turned = sum.clone()
      evaluator.rotateVector(sum, step, galois, turned)
      evaluator.add(sum, turned, sum)
      turned.delete()
    }
    return sum
  }
  // the bias is public to who opens, as in the usual demonstrations
  const logitOf = (sum) => opened(use, sum)[0] + linear.bias
  const checked = rows.slice(0, 8).map((row) => {
    const cipher = encrypted(use, slots(row))
    const sum = answer(cipher)
    const logit = logitOf(sum)
    cipher.delete()
    sum.delete()
    return logit
  })
  checkClose("one patient", checked, linear.logits.slice(0, 8))
  const one = encrypted(use, slots(rows[0]))
  const given = answer(one)
  return {
    encrypt: (i) => encrypted(use, slots(rows[i % rows.length])).delete(),
    serve: () => answer(one).delete(),
    open: () => logitOf(given),
    bytes: {
      up: one.saveArray(none).length,
      down: given.saveArray(none).length,
      "galois-keys": galois.saveArray(none).length,
    },
  }
}

/** A ciphertext for each column with a patient in each slot, and the same folding of the last layer into the first: no keys. */
export const sealNetwork = (seal, rows, network) => {
  const use = parts(seal, NETWORK_BITS)
  const { encoder, evaluator, none } = use
  const slots = DEGREE / 2
  const constant = (value) => encoder.encode(new Float64Array(slots).fill(value), SCALE)
  const weights = network.units.map((unit) => unit.weights.map(constant))
  const columns = rows[0].map((_, j) =>
    encrypted(
      use,
      Float64Array.from(rows, (row) => row[j]),
    ),
  )
  // added at the scale of the products, before that is lowered
  const biases = network.units.map(({ bias }) =>
    encoder.encode(new Float64Array(slots).fill(bias), SCALE * SCALE),
  )
  const answer = () => {
    let total = null
    network.units.forEach(({ sign }, i) => {
      const sum = columns[0].clone()
      evaluator.multiplyPlain(sum, weights[i][0], sum)
      for (let j = 1; j < columns.length; j++) {
        const term = columns[j].clone()
        evaluator.multiplyPlain(term, weights[i][j], term)
        evaluator.add(sum, term, sum)
        term.delete()
      }
      evaluator.addPlain(sum, biases[i], sum)
      evaluator.rescaleToNext(sum, sum)
      evaluator.square(sum, sum)
      if (total === null) {
        total = sum
        if (sign < 0) evaluator.negate(total, total)
        return
      }
      if (sign < 0) evaluator.sub(total, sum, total)
      else evaluator.add(total, sum, total)
      sum.delete()
    })
    return total
  }
  const given = answer()
  const values = opened(use, given)
  checkClose(
    `${rows.length} patients`,
    rows.map((_, i) => values[i] + network.bias),
    network.logits,
  )
  return {
    serve: () => answer().delete(),
    bytes: {
      up: columns.reduce((sum, one) => sum + one.saveArray(none).length, 0),
      down: given.saveArray(none).length,
    },
  }
}
