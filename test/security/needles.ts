import { utf8 } from "@consilium/base/platform"

/** Numbers in an order that must not be readable where they do not belong; big ones are elements of GF(2^61 - 1). */
export interface Secret {
  readonly name: string
  readonly values: readonly number[] | readonly bigint[]
}

/** A long string of bytes, such as a packed polynomial: any intact stretch of a kilobyte of it is found. */
export interface LongSecret {
  readonly name: string
  /** How it is laid out, such as "packed". */
  readonly form: string
  readonly bytes: Uint8Array
  /** Bytes that a needle takes to hold enough information. */
  readonly width: number
}

/** A key or another string of bytes, as a secret to search for. */
export const bytesSecret = (name: string, bytes: Uint8Array): Secret => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { name, values: Array.from({ length: bytes.length >>> 3 }, (_, i) => view.getBigUint64(8 * i)) }
}

/** One way in which some consecutive values of a secret could lie in a file or in memory. */
export interface Needle {
  readonly secret: string
  /** Such as "f64 little-endian, base64". */
  readonly form: string
  readonly bytes: Uint8Array
}

/** Fewest consecutive values of a needle. */
const LEAST_VALUES = 3
/**
 * Least information in a needle: among 2^40 places looked at (a terabyte, or 10 GB in a hundred forms) random bytes
 * show it by chance with probability below 2^-40.
 */
const LEAST_BITS = 80

const STRETCH = 1024

const P61 = 2n ** 61n - 1n
const inField = (value: number): bigint => {
  const v = BigInt(value)
  return v < 0n ? P61 + v : v
}

interface NumberForm<V> {
  readonly name: string
  /** Bits that a value fixes in this form. */
  readonly bits: (value: V) => number
  readonly width: number
  readonly write: (view: DataView, at: number, value: V) => void
}

/** Bits of a double or single from its first to its last significant one, and one for the sign. */
const significantBits = (value: number): number => {
  if (value === 0) return 1
  let scaled = Math.abs(value)
  scaled *= 2 ** -Math.floor(Math.log2(scaled))
  let bits = 1
  while (scaled !== Math.floor(scaled)) {
    scaled *= 2
    bits++
  }
  return bits + 1
}

const singleBits = (value: number): number => significantBits(Math.fround(value))
const wholeBits = (value: number): number => Math.log2(2 * Math.abs(value) + 1)

const bothEnds = <V>(
  name: string,
  width: number,
  bits: (value: V) => number,
  write: (view: DataView, at: number, value: V, little: boolean) => void,
): readonly NumberForm<V>[] =>
  [true, false].map((little) => ({
    name: `${name} ${little ? "little" : "big"}-endian`,
    bits,
    width,
    write: (view, at, value) => write(view, at, value, little),
  }))

const FLOAT_FORMS: readonly NumberForm<number>[] = [
  ...bothEnds("f32", 4, singleBits, (view, at, value, little) => view.setFloat32(at, value, little)),
  ...bothEnds("f64", 8, significantBits, (view, at, value, little) => view.setFloat64(at, value, little)),
]

const WHOLE_FORMS: readonly NumberForm<number>[] = [
  ...bothEnds("i32", 4, wholeBits, (view, at, value, little) => view.setInt32(at, value, little)),
  ...bothEnds("i64", 8, wholeBits, (view, at, value, little) => view.setBigInt64(at, BigInt(value), little)),
  ...bothEnds("GF(2^61-1)", 8, wholeBits, (view, at, value, little) =>
    view.setBigUint64(at, inField(value), little),
  ),
  // how the field's own vectors lie in memory, and how an engine keeps small integers of an array
  {
    name: "GF(2^61-1) low limbs",
    bits: wholeBits,
    width: 4,
    write: (view, at, value) => view.setUint32(at, Number(inField(value) & 0xffffffffn), true),
  },
  {
    name: "tagged small integers",
    bits: wholeBits,
    width: 8,
    write: (view, at, value) => view.setBigInt64(at, BigInt(value) << 32n, true),
  },
]

/** An element is taken for random on its 61 bits: shares are. */
const elementBits = (): number => 61
const ELEMENT_FORMS: readonly NumberForm<bigint>[] = [
  ...bothEnds("element", 8, elementBits, (view, at, value: bigint, little) =>
    view.setBigUint64(at, value, little),
  ),
  {
    name: "low limbs of elements",
    bits: () => 32,
    width: 4,
    write: (view, at, value) => view.setUint32(at, Number(value & 0xffffffffn), true),
  },
]

const SEPARATORS: readonly (readonly [name: string, text: string])[] = [
  ["commas", ","],
  ["commas and spaces", ", "],
  ["spaces", " "],
  ["tabs", "\t"],
  ["lines", "\n"],
]

/** Windows of consecutive values: from every place the shortest that holds enough, if there is one. */
export const windowsOf = <V>(values: readonly V[], bits: (value: V) => number): readonly (readonly V[])[] => {
  const out: (readonly V[])[] = []
  for (let from = 0; from < values.length; from++) {
    let held = 0
    for (let to = from; to < values.length; to++) {
      held += bits(values[to] as V)
      if (to - from + 1 < LEAST_VALUES || held < LEAST_BITS) continue
      out.push(values.slice(from, to + 1))
      break
    }
  }
  return out
}

const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf16le"))

type Form = readonly [form: string, bytes: Uint8Array]

function* binaryForms<V>(values: readonly V[], forms: readonly NumberForm<V>[]): Generator<Form> {
  for (const form of forms)
    for (const window of windowsOf(values, form.bits)) {
      const bytes = new Uint8Array(form.width * window.length)
      const view = new DataView(bytes.buffer)
      for (const [i, value] of window.entries()) form.write(view, i * form.width, value)
      yield [form.name, bytes]
    }
}

function* textForms<V>(
  name: string,
  values: readonly V[],
  bits: (value: V) => number,
  print: (value: V) => string,
): Generator<Form> {
  for (const window of windowsOf(values, bits))
    for (const [between, separator] of SEPARATORS) {
      const text = window.map(print).join(separator)
      yield [`${name}, ${between}`, utf8(text)]
      yield [`${name}, ${between}, two bytes each`, utf16(text)]
    }
}

const areElements = (values: Secret["values"]): values is readonly bigint[] => typeof values[0] === "bigint"

/** The windows of some values in every plain form: numbers and text, before any wrapping. */
function* plainForms(values: Secret["values"]): Generator<Form> {
  if (areElements(values)) {
    yield* binaryForms(values, ELEMENT_FORMS)
    yield* textForms("text", values, elementBits, String)
    return
  }
  const whole = values.every(Number.isSafeInteger)
  yield* binaryForms(values, FLOAT_FORMS)
  if (values.every((value) => value === (value | 0))) yield* binaryForms(values, WHOLE_FORMS)
  yield* textForms("text", values, whole ? wholeBits : significantBits, String)
  if (whole) yield* textForms("text of GF(2^61-1)", values, wholeBits, (value) => inField(value).toString())
}

/**
 * The characters of base64 that depend on these bytes alone, when some bytes come before them.
 * Source: RFC 4648, section 4
 */
const base64At = (bytes: Uint8Array, before: number): string => {
  const text = Buffer.from([...new Uint8Array(before), ...bytes]).toString("base64")
  const end = Math.floor(((before + bytes.length) * 8) / 6)
  return text.slice(Math.ceil((before * 8) / 6), end)
}

function* wrapped(bytes: Uint8Array): Generator<readonly [form: string, bytes: Uint8Array]> {
  yield ["", bytes]
  const hex = Buffer.from(bytes).toString("hex")
  yield [", hexadecimal", utf8(hex)]
  yield [", HEXADECIMAL", utf8(hex.toUpperCase())]
  for (const before of [0, 1, 2]) {
    const text = base64At(bytes, before)
    yield [", base64", utf8(text)]
    yield [", base64url", utf8(text.replaceAll("+", "-").replaceAll("/", "_"))]
  }
}

/** Needles so far apart that each stretch of a long secret holds one. */
const needlesOfLong = ({ name, form, bytes, width }: LongSecret): readonly Needle[] => {
  const needles: Needle[] = []
  for (let from = 0; from + width <= bytes.length; from += STRETCH - width)
    for (const [how, inner] of wrapped(bytes.subarray(from, from + width)))
      needles.push({ secret: name, form: `${form}${how}`, bytes: inner })
  return needles
}

/** Every needle of a secret. Throws if the secret holds too little to be told from chance. */
export const needlesOf = (secret: Secret | LongSecret): readonly Needle[] => {
  const needles: Needle[] = []
  if ("bytes" in secret) needles.push(...needlesOfLong(secret))
  else
    for (const [plain, bytes] of plainForms(secret.values))
      for (const [how, inner] of wrapped(bytes))
        needles.push({ secret: secret.name, form: `${plain}${how}`, bytes: inner })
  if (needles.length === 0) throw new Error(`${secret.name} holds too little to be searched for.`)
  return needles
}
