import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { ConsiliumError } from "@consilium/base/errors"
import { NodeTransport } from "@consilium/inference-client/node-transport"
import { Connection } from "@consilium/inference-client/server/connection"
import { FetchTransport } from "@consilium/inference-client/transport/fetch-transport"
import { PROBLEM_BYTES, type Transport } from "@consilium/inference-client/transport/transport"
import { afterEach, describe, expect, it } from "vitest"

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

interface Listening {
  readonly address: string
  readonly server: Server
  readonly connections: () => number
}
const listening = async (listener: RequestListener): Promise<Listening> => {
  let connections = 0
  const server = createServer(listener)
  server.on("connection", (_: Socket) => {
    connections++
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { address: `http://127.0.0.1:${port}`, server, connections: () => connections }
}
const failureOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return await work
  } catch (error) {
    return error instanceof ConsiliumError ? error.code : error
  }
}
const NEVER = new AbortController().signal
const call = { method: "GET", path: ["x"], mostBytes: 1000, repeatable: true } as const

const KINDS: readonly (readonly [string, () => Transport])[] = [
  ["fetch", () => new FetchTransport()],
  ["node", () => new NodeTransport()],
]

describe.each(KINDS)("a transport over %s", (_, make) => {
  const open = (address: string, options: ConstructorParameters<typeof Connection>[2] = {}): Connection => {
    const connection = new Connection(address, make(), options)
    closers.push(() => connection.close())
    return connection
  }

  it("sends the method, the path, the body and the token, and no cookie", async () => {
    const seen: unknown[] = []
    const { address } = await listening((request, response) => {
      const pieces: Buffer[] = []
      request.on("data", (piece: Buffer) => pieces.push(piece))
      request.on("end", () => {
        const { authorization, cookie, "content-type": type, "content-length": length } = request.headers
        seen.push(request.method, request.url, Buffer.concat(pieces).length)
        seen.push(authorization, cookie, type, length)
        response.writeHead(200, { "x-y": "z", "set-cookie": "a=b" }).end("hello")
      })
    })
    const connection = open(`${address}/below`, { token: "t0ken" })
    const body = new Uint8Array(12)
    const post = { ...call, method: "POST", path: ["v1", "a b/c"], body } as const
    await connection.call(post, NEVER)
    const answer = await connection.call(post, NEVER)
    expect(new TextDecoder().decode(answer.body)).toBe("hello")
    expect(answer.header("x-y")).toBe("z")
    expect(answer.header("x-none")).toBe(null)
    const one = [
      "POST",
      "/below/v1/a%20b%2Fc",
      12,
      "Bearer t0ken",
      undefined,
      "application/octet-stream",
      "12",
    ]
    expect(seen).toEqual([...one, ...one])
  })
  it("reads no more than the answer can have, whatever its length is said to be", async () => {
    let written = 0
    const { address } = await listening((_request, response) => {
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) written += 65_536
      }
      response.on("drain", more)
      more()
    })
    expect(await failureOf(open(address).call(call, NEVER))).toBe("network/answer-too-large")
    const enough = written
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(written).toBe(enough)
    expect(written).toBeLessThan(64 << 20)
  })
  it("takes an answer of just the length that it can have", async () => {
    const { address } = await listening((request, response) => {
      response.end(Buffer.alloc(request.url === "/x" ? 1000 : 1001))
    })
    const connection = open(address)
    expect((await connection.call(call, NEVER)).body).toHaveLength(1000)
    const longer = { ...call, path: ["y"] }
    expect(await failureOf(connection.call(longer, NEVER))).toBe("network/answer-too-large")
  })
  it("reads no more of a refusal than a refusal needs", async () => {
    const { address } = await listening((request, response) => {
      response.writeHead(500).end(Buffer.alloc(request.url === "/x" ? PROBLEM_BYTES + 1 : PROBLEM_BYTES))
    })
    const connection = open(address)
    const large = { ...call, mostBytes: 1 << 30 }
    expect(await failureOf(connection.call(large, NEVER))).toBe("network/answer-too-large")
    expect(await failureOf(connection.call({ ...large, path: ["y"] }, NEVER))).toBe("network/refused")
  })
  it("follows no redirection", async () => {
    const { address } = await listening((request, response) => {
      if (request.url === "/x") response.writeHead(302, { location: "/y" }).end()
      else response.end("there")
    })
    expect(await failureOf(open(address).call(call, NEVER))).toMatch(/^network\/(unreachable|refused)$/)
  })
  it("gives up when its time is over", async () => {
    const { address } = await listening(() => undefined)
    const connection = open(address, { timeoutMs: 60 })
    expect(await failureOf(connection.call(call, NEVER))).toBe("network/too-slow")
  })
  it("gives up when its time is over in the middle of an answer", async () => {
    const { address } = await listening((_request, response) => {
      response.writeHead(200).write("a")
    })
    const connection = open(address, { timeoutMs: 120 })
    expect(await failureOf(connection.call(call, NEVER))).toBe("network/too-slow")
  })
  it("gives up when it is told to, with the reason", async () => {
    const { address } = await listening(() => undefined)
    const controller = new AbortController()
    const waiting = failureOf(open(address).call(call, controller.signal))
    const reason = new Error("no longer wanted")
    controller.abort(reason)
    expect(await waiting).toBe(reason)
    expect(await failureOf(open(address).call(call, controller.signal))).toBe(reason)
  })
  it("gives up when its connection is closed", async () => {
    const { address } = await listening(() => undefined)
    const connection = open(address)
    const waiting = failureOf(connection.call(call, NEVER))
    connection.close()
    expect(await waiting).toBe("inference/client-closed")
    expect(await failureOf(connection.call(call, NEVER))).toBe("inference/client-closed")
  })
  it("says that there is no answer where nobody listens, or the connection breaks off", async () => {
    const gone = await listening(() => undefined)
    gone.server.close()
    expect(await failureOf(open(gone.address).call(call, NEVER))).toBe("network/unreachable")
    const broken = await listening((_request, response) => {
      response.writeHead(200, { "content-length": "100" }).write("a")
      setTimeout(() => response.destroy(), 10)
    })
    expect(await failureOf(open(broken.address).call(call, NEVER))).toBe("network/unreachable")
  })
  it("uses connections again", async () => {
    const { address, connections } = await listening((_request, response) => {
      response.end("a")
    })
    const connection = open(address)
    for (let i = 0; i < 5; i++) await connection.call(call, NEVER)
    expect(connections()).toBeLessThanOrEqual(2)
  })
})

describe("Node's own transport", () => {
  const breaking = () => {
    const times = new Map<string, number>()
    return listening((request, response) => {
      const path = request.url as string
      times.set(path, (times.get(path) ?? 0) + 1)
      // as a server does that closes an idle connection just when it is to be used again
      if (path === "/x" && times.get(path) === 2) request.socket.resetAndDestroy()
      else response.end(String(times.get(path)))
    })
  }
  const over = (address: string) => {
    const connection = new Connection(address, new NodeTransport({ connections: 1 }), {})
    closers.push(() => connection.close())
    return connection
  }
  it("asks again where a connection that stood idle was closed meanwhile", async () => {
    const connection = over((await breaking()).address)
    await connection.call(call, NEVER)
    expect(new TextDecoder().decode((await connection.call(call, NEVER)).body)).toBe("3")
  })
  it("but not what must not arrive twice", async () => {
    const connection = over((await breaking()).address)
    await connection.call(call, NEVER)
    const once = { ...call, repeatable: false }
    expect(await failureOf(connection.call(once, NEVER))).toBe("network/unreachable")
  })
})

describe("an address", () => {
  const made = (address: string, token?: string): string => {
    try {
      return new Connection(address, new FetchTransport(), token === undefined ? {} : { token }).address.href
    } catch (error) {
      return (error as ConsiliumError).code
    }
  }
  it("is whole, http or https, without a name and a password", () => {
    expect(made("https://leader:8443")).toBe("https://leader:8443/")
    expect(made("https://leader/below?x=1#y")).toBe("https://leader/below/")
    for (const wrong of ["", "leader:8443", "file:///x", "javascript:alert(1)", "https://a:b@leader"])
      expect([wrong, made(wrong)]).toEqual([wrong, "network/bad-request"])
  })
  it("without TLS is given a token on this machine only", () => {
    expect(made("http://leader:8080", "t0ken")).toBe("network/readable-token")
    expect(made("http://localhost.evil.example", "t0ken")).toBe("network/readable-token")
    for (const home of ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://leader"])
      expect([home, made(home, "t0ken")]).toEqual([home, `${home}/`])
  })
  it("is given no token with a line end in it", () => {
    expect(made("https://leader", "a\r\nx-y: z")).toBe("network/bad-request")
  })
  it("has no segment that leads elsewhere", async () => {
    const connection = new Connection("https://leader", new FetchTransport(), {})
    for (const part of ["..", ".", ""])
      expect(await failureOf(connection.call({ ...call, path: ["v1", part] }, NEVER))).toBe(
        "network/bad-request",
      )
  })
})
