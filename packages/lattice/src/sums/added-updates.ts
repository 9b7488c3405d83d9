import { ConsiliumError } from "@consilium/base/errors"
import type { Ring } from "../ring/ring.js"
import { frameBody, newFrame, sealFrame } from "./frame.js"

/** Refuses a vector that may not be protected. @throws {ConsiliumError} "lattice/out-of-range", "lattice/bad-polynomial" */
export const checkVector = (ring: Ring, values: Int32Array, length: number, largest: number): void => {
  if (values.length !== length)
    throw new ConsiliumError(
      "lattice/bad-polynomial",
      `A vector of ${values.length} values was given where ${length} were agreed.`,
    )
  if (!ring.isWithin(values, largest))
    throw new ConsiliumError("lattice/out-of-range", `A value is larger than the agreed ${largest}.`)
}

/** A frame of packed polynomials, made one after the other. */
export const packedFrame = (
  ring: Ring,
  tag: Uint8Array,
  blocks: number,
  make: (block: number, into: Uint8Array) => void,
): Uint8Array => {
  const { frame, body } = newFrame(tag, blocks * ring.packedLength)
  for (let block = 0; block < blocks; block++)
    make(block, body.subarray(block * ring.packedLength, (block + 1) * ring.packedLength))
  return sealFrame(frame)
}

/** The frames' polynomials, added up block by block; all frames are checked before any is added. */
export const addFrames = (
  ring: Ring,
  tag: Uint8Array,
  blocks: number,
  frames: readonly Uint8Array[],
): Uint8Array => {
  const bodies = frames.map((frame) =>
    frameBody(frame, tag, blocks * ring.packedLength, "A protected update"),
  )
  const sum = ring.zeroCoefficients()
  return packedFrame(ring, tag, blocks, (block, into) => {
    sum.fill(0)
    for (const body of bodies)
      ring.addPacked(sum, body.subarray(block * ring.packedLength, (block + 1) * ring.packedLength))
    ring.pack(sum, into)
  })
}
