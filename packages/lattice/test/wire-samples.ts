import { insecureSeededRandom } from "@consilium/base/testing"
import { bfv } from "../src/bfv/bfv.js"
import { ckks } from "../src/ckks/ckks.js"
import {
  galoisKeyFromBytes,
  galoisKeyToBytes,
  publicKeyFromBytes,
  publicKeyToBytes,
  relinearisationKeyFromBytes,
  relinearisationKeyToBytes,
  secretFromBytes,
  secretToBytes,
} from "../src/rlwe/wire.js"

/** Good bytes of a kind, and what reads them and writes them again. */
export interface WireSample {
  readonly name: string
  readonly good: Uint8Array
  readonly again: (bytes: Uint8Array) => Uint8Array
}

const random = insecureSeededRandom("wire")
const options = { degree: 2048, bits: [26, 26], special: 1 }
const real = ckks({ ...options, scale: 2 ** 20 })
const whole = bfv({ ...options, plainModulus: 12_289 })
const secret = real.newSecret(random)
const { parameters } = real
const publicKey = real.publicKey(secret, random)
const { seed: _, ...unseeded } = publicKey
const product = real.multiply(
  real.encrypt(real.encode([1], { scale: 8 }), secret, random),
  real.encrypt(real.encode([1], { scale: 8 }), secret, random),
)

const realAgain = (bytes: Uint8Array): Uint8Array => real.toBytes(real.fromBytes(bytes))
const wholeAgain = (bytes: Uint8Array): Uint8Array => whole.toBytes(whole.fromBytes(bytes))
const publicAgain = (bytes: Uint8Array): Uint8Array => publicKeyToBytes(publicKeyFromBytes(parameters, bytes))

export const WIRE_SAMPLES: readonly WireSample[] = [
  { name: "ckks, seeded", good: real.toBytes(real.encrypt([1, 2], secret, random)), again: realAgain },
  { name: "ckks, public key", good: real.toBytes(real.encrypt([1, 2], publicKey, random)), again: realAgain },
  { name: "ckks, product", good: real.toBytes(product), again: realAgain },
  { name: "bfv, seeded", good: whole.toBytes(whole.encrypt([1, 2], secret, random)), again: wholeAgain },
  {
    name: "bfv, sum",
    good: whole.toBytes(whole.negate(whole.encrypt([3], secret, random))),
    again: wholeAgain,
  },
  { name: "public key", good: publicKeyToBytes(publicKey), again: publicAgain },
  { name: "public key, no seed", good: publicKeyToBytes(unseeded), again: publicAgain },
  {
    name: "relinearisation key",
    good: relinearisationKeyToBytes(real.relinearisationKey(secret, random)),
    again: (bytes) => relinearisationKeyToBytes(relinearisationKeyFromBytes(parameters, bytes)),
  },
  {
    name: "Galois key",
    good: galoisKeyToBytes(real.conjugationKey(secret, random)),
    again: (bytes) => galoisKeyToBytes(galoisKeyFromBytes(parameters, bytes)),
  },
  {
    name: "secret key",
    good: secretToBytes(secret),
    again: (bytes) => secretToBytes(secretFromBytes(parameters, bytes)),
  },
]

/**
 * Reads byte strings that are random, altered, cut, lengthened or of another kind. What is accepted must be written to
 * the same bytes again; what is refused must be refused with one of two codes.
 */
export const fuzzWire = (
  runs: number,
  label: string,
  isTyped: (error: unknown) => boolean,
): { readonly runs: number; readonly accepted: boolean; readonly problems: readonly string[] } => {
  const draws = insecureSeededRandom("fuzz", label)
  const problems: string[] = []
  let accepted = 0
  for (let run = 0; run < runs && problems.length < 10; run++) {
    const [which = 0, kind = 0, high = 0, low = 0, value = 0, size = 0] = draws.bytes(6)
    const { name, good, again } = WIRE_SAMPLES[which % WIRE_SAMPLES.length] as (typeof WIRE_SAMPLES)[number]
    let bytes: Uint8Array = good.slice()
    const at = (256 * high + low) % good.length
    if (kind % 6 === 0) bytes = draws.bytes(size)
    else if (kind % 6 === 1) bytes[at] = value
    else if (kind % 6 === 2) bytes[low % 48] = value
    else if (kind % 6 === 3) bytes = bytes.subarray(0, good.length - (value % 2 === 0 ? size : at))
    else if (kind % 6 === 4) {
      bytes = new Uint8Array(good.length + size)
      bytes.set(good)
    } else bytes = (WIRE_SAMPLES[value % WIRE_SAMPLES.length] as (typeof WIRE_SAMPLES)[number]).good
    try {
      const written = again(bytes)
      accepted++
      if (written.length !== bytes.length || written.some((byte, i) => byte !== bytes[i]))
        problems.push(`run ${run}, ${name}: accepted what is not written`)
    } catch (error) {
      if (!isTyped(error)) problems.push(`run ${run}, ${name}: ${String(error)}`)
    }
  }
  return { runs, accepted: accepted > 0 && accepted < runs, problems }
}
