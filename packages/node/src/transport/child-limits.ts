import https from "node:https"
import type { Socket } from "node:net"
import type { TLSSocket } from "node:tls"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import Fastify, { type FastifyInstance } from "fastify"
import { type Rate, TokenBuckets } from "../api/token-bucket.js"
import { peerOf, type TlsIdentity, tlsServerOptions } from "../identity/tls.js"
import type { ReservedAddress } from "./address.js"
import { refuseRaw, sendProblem } from "./problem.js"
import { CHUNK_BYTES } from "./wire.js"

/** Everything that a peer could make large, slow or many at a parent's port. */
export interface ChildLimits {
  readonly headerBytes: number
  /** Connections that have not shown a certificate yet. */
  readonly strangers: number
  /** Connections of one child, beyond four for each study. */
  readonly connections: number
  /** Milliseconds until a certificate is shown, until all headers are there, and for a whole request. */
  readonly handshakeMs: number
  readonly headersMs: number
  readonly requestMs: number
  /** A connection on which nothing moves is closed. */
  readonly idleMs: number
  /** Requests of one child. */
  readonly rate: Rate
  /** Requests of one child that are under way and have a body. */
  readonly bodies: number
}

export const CHILD_LIMITS: ChildLimits = {
  headerBytes: 8192,
  strangers: 256,
  connections: 16,
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 120_000,
  idleMs: 60_000,
  rate: { burst: 1000, perSecond: 500 },
  bodies: 32,
}

export interface LimitedOptions {
  readonly identity: TlsIdentity
  readonly now: () => number
  readonly studies: () => number
  readonly limits: ChildLimits
}

const addressOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`

/** A server for enrolled peers that keeps to the limits; a refusal is a problem that says what is wrong. */
export const limitedServer = ({ identity, now, studies, limits }: LimitedOptions): FastifyInstance => {
  const app = Fastify({
    bodyLimit: CHUNK_BYTES,
    forceCloseConnections: true,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: (error, socket) => refuseRaw(error as { code?: string }, socket),
    frameworkErrors: (_error, _request, reply) => {
      sendProblem(
        reply,
        new ConsiliumError("network/bad-request", "The address of the request cannot be read."),
      )
    },
    serverFactory: (handler) => {
      const server = https.createServer(
        {
          ...tlsServerOptions(identity),
          handshakeTimeout: limits.handshakeMs,
          maxHeaderSize: limits.headerBytes,
          headersTimeout: limits.headersMs,
          requestTimeout: limits.requestMs,
          connectionsCheckingInterval: Math.min(1000, limits.headersMs),
        },
        handler,
      )
      server.maxHeadersCount = 64
      server.setTimeout(limits.idleMs)
      server.on("tlsClientError", (_error, socket) => socket.destroy())
      return server
    },
  })
  const open = new Map<string, number>()
  app.server.on("secureConnection", (socket: TLSSocket) => {
    const { fingerprint256 } = socket.getPeerCertificate()
    const count = (open.get(fingerprint256) ?? 0) + 1
    if (count > limits.connections + 4 * studies()) {
      socket.destroy()
      return
    }
    open.set(fingerprint256, count)
    socket.once("close", () => {
      const left = (open.get(fingerprint256) ?? 1) - 1
      if (left > 0) open.set(fingerprint256, left)
      else open.delete(fingerprint256)
    })
  })
  const buckets = new TokenBuckets(limits.rate, () => performance.now())
  const bodies = new Map<string, number>()
  app.addHook("onRequest", async (request, reply) => {
    const child = toHex(peerOf(request.raw.socket, now).tlsKeyHash)
    if (buckets.take(child) > 0)
      throw new ConsiliumError(
        "network/too-many-requests",
        `More than ${limits.rate.perSecond} requests a second came.`,
      )
    if (request.method === "GET" || request.method === "HEAD") return
    const under = (bodies.get(child) ?? 0) + 1
    if (under > limits.bodies)
      throw new ConsiliumError(
        "network/too-many-requests",
        `${limits.bodies} requests are under way already.`,
      )
    bodies.set(child, under)
    reply.raw.once("close", () => {
      const left = (bodies.get(child) ?? 1) - 1
      if (left > 0) bodies.set(child, left)
      else bodies.delete(child)
    })
  })
  app.setErrorHandler((error, _request, reply) => {
    const status = error instanceof ConsiliumError ? undefined : (error as { statusCode?: number }).statusCode
    if (status === undefined || status >= 500) return sendProblem(reply, error)
    return sendProblem(
      reply,
      status === 413
        ? new ConsiliumError("network/too-large", `A request takes at most ${CHUNK_BYTES} bytes.`)
        : new ConsiliumError("network/bad-request", `The request was refused with ${status}.`),
      status,
    )
  })
  app.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, new ConsiliumError("network/bad-request", "There is nothing at this address."), 404),
  )
  return app
}

/** Serves the connections of a reserved address, with a limit on those that have not shown who they are. */
export const serveAt = (address: ReservedAddress, app: FastifyInstance, limits: ChildLimits): void => {
  const { server } = app
  const strangers = new Set<string>()
  server.on("secureConnection", (socket: TLSSocket) => strangers.delete(addressOf(socket)))
  // The server gets its connections from outside. Without this it would never look for requests that take too long.
  server.emit("listening")
  app.addHook("onClose", async () => {
    server.close(() => undefined)
  })
  address.serve((socket) => {
    const name = addressOf(socket)
    if (strangers.size >= limits.strangers) {
      socket.destroy()
      return
    }
    strangers.add(name)
    socket.once("close", () => strangers.delete(name))
    server.emit("connection", socket)
  })
}
