import type { Payload } from "../ring/kernel.js"
import { LaneCodec } from "../ring/lane-codec.js"
import type { Coefficients, Ring } from "../ring/ring.js"
import { QuotientCodec } from "./quotient-codec.js"

/** Whole numbers in the coefficients of polynomials, above room for errors. */
export interface ValueCodec {
  readonly ring: Ring
  readonly capacity: number
  blocks(length: number): number
  message(vector: Int32Array, block: number): Omit<Payload, "error">
  decode(a: Coefficients): { readonly values: Int32Array; readonly remainder: bigint }
}

/** How values lie in coefficients. */
export interface Packing {
  /** "ckks": Delta is a power of two and the numbers stand below Q's middle; "bfv": Delta = floor(Q / plaintext modulus). */
  readonly form: "ckks" | "bfv"
  readonly lanes: number
  readonly laneBits: number
  /** log2 of Delta for "ckks"; for "bfv" Delta follows from Q, and this is the floor of its log2. */
  readonly deltaBits: number
}

export const valueCodec = (ring: Ring, packing: Packing, largest: number): ValueCodec => {
  const { form, lanes, laneBits, deltaBits } = packing
  return form === "ckks"
    ? new LaneCodec(ring, { lanes, laneBits, deltaBits, largest })
    : new QuotientCodec(ring, { lanes, laneBits, largest })
}
