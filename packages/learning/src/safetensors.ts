import { concatBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { fromUtf8, utf8 } from "@consilium/base/platform"
import { type HeaderValue, parseHeader } from "./header-json.js"

/** A named block of 32-bit or 64-bit floats. */
export interface SafeTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array | Float64Array
}

/** What a safetensors file holds: tensors in the order in which their numbers lie, and texts about them. */
export interface SafeTensors {
  readonly tensors: readonly SafeTensor[]
  readonly metadata: Readonly<Record<string, string>>
}

const ALIGNMENT = 8
const MOST_HEADER = 100_000_000
const METADATA = "__metadata__"
const BYTES: Readonly<Record<string, 4 | 8>> = { F32: 4, F64: 8 }

const unreadable = (message: string): never => {
  throw new ConsiliumError("model/unreadable", message)
}
const inconsistent = (message: string): never => {
  throw new ConsiliumError("model/inconsistent", message)
}
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1)

/**
 * A safetensors file: the length of the header (8 bytes, little-endian), the header as JSON, padded with spaces so that
 * the numbers begin at a multiple of 8, the numbers. The same tensors and texts, in the same order, give the same bytes.
 *
 * Source: the safetensors format, Hugging Face, version 0.3 and later
 * @throws {ConsiliumError} "model/inconsistent" if a name is empty, comes twice or is reserved, or a shape does not fit
 */
export const encodeSafetensors = ({ tensors, metadata }: SafeTensors): Uint8Array => {
  const header: Record<string, unknown> = {}
  const texts = Object.entries(metadata)
  if (texts.length > 0) header[METADATA] = Object.fromEntries(texts)
  let at = 0
  const parts: Uint8Array[] = []
  for (const { name, shape, values } of tensors) {
    if (name === "" || name === METADATA || Object.hasOwn(header, name))
      inconsistent("The name of a tensor is empty, reserved or given twice.")
    if (shape.some((side) => !Number.isSafeInteger(side) || side < 0) || sizeOf(shape) !== values.length)
      inconsistent(`A tensor of ${values.length} numbers cannot have the shape ${shape.join(" x ")}.`)
    const width = values instanceof Float32Array ? 4 : 8
    const data = new Uint8Array(width * values.length)
    const view = new DataView(data.buffer)
    for (let i = 0; i < values.length; i++)
      if (width === 4) view.setFloat32(4 * i, values[i] as number, true)
      else view.setFloat64(8 * i, values[i] as number, true)
    header[name] = {
      dtype: width === 4 ? "F32" : "F64",
      shape,
      data_offsets: [at, at + data.length],
    }
    at += data.length
    parts.push(data)
  }
  const text = utf8(JSON.stringify(header))
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT
  const head = new Uint8Array(8 + length).fill(0x20)
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true)
  head.set(text, 8)
  return concatBytes(head, ...parts)
}

const isObject = (value: HeaderValue): value is { readonly [name: string]: HeaderValue } =>
  typeof value === "object" && !Array.isArray(value)
const isNumbers = (value: HeaderValue | undefined): value is readonly number[] =>
  Array.isArray(value) && value.every((element) => typeof element === "number")

interface Place {
  readonly name: string
  readonly shape: readonly number[]
  readonly width: 4 | 8
  readonly start: number
  readonly end: number
}

const placeOf = (name: string, entry: HeaderValue, index: number): Place => {
  if (!isObject(entry) || Object.keys(entry).sort().join() !== "data_offsets,dtype,shape")
    return unreadable(
      `Tensor ${index} of a safetensors file is not described by dtype, shape and data_offsets.`,
    )
  const { dtype, shape, data_offsets: offsets } = entry
  const width = typeof dtype === "string" && Object.hasOwn(BYTES, dtype) ? BYTES[dtype] : undefined
  if (width === undefined)
    return unreadable(`Tensor ${index} of a safetensors file is not of type F32 or F64.`)
  if (!isNumbers(shape) || !isNumbers(offsets) || offsets.length !== 2)
    return unreadable(`Tensor ${index} of a safetensors file has no shape or place.`)
  const [start, end] = offsets as readonly [number, number]
  const size = sizeOf(shape)
  if (!Number.isSafeInteger(size) || end - start !== width * size)
    return unreadable(`Tensor ${index} of a safetensors file has a shape that does not fill its place.`)
  return { name, shape, width, start, end }
}

/**
 * The tensors of a safetensors file, in the order in which their numbers lie. Every byte must belong to exactly one
 * tensor; other types than F32 and F64 are refused.
 * @throws {ConsiliumError} "model/unreadable"
 */
export const decodeSafetensors = (file: Uint8Array): SafeTensors => {
  if (file.length < 8) unreadable("A safetensors file is cut off within its first 8 bytes.")
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const length = view.getBigUint64(0, true)
  if (length > BigInt(MOST_HEADER) || length > BigInt(file.length - 8))
    unreadable(`The header of a safetensors file is longer than the file or than ${MOST_HEADER} bytes.`)
  const start = 8 + Number(length)
  let text = ""
  try {
    text = fromUtf8(file.subarray(8, start))
  } catch {
    unreadable("The header of a safetensors file is not UTF-8.")
  }
  const header = parseHeader(text)
  if (!isObject(header) || !text.startsWith("{"))
    return unreadable("The header of a safetensors file is no object.")
  const { [METADATA]: metadata = {}, ...entries } = header
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== "string"))
    return unreadable("The metadata of a safetensors file are not texts.")
  const places = Object.entries(entries)
    .map(([name, entry], index) => placeOf(name, entry, index))
    .sort((a, b) => a.start - b.start || a.end - b.end)
  let at = 0
  for (const place of places) {
    if (place.start !== at) unreadable("Tensors of a safetensors file overlap or leave a gap.")
    at = place.end
  }
  if (start + at !== file.length)
    unreadable(`The tensors of a safetensors file take ${at} bytes; it has ${file.length - start} for them.`)
  const tensors = places.map(({ name, shape, width, start: from, end }): SafeTensor => {
    const values = width === 4 ? new Float32Array((end - from) / 4) : new Float64Array((end - from) / 8)
    for (let i = 0; i < values.length; i++)
      values[i] =
        width === 4
          ? view.getFloat32(start + from + 4 * i, true)
          : view.getFloat64(start + from + 8 * i, true)
    return { name, shape, values }
  })
  return { tensors, metadata: metadata as Readonly<Record<string, string>> }
}
