import { equalBytes, toHex } from "@consilium/base/bytes"
import {
  bool,
  bytes,
  type Codec,
  decode,
  encode,
  f64,
  f64Array,
  fixedBytes,
  i32Array,
  list,
  oneOf,
  record,
  u8,
  variant,
} from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { IntegerModel, IntegerUnit } from "../model/integer-model.js"
import { MOST_WIDTH } from "../plan/feature-layout.js"
import { MOST_HIDDEN_LAYERS } from "../plan/feature-program.js"
import { type InferencePlan, planHash } from "../plan/plan.js"
import { MOST_FIELDS } from "../schema/fields.js"
import { DIGEST_BYTES } from "../wire/head.js"

const FORMAT = 1
const MOST_UNITS = 2 ** 16
/** No modulus of any plan is longer. */
const MOST_INTEGER_BYTES = 64

const magnitude = bytes(MOST_INTEGER_BYTES)

/** Whole numbers of any sign: the sign, then the size without leading zeros; zero is not negative. */
const wholeNumber: Codec<bigint> = {
  write(writer, value) {
    const digits = (value < 0n ? -value : value).toString(16)
    const size = value === 0n ? "" : digits.padStart(digits.length + (digits.length % 2), "0")
    bool.write(writer, value < 0n)
    magnitude.write(
      writer,
      Uint8Array.from({ length: size.length / 2 }, (_, i) =>
        Number.parseInt(size.slice(2 * i, 2 * i + 2), 16),
      ),
    )
  },
  read(reader) {
    const negative = bool.read(reader)
    const size = magnitude.read(reader)
    if (size[0] === 0 || (negative && size.length === 0))
      throw new ConsiliumError("encoding/malformed", "A whole number is not in its shortest form.")
    const value = size.length === 0 ? 0n : BigInt(`0x${toHex(size)}`)
    return negative ? -value : value
  },
}
const affine = { weights: i32Array(MOST_FIELDS), bias: wholeNumber }
const slotLayer = record({
  weights: list(f64Array(MOST_WIDTH), MOST_WIDTH),
  biases: f64Array(MOST_WIDTH),
  slopes: f64Array(MOST_WIDTH),
})
const stored = record({
  format: u8,
  plan: fixedBytes(DIGEST_BYTES),
  model: variant({
    linear: record(affine),
    squares: record({
      units: list(record({ ...affine, sign: oneOf("added", "taken") }), MOST_UNITS),
      bias: wholeNumber,
    }),
    slots: record({
      layers: list(slotLayer, MOST_HIDDEN_LAYERS),
      imaginary: list(bool, MOST_WIDTH),
      bias: f64,
    }),
  }),
})

/** What a server computes, and the plan that it belongs to. */
export interface ServerModel {
  readonly plan: InferencePlan
  readonly integers: IntegerModel
}

/**
 * The canonical bytes of a model in whole numbers. They are the model: they belong to the server's operator.
 * @throws {ConsiliumError} "encoding/too-large" on a model that no plan of this format has; as `planToBytes`
 */
export const serverModelToBytes = ({ plan, integers }: ServerModel): Uint8Array => {
  const head = { format: FORMAT, plan: planHash(plan) }
  if (integers.kind === "linear") {
    const { weights, bias } = integers
    return encode(stored, { ...head, model: { type: "linear", weights, bias } })
  }
  if (integers.kind === "slots") {
    const { layers, imaginary, bias } = integers
    return encode(stored, { ...head, model: { type: "slots", layers, imaginary, bias } })
  }
  const units = integers.units.map(({ sign, ...unit }) => ({
    ...unit,
    sign: sign === 1 ? ("added" as const) : ("taken" as const),
  }))
  return encode(stored, { ...head, model: { type: "squares", units, bias: integers.bias } })
}

const read = (file: Uint8Array) => {
  try {
    return decode(stored, file)
  } catch (cause) {
    throw new ConsiliumError(
      "inference/malformed",
      `A server's model cannot be read: ${(cause as Error).message}`,
      { remedy: "Compile the model again.", cause },
    )
  }
}

/**
 * The model in whole numbers of its bytes.
 * @throws {ConsiliumError} "inference/malformed" unless `serverModelToBytes` could have written the bytes; "inference/other-plan" with
 *   both hashes if it was for another plan
 */
export const serverModelFromBytes = (file: Uint8Array, plan: InferencePlan): IntegerModel => {
  const { format, plan: found, model } = read(file)
  if (format !== FORMAT)
    throw new ConsiliumError(
      "inference/malformed",
      `A server's model has format ${format}; this program reads ${FORMAT}.`,
    )
  const expected = planHash(plan)
  if (!equalBytes(found, expected))
    throw new ConsiliumError(
      "inference/other-plan",
      `A server's model is for plan ${toHex(found)}; the plan here is ${toHex(expected)}.`,
      { remedy: "Keep the files of one compilation together, or compile the model again." },
    )
  if (model.type === "linear") return { kind: "linear", weights: model.weights, bias: model.bias }
  if (model.type === "slots") {
    const { layers, imaginary, bias } = model
    return { kind: "slots", layers, imaginary, bias }
  }
  const units = model.units.map(
    ({ sign, ...unit }): IntegerUnit => ({ ...unit, sign: sign === "added" ? 1 : -1 }),
  )
  return { kind: "squares", units, bias: model.bias }
}
