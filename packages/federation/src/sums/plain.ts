import { ConsiliumError } from "@consilium/base/errors"
import { valueCount } from "../study.js"
import type { SecureSum, SumSetting } from "./secure-sum.js"

/** @throws {ConsiliumError} "sharing/wrong-length" */
export const checkLength = (found: number, expected: number, unit: string): void => {
  if (found !== expected)
    throw new ConsiliumError(
      "sharing/wrong-length",
      `An update of ${found} ${unit} was received where ${expected} were expected.`,
    )
}

/** Integers as they travel readable: 4 bytes each, little-endian. */
export const readableBytes = (values: Int32Array): Uint8Array => {
  const out = new Uint8Array(4 * values.length)
  const view = new DataView(out.buffer)
  for (let i = 0; i < values.length; i++) view.setInt32(4 * i, values[i] as number, true)
  return out
}

const addInto = (sum: Int32Array, payload: Uint8Array): void => {
  checkLength(payload.length, 4 * sum.length, "bytes")
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  for (let i = 0; i < sum.length; i++) {
    const total = (sum[i] as number) + view.getInt32(4 * i, true)
    if (total !== (total | 0))
      throw new ConsiliumError("sharing/overflow", "A sum of updates exceeds 32 bits.")
    sum[i] = total
  }
}

const sumOf = (setting: SumSetting, payloads: readonly Uint8Array[]): Int32Array => {
  const sum = new Int32Array(valueCount(setting.study))
  for (const payload of payloads) addInto(sum, payload)
  return sum
}

/**
 * No protection: updates travel readable to the fog, which adds them. For tests and as a baseline; default policies
 * refuse it.
 *
 * Shape: 4 bytes per value, little-endian, the same for one update and for any sum
 */
export const plainSum: SecureSum = {
  kind: "plain",
  keyed: false,
  added: { add: (setting, payloads) => readableBytes(sumOf(setting, payloads)) },
  checked: null,
  opened: null,
  combine: (setting, _request, sums) => Float64Array.from(sumOf(setting, sums)),
}
