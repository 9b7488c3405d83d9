import type { Readable } from "node:stream"
import { equalBytes } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import type { Participant } from "@consilium/federation/roster"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { type Peer, peerOf, type TlsIdentity } from "../identity/tls.js"
import { Turns } from "../store/turns.js"
import type { ReservedAddress } from "./address.js"
import { CHILD_LIMITS, type ChildLimits, limitedServer, serveAt } from "./child-limits.js"
import { nextParcel, type StudyDoor, takeParcel } from "./study-door.js"
import { UploadFolder, type UploadLimits } from "./upload-folder.js"
import { OFFSET_HEADER, offersCodec, PARCEL_TYPE, POLL_TIME, UPLOAD_TYPE } from "./wire.js"

export interface ParentServerOptions {
  readonly me: Participant
  readonly identity: TlsIdentity
  readonly address: ReservedAddress
  /** Folder of large parcels on their way up. */
  readonly uploads: string
  readonly studies: () => readonly StudyDoor[]
  readonly limits?: ChildLimits
  readonly uploadLimits?: UploadLimits
  readonly now?: () => number
}

const OFFER_POLL: Milliseconds = milliseconds(200)
/** A child polls a study once at a time; a second poll may be of a connection that is gone. */
const POLLS = 2

/**
 * The side of an edge that listens: children post to it and poll it over mutual TLS.
 *
 *     GET  /v1/studies                      the studies that the child is enrolled in
 *     POST /v1/studies/<id>/messages        a parcel; the answer says how far everything was taken
 *     POST /v1/studies/<id>/messages?upload a parcel that was uploaded, by its SHA-256 digest
 *     GET  /v1/studies/<id>/messages?after  what waits for the child after that number; waits for something to come
 *     HEAD /v1/uploads/<digest>             how many bytes of an upload are here
 *     PUT  /v1/uploads/<digest>?offset      the next bytes of it
 */
export class ParentServer {
  readonly #options: ParentServerOptions
  readonly #app: FastifyInstance
  readonly #uploads: UploadFolder
  readonly #now: () => number
  /** Large parcels are in memory one at a time. */
  readonly #large = new Turns()
  readonly #polls = new Map<string, FastifyReply[]>()
  #closing = false

  private constructor(options: ParentServerOptions, limits: ChildLimits, uploads: UploadFolder) {
    this.#options = options
    this.#uploads = uploads
    this.#now = options.now ?? Date.now
    const { identity } = options
    this.#app = limitedServer({ identity, now: this.#now, studies: () => options.studies().length, limits })
  }

  /** Serves on the reserved address. */
  static async start(options: ParentServerOptions): Promise<ParentServer> {
    const { address, identity, limits = CHILD_LIMITS, uploads: folder, uploadLimits } = options
    const uploads = await UploadFolder.open({
      folder,
      secret: identity.key,
      ...(uploadLimits === undefined ? {} : { limits: uploadLimits }),
      ...(options.now === undefined ? {} : { now: options.now }),
    })
    const server = new ParentServer(options, limits, uploads)
    server.#routes()
    serveAt(address, server.#app, limits)
    await server.#app.ready()
    return server
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#uploads.close()
    await this.#app.close()
    await this.#options.address.close()
  }

  #routes(): void {
    const app = this.#app
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(PARCEL_TYPE, { parseAs: "buffer" }, (_request, body, done) => done(null, body))
    app.addContentTypeParser(UPLOAD_TYPE, (_request, body, done) => done(null, body))
    app.get<{ Querystring: { known?: string } }>("/v1/studies", async (request, reply) =>
      this.#answer(
        reply,
        encode(offersCodec, await this.#offers(request, wholeNumber("known", request.query.known))),
      ),
    )
    app.post<{ Params: { study: string }; Querystring: { upload?: string } }>(
      "/v1/studies/:study/messages",
      async (request, reply) => {
        const { door, child } = this.#edge(request.params.study, request)
        const { upload } = request.query
        const receipt = await (upload === undefined
          ? takeParcel(door, child, parcelIn(request.body))
          : this.#takeUpload(door, child, upload))
        return this.#answer(reply, receipt)
      },
    )
    app.get<{ Params: { study: string }; Querystring: { after?: string; wait?: string } }>(
      "/v1/studies/:study/messages",
      async (request, reply) => {
        const { door, child } = this.#edge(request.params.study, request)
        const after = wholeNumber("after", request.query.after)
        this.#onlyPoll(`${door.id} ${child.name}`, reply)
        return this.#answer(reply, await nextParcel(door, child, after, request.query.wait !== "0"))
      },
    )
    app.head<{ Params: { digest: string } }>("/v1/uploads/:digest", async (request, reply) => {
      const length = await this.#uploads.length(this.#anyChild(request).id, request.params.digest)
      return reply.code(200).header(OFFSET_HEADER, String(length)).send()
    })
    app.put<{ Params: { digest: string }; Querystring: { offset?: string } }>(
      "/v1/uploads/:digest",
      async (request, reply) => {
        const child = this.#anyChild(request)
        const offset = wholeNumber("offset", request.query.offset)
        const size = wholeNumber("content-length", request.headers["content-length"] ?? "")
        if (request.headers["content-type"] !== UPLOAD_TYPE)
          throw new ConsiliumError("network/bad-request", `A body of the type ${UPLOAD_TYPE} was expected.`)
        const { digest } = request.params
        const length = await this.#uploads.append(
          child.id,
          digest,
          { offset, size },
          request.body as Readable,
        )
        return reply.code(204).header(OFFSET_HEADER, String(length)).send()
      },
    )
  }

  #answer(reply: FastifyReply, bytes: Uint8Array): FastifyReply {
    return reply.type(PARCEL_TYPE).send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  }

  async #offers(request: FastifyRequest, known: number) {
    const peer = this.#peer(request)
    const offered = () => this.#options.studies().filter((door) => this.#childIn(door, peer) !== undefined)
    const until = performance.now() + POLL_TIME
    while (offered().length <= known && known > 0 && performance.now() < until && !this.#closing) {
      if (request.raw.socket.destroyed) break
      await new Promise((resolve) => setTimeout(resolve, OFFER_POLL))
    }
    return offered().map(({ id, signedRoster }) => ({
      study: new Uint8Array(Buffer.from(id, "hex")),
      signed: signedRoster,
    }))
  }

  #takeUpload(door: StudyDoor, child: Participant, digest: string): Promise<Uint8Array> {
    return this.#large.run(async () => {
      const receipt = await takeParcel(door, child, await this.#uploads.read(child.id, digest))
      await this.#uploads.remove(child.id, digest)
      return receipt
    })
  }

  /** Ends the oldest polls of an edge when there are too many. */
  #onlyPoll(edge: string, reply: FastifyReply): void {
    const polls = this.#polls.get(edge) ?? []
    this.#polls.set(edge, polls)
    polls.push(reply)
    reply.raw.once("close", () => {
      polls.splice(polls.indexOf(reply), 1)
      if (polls.length === 0 && this.#polls.get(edge) === polls) this.#polls.delete(edge)
    })
    if (polls.length > POLLS) polls[0]?.request.raw.socket.destroy()
  }

  #peer(request: FastifyRequest): Peer {
    return peerOf(request.raw.socket, this.#now)
  }

  #childIn(door: StudyDoor, { tlsKeyHash }: Peer): Participant | undefined {
    return door.directory
      .childrenOf(this.#options.me.id)
      .find((child) => equalBytes(child.tlsKeyHash, tlsKeyHash))
  }

  /** The child at the other end of the connection, in whichever study. */
  #anyChild(request: FastifyRequest): Participant {
    const peer = this.#peer(request)
    for (const door of this.#options.studies()) {
      const child = this.#childIn(door, peer)
      if (child !== undefined) return child
    }
    throw noChild(peer, this.#options.me, "any")
  }

  /** The study that is asked for, and the child at the other end of the connection, by the key of its certificate. */
  #edge(study: string, request: FastifyRequest): { readonly door: StudyDoor; readonly child: Participant } {
    const peer = this.#peer(request)
    const door = this.#options.studies().find(({ id }) => id === study)
    if (door === undefined)
      throw new ConsiliumError(
        "network/unknown-study",
        `${this.#options.me.name} takes part in no such study.`,
      )
    const child = this.#childIn(door, peer)
    if (child === undefined) throw noChild(peer, this.#options.me, "this")
    return { door, child }
  }
}

const noChild = (peer: Peer, me: Participant, which: string): ConsiliumError =>
  new ConsiliumError(
    "identity/unknown-participant",
    `${peer.name} is no child of ${me.name} in ${which} study.`,
  )

const parcelIn = (body: unknown): Uint8Array => {
  if (body instanceof Uint8Array) return body
  throw new ConsiliumError("network/bad-request", `A body of the type ${PARCEL_TYPE} was expected.`)
}

const wholeNumber = (name: string, text = "0"): number => {
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
    throw new ConsiliumError("network/bad-request", `\`${name}\` is no whole number.`)
  return value
}
