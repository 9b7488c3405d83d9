import { once } from "node:events"
import { createServer as createHttpServer } from "node:http"
import { request } from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { Role } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import { type StudyFileInput, studyFileSchema, studyOf } from "../src/config/study-file.js"
import { ActLog } from "../src/identity/acts.js"
import { enrol } from "../src/identity/enrol-client.js"
import { type EnrolServer, type EnrolServerOptions, startEnrolServer } from "../src/identity/enrol-server.js"
import type { ParticipantKeys } from "../src/identity/keys.js"
import { type Kit, makeKits, readKit, saveTickets, type Ticket } from "../src/identity/kit.js"
import { Registry, type Seat } from "../src/identity/registry.js"
import { type TlsIdentity, tlsIdentity } from "../src/identity/tls.js"
import { type TestStudy, testStudy } from "./identity-study.js"

const DAY = 86_400_000

export const SEATS: readonly Seat[] = [
  { name: "leader", role: "leader", parent: null },
  { name: "fog-1", role: "fog", parent: "leader" },
  ...["north", "south", "east", "west"].map((name) => ({
    name,
    role: "facility" as const,
    parent: "fog-1",
  })),
]

/** A study file's content with a nonce of its own. */
export const studyFile = (nonce: number, change: Partial<StudyFileInput> = {}): StudyFileInput => ({
  name: `study ${nonce}`,
  nonce: nonce.toString(16).padStart(64, "0"),
  model: { kind: "logistic-regression", features: ["age", "chol"] },
  training: {},
  server: {},
  rounds: 2,
  participants: SEATS.map(({ name, role, parent }) => ({
    name,
    role: role as Exclude<Role, "authority">,
    parent,
  })),
  ...change,
})

export const studyNumber = (nonce: number, change: Partial<StudyFileInput> = {}): Study =>
  studyOf(studyFileSchema.parse(studyFile(nonce, change)))

/** A port that was free a moment ago. */
export const freePort = async (): Promise<number> => {
  const server = createHttpServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

export interface Joined {
  readonly kit: Kit
  readonly keys: ParticipantKeys
  readonly identity: TlsIdentity
}

export interface TestAuthorityOptions {
  readonly now?: () => number
  /** When the kits' tokens expire. */
  readonly expires?: number
  readonly seats?: readonly Seat[]
  readonly server?: Partial<EnrolServerOptions>
}

/** A registry behind its HTTPS server, in a folder of its own, with a kit for every seat. */
export class TestAuthority {
  readonly folder: string
  readonly study: TestStudy
  readonly me: { readonly keys: ParticipantKeys; readonly identity: TlsIdentity }
  readonly port: number
  readonly kits = new Map<string, Kit>()
  readonly lines: string[] = []
  readonly refusals: string[] = []
  readonly failures: unknown[] = []
  readonly #options: TestAuthorityOptions
  registry: Registry = undefined as unknown as Registry
  log: ActLog = undefined as unknown as ActLog
  server: EnrolServer | null = null

  private constructor(
    folder: string,
    study: TestStudy,
    me: TestAuthority["me"],
    port: number,
    options: TestAuthorityOptions,
  ) {
    this.folder = folder
    this.study = study
    this.me = me
    this.port = port
    this.#options = options
  }

  /** Lays one out; it does not run yet. */
  static async layOut(folder: string, options: TestAuthorityOptions = {}): Promise<TestAuthority> {
    const study = await testStudy(folder, options.now)
    const authority = new TestAuthority(
      folder,
      study,
      await study.member("authority", "authority"),
      await freePort(),
      options,
    )
    await saveTickets(
      study.files,
      await authority.makeKits(options.seats ?? SEATS, options.expires ?? authority.now() + DAY),
    )
    return authority
  }

  static async start(folder: string, options: TestAuthorityOptions = {}): Promise<TestAuthority> {
    const authority = await TestAuthority.layOut(folder, options)
    await authority.run()
    return authority
  }

  now = (): number => this.#options.now?.() ?? Date.now()

  async makeKits(seats: readonly Seat[], expires: number): Promise<readonly Ticket[]> {
    const at = join(this.folder, `kits-${expires}-${this.kits.size}`)
    const tickets = await makeKits({
      folder: at,
      study: "heart",
      authority: {
        name: "authority",
        url: `https://127.0.0.1:${this.port}`,
        caFingerprint: this.study.authority.fingerprint,
        signingKey: this.me.keys.signingKey,
        sign: this.me.keys.sign,
      },
      participants: seats.map((seat) => ({ ...seat, local: "" })),
      expires,
    })
    for (const { name } of tickets) this.kits.set(name, await readKit(join(at, name)))
    return tickets
  }

  /** Opens the registry, as after a restart. */
  async open(): Promise<void> {
    const { study, me } = this
    this.log = await ActLog.open(join(this.folder, "log"), study.authority.fingerprint, me.keys)
    this.registry = await Registry.open({
      authority: study.authority,
      keys: me.keys,
      files: study.files,
      log: this.log,
      first: { study: studyNumber(1), participants: SEATS },
      validityDays: 30,
      now: this.now,
      narrate: (line) => this.lines.push(line),
    })
  }

  async run(): Promise<void> {
    await this.open()
    this.server = await startEnrolServer({
      authority: this.study.authority,
      identity: this.me.identity,
      registry: this.registry,
      now: this.now,
      host: "127.0.0.1",
      port: this.port,
      onRefused: ({ code }) => this.refusals.push(code),
      onFailed: (error) => this.failures.push(error),
      ...this.#options.server,
    })
  }

  async stop(): Promise<void> {
    await this.server?.close()
    await this.registry.close()
    this.server = null
  }

  kit(name: string): Kit {
    return this.kits.get(name) as Kit
  }

  /** Enrols somebody over TLS. */
  async join(name: string, address = name.startsWith("fog") ? "localhost:9000" : ""): Promise<Joined> {
    const kit = this.kit(name)
    const keys = await this.study.keysOf(name)
    const certificates = await enrol({ kit, keys, address, now: this.now, patienceMs: 5000 })
    return { kit, keys, identity: tlsIdentity(keys, certificates) }
  }

  async joinAll(names: readonly string[] = SEATS.map(({ name }) => name)): Promise<Record<string, Joined>> {
    const out: Record<string, Joined> = {}
    for (const name of names) out[name] = await this.join(name)
    return out
  }
}

export interface RawAnswer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
}

/** A request as somebody might make who does not follow the protocol. */
export const raw = async (
  port: number,
  options: {
    readonly method?: string
    readonly path: string
    readonly as?: TlsIdentity | null
    readonly body?: string | Uint8Array
    readonly type?: string
    readonly session?: Buffer | undefined
  },
): Promise<RawAnswer> => {
  const { method = "GET", path, as = null, body, type = "application/json", session } = options
  const outgoing = request({
    host: "127.0.0.1",
    port,
    path,
    method,
    rejectUnauthorized: false,
    agent: false,
    ...(as === null ? {} : { cert: as.certificate, key: as.key }),
    ...(session === undefined ? {} : { session }),
    headers: body === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) },
  })
  outgoing.end(body)
  const [response] = await once(outgoing, "response")
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part)
  return {
    status: response.statusCode,
    type: String(response.headers["content-type"] ?? ""),
    text: Buffer.concat(parts).toString("utf8"),
    headers: response.headers,
  }
}
