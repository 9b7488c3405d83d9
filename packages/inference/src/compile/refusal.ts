import { ConsiliumError } from "@consilium/base/errors"

/** Where the values of a layer lie over the declared ranges, and how large its whole numbers become. */
export interface LayerProof {
  readonly layer: string
  readonly low: number
  readonly high: number
  /** The largest whole number that can occur, noise included. */
  readonly largest: bigint
  /** Half the modulus: what is below does not wrap. */
  readonly room: bigint
}

/** Bits of a whole number that is not negative. */
export const bitsOf = (value: bigint): number => (value === 0n ? 0 : value.toString(2).length)

export const noPlan = (message: string): never => {
  throw new ConsiliumError("inference/no-plan", message)
}
