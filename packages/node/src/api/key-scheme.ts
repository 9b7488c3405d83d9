import type { Directory } from "@consilium/federation/roster"
import { type Study, valueCount } from "@consilium/federation/study"
import { explainLattice, thresholdParameters } from "@consilium/federation/sums/lattice-parameters"
import type { KeySchemeView } from "./study-view.js"

/** Bytes around the polynomials of a payload: what it belongs to, and a check. */
const FRAME_BYTES = 24
/** Classical security in bits that every set of parameters has: larger moduli are refused. */
const SECURITY_BITS = 128

const rounded = (x: number, digits: number): number => Number(x.toFixed(digits))

/** How a study's updates are encrypted among these participants, in numbers. */
export const keyScheme = (study: Study, directory: Directory): KeySchemeView => {
  const { literal, ring, blocks } = thresholdParameters({ study, directory })
  const { form, degree, primes, lanes, laneBits, statisticalBits } = literal
  const bytes = FRAME_BYTES + blocks * ring.packedLength
  return {
    name: form === "bfv" ? "BFV" : "CKKS",
    degree,
    primes: primes.length,
    modulusBits: rounded(
      primes.reduce((bits, q) => bits + Math.log2(q), 0),
      1,
    ),
    lanes,
    laneBits,
    polynomials: blocks,
    updateBytes: bytes,
    bytesPerValue: rounded(bytes / valueCount(study), 2),
    securityBits: SECURITY_BITS,
    floodingBits: statisticalBits,
    because: explainLattice(study, directory.facilities.length),
  }
}
