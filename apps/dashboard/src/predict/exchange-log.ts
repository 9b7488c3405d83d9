import type {
  Transport,
  TransportAnswer,
  TransportRequest,
} from "@consilium/inference-client/transport/transport"

/** One request of this page, without what was in it. */
export interface ExchangeLine {
  readonly number: number
  readonly method: string
  readonly path: string
  readonly bytesUp: number
  readonly bytesDown: number
  /** HTTP status; null where no answer came. */
  readonly status: number | null
  readonly milliseconds: number
}

/** Requests about patients and their answers, as they travelled: one of each, or those of a batch one after the other. */
export interface Travelled {
  readonly request: Uint8Array
  readonly answer: Uint8Array
}

const KEPT_LINES = 100

/** What of an exchange is a request about patients, or its answer. */
const roleOf = ({ method, url }: TransportRequest): "both" | "request" | "answer" | "neither" => {
  if (method === "POST" && url.pathname.endsWith("/predict")) return "both"
  if (method === "POST" && url.pathname.endsWith("/batches")) return "request"
  return method === "GET" && url.pathname.endsWith("/answers") ? "answer" : "neither"
}

/** A transport that remembers what went over it. Requests and answers are ciphertexts; nothing here opens them. */
export class ExchangeLog implements Transport {
  readonly #inner: Transport
  readonly #listeners = new Set<() => void>()
  #lines: readonly ExchangeLine[] = []
  #number = 0
  #batch: Uint8Array | null = null
  #last: Travelled | null = null

  constructor(inner: Transport) {
    this.#inner = inner
  }

  /** The newest requests about patients that were answered. */
  get last(): Travelled | null {
    return this.#last
  }

  /** The newest exchanges, the last one first: another list after each. */
  readonly lines = (): readonly ExchangeLine[] => this.#lines

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async exchange(request: TransportRequest): Promise<TransportAnswer> {
    const began = performance.now()
    try {
      const answer = await this.#inner.exchange(request)
      this.#note(request, answer, began)
      this.#keep(request, answer)
      return answer
    } catch (error) {
      this.#note(request, null, began)
      throw error
    }
  }

  #note({ method, url, body }: TransportRequest, answer: TransportAnswer | null, began: number): void {
    const line: ExchangeLine = {
      number: ++this.#number,
      method,
      path: url.pathname,
      bytesUp: body?.length ?? 0,
      bytesDown: answer?.body.length ?? 0,
      status: answer?.status ?? null,
      milliseconds: performance.now() - began,
    }
    this.#lines = [line, ...this.#lines].slice(0, KEPT_LINES)
    for (const listener of this.#listeners) listener()
  }

  #keep(request: TransportRequest, answer: TransportAnswer): void {
    if (answer.status < 200 || answer.status >= 300) return
    const role = roleOf(request)
    if (role === "request") this.#batch = request.body
    const asked = role === "both" ? request.body : role === "answer" ? this.#batch : null
    if (asked !== null) this.#last = { request: asked, answer: answer.body }
  }

  close(): void {
    this.#inner.close()
  }
}
