import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { sumsKernel } from "./wide-gaussian.js"

/** What the bytes are. */
export type FrameKind =
  | "update"
  | "opening"
  | "key-share"
  | "zero-test"
  | "zero-opening"
  | "mask-share"
  | "mask-opening"

const TAG_BYTES = 16
const CHECK_BYTES = 8
export const FRAME_BYTES = TAG_BYTES + CHECK_BYTES
const START = 0x243f6a8885a308d3n

/** Sixteen bytes that say what a payload is and which sum it belongs to. */
export const frameTag = (kind: FrameKind, ...binding: readonly Uint8Array[]): Uint8Array =>
  hash(`lattice/frame/${kind}`, ...binding).subarray(0, TAG_BYTES)

const checkOf = (tag: Uint8Array, body: Uint8Array): bigint => {
  const kernel = sumsKernel()
  return kernel.check(kernel.check(START, tag), body)
}
const checkView = (frame: Uint8Array): DataView =>
  new DataView(frame.buffer, frame.byteOffset + frame.length - CHECK_BYTES, CHECK_BYTES)

/**
 * A payload with its tag before and a check behind. The check finds bytes that were damaged on the way; it is no
 * signature, and who sends frames on signs them.
 *
 * Shape: 16 bytes of tag, the body (a multiple of 8 bytes), 8 bytes of check
 */
export const newFrame = (tag: Uint8Array, bodyLength: number): { frame: Uint8Array; body: Uint8Array } => {
  const frame = new Uint8Array(FRAME_BYTES + bodyLength)
  frame.set(tag)
  return { frame, body: frame.subarray(TAG_BYTES, TAG_BYTES + bodyLength) }
}
export const sealFrame = (frame: Uint8Array): Uint8Array => {
  const body = frame.subarray(TAG_BYTES, frame.length - CHECK_BYTES)
  checkView(frame).setBigUint64(0, checkOf(frame.subarray(0, TAG_BYTES), body))
  return frame
}

/**
 * The body of a frame, a view into it.
 * @throws {ConsiliumError} "lattice/malformed" on another length or damage, "lattice/other-sum" on another tag
 */
export const frameBody = (
  frame: Uint8Array,
  tag: Uint8Array,
  bodyLength: number,
  what: string,
): Uint8Array => {
  if (frame.length !== FRAME_BYTES + bodyLength)
    throw new ConsiliumError(
      "lattice/malformed",
      `${what} has ${frame.length} bytes where ${FRAME_BYTES + bodyLength} were expected.`,
    )
  const found = frame.subarray(0, TAG_BYTES)
  const body = frame.subarray(TAG_BYTES, TAG_BYTES + bodyLength)
  if (checkView(frame).getBigUint64(0) !== checkOf(found, body))
    throw new ConsiliumError("lattice/malformed", `${what} was damaged on the way: its check does not fit.`)
  if (!equalBytes(found, tag))
    throw new ConsiliumError("lattice/other-sum", `${what} belongs to another sum, or is something else.`)
  return body
}
