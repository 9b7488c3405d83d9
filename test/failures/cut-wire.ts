import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"

/** What a wire does with what is sent over it: `closed` ends every connection, `silent` takes them and says nothing. */
export type Condition = "whole" | "closed" | "silent"

/** A wire to a port of this machine that can be cut. */
export class CutWire {
  readonly #server: Server
  readonly #ends = new Set<Socket>()
  #condition: Condition = "whole"

  private constructor(server: Server) {
    this.#server = server
  }

  static async to(port: number): Promise<CutWire> {
    const server = createServer()
    const wire = new CutWire(server)
    server.on("connection", (near) => wire.#carry(near, port))
    await new Promise<void>((listening) => server.listen({ host: "127.0.0.1", port: 0 }, listening))
    return wire
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections that are held by either side. */
  get open(): number {
    return this.#ends.size
  }

  cut(condition: Exclude<Condition, "whole">): void {
    this.#condition = condition
    for (const end of this.#ends)
      if (condition === "closed") end.resetAndDestroy()
      else end.unpipe().pause()
  }

  /** Carries again; connections that were silent are reset, as by a router that has forgotten them. */
  mend(): void {
    this.#condition = "whole"
    for (const end of this.#ends) end.resetAndDestroy()
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end.destroy()
    await new Promise((closed) => this.#server.close(closed))
  }

  #carry(near: Socket, port: number): void {
    this.#hold(near)
    if (this.#condition === "closed") near.resetAndDestroy()
    if (this.#condition !== "whole") return
    const far = connect({ host: "127.0.0.1", port })
    this.#hold(far)
    near.pipe(far).pipe(near)
    near.once("close", () => far.destroy())
    far.once("close", () => near.destroy())
  }

  #hold(end: Socket): void {
    this.#ends.add(end)
    end.on("error", () => undefined)
    end.once("close", () => this.#ends.delete(end))
  }
}
