import { ConsiliumError } from "@consilium/base/errors"
import { MOST_SCALE_BITS, mostModulusBits, RING_DEGREES } from "@consilium/federation/sums/ring-rules"
import { z } from "zod"
import type { StudyFile } from "./study-file.js"

/** `ckks` of `privacy_config.yaml`: what the encryption has at least; null leaves it to the study's numbers. */
export const ckksSchema = z.strictObject({
  /** Degree of the ring, rounded up to one that is offered. */
  ring_degree: z.int().min(1).nullable().default(null),
  /** Bits of the modulus. */
  modulus_bits: z.int().min(1).nullable().default(null),
  /** Bits of the number that values are scaled by. */
  scale_bits: z.int().min(1).nullable().default(null),
  /** Bits of each prime, as SEAL and TenSEAL list them: the last one is for switching keys. */
  coeff_mod_bit_sizes: z.array(z.int().min(1).max(60)).min(2).max(32).nullable().default(null),
})
export type CkksForm = z.output<typeof ckksSchema>

const refuse = (message: string, remedy?: string): never => {
  throw new ConsiliumError("config/invalid", message, remedy === undefined ? {} : { remedy })
}

/** The smallest degree on offer that is as large as one asked for, and a note where it is another one. */
const offered = (key: string, asked: number, notes: string[]): number => {
  const degree = RING_DEGREES.find((one) => one >= asked)
  if (degree === undefined)
    return refuse(
      `${key}: a ring degree of ${asked} is more than ${RING_DEGREES.at(-1)}, the largest there is.`,
      `Name one of ${RING_DEGREES.join(", ")}.`,
    )
  if (degree !== asked)
    notes.push(`${key} ${asked} is rounded up to ${degree}: ring degrees are ${RING_DEGREES.join(", ")}.`)
  return degree
}

/**
 * A chain of primes in the manner of SEAL, as what the sums need to have: no product is ever taken of ciphertexts here, so
 * of the chain count the bits of all primes but the last, and the scale that the primes in the middle stand for.
 */
const fromChain = (
  sizes: readonly number[],
  notes: string[],
): { readonly modulus: number; readonly scale: number } => {
  const data = sizes.slice(0, -1)
  const middle = data.slice(1)
  const modulus = data.reduce((sum, bits) => sum + bits, 0)
  const scale = middle.length === 0 ? 0 : Math.min(...middle)
  if (new Set(middle).size > 1)
    refuse(
      `ckks.coeff_mod_bit_sizes: the primes in the middle have ${middle.join(", ")} bits; a scale stands for primes of one size.`,
      "Give the primes between the first and the last one size, or name modulus_bits and scale_bits.",
    )
  if (scale > MOST_SCALE_BITS)
    refuse(
      `ckks.coeff_mod_bit_sizes: a scale of ${scale} bits is more than ${MOST_SCALE_BITS}, up to which sums are decoded exactly.`,
    )
  notes.push(
    `ckks.coeff_mod_bit_sizes [${sizes.join(", ")}] is taken as a modulus of at least ${modulus} bits${scale === 0 ? "" : ` and a scale of at least ${scale}`}: the last prime switches keys in SEAL, and sums switch none; the primes themselves have 26 to 30 bits here.`,
  )
  return { modulus, scale }
}

/**
 * What `key_length` and `ckks` ask of the ring; null if nothing. What is asked for is a least: the study's numbers may need more.
 * @throws {ConsiliumError} "config/invalid" for what is not offered or not safe
 */
export const ringAsked = (
  scheme: "CKKS" | "BFV",
  keyLength: number | null,
  ckks: CkksForm | null,
  notes: string[],
): StudyFile["ring"] => {
  if (ckks !== null && scheme !== "CKKS")
    return refuse(`ckks: the scheme is ${scheme}.`, "Leave ckks out, or set encryption_scheme to CKKS.")
  const { ring_degree: ownDegree = null, coeff_mod_bit_sizes: chain = null } = ckks ?? {}
  const fromKey = keyLength === null ? 0 : offered("key_length", keyLength, notes)
  const fromCkks = ownDegree === null ? 0 : offered("ckks.ring_degree", ownDegree, notes)
  if (fromKey !== 0 && fromCkks !== 0 && fromKey !== fromCkks)
    return refuse(
      `key_length asks for a ring degree of ${fromKey} and ckks.ring_degree for ${fromCkks}.`,
      "Name one of the two.",
    )
  if (chain !== null && (ckks?.modulus_bits ?? ckks?.scale_bits ?? null) !== null)
    return refuse(
      "ckks: coeff_mod_bit_sizes already says what modulus_bits and scale_bits are.",
      "Name one or the other.",
    )
  const mapped =
    chain === null
      ? { modulus: ckks?.modulus_bits ?? 0, scale: ckks?.scale_bits ?? 0 }
      : fromChain(chain, notes)
  const degree = (fromKey || fromCkks) as NonNullable<StudyFile["ring"]>["degree"]
  const most = mostModulusBits(degree === 0 ? (RING_DEGREES.at(-1) as number) : degree)
  if (mapped.modulus > most)
    return refuse(
      `ckks: a modulus of ${mapped.modulus} bits is not safe at ring degree ${degree === 0 ? RING_DEGREES.at(-1) : degree}, which allows ${most} for 128 bits of security.`,
      "Ask for fewer bits, or for a larger ring_degree.",
    )
  if (mapped.scale > MOST_SCALE_BITS)
    return refuse(
      `ckks.scale_bits: ${mapped.scale} is more than ${MOST_SCALE_BITS}, up to which sums are decoded exactly.`,
    )
  if (degree === 0 && mapped.modulus === 0 && mapped.scale === 0) return null
  return { degree, modulus_bits: mapped.modulus, scale_bits: mapped.scale }
}
