import { randomBytes } from "node:crypto"
import type { ConnectionOptions } from "node:tls"
import { equalBytes } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { envelopeCodec } from "@consilium/federation/messages"
import { participantId } from "@consilium/federation/roster"
import { type TlsIdentity, tlsClientOptions } from "@consilium/node/identity/tls"
import { PARCEL_TYPE, parcelCodec, UPLOAD_TYPE } from "@consilium/node/transport/wire"
import type { StudyRun } from "../security/study-run.js"
import { type Answer, ask, floodStreams, sendLine, sendRaw } from "./answers.js"
import { logOf } from "./held-study.js"
import { identityOf, strangeIdentity } from "./identities.js"

/** Ports and sockets of a study under way. */
export interface Targets {
  readonly study: string
  readonly api: number
  readonly health: number
  readonly leader: number
  readonly fog: number
  readonly authority: number
  readonly sockets: readonly string[]
}

/** One kind of thing that is sent, over and over. */
export interface Kind {
  readonly what: string
  /** How many at the same time, and the pause after each. */
  readonly lanes: number
  readonly pauseMs: number
  readonly send: () => Promise<Answer>
  /** Whether it is to be granted: an honest request, or what is harmless and is passed over. */
  readonly granted?: "always" | "never" | "sometimes"
}

const MALFORMED: readonly (string | Uint8Array)[] = [
  "\x00\x01\x02\x03\r\n\r\n",
  "GET / HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n",
  "G E T /v1/studies HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
  "GET /%zz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
  `GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${"y".repeat(40_000)}\r\n\r\n`,
  "POST /v1/studies HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
  "POST /v1/studies HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
  "POST /v1/studies HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nzzzz\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]
const NONSENSE: readonly (string | Uint8Array)[] = [
  "",
  "{}",
  "null",
  '{"privacy": "diff',
  '{"privacy": "perfect"}',
  '{"privacy": ["mpc"]}',
  '{"privacy": "mpc", "rounds": 1e9}',
  '{"__proto__": {"privacy": "mpc"}}',
  `${"[".repeat(50_000)}`,
  Uint8Array.of(0xff, 0xfe, 0x00),
]
const LINES: readonly string[] = [
  "nonsense\n",
  "{}\n",
  '{"command": "constructor"}\n',
  '{"command": "status", "extra": 1}\n',
  `{"command": "${"x".repeat(70_000)}"}\n`,
  '{"command": "invite", "name": "../../etc"}\n',
]

const turn = <T>(all: readonly T[]): (() => T) => {
  let at = 0
  return () => all[at++ % all.length] as T
}

const inTurn = (sends: readonly (() => Promise<Answer>)[]): (() => Promise<Answer>) => {
  const next = turn(sends)
  return () => next()()
}

/** Everything that is sent to a study's ports: honest requests, and what nobody honest would send. */
export const kindsOf = async (run: StudyRun, targets: Targets): Promise<readonly Kind[]> => {
  const { study, api, health, leader, fog, authority, sockets } = targets
  const plain = turn([api, health])
  const secure = turn([leader, fog, authority])
  const strange = await strangeIdentity("hospital-1")
  const own = await identityOf(run, "hospital-1")
  const other = await identityOf(run, "research-centre-1")
  const toFog = (identity: TlsIdentity): ConnectionOptions => tlsClientOptions(identity, "fog-1")
  const anyone = { rejectUnauthorized: false, servername: "fog-1.consilium.internal" }
  const shownStrange = { ...anyone, key: strange.key, cert: strange.certificate }
  const malformed = turn(MALFORMED)
  const nonsense = turn(NONSENSE)
  const line = turn(LINES)
  const socket = turn(sockets)
  const messages = `/v1/studies/${study}/messages`
  const unknown = (): string => randomBytes(32).toString("hex")
  // what the leader's log keeps of a message is the message as it was sent
  const real = logOf(run, "leader")
    .filter(({ header }) => header.type === "submit")
    .map(({ body }) => decode(envelopeCodec, body))
  const mine = real.filter(({ from }) => equalBytes(from, participantId("hospital-1")))
  const parcel = (first: number): Uint8Array => encode(parcelCodec, { first, envelopes: mine })
  const replay = parcel(1)
  const post = (body: Uint8Array, identity: TlsIdentity, path = messages): Promise<Answer> =>
    ask({ port: fog, method: "POST", path, headers: { "content-type": PARCEL_TYPE } }, body, toFog(identity))
  const reads = turn(["/v1/studies", `/v1/studies/${study}`, `/v1/studies/${study}/events`, "/openapi.json"])
  return [
    {
      what: "valid reads",
      lanes: 2,
      pauseMs: 100,
      granted: "always",
      send: () => ask({ port: api, path: reads() }),
    },
    {
      what: "valid looks at health and metrics",
      lanes: 1,
      pauseMs: 200,
      granted: "always",
      send: inTurn([
        () => ask({ port: health, path: "/healthz" }),
        () => ask({ port: health, path: "/metrics" }),
      ]),
    },
    { what: "malformed HTTP", lanes: 2, pauseMs: 50, send: () => sendRaw(plain(), [malformed()]) },
    { what: "no TLS on a TLS port", lanes: 2, pauseMs: 100, send: () => sendRaw(secure(), [malformed()]) },
    {
      what: "malformed HTTP with a certificate",
      lanes: 1,
      pauseMs: 100,
      send: () => sendRaw(fog, [malformed()], { tls: toFog(own) }),
    },
    {
      what: "no certificate",
      lanes: 2,
      pauseMs: 50,
      send: inTurn([
        () => ask({ port: leader, path: "/v1/studies" }, "", anyone),
        () => ask({ port: fog, path: messages }, "", anyone),
        () => ask({ port: authority, path: "/v1/roster" }, "", anyone),
        () => ask({ port: authority, method: "POST", path: "/v1/leave" }, "{}", anyone),
      ]),
    },
    {
      what: "another authority's certificate",
      lanes: 1,
      pauseMs: 50,
      send: inTurn([
        () => ask({ port: leader, path: "/v1/studies" }, "", shownStrange),
        () => ask({ port: fog, path: messages }, "", shownStrange),
        () => ask({ port: authority, path: "/v1/studies" }, "", shownStrange),
      ]),
    },
    {
      what: "a right certificate at the wrong parent",
      lanes: 1,
      pauseMs: 100,
      send: () => ask({ port: leader, path: `${messages}?after=0` }, "", tlsClientOptions(own, "leader")),
    },
    {
      what: "unknown studies",
      lanes: 1,
      pauseMs: 50,
      send: inTurn([
        () => ask({ port: api, path: `/v1/studies/${unknown()}` }),
        () => ask({ port: api, path: `/v1/studies/${unknown()}/models/${unknown()}` }),
        () => ask({ port: fog, path: `/v1/studies/${unknown()}/messages` }, "", toFog(own)),
        () =>
          ask(
            { port: authority, path: `/v1/roster?study=${unknown()}&wait=0` },
            "",
            tlsClientOptions(own, "authority"),
          ),
      ]),
    },
    {
      what: "replays of a real parcel",
      granted: "always",
      lanes: 1,
      pauseMs: 50,
      send: () => post(replay, own),
    },
    {
      // what has a number that was taken is passed over, whatever it is
      what: "real messages by somebody else, ahead of their turn, cut off",
      granted: "sometimes",
      lanes: 1,
      pauseMs: 50,
      send: inTurn([
        () => post(parcel(2), other),
        () => post(parcel(1000), own),
        () => post(replay.slice(0, -7), own),
        () => post(new Uint8Array(randomBytes(4096)), own),
        () => ask({ port: fog, path: `${messages}?after=999999&wait=0` }, "", toFog(own)),
      ]),
    },
    {
      what: "oversized bodies",
      lanes: 1,
      pauseMs: 200,
      send: inTurn([
        () => ask({ port: api, method: "POST", path: "/api/training/start" }, Buffer.alloc(1 << 20, "x")),
        () =>
          ask(
            {
              port: api,
              method: "POST",
              path: "/v1/studies",
              headers: { "content-type": "application/json" },
            },
            Buffer.alloc(2 << 20, "x"),
          ),
        () => post(new Uint8Array(2 << 20), own),
        () =>
          ask(
            {
              port: authority,
              method: "POST",
              path: "/v1/enrol",
              headers: { "content-type": "application/json" },
            },
            Buffer.alloc(1 << 20, "x"),
            anyone,
          ),
        () =>
          ask(
            {
              port: fog,
              method: "PUT",
              path: `/v1/uploads/${unknown()}?offset=0`,
              headers: { "content-type": UPLOAD_TYPE, "content-length": 2 << 20 },
            },
            Buffer.alloc(2 << 20),
            toFog(own),
          ),
      ]),
    },
    {
      what: "uploads that are not what they say",
      lanes: 1,
      pauseMs: 300,
      send: inTurn([
        () =>
          ask(
            {
              port: fog,
              method: "PUT",
              path: `/v1/uploads/${"0".repeat(64)}?offset=77`,
              headers: { "content-type": UPLOAD_TYPE, "content-length": 8 },
            },
            Buffer.alloc(8),
            toFog(own),
          ),
        () => post(new Uint8Array(0), own, `${messages}?upload=${unknown()}`),
        () => ask({ port: fog, method: "PUT", path: "/v1/uploads/../../x?offset=0" }, "x", toFog(own)),
      ]),
    },
    {
      what: "nonsense to be trained",
      lanes: 2,
      pauseMs: 50,
      send: () => ask({ port: api, method: "POST", path: "/api/training/start" }, nonsense()),
    },
    {
      what: "nonsense to be enrolled",
      lanes: 1,
      pauseMs: 50,
      send: () =>
        ask(
          {
            port: authority,
            method: "POST",
            path: "/v1/enrol",
            headers: { "content-type": "application/json" },
          },
          nonsense(),
          anyone,
        ),
    },
    {
      what: "slow-loris",
      lanes: 12,
      pauseMs: 10,
      send: inTurn([
        () => sendRaw(api, [..."GET /v1/studies HTTP/1.1\r\nx: y"], { pauseMs: 700 }),
        () => sendRaw(health, [..."GET /healthz HTTP/1.1\r\nx: y\r\n"], { pauseMs: 700 }),
        () => sendRaw(fog, [..."GET /v1/studies HTTP/1.1\r\nx: y"], { pauseMs: 700, tls: toFog(own) }),
        () => sendRaw(leader, ["\x16", "\x03", "\x01"], { pauseMs: 3000 }),
      ]),
    },
    {
      what: "flood of event streams",
      granted: "sometimes",
      lanes: 1,
      pauseMs: 500,
      send: () => floodStreams(api),
    },
    {
      what: "nonsense on admin sockets",
      lanes: 2,
      pauseMs: 50,
      send: () => sendLine(socket(), line()),
    },
  ]
}
