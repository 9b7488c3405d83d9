import https from "node:https"
import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import type { Envelope } from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import Fastify, { type FastifyInstance } from "fastify"
import { peerOf, type TlsIdentity, tlsServerOptions } from "../identity/tls.js"
import type { ReservedAddress } from "./address.js"
import type { Mailbox } from "./mailbox.js"
import { sendProblem } from "./problem.js"
import { MAX_PARCEL_BYTES, offersCodec, PARCEL_TYPE, POLL_TIME, parcelCodec, receiptCodec } from "./wire.js"

/** One study as a parent offers it to its children. */
export interface StudyDoor {
  /** Digest of the study, 64 hexadecimal digits. */
  readonly id: string
  readonly directory: Directory
  /** The latest roster, as the authority signed it. */
  readonly signedRoster: Uint8Array
  /** Takes what a child sent and says how far it has everything, durably. */
  take(child: Participant, first: number, envelopes: readonly Envelope[]): Promise<number>
  acknowledge(child: Participant, upTo: number): void
  mailbox(child: Participant): Mailbox
}

export interface ParentServerOptions {
  readonly me: Participant
  readonly identity: TlsIdentity
  readonly address: ReservedAddress
  readonly studies: () => readonly StudyDoor[]
}

const MOST_ENVELOPES = 1024
const OFFER_POLL: Milliseconds = milliseconds(200)

const STATUS: Readonly<Record<string, number>> = {
  "network/overloaded": 503,
  "network/stopping": 503,
  "network/unknown-study": 404,
  "network/gap": 409,
  "encoding/too-large": 413,
}
const statusOf = ({ code }: ConsiliumError): number =>
  STATUS[code] ?? (code.startsWith("identity/") ? 403 : 400)

/**
 * The side of an edge that listens: children post to it and poll it over mutual TLS.
 *
 *     GET  /v1/studies                      the studies that the child is enrolled in
 *     POST /v1/studies/<id>/messages        a parcel; the answer says how far everything was taken
 *     GET  /v1/studies/<id>/messages?after  what waits for the child after that number; waits for something to come
 */
export class ParentServer {
  readonly #options: ParentServerOptions
  readonly #app: FastifyInstance
  #closing = false

  private constructor(options: ParentServerOptions) {
    this.#options = options
    this.#app = Fastify({
      bodyLimit: MAX_PARCEL_BYTES,
      serverFactory: (handler) => https.createServer(tlsServerOptions(options.identity), handler),
      forceCloseConnections: true,
    })
  }

  /** Serves on the reserved address. `extend` adds routes of a role's own. */
  static async start(
    options: ParentServerOptions,
    extend?: (app: FastifyInstance) => void,
  ): Promise<ParentServer> {
    const server = new ParentServer(options)
    server.#routes()
    extend?.(server.#app)
    await server.#app.ready()
    options.address.serve((socket) => server.#app.server.emit("connection", socket))
    return server
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#app.close()
    await this.#options.address.close()
  }

  #routes(): void {
    const app = this.#app
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(PARCEL_TYPE, { parseAs: "buffer" }, (_request, body, done) => done(null, body))
    app.setErrorHandler((error, _request, reply) => {
      if (error instanceof ConsiliumError) return sendProblem(reply, statusOf(error), error)
      const { statusCode } = error as { statusCode?: number }
      if (statusCode === undefined || statusCode >= 500) return reply.code(500).send()
      return sendProblem(
        reply,
        statusCode,
        new ConsiliumError("network/bad-request", `The request was refused with ${statusCode}.`),
      )
    })
    app.setNotFoundHandler((_request, reply) =>
      sendProblem(reply, 404, new ConsiliumError("network/bad-request", "There is nothing at this address.")),
    )
    app.get<{ Querystring: { known?: string } }>("/v1/studies", async (request, reply) => {
      const { tlsKeyHash } = peerOf(request.raw.socket)
      const known = wholeNumber("known", request.query.known)
      const offered = () =>
        this.#options.studies().filter((door) => this.#childIn(door, tlsKeyHash) !== undefined)
      const until = performance.now() + POLL_TIME
      while (offered().length <= known && known > 0 && performance.now() < until && !this.#closing) {
        if (request.raw.socket.destroyed) break
        await new Promise((resolve) => setTimeout(resolve, OFFER_POLL))
      }
      const offers = offered().map(({ id, signedRoster }) => ({
        study: new Uint8Array(Buffer.from(id, "hex")),
        signed: signedRoster,
      }))
      return reply.type(PARCEL_TYPE).send(Buffer.from(encode(offersCodec, offers)))
    })
    app.post<{ Params: { study: string } }>("/v1/studies/:study/messages", async (request, reply) => {
      const { door, child } = this.#edge(request.params.study, request.raw.socket)
      if (!(request.body instanceof Uint8Array))
        throw new ConsiliumError("network/bad-request", `A body of the type ${PARCEL_TYPE} was expected.`)
      const parcel = decode(parcelCodec, new Uint8Array(request.body))
      const taken = await door.take(child, parcel.first, parcel.envelopes)
      return reply.type(PARCEL_TYPE).send(Buffer.from(encode(receiptCodec, { taken })))
    })
    app.get<{ Params: { study: string }; Querystring: { after?: string; wait?: string } }>(
      "/v1/studies/:study/messages",
      async (request, reply) => {
        const { door, child } = this.#edge(request.params.study, request.raw.socket)
        door.acknowledge(child, wholeNumber("after", request.query.after))
        const wait = request.query.wait === "0" ? milliseconds(0) : POLL_TIME
        const parcel = await door.mailbox(child).next(MOST_ENVELOPES, wait)
        return reply.type(PARCEL_TYPE).send(Buffer.from(encode(parcelCodec, parcel)))
      },
    )
  }

  #childIn(door: StudyDoor, tlsKeyHash: Uint8Array): Participant | undefined {
    return door.directory
      .childrenOf(this.#options.me.id)
      .find((child) => toHex(child.tlsKeyHash) === toHex(tlsKeyHash))
  }

  /** The study that is asked for, and the child at the other end of the connection, by the key of its certificate. */
  #edge(study: string, socket: unknown): { readonly door: StudyDoor; readonly child: Participant } {
    const peer = peerOf(socket)
    const door = this.#options.studies().find(({ id }) => id === study)
    if (door === undefined)
      throw new ConsiliumError(
        "network/unknown-study",
        `${this.#options.me.name} takes part in no such study.`,
      )
    const child = this.#childIn(door, peer.tlsKeyHash)
    if (child === undefined)
      throw new ConsiliumError(
        "identity/unknown-participant",
        `${peer.name} is no child of ${this.#options.me.name} in this study.`,
      )
    return { door, child }
  }
}

const wholeNumber = (name: string, text = "0"): number => {
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw new ConsiliumError("network/bad-request", `The query parameter \`${name}\` is no whole number.`)
  return value
}
