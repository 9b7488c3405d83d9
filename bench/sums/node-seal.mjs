import { median, mustBeExact, timeRow } from "./timing.mjs"

const DEGREE = 8192
const SLOTS = DEGREE / 2
const BITS = [60, 40, 40, 60]
const SCALE = 2 ** 40

/**
 * The usual way with SEAL: CKKS slots under one public key, one holder of the secret key. It has no threshold, its sums
 * are approximate (here rounded), and whoever holds the key can decrypt every update.
 */
export const measureNodeSeal = async ({ values, facilities }, vectors) => {
  let load
  try {
    load = (await import("node-seal")).default
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error
    return [{ id: "sums.node-seal", value: null, unit: "not installed" }]
  }
  const seal = await load()
  const none = seal.ComprModeType.none
  const settings = seal.EncryptionParameters(seal.SchemeType.ckks)
  settings.setPolyModulusDegree(DEGREE)
  settings.setCoeffModulus(seal.CoeffModulus.Create(DEGREE, Int32Array.from(BITS)))
  const context = seal.Context(settings, true, seal.SecurityLevel.tc128)
  const encoder = seal.CKKSEncoder(context)
  const generator = seal.KeyGenerator(context)
  const encryptor = seal.Encryptor(context, generator.createPublicKey())
  const decryptor = seal.Decryptor(context, generator.secretKey())
  const evaluator = seal.Evaluator(context)
  const vector = Float64Array.from(vectors[0])
  const blocks = Math.ceil(values / SLOTS)
  let cipher = []
  const protecting = await median(2, () => {
    for (const one of cipher) one.delete()
    cipher = Array.from({ length: blocks }, (_, block) => {
      const plain = encoder.encode(vector.slice(block * SLOTS, (block + 1) * SLOTS), SCALE)
      const out = encryptor.encrypt(plain)
      plain.delete()
      return out
    })
  })
  const bytes = cipher[0].saveArray(none).length * blocks
  const compressed = cipher[0].saveArray().length * blocks
  const sums = cipher.map((one) => one.clone())
  const adding = await median(1, () => {
    sums.forEach((sum, block) => {
      for (let i = 1; i < facilities; i++) evaluator.add(sum, cipher[block], sum)
    })
  })
  const out = new Int32Array(values)
  const decoding = await median(1, () => {
    sums.forEach((sum, block) => {
      const plain = decryptor.decrypt(sum)
      const decoded = encoder.decode(plain)
      plain.delete()
      const end = Math.min(values, (block + 1) * SLOTS)
      for (let i = block * SLOTS; i < end; i++) out[i] = Math.round(decoded[i - block * SLOTS])
    })
  })
  mustBeExact(
    "node-seal",
    out,
    vectors[0].map((value) => value * facilities),
  )
  for (const one of [...cipher, ...sums]) one.delete()
  return [
    timeRow("sums.node-seal.protect", protecting),
    timeRow("sums.node-seal.add", adding),
    timeRow("sums.node-seal.decode", decoding),
    { id: "sums.node-seal.up", value: bytes / values, unit: "B/value" },
    { id: "sums.node-seal.up-compressed", value: compressed / values, unit: "B/value" },
  ]
}
