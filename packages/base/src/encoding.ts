import { compareBytes } from "./bytes.js"
import { ConsiliumError } from "./errors.js"
import { fromUtf8, utf8 } from "./platform.js"

/**
 * The canonical byte encoding of everything that is hashed, signed, stored or sent: schema-directed, big-endian, one
 * and only one byte string per value. Every codec names its largest size, so a decoder allocates no more than its
 * schema allows, and a decoder refuses every byte string that the encoder would not have written.
 */
export interface Codec<T> {
  write(writer: Writer, value: T): void
  read(reader: Reader): T
}

/** The type of the values of a codec. */
export type Encoded<C> = C extends Codec<infer T> ? T : never

const bad = (message: string): never => {
  throw new ConsiliumError("encoding/bad-value", message)
}
const malformed = (message: string): never => {
  throw new ConsiliumError("encoding/malformed", message)
}

class Writer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /** Room for `length` more bytes; returns where it starts. */
  reserve(length: number): number {
    const start = this.#at
    this.#at += length
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#at, this.#bytes.length * 2))
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    return start
  }
  get view(): DataView {
    return this.#view
  }
  put(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at)
  }
  /** Begins anew; what was written before is gone. */
  clear(): void {
    this.#bytes.fill(0, 0, Math.min(this.#at, this.#bytes.length))
    this.#at = 0
  }
  get capacity(): number {
    return this.#bytes.length
  }
}

/** A writer is used again, so that long values need not grow a new one each time; larger ones are let go. */
const KEPT_CAPACITY = 1 << 20
let spare: Writer | null = null

class Reader {
  readonly #bytes: Uint8Array
  readonly view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    // a plain view: the `slice` of a subclass such as Node's Buffer shares memory instead of copying
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  /** Passes over `length` bytes; returns where they start. */
  take(length: number): number {
    const start = this.#at
    if (length > this.#bytes.length - start)
      malformed(`The bytes end ${length - (this.#bytes.length - start)} too early.`)
    this.#at += length
    return start
  }
  copy(length: number): Uint8Array {
    const start = this.take(length)
    return this.#bytes.slice(start, start + length)
  }
  get left(): number {
    return this.#bytes.length - this.#at
  }
}

export type { Reader, Writer }

/** The canonical bytes of a value. */
export const encode = <T>(codec: Codec<T>, value: T): Uint8Array => {
  const writer = spare ?? new Writer()
  spare = null
  try {
    codec.write(writer, value)
    return writer.finish()
  } finally {
    writer.clear()
    if (writer.capacity <= KEPT_CAPACITY) spare = writer
  }
}

/**
 * The value of canonical bytes.
 * @throws {ConsiliumError} "encoding/malformed" or "encoding/too-large" on anything `encode` would not have written
 */
export const decode = <T>(codec: Codec<T>, bytes: Uint8Array): T => {
  const reader = new Reader(bytes)
  const value = codec.read(reader)
  if (reader.left > 0) malformed(`${reader.left} bytes follow the end of the value.`)
  return value
}

const unsigned = (width: 1 | 2 | 4): Codec<number> => {
  const limit = 2 ** (8 * width)
  return {
    write(writer, value) {
      if (!Number.isInteger(value) || value < 0 || value >= limit || Object.is(value, -0))
        bad(`A whole number in [0, ${limit}) was expected.`)
      const at = writer.reserve(width)
      if (width === 1) writer.view.setUint8(at, value)
      else if (width === 2) writer.view.setUint16(at, value)
      else writer.view.setUint32(at, value)
    },
    read(reader) {
      const at = reader.take(width)
      if (width === 1) return reader.view.getUint8(at)
      return width === 2 ? reader.view.getUint16(at) : reader.view.getUint32(at)
    },
  }
}

/** Whole numbers of 1, 2 and 4 bytes. */
export const u8 = unsigned(1)
export const u16 = unsigned(2)
export const u32 = unsigned(4)

/** Whole numbers in [0, 2^53), 8 bytes. */
export const u53: Codec<number> = {
  write(writer, value) {
    if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0))
      bad("A whole number in [0, 2^53) was expected.")
    const at = writer.reserve(8)
    writer.view.setBigUint64(at, BigInt(value))
  },
  read(reader) {
    const value = reader.view.getBigUint64(reader.take(8))
    return value > BigInt(Number.MAX_SAFE_INTEGER)
      ? malformed("A whole number exceeds 2^53 - 1.")
      : Number(value)
  },
}

/** Finite IEEE doubles, 8 bytes; negative zero, NaN and infinities have no encoding. */
export const f64: Codec<number> = {
  write(writer, value) {
    if (!Number.isFinite(value) || Object.is(value, -0))
      bad("A finite number other than negative zero was expected.")
    const at = writer.reserve(8)
    writer.view.setFloat64(at, value)
  },
  read(reader) {
    const value = reader.view.getFloat64(reader.take(8))
    if (!Number.isFinite(value) || Object.is(value, -0))
      malformed("A number is not finite or is negative zero.")
    return value
  },
}

/** True or false, one byte. */
export const bool: Codec<boolean> = {
  write(writer, value) {
    if (typeof value !== "boolean") bad("True or false was expected.")
    u8.write(writer, value ? 1 : 0)
  },
  read(reader) {
    const value = u8.read(reader)
    return value > 1 ? malformed("A truth value is neither 0 nor 1.") : value === 1
  },
}

const readLength = (reader: Reader, max: number): number => {
  const length = u32.read(reader)
  if (length > max)
    throw new ConsiliumError("encoding/too-large", `A length of ${length} exceeds the limit of ${max}.`)
  return length
}
/** Refuses what has a length but is no bytes, such as text or a list of numbers, which `set` would coerce. */
const mustBeBytes = (value: Uint8Array): void => {
  if (!(value instanceof Uint8Array)) bad("Bytes were expected.")
}
const writeLength = (writer: Writer, length: number, max: number): void => {
  if (length > max)
    throw new ConsiliumError("encoding/too-large", `A length of ${length} exceeds the limit of ${max}.`)
  u32.write(writer, length)
}

/** Byte strings of up to `max` bytes. */
export const bytes = (max: number): Codec<Uint8Array> => ({
  write(writer, value) {
    mustBeBytes(value)
    writeLength(writer, value.length, max)
    writer.put(value)
  },
  read: (reader) => reader.copy(readLength(reader, max)),
})

/** Byte strings of exactly `length` bytes. */
export const fixedBytes = (length: number): Codec<Uint8Array> => ({
  write(writer, value) {
    mustBeBytes(value)
    if (value.length !== length) bad(`${length} bytes were expected, not ${value.length}.`)
    writer.put(value)
  },
  read: (reader) => reader.copy(length),
})

/** UTF-8 text of up to `max` bytes, well formed. */
export const text = (max: number): Codec<string> => ({
  write(writer, value) {
    const encoded = utf8(value)
    if (fromUtf8(encoded) !== value) bad("A text holds half of a surrogate pair.")
    writeLength(writer, encoded.length, max)
    writer.put(encoded)
  },
  read(reader) {
    const encoded = reader.copy(readLength(reader, max))
    try {
      return fromUtf8(encoded)
    } catch {
      return malformed("A text is not UTF-8.")
    }
  },
})

/** One of a fixed set of words, as its place in the set. */
export const oneOf = <const W extends readonly string[]>(...words: W): Codec<W[number]> => ({
  write(writer, value) {
    const at = words.indexOf(value)
    if (at < 0) bad(`One of ${words.join(", ")} was expected.`)
    u8.write(writer, at)
  },
  read(reader) {
    return words[u8.read(reader)] ?? malformed(`A choice is none of ${words.join(", ")}.`)
  },
})

/** Lists of up to `max` values. */
export const list = <T>(item: Codec<T>, max: number): Codec<readonly T[]> => ({
  write(writer, value) {
    if (!Array.isArray(value)) bad("A list was expected.")
    writeLength(writer, value.length, max)
    for (const element of value) item.write(writer, element)
  },
  read(reader) {
    const length = readLength(reader, max)
    const out: T[] = []
    for (let i = 0; i < length; i++) out.push(item.read(reader))
    return out
  },
})

/**
 * Lists in strictly rising order of the bytes of a key: sets and maps have one encoding only.
 * Values are sorted when written; duplicates are refused both ways.
 */
export const sortedBy = <T>(
  item: Codec<T>,
  key: (value: T) => Uint8Array,
  max: number,
): Codec<readonly T[]> => {
  const plain = list(item, max)
  const check = (value: readonly T[], fail: (message: string) => never): void => {
    for (let i = 1; i < value.length; i++)
      if (compareBytes(key(value[i - 1] as T), key(value[i] as T)) >= 0)
        fail("A sorted list is out of order or holds a key twice.")
  }
  return {
    write(writer, value) {
      if (!Array.isArray(value)) bad("A list was expected.")
      const sorted = [...value].sort((a, b) => compareBytes(key(a), key(b)))
      check(sorted, bad)
      plain.write(writer, sorted)
    },
    read(reader) {
      const value = plain.read(reader)
      check(value, malformed)
      return value
    },
  }
}

/** A value or null. */
export const nullable = <T>(item: Codec<T>): Codec<T | null> => ({
  write(writer, value) {
    bool.write(writer, value !== null)
    if (value !== null) item.write(writer, value)
  },
  read: (reader) => (bool.read(reader) ? item.read(reader) : null),
})

type Fields = Readonly<Record<string, Codec<never>>>
const mustBeObject = (value: unknown): void => {
  if (typeof value !== "object" || value === null) bad("An object was expected.")
}

type RecordOf<F> = { readonly [K in keyof F]: Encoded<F[K]> }

/** Objects with exactly these fields, written in the order of the schema. */
export const record = <F extends Readonly<Record<string, unknown>>>(fields: F): Codec<RecordOf<F>> => {
  const entries = Object.entries(fields as unknown as Fields)
  return {
    write(writer, value) {
      mustBeObject(value)
      for (const [name, codec] of entries)
        codec.write(writer, (value as Record<string, never>)[name] as never)
    },
    read(reader) {
      const out: Record<string, unknown> = {}
      for (const [name, codec] of entries) out[name] = codec.read(reader)
      return out as RecordOf<F>
    },
  }
}

type VariantOf<V> = { [K in keyof V]: { readonly type: K } & Encoded<V[K]> }[keyof V]

/** A discriminated union on `type`: the place of the alternative in the schema, then its fields. */
export const variant = <V extends Readonly<Record<string, unknown>>>(
  alternatives: V,
): Codec<VariantOf<V>> => {
  const entries = Object.entries(alternatives as unknown as Fields)
  return {
    write(writer, value) {
      mustBeObject(value)
      const at = entries.findIndex(([name]) => name === (value as { type: string }).type)
      if (at < 0) bad("A message is of no known type.")
      u8.write(writer, at)
      ;(entries[at] as [string, Codec<never>])[1].write(writer, value as never)
    },
    read(reader) {
      const entry = entries[u8.read(reader)] ?? malformed("A message is of no known type.")
      return { type: entry[0], ...(entry[1].read(reader) as object) } as VariantOf<V>
    },
  }
}

/** Signed 32-bit whole numbers, 4 bytes each, up to `max` of them. */
export const i32Array = (max: number): Codec<Int32Array> => ({
  write(writer, value) {
    if (!(value instanceof Int32Array)) bad("An Int32Array was expected.")
    writeLength(writer, value.length, max)
    const at = writer.reserve(4 * value.length)
    for (let i = 0; i < value.length; i++) writer.view.setInt32(at + 4 * i, value[i] as number)
  },
  read(reader) {
    const length = readLength(reader, max)
    const at = reader.take(4 * length)
    return Int32Array.from({ length }, (_, i) => reader.view.getInt32(at + 4 * i))
  },
})

/** Finite doubles, 8 bytes each, up to `max` of them; the rules of `f64`. */
export const f64Array = (max: number): Codec<Float64Array> => ({
  write(writer, value) {
    if (!(value instanceof Float64Array)) bad("A Float64Array was expected.")
    writeLength(writer, value.length, max)
    for (const element of value) f64.write(writer, element)
  },
  read(reader) {
    const length = readLength(reader, max)
    if (reader.left < 8 * length) malformed("The bytes end too early.")
    return Float64Array.from({ length }, () => f64.read(reader))
  },
})
