/** One request to a server. */
export interface TransportRequest {
  readonly method: "GET" | "POST" | "DELETE"
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | null
  /** A good answer is read so far and no further; bodies of others are read to `PROBLEM_BYTES`. */
  readonly mostBytes: number
  /** Whether it does no harm if it arrives twice. */
  readonly repeatable: boolean
  readonly signal: AbortSignal
}

export interface TransportAnswer {
  readonly status: number
  readonly header: (name: string) => string | null
  readonly body: Uint8Array
}

/**
 * How requests travel. It follows no redirection, sends no cookies, and throws the signal's reason when that is given,
 * "network/answer-too-large" when an answer does not end in time, and "network/unreachable" when there is none.
 */
export interface Transport {
  exchange(request: TransportRequest): Promise<TransportAnswer>
  close(): void
}

/** Longest description of an error that is read. */
export const PROBLEM_BYTES = 16_384

/** How much of an answer is read. */
export const limitOf = ({ mostBytes }: Pick<TransportRequest, "mostBytes">, status: number): number =>
  status >= 200 && status < 300 ? mostBytes : PROBLEM_BYTES
