import { fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Role } from "@consilium/federation/roster"
import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from "fastify"
import { z } from "zod"
import type { CertificateAuthority } from "./ca.js"
import { parseBody } from "./problems.js"
import type { Registry } from "./registry.js"
import { type Peer, peerOf } from "./tls.js"

export interface MemberRoutesOptions {
  readonly authority: CertificateAuthority
  readonly registry: Registry
  readonly now: () => number
  /** Ends what is waiting. */
  readonly closing: AbortSignal
}

const OCTETS = "application/octet-stream"
const STUDY_BYTES = 1 << 20
const LONGEST_WAIT_S = 20
/** Requests of one participant that may wait at a time; more are answered at once. */
const MOST_WAITING = 16

const studyId = z.string().regex(/^[0-9a-f]{64}$/)
const number = (max: number): z.ZodType<number, string> =>
  z
    .string()
    .regex(/^\d{1,10}$/)
    .transform(Number)
    .refine((value) => value <= max)
const rosterQuery = z.strictObject({
  study: studyId.optional(),
  after: number(0xffff_ffff).optional(),
  wait: number(LONGEST_WAIT_S).optional(),
})
const noQuery = z.strictObject({})
const studyParameters = z.strictObject({ study: studyId })
const renewBody = z.strictObject({ csr: z.string().max(4096) })
const leaveBody = z.strictObject({
  name: z.string().max(63),
  at: z.int().min(0),
  signature: z.string().regex(/^[0-9a-f]{128}$/),
})

/**
 * The routes for participants with an enrolled certificate:
 *
 *     GET  /v1/roster?study=&after=&wait=  the newest signed roster after a version; waits up to `wait` seconds, then 204
 *     GET  /v1/studies                     the studies that name the caller
 *     POST /v1/studies                     leader: begins a study (its encoded bytes), answers its first signed roster
 *     POST /v1/studies/<digest>/closed     leader: no more rosters are signed for it
 *     POST /v1/leave                       facility: a signed wish to leave
 *     POST /v1/renew                       a new certificate for the same keys
 *
 * Who asks, and whether it may, is settled before a body is read.
 */
export const addMemberRoutes = (app: FastifyInstance, options: MemberRoutesOptions): void => {
  const { authority, registry, now } = options
  const peer = (request: FastifyRequest): Peer => peerOf(request.raw.socket, now)
  const only = (role?: Role, evenIfLeft = false): RouteShorthandOptions => ({
    onRequest: async (request) => {
      registry.caller(peer(request), { ...(role === undefined ? {} : { role }), evenIfLeft })
    },
  })
  app.addContentTypeParser(OCTETS, { parseAs: "buffer" }, (_request, body, done) => done(null, body))

  const waiting = new Map<string, number>()
  /** Waits for new rosters; false where the caller already has as many requests waiting as it may. */
  const waitFor = async (name: string, milliseconds: number, gone: AbortSignal): Promise<boolean> => {
    const others = waiting.get(name) ?? 0
    if (others >= MOST_WAITING) return false
    waiting.set(name, others + 1)
    const enough = AbortSignal.any([gone, options.closing, AbortSignal.timeout(Math.ceil(milliseconds))])
    await registry.changed(enough)
    const left = (waiting.get(name) as number) - 1
    if (left === 0) waiting.delete(name)
    else waiting.set(name, left)
    return true
  }

  app.get("/v1/roster", only(undefined, true), async (request, reply) => {
    const { study = null, after = 0, wait = LONGEST_WAIT_S } = parseBody(rosterQuery, request.query)
    const caller = peer(request)
    const gone = new AbortController()
    request.raw.socket.once("close", () => gone.abort())
    const until = performance.now() + 1000 * wait
    for (;;) {
      const signed = registry.newest(caller, study, after)
      if (signed !== null) return reply.type(OCTETS).send(Buffer.from(signed))
      const left = until - performance.now()
      const over = left <= 0 || gone.signal.aborted || options.closing.aborted
      if (over || !(await waitFor(caller.name, left, gone.signal))) return reply.code(204).send()
    }
  })

  app.get("/v1/studies", only(undefined, true), async (request, reply) => {
    parseBody(noQuery, request.query)
    const studies = registry.studiesOf(peer(request)).map(({ id, study, version, closedAt }) => ({
      study: id,
      name: study.name,
      version,
      closed: closedAt !== null,
    }))
    return reply.send({ studies })
  })

  app.post("/v1/studies", { ...only("leader"), bodyLimit: STUDY_BYTES }, async (request, reply) => {
    const { body } = request
    if (!(body instanceof Uint8Array))
      throw new ConsiliumError("identity/bad-request", `A study is proposed as ${OCTETS}.`)
    const signed = await registry.propose(peer(request), new Uint8Array(body))
    return reply.type(OCTETS).send(Buffer.from(signed))
  })

  app.post("/v1/studies/:study/closed", only("leader"), async (request, reply) => {
    const { study } = parseBody(studyParameters, request.params)
    const { version, closedAt } = await registry.closeStudy(peer(request), study)
    return reply.send({ study, version, closedAt })
  })

  app.post("/v1/leave", only("facility", true), async (request, reply) => {
    const { name, at, signature } = parseBody(leaveBody, request.body)
    const left = await registry.leave(peer(request), { name, at, signature: fromHex(signature) })
    return reply.send({ name: left.name, at: left.at, signature: toHex(left.signature) })
  })

  app.post("/v1/renew", only(), async (request, reply) => {
    const { csr } = parseBody(renewBody, request.body)
    const certificate = await registry.renew(peer(request), csr)
    return reply.send({ certificate, caCertificate: authority.certificate })
  })
}
