import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { BoundedBody } from "./bounded-body.js"
import { limitOf, type Transport, type TransportAnswer, type TransportRequest } from "./transport.js"

const unreachable = (url: URL, cause: unknown): ConsiliumError =>
  new ConsiliumError("network/unreachable", `The server at ${url.origin} gave no answer.`, {
    cause,
    remedy:
      "Check the address, that the server runs, that its certificate is trusted here, and that it allows pages of this origin.",
  })

/** Over `fetch`, as browsers and Node have it. */
export class FetchTransport implements Transport {
  async exchange(request: TransportRequest): Promise<TransportAnswer> {
    const { method, url, headers, signal } = request
    try {
      const response = await fetch(url, {
        method,
        headers,
        body: request.body as Uint8Array<ArrayBuffer> | null,
        signal,
        redirect: "error",
        credentials: "omit",
        cache: "no-store",
        referrerPolicy: "no-referrer",
      })
      const body = await bodyOf(response, limitOf(request, response.status))
      return { status: response.status, header: (name) => response.headers.get(name), body }
    } catch (error) {
      signal.throwIfAborted()
      throw isConsiliumError(error) ? error : unreachable(url, error)
    }
  }

  close(): void {}
}

const bodyOf = async (response: Response, most: number): Promise<Uint8Array> => {
  const body = new BoundedBody(most)
  const reader = response.body?.getReader()
  if (reader === undefined) return body.bytes()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return body.bytes()
      body.add(value)
    }
  } catch (error) {
    reader.cancel().catch(() => undefined)
    throw error
  }
}
