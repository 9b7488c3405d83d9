/** What one exchange cost. */
export interface ExchangeFigures {
  readonly requests: number
  readonly patients: number
  /** Bytes of requests and of answers, without headers. */
  readonly bytesUp: number
  readonly bytesDown: number
  /** Milliseconds of encoding and encrypting here; without blanks that were ready, of making them too. */
  readonly encryptMs: number
  /** Milliseconds from sending to having the whole answer; of a batch, all its requests and waiting. */
  readonly roundTripMs: number
  /** Milliseconds that the server says it computed; null where it says nothing. */
  readonly serverMs: number | null
  /** Milliseconds of decrypting, decoding and calibrating here. */
  readonly openMs: number
}

/** Something, and the milliseconds it took. */
export const timed = async <T>(work: () => T | Promise<T>): Promise<readonly [T, number]> => {
  const began = performance.now()
  const result = await work()
  return [result, performance.now() - began]
}
