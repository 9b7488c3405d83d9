import type { AddressInfo, Socket } from "node:net"
import { fromHex } from "@consilium/base/bytes"
import type { ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify"
import { z } from "zod"
import { type AttemptLimits, FailedAttempts } from "./attempts.js"
import type { CertificateAuthority } from "./ca.js"
import { tokenText } from "./kit.js"
import { addMemberRoutes } from "./member-routes.js"
import { parseBody, problemOf, sendProblem } from "./problems.js"
import type { Registry } from "./registry.js"
import { type TlsIdentity, tlsServerOptions } from "./tls.js"

export interface EnrolServerOptions {
  readonly authority: CertificateAuthority
  /** The server's own certificate, issued by the authority. */
  readonly identity: TlsIdentity
  readonly registry: Registry
  readonly now: () => number
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly limits?: AttemptLimits
  /** Told of every refusal, for the security events. */
  readonly onRefused?: (refusal: { readonly code: ErrorCode; readonly source: string }) => void
  /** Told of errors that are the authority's own. Callers learn only that there was one. */
  readonly onFailed?: (error: unknown) => void
}

export interface EnrolServer {
  readonly port: number
  /** New connections see another certificate. */
  show(identity: TlsIdentity): void
  close(): Promise<void>
}

const hexKey = z.string().regex(/^[0-9a-f]{64}$/)
const requestSchema = z.strictObject({
  token: tokenText,
  name: z.string().max(63),
  csr: z.string().max(4096),
  signingKey: hexKey,
  sealingKey: hexKey,
  address: z.string().max(300),
  signature: z.string().regex(/^[0-9a-f]{128}$/),
})

const BODY_BYTES = 16_384
/** How long a connection may take until TLS is agreed on, milliseconds. */
const HANDSHAKE_MS = 10_000
/** How long answers under way have when the server closes, milliseconds. */
const LAST_ANSWERS_MS = 100
const ENROL = "/v1/enrol"

/**
 * Starts the authority's HTTPS server:
 *
 *     GET  /v1/ca      the root certificate; whoever asks compares it with the fingerprint in its kit
 *     POST /v1/enrol   token and public keys in, certificate out
 *
 * and the routes of `member-routes.ts`, which need an enrolled certificate. Callers have none before they enrol, so TLS
 * asks for one but admits without.
 */
export const startEnrolServer = async (options: EnrolServerOptions): Promise<EnrolServer> => {
  const { authority, registry, now } = options
  const attempts = new FailedAttempts(options.limits ?? { failures: 20, windowMs: 60_000 }, now)
  const closing = new AbortController()
  const tls = (identity: TlsIdentity) => ({
    ...tlsServerOptions(identity),
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
  })
  const app = Fastify({
    https: tls(options.identity),
    bodyLimit: BODY_BYTES,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    frameworkErrors: (error, request, reply) => refuse(error, request, reply as unknown as FastifyReply),
    clientErrorHandler: (error, socket) => {
      // who was only slow, asleep perhaps, may ask again; with whom there is no TLS there is nothing to say
      const { code = "" } = error as { code?: string }
      const slow = code === "ERR_HTTP_REQUEST_TIMEOUT"
      if (!slow && !code.startsWith("HPE_")) {
        socket.destroy()
        return
      }
      const [status, line, what] = slow
        ? ([408, "408 Request Timeout", "The request took too long."] as const)
        : ([400, "400 Bad Request", "The request is not HTTP."] as const)
      socket.end(
        `HTTP/1.1 ${line}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\r\n${JSON.stringify(
          problemOf(status, new ConsiliumError("identity/bad-request", what)),
        )}`,
      )
    },
  })
  app.server.maxConnections = 1024
  const open = new Set<Socket>()
  app.server.on("connection", (socket: Socket) => {
    open.add(socket)
    socket.once("close", () => open.delete(socket))
  })

  const sourceOf = (request: FastifyRequest): string => request.raw.socket.remoteAddress ?? "unknown"
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const code = sendProblem(reply, error)
    if (code === null) {
      options.onFailed?.(error)
      return
    }
    if (request.routeOptions.url === ENROL && code !== "identity/too-many-attempts")
      attempts.failed(sourceOf(request))
    options.onRefused?.({ code, source: sourceOf(request) })
  }
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply as unknown as FastifyReply))
  app.setNotFoundHandler((_request, reply) => {
    const error = new ConsiliumError("identity/bad-request", "The authority has no such route.")
    reply
      .code(404)
      .type("application/problem+json")
      .send(JSON.stringify(problemOf(404, error)))
  })

  app.get("/v1/ca", (_request, reply) => {
    reply.type("application/x-pem-file").send(authority.certificate)
  })

  app.post(
    ENROL,
    {
      // Before the body is read: a source that is refused costs next to nothing.
      onRequest: async (request, reply) => {
        const wait = attempts.waitMs(sourceOf(request as unknown as FastifyRequest))
        if (wait === 0) return
        reply.header("retry-after", String(Math.ceil(wait / 1000)))
        throw new ConsiliumError(
          "identity/too-many-attempts",
          "Too many failed enrolments came from this address.",
        )
      },
    },
    async (request, reply) => {
      const body = parseBody(requestSchema, request.body)
      const certificate = await registry.enrol({
        ...body,
        token: new Uint8Array(Buffer.from(body.token, "base64url")),
        signingKey: fromHex(body.signingKey),
        sealingKey: fromHex(body.sealingKey),
        signature: fromHex(body.signature),
      })
      return reply.send({ certificate, caCertificate: authority.certificate })
    },
  )

  addMemberRoutes(app as unknown as FastifyInstance, { authority, registry, now, closing: closing.signal })

  await app.listen({ host: options.host, port: options.port })
  return {
    port: (app.server.address() as AddressInfo).port,
    show: (identity) => app.server.setSecureContext(tls(identity)),
    async close() {
      closing.abort()
      // the library knows the connections that TLS was agreed on for; one before that would keep the server open
      const closed = app.close()
      const sweep = setInterval(() => {
        for (const socket of open) socket.destroy()
      }, LAST_ANSWERS_MS)
      await closed.finally(() => clearInterval(sweep))
    },
  }
}
