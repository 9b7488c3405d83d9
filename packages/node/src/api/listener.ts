import http from "node:http"
import https from "node:https"
import type { AddressInfo, Socket } from "node:net"
import { ConsiliumError } from "@consilium/base/errors"
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify"
import { isLoopback } from "./access.js"
import { SECURITY_HEADERS } from "./page-files.js"
import { problemOf } from "./problems.js"

/** Where a server of this API listens: the first host that exists, the first port that is free; port 0 takes any. */
export interface Listen {
  readonly hosts: readonly string[]
  readonly ports: readonly number[]
  /** Key and certificates in PEM; null for a listener that only this machine reaches. */
  readonly tls: { readonly key: string; readonly cert: string } | null
}

export interface HttpLimits {
  readonly headerBytes: number
  readonly connections: number
  /** For all headers, and for a whole request. */
  readonly headersMs: number
  readonly requestMs: number
  /** A connection on which nothing moves is closed. */
  readonly idleMs: number
}

export const HTTP_LIMITS: HttpLimits = {
  headerBytes: 16_384,
  connections: 256,
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
}

/** What is wrong with bytes that never became a request. */
const unreadable = (code: string | undefined): ConsiliumError => {
  if (code === "HPE_HEADER_OVERFLOW")
    return new ConsiliumError("api/too-large", `The headers exceed ${HTTP_LIMITS.headerBytes} bytes.`)
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new ConsiliumError("api/too-slow", "The request did not arrive in time.")
  return new ConsiliumError("api/malformed", "The request is not valid HTTP.")
}

const refuseRaw = (error: { code?: string }, socket: Socket): void => {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, headers, body } = problemOf(unreadable(error.code))
  const text = JSON.stringify(body)
  const all = {
    ...SECURITY_HEADERS,
    ...headers,
    "content-length": String(Buffer.byteLength(text)),
    connection: "close",
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${lines.join("\r\n")}\r\n\r\n${text}`)
}

/** A server with limits on everything that a peer can make large or slow. */
export const boundedServer = (tls: Listen["tls"], limits: HttpLimits = HTTP_LIMITS): FastifyInstance => {
  const app = Fastify({
    forceCloseConnections: true,
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => refuseRaw(error as { code?: string }, socket),
    frameworkErrors: (_error, _request, reply: FastifyReply) => {
      const { status, headers, body } = problemOf(
        new ConsiliumError("api/malformed", "The address of the request cannot be read."),
      )
      return reply
        .code(status)
        .headers({ ...SECURITY_HEADERS, ...headers })
        .send(JSON.stringify(body))
    },
    serverFactory: (handler) => {
      const settings = {
        maxHeaderSize: limits.headerBytes,
        headersTimeout: limits.headersMs,
        requestTimeout: limits.requestMs,
        keepAliveTimeout: 5000,
        connectionsCheckingInterval: Math.min(1000, limits.headersMs),
      }
      const server = tls
        ? https.createServer({ ...settings, ...tls, minVersion: "TLSv1.3" }, handler)
        : http.createServer(settings, handler)
      server.maxConnections = limits.connections
      server.maxHeadersCount = 64
      server.setTimeout(limits.idleMs)
      return server
    },
  })
  // the server listens by itself, not through the library, which then does not close it
  app.addHook("onClose", async ({ server }) => {
    if (!server.listening) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return app
}

const tryListen = (app: FastifyInstance, host: string, port: number): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    const { server } = app
    const failed = (error: Error): void => reject(error)
    server.once("error", failed)
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", failed)
      resolve(server.address() as AddressInfo)
    })
  })

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? ""

/** Where a server is to be found. */
export interface Listening {
  /** Such as `http://127.0.0.1:8001`. */
  readonly url: string
  readonly port: number
  /** One sentence for the operator: where it is, and that a wanted port was taken. */
  readonly says: string
}

/**
 * Listens at the first address that is free.
 * @throws {ConsiliumError} "network/port-taken"; "config/invalid" for an address beyond this machine without TLS
 */
export const listen = async (app: FastifyInstance, what: string, at: Listen): Promise<Listening> => {
  const far = at.hosts.find((host) => host !== "localhost" && !isLoopback(host))
  if (far !== undefined && at.tls === null)
    throw new ConsiliumError("config/invalid", `${what} would listen on ${far} without TLS.`, {
      remedy: "Listen on 127.0.0.1 or ::1, or give a key and a certificate.",
    })
  await app.ready()
  let last: unknown
  for (const host of at.hosts)
    for (const port of at.ports) {
      try {
        const bound = await tryListen(app, host, port)
        const name = bound.family === "IPv6" ? `[${bound.address}]` : bound.address
        const url = `${at.tls ? "https" : "http"}://${name}:${bound.port}`
        const [wanted] = at.ports
        const moved = wanted !== undefined && wanted !== 0 && wanted !== bound.port
        return {
          url,
          port: bound.port,
          says: moved ? `${what}: ${url}, because port ${wanted} is taken` : `${what}: ${url}`,
        }
      } catch (error) {
        last = error
        if (codeOf(error) !== "EADDRINUSE" && codeOf(error) !== "EACCES") break
      }
    }
  throw new ConsiliumError(
    "network/port-taken",
    `${what} can listen on none of the ports ${at.ports.join(", ")} at ${at.hosts.join(" or ")}: ${codeOf(last)}.`,
    { cause: last },
  )
}
