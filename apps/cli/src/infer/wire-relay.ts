import { once } from "node:events"
import net, { type AddressInfo, type Socket } from "node:net"

interface Overheard {
  readonly asker: Buffer[]
  readonly server: Buffer[]
}

/** Stands between askers and a server that speaks HTTP without TLS on this machine, and keeps every byte that crosses, both ways. */
export class WireRelay {
  readonly url: string
  readonly #listener: net.Server
  readonly #connections: readonly Overheard[]
  readonly #sockets: ReadonlySet<Socket>

  private constructor(listener: net.Server, connections: readonly Overheard[], sockets: ReadonlySet<Socket>) {
    this.url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
    this.#listener = listener
    this.#connections = connections
    this.#sockets = sockets
  }

  static async start(server: string): Promise<WireRelay> {
    const { hostname: host, port } = new URL(server)
    const connections: Overheard[] = []
    const sockets = new Set<Socket>()
    const listener = net.createServer((asker) => {
      const overheard: Overheard = { asker: [], server: [] }
      connections.push(overheard)
      const onward = net.connect({ host, port: Number(port) })
      for (const [from, to, kept] of [
        [asker, onward, overheard.asker],
        [onward, asker, overheard.server],
      ] as const) {
        sockets.add(from)
        from.on("data", (bytes: Buffer) => kept.push(Buffer.from(bytes)))
        from.on("error", () => to.destroy())
        from.on("close", () => {
          sockets.delete(from)
          to.destroySoon()
        })
        from.pipe(to)
      }
    })
    listener.listen(0, "127.0.0.1")
    await once(listener, "listening")
    return new WireRelay(listener, connections, sockets)
  }

  /** All that crossed: of each connection what the asker sent and what the server sent, each without a gap. */
  record(): Uint8Array {
    return new Uint8Array(
      Buffer.concat(
        this.#connections.flatMap(({ asker, server }, at) => [
          Buffer.from(`\n== connection ${at + 1}: sent by the asker ==\n`),
          ...asker,
          Buffer.from(`\n== connection ${at + 1}: sent by the server ==\n`),
          ...server,
        ]),
      ),
    )
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#listener.close()
    await once(this.#listener, "close")
  }
}
