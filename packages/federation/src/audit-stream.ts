/** Bytes that come in chunks of any size, taken in pieces of a wanted size. */
export class ByteStream {
  readonly #chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>
  /** What came and was not taken yet. */
  #waiting: Uint8Array[] = []
  #length = 0

  constructor(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
    this.#chunks = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
  }

  /** Gives up what feeds the stream, such as an open file. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  /** The next bytes: as many as wanted, fewer only at the end. Nothing is held for more than what comes. */
  async take(wanted: number): Promise<Uint8Array> {
    while (this.#length < wanted) {
      const { done, value } = await this.#chunks.next()
      if (done) break
      this.#waiting.push(value)
      this.#length += value.length
    }
    const out = new Uint8Array(Math.min(wanted, this.#length))
    let at = 0
    while (at < out.length) {
      const chunk = this.#waiting[0] as Uint8Array
      const part = chunk.subarray(0, out.length - at)
      out.set(part, at)
      at += part.length
      if (part.length === chunk.length) this.#waiting.shift()
      else this.#waiting[0] = chunk.subarray(part.length)
    }
    this.#length -= out.length
    return out
  }
}
