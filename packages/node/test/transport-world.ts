import { mkdtemp, rm } from "node:fs/promises"
import https from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encode } from "@consilium/base/encoding"
import type { Envelope } from "@consilium/federation/messages"
import { Directory, type Role } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { testStudy as studyOf } from "../../federation/test/members.js"
import { parseAddress } from "../src/identity/names.js"
import { type TlsIdentity, tlsClientOptions } from "../src/identity/tls.js"
import type { StudyRunner } from "../src/roles/study-runner.js"
import { LOOPBACK, reserveAddress } from "../src/transport/address.js"
import { ParentLink, type ParentLinkOptions } from "../src/transport/parent-link.js"
import { ParentServer, type ParentServerOptions } from "../src/transport/parent-server.js"
import type { StudyDoor } from "../src/transport/study-door.js"
import { StudyLink } from "../src/transport/study-link.js"
import { PARCEL_TYPE, parcelCodec } from "../src/transport/wire.js"
import { type TestStudy, testStudy } from "./identity-study.js"
import { Bench, DIRECTORY, STUDY } from "./runner-bench.js"
import type { HearingMachine } from "./runner-machine.js"

export const OTHER_STUDY: Study = studyOf(4, { nonce: new Uint8Array(32).fill(8), name: "other" })

export interface Running {
  readonly runner: StudyRunner
  readonly machine: HearingMachine
}

/** A child's side of an edge while it runs. */
export interface Child extends Running {
  readonly link: ParentLink
  readonly study: StudyLink
  /** What was told of the connection. */
  readonly told: { readonly up: boolean; readonly detail: string }[]
  /** As a process that is killed. */
  kill(): void
}

/** Certified participants on this machine, real sockets between them. */
export class World {
  readonly folder: string
  readonly authority: TestStudy
  readonly #identities: ReadonlyMap<string, TlsIdentity>
  readonly #participants: Directory["roster"]["participants"]
  readonly #benches = new Map<string, Bench>()
  readonly #closing: (() => Promise<void> | void)[] = []

  private constructor(
    folder: string,
    authority: TestStudy,
    identities: ReadonlyMap<string, TlsIdentity>,
    participants: Directory["roster"]["participants"],
  ) {
    this.folder = folder
    this.authority = authority
    this.#identities = identities
    this.#participants = participants
  }

  static async make(): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), "consilium-transport-"))
    const authority = await testStudy(join(folder, "authority"))
    const identities = new Map<string, TlsIdentity>()
    const participants: Directory["roster"]["participants"][number][] = []
    for (const person of DIRECTORY.roster.participants) {
      const { keys, identity } = await authority.member(person.name, person.role as Role)
      identities.set(person.name, identity)
      const reserved = person.role === "facility" ? null : await reserveAddress(LOOPBACK, [0])
      const address = reserved?.address ?? ""
      await reserved?.close()
      participants.push({ ...person, tlsKeyHash: keys.tlsKeyHash, address })
    }
    return new World(folder, authority, identities, participants)
  }

  directory(study: Study = STUDY): Directory {
    return new Directory({
      study: studyDigest(study),
      version: 1,
      issuedAt: 0,
      participants: this.#participants,
    })
  }
  identity(name: string): TlsIdentity {
    return this.#identities.get(name) as TlsIdentity
  }
  named(name: string) {
    return this.directory().named(name)
  }

  async bench(name: string, study: Study = STUDY): Promise<Bench> {
    const key = `${name}-${study.name}`
    const bench =
      this.#benches.get(key) ??
      (await Bench.at(join(this.folder, "at", key), name, null, study, this.directory(study)))
    this.#benches.set(key, bench)
    return bench
  }

  /** A participant's runner, where the last one of it has left things. */
  async open(name: string, study: Study = STUDY): Promise<Running> {
    const running = await (await this.bench(name, study)).open()
    running.runner.begin()
    this.#closing.push(() => running.runner.stop())
    return running
  }

  uploads(name: string): string {
    return join(this.folder, "uploads", name)
  }

  async serve(
    name: string,
    doors: () => readonly StudyDoor[],
    options: Partial<ParentServerOptions> = {},
  ): Promise<ParentServer> {
    const { host, port } = parseAddress(this.named(name).address)
    const server = await ParentServer.start({
      me: this.named(name),
      identity: this.identity(name),
      address: await reserveAddress([host], [port]),
      uploads: this.uploads(name),
      studies: doors,
      ...options,
    })
    this.#closing.push(() => server.close())
    return server
  }

  link(
    name: string,
    parent: string,
    onConnection?: ParentLinkOptions["onConnection"],
    address?: string,
  ): ParentLink {
    const to = this.named(parent)
    const link = new ParentLink({
      identity: this.identity(name),
      parent: address === undefined ? to : { ...to, address },
      ...(onConnection === undefined ? {} : { onConnection }),
    })
    this.#closing.push(() => link.close())
    return link
  }

  /** Brings a child to where it was and lets it talk to its parent, through another address if one is given. */
  async child(
    name: string,
    parent: string,
    options: { study?: Study; address?: string } = {},
  ): Promise<Child> {
    const running = await this.open(name, options.study)
    const told: Child["told"] = []
    const link = this.link(name, parent, (up, detail) => told.push({ up, detail }), options.address)
    const study = new StudyLink(link, this.named(parent), running.runner)
    study.run().catch((error: unknown) => told.push({ up: false, detail: String(error) }))
    return {
      ...running,
      link,
      study,
      told,
      kill() {
        running.runner.stop()
        link.close()
      },
    }
  }

  /** Ends everything that a test has begun; what was stored is gone too. */
  async clear(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close()
    for (const bench of this.#benches.values()) await bench.close()
    this.#benches.clear()
    await rm(join(this.folder, "at"), { recursive: true, force: true })
    await rm(join(this.folder, "uploads"), { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await this.clear()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  readonly problem: {
    readonly type: string
    readonly title: string
    readonly status: number
    readonly detail: string
    readonly remedy: string
  } | null
}

export interface RawCall {
  readonly method?: string
  readonly path: string
  readonly body?: Uint8Array
  readonly headers?: Readonly<Record<string, string | number>>
}

/** One request to a parent, with whatever in it, on a connection of its own. */
export const ask = (
  world: World,
  parent: string,
  identity: TlsIdentity,
  { method = "GET", path, body, headers }: RawCall,
): Promise<RawAnswer> =>
  new Promise((resolve, reject) => {
    const { host, port } = parseAddress(world.named(parent).address)
    const request = https.request(
      {
        host,
        port,
        method,
        path,
        agent: false,
        headers: headers ?? (body ? { "content-type": PARCEL_TYPE, "content-length": body.length } : {}),
        ...tlsClientOptions(identity, parent),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () => {
          const whole = Buffer.concat(chunks)
          const isProblem = response.headers["content-type"] === "application/problem+json"
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            problem: isProblem && whole.length > 0 ? JSON.parse(whole.toString()) : null,
          })
        })
      },
    )
    request.on("error", reject)
    request.end(body === undefined ? undefined : Buffer.from(body))
  })

export const parcel = (envelopes: readonly Envelope[], first = 1): Uint8Array =>
  encode(parcelCodec, { first, envelopes })
