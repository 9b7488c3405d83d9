import type { Socket } from "node:net"

/**
 * The lines that come over a socket, one at a time: what follows is not read before a line was handled. Ends when the
 * other side does; what follows the last line end is no line.
 */
export async function* linesOf(
  socket: Socket,
  limits: {
    readonly longest: number
    /** Makes the error for a line that is too long. */
    readonly tooLong: () => Error
  },
): AsyncGenerator<string, void, void> {
  let parts: Buffer[] = []
  let length = 0
  // Whoever stops reading may still have something to say.
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    let rest = chunk
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      if (length + end > limits.longest) throw limits.tooLong()
      const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString("utf8")
      parts = []
      length = 0
      rest = rest.subarray(end + 1)
      yield line
    }
    length += rest.length
    if (length > limits.longest) throw limits.tooLong()
    if (rest.length > 0) parts.push(rest)
  }
}
