import "reflect-metadata"
import { KeyObject, webcrypto } from "node:crypto"
import { once } from "node:events"
import { createServer as createHttpsServer, request } from "node:https"
import type { AddressInfo } from "node:net"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from "node:tls"
import { isConsiliumError } from "@consilium/base/errors"
import { SubjectAlternativeNameExtension, X509Certificate, X509CertificateGenerator } from "@peculiar/x509"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { ParticipantKeys } from "../src/identity/keys.js"
import {
  type Peer,
  peerOf,
  type TlsIdentity,
  tlsAgent,
  tlsClientOptions,
  tlsServerOptions,
} from "../src/identity/tls.js"
import { type TestStudy, testStudy } from "./identity-study.js"
import { temporaryFolder } from "./store-children.js"

const MINUTE = 60_000
const ipv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))
let folder: string
let remove: () => Promise<void>
let study: TestStudy
let leader: Awaited<ReturnType<TestStudy["member"]>>
let clinic: Awaited<ReturnType<TestStudy["member"]>>
const servers: Server[] = []
beforeAll(async () => {
  const made = await temporaryFolder("tls")
  folder = made.path
  remove = made.remove
  study = await testStudy(join(folder, "study"))
  leader = await study.member("leader", "leader")
  clinic = await study.member("clinic", "facility")
})
afterAll(async () => {
  for (const server of servers) server.close()
  await remove()
})

/** A server that tells each client who it is. */
const serve = async (identity: TlsIdentity, host = "127.0.0.1", change: object = {}): Promise<number> => {
  const server = createServer({ ...tlsServerOptions(identity), ...change }, (socket) => {
    socket.on("error", () => undefined)
    try {
      const peer = peerOf(socket)
      socket.end(`${peer.name} ${peer.role}`)
    } catch (error) {
      socket.end(`refused ${isConsiliumError(error) ? error.code : String(error)}`)
    }
  })
  servers.push(server)
  server.listen({ host, port: 0 })
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

/** What the server says, or the code of the error that the client gets. */
const ask = (port: number, options: ConnectionOptions, host = "127.0.0.1"): Promise<string> =>
  new Promise((resolve) => {
    let said = ""
    const socket = connect({ host, port, ...options })
    socket.setEncoding("utf8")
    socket.on("data", (data) => {
      said += data
    })
    socket.on("error", (error: Error & { code?: string }) =>
      resolve(error.code === "UNSPECIFIED" ? error.message : (error.code ?? error.message)),
    )
    socket.on("close", () => resolve(said === "" ? "closed" : said))
  })

/** What a participant can make with its own key and certificate: a certificate for somebody else. */
const forge = async (
  by: { keys: ParticipantKeys; identity: TlsIdentity },
  name: string,
): Promise<TlsIdentity> => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
  const jwk = by.keys.tlsKey.export({ format: "jwk" })
  const signingKey = await webcrypto.subtle.importKey("jwk", jwk, algorithm, true, ["sign"])
  const pair = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const issuer = new X509Certificate(by.identity.certificate)
  const certificate = await X509CertificateGenerator.create(
    {
      subject: [{ CN: [name] }, { OU: [name] }],
      issuer: issuer.subjectName,
      notBefore: new Date(Date.now() - MINUTE),
      notAfter: new Date(Date.now() + MINUTE),
      publicKey: pair.publicKey,
      signingKey,
      signingAlgorithm: algorithm,
      extensions: [
        new SubjectAlternativeNameExtension([{ type: "dns", value: `${name}.consilium.internal` }]),
      ],
    },
    webcrypto,
  )
  const key = KeyObject.from(pair.privateKey).export({ format: "pem", type: "pkcs8" }) as string
  return { ...by.identity, certificate: `${certificate.toString("pem")}\n${by.identity.certificate}`, key }
}

describe("mutual TLS", () => {
  it(`connects two enrolled participants, each knowing the other, on IPv4 and ${ipv6 ? "IPv6" : "no IPv6 (skipped: this machine has none)"}`, async () => {
    for (const host of ipv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
      const port = await serve(leader.identity, host)
      expect(await ask(port, tlsClientOptions(clinic.identity, "leader"), host)).toBe("clinic facility")
      expect(await ask(port, tlsClientOptions(clinic.identity, "leader", leader.keys.tlsKeyHash), host)).toBe(
        "clinic facility",
      )
      const socket: TLSSocket = connect({ host, port, ...tlsClientOptions(clinic.identity, "leader") })
      await once(socket, "secureConnect")
      expect(socket.getProtocol()).toBe("TLSv1.3")
      expect(peerOf(socket)).toEqual({
        name: "leader",
        role: "leader",
        tlsKeyHash: leader.keys.tlsKeyHash,
      } satisfies Peer)
      expect(() => peerOf(socket, () => Date.now() + 31 * 24 * 60 * MINUTE)).toThrow(
        /^The certificate of leader expired on .*; it is /,
      )
      socket.destroy()
    }
  })

  it("refuses a server that is another participant, though its certificate is good for the address", async () => {
    const port = await serve(clinic.identity)
    expect(await ask(port, tlsClientOptions(clinic.identity, "leader"))).toBe("identity/wrong-peer")
    expect(await ask(port, tlsClientOptions(leader.identity, "clinic", leader.keys.tlsKeyHash))).toBe(
      "identity/wrong-peer",
    )
    expect(await ask(port, tlsClientOptions(leader.identity, "clinic"))).toBe("leader leader")
  })

  it("refuses clients without a certificate, of another authority, and with less than TLS 1.3", async () => {
    const port = await serve(leader.identity)
    const good = tlsClientOptions(clinic.identity, "leader")
    const { cert: _, key: __, ...none } = good
    expect(await ask(port, none)).toBe("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED")
    const foreign = await (await testStudy(join(folder, "foreign"))).member("clinic", "facility")
    const { cert, key } = tlsClientOptions(foreign.identity, "leader")
    expect(await ask(port, { ...good, cert: cert as string, key: key as string })).toMatch(
      /^(closed|ECONNRESET|EPIPE)$/,
    )
    expect(await ask(port, { ...good, minVersion: "TLSv1.2", maxVersion: "TLSv1.2" })).toMatch(
      /PROTOCOL_VERSION/,
    )
    expect(await ask(port, tlsClientOptions(foreign.identity, "leader"))).toBe("SELF_SIGNED_CERT_IN_CHAIN")
  })

  it("refuses certificates that are expired or not valid yet, but bears clocks that are slightly wrong", async () => {
    const port = await serve(leader.identity)
    const by = async (offset: number, days: number): Promise<TlsIdentity> => {
      const authority = await study.at(() => Date.now() + offset)
      return (await study.member("clinic", "facility", { authority, validityDays: days })).identity
    }
    const refused = /^(closed|ECONNRESET|EPIPE)$/
    const expired = await by(-3 * 24 * 60 * MINUTE, 1)
    expect(await ask(port, tlsClientOptions(expired, "leader"))).toMatch(refused)
    expect(await ask(port, tlsClientOptions(await by(90 * MINUTE, 1), "leader"))).toMatch(refused)
    expect(await ask(port, tlsClientOptions(await by(45 * MINUTE, 1), "leader"))).toBe("clinic facility")
    expect(await ask(await serve(expired), tlsClientOptions(leader.identity, "clinic"))).toBe(
      "CERT_HAS_EXPIRED",
    )
  })

  it("does not accept a participant as an authority", async () => {
    // clinic signs a certificate for "leader" with its own key and shows its own certificate as the issuer
    const forged = await forge(clinic, "leader")
    const port = await serve(forged)
    expect(await ask(port, tlsClientOptions(leader.identity, "leader"))).toMatch(
      /certificate signing|invalid CA/,
    )
  })

  it("knows nobody on a session that was resumed without a certificate, or on no TLS at all", async () => {
    const port = await serve(leader.identity, "127.0.0.1", { rejectUnauthorized: false })
    const { cert: _, key: __, ...none } = tlsClientOptions(clinic.identity, "leader")
    let session: Buffer | undefined
    const first = connect({ host: "127.0.0.1", port, ...none })
    first.on("session", (ticket) => {
      session = ticket
    })
    first.resume()
    await once(first, "close")
    expect(session).toBeDefined()
    expect(await ask(port, { ...none, session })).toBe("refused identity/certificate-required")
    expect(() => peerOf(null)).toThrow("shows no certificate")
    expect(() => peerOf({ authorized: true })).toThrow("shows no certificate")
  })

  it("checks the server on every connection of an agent, and resumes none", async () => {
    const server = createHttpsServer(tlsServerOptions(leader.identity), (incoming, response) => {
      response.setHeader("connection", "close")
      response.end(peerOf(incoming.socket).name)
    })
    servers.push(server)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    const wrong = tlsAgent(clinic.identity, "fog")
    const right = tlsAgent(clinic.identity, "leader")
    for (let i = 0; i < 3; i++) {
      const failing = request({ host: "127.0.0.1", port, agent: wrong })
      failing.end()
      const [error] = await once(failing, "error")
      expect(error).toMatchObject({ code: "identity/wrong-peer" })
      const passing = request({ host: "127.0.0.1", port, agent: right })
      passing.end()
      const [response] = await once(passing, "response")
      expect((response.socket as TLSSocket).isSessionReused()).toBe(false)
      response.resume()
      await once(response, "close")
    }
    wrong.destroy()
    right.destroy()
  })
})
