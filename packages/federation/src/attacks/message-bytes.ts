/**
 * What somebody can try who holds nothing but the bytes of messages: to read them as numbers, and to learn from examples
 * how the bytes of one kind differ from those of another.
 */

/** Most values that are compared: the first of a long message. */
const MOST_VALUES = 4096

/** How numbers may lie in bytes. */
const READINGS = [
  { width: 1, read: (view: DataView, at: number) => view.getInt8(at) },
  { width: 2, read: (view: DataView, at: number) => view.getInt16(at, true) },
  { width: 4, read: (view: DataView, at: number) => view.getInt32(at, true) },
  { width: 4, read: (view: DataView, at: number) => view.getInt32(at, false) },
  { width: 8, read: (view: DataView, at: number) => Number(view.getBigInt64(at, true)) },
] as const

/** Bytes before the numbers that a message may begin with. */
const MOST_HEADER = 16

/** Pearson's correlation; 0 where one of the two does not vary. */
const correlation = (a: ArrayLike<number>, b: ArrayLike<number>, length: number): number => {
  let [sumA, sumB] = [0, 0]
  for (let i = 0; i < length; i++) {
    sumA += a[i] as number
    sumB += b[i] as number
  }
  let [products, squaresA, squaresB] = [0, 0, 0]
  for (let i = 0; i < length; i++) {
    const x = (a[i] as number) - sumA / length
    const y = (b[i] as number) - sumB / length
    products += x * y
    squaresA += x * x
    squaresB += y * y
  }
  return squaresA > 0 && squaresB > 0 ? products / Math.sqrt(squaresA * squaresB) : 0
}

/** The message read as numbers of the likeliest form, from each place that they may begin at. */
const readingsOf = (message: Uint8Array, length: number): readonly Float64Array[] => {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  return READINGS.flatMap(({ width, read }) =>
    Array.from({ length: MOST_HEADER + 1 }, (_, start) => start)
      .filter((start) => start + length * width <= message.length)
      .map((start) => Float64Array.from({ length }, (_, i) => read(view, start + i * width))),
  )
}

/**
 * How much a message looks like a vector: the largest correlation over all the ways to read it.
 *
 * Math:   max of Pearson's r over integers of 1, 2, 4 and 8 bytes, either order of bytes, and 0 to 16 bytes before them;
 *         1 for a message that holds the vector as it is
 */
export const likeness = (message: Uint8Array, vector: ArrayLike<number>): number => {
  const length = Math.min(vector.length, MOST_VALUES)
  return readingsOf(message, length).reduce(
    (most, numbers) => Math.max(most, correlation(numbers, vector, length)),
    -1,
  )
}

/** The message as 32-bit integers, for those who read records out of updates. */
export const asIntegers = (message: Uint8Array, length: number): readonly Float64Array[] => {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  return Array.from({ length: MOST_HEADER + 1 }, (_, start) => start)
    .filter((start) => start + 4 * length <= message.length)
    .map((start) => Float64Array.from({ length }, (_, i) => view.getInt32(start + 4 * i, true)))
}

/** A message, and which of two kinds it is. */
export interface LabelledMessage {
  readonly message: Uint8Array
  readonly kind: boolean
}

/** Each byte in [-1, 1), and how long the message is: all that there is to learn from. */
const traits = (message: Uint8Array): Float64Array => {
  const values = new Float64Array(MOST_VALUES + 1)
  for (let i = 0; i < Math.min(message.length, MOST_VALUES); i++)
    values[i] = ((message[i] as number) - 128) / 128
  values[MOST_VALUES] = message.length
  return values
}

/**
 * Learns from some messages what tells the two kinds apart and gives every new one a score; higher for `kind: true`.
 *
 * Math:   the projection on the difference of the two means, byte by byte
 * Source: Fisher 1936, with equal variances
 */
export const learnKinds = (examples: readonly LabelledMessage[]): ((message: Uint8Array) => number) => {
  const direction = new Float64Array(MOST_VALUES + 1)
  for (const kind of [true, false]) {
    const of = examples.filter((example) => example.kind === kind)
    for (const { message } of of)
      for (const [i, value] of traits(message).entries())
        direction[i] = (direction[i] as number) + ((kind ? 1 : -1) * value) / of.length
  }
  return (message) => traits(message).reduce((sum, value, i) => sum + value * (direction[i] as number), 0)
}
