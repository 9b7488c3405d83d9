import "reflect-metadata"
import { createHash, webcrypto, X509Certificate } from "node:crypto"
import { toHex } from "@consilium/base/bytes"
import { newSecretKey } from "@consilium/base/random"
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openAuthority } from "../src/identity/ca.js"
import { makeCsr } from "../src/identity/csr.js"
import { checkedHost, parseAddress } from "../src/identity/names.js"
import { subjectOf } from "../src/identity/tls.js"
import { SealedFiles } from "../src/store/sealed.js"
import { type TestStudy, testStudy } from "./identity-study.js"
import { temporaryFolder } from "./store-children.js"

const NOON = Date.UTC(2026, 5, 1, 12)
const HOUR = 3_600_000
const DAY = 24 * HOUR
let remove: () => Promise<void>
let study: TestStudy
beforeAll(async () => {
  const made = await temporaryFolder("ca")
  remove = made.remove
  study = await testStudy(made.path, () => NOON)
})
afterAll(() => remove())

describe("the root certificate", () => {
  it("may issue, to leaves only, for ten years, and signs itself", async () => {
    const root = new X509Certificate(study.authority.certificate)
    expect(root.ca).toBe(true)
    expect(root.verify(root.publicKey)).toBe(true)
    expect(root.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1")
    expect(Date.parse(root.validFrom)).toBe(NOON - HOUR)
    expect(Date.parse(root.validTo)).toBe(NOON + 3653 * DAY)
    const spki = root.publicKey.export({ format: "der", type: "spki" })
    expect(toHex(study.authority.fingerprint)).toBe(createHash("sha256").update(spki).digest("hex"))
    // basicConstraints, critical, CA:true, pathlen:0
    expect(root.raw.toString("hex")).toContain("0603551d130101ff040830060101ff020100")
  })

  it("is the same after a restart, and its key is kept sealed", async () => {
    const again = await openAuthority({ files: study.files, now: () => NOON + DAY })
    expect(again.certificate).toBe(study.authority.certificate)
    expect(await study.files.names()).toContain("certificate-authority")
    await expect(SealedFiles.open(study.files.folder, newSecretKey())).rejects.toMatchObject({
      code: "store/wrong-key",
    })
  })
})

describe("a participant's certificate", () => {
  it("names the participant, its role and its hosts, and is good for both ends of a connection", async () => {
    const { keys, identity } = await study.member("north-clinic", "facility", {
      host: "Data.North.example",
      validityDays: 7,
    })
    const leaf = new X509Certificate(identity.certificate)
    expect(leaf.subject).toBe("CN=north-clinic\nOU=facility")
    expect(leaf.ca).toBe(false)
    expect(leaf.subjectAltName).toBe(
      "DNS:north-clinic.consilium.internal, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:data.north.example",
    )
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"])
    expect(leaf.verify(new X509Certificate(study.authority.certificate).publicKey)).toBe(true)
    expect(leaf.checkPrivateKey(keys.tlsKey)).toBe(true)
    expect([Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]).toEqual([NOON - HOUR, NOON + 7 * DAY])
    expect(subjectOf(leaf)).toEqual({ name: "north-clinic", role: "facility", tlsKeyHash: keys.tlsKeyHash })
  })

  it("has a serial number of its own and never outlives the root", async () => {
    const late = await study.at(() => NOON + 3650 * DAY)
    const leaves = [
      await study.member("a", "fog", { authority: late }),
      await study.member("b", "fog", { authority: late, host: "::2" }),
    ].map(({ identity }) => new X509Certificate(identity.certificate))
    expect(leaves[0]?.serialNumber).not.toBe(leaves[1]?.serialNumber)
    expect(Date.parse(leaves[0]?.validTo as string)).toBe(NOON + 3653 * DAY)
    expect(leaves[1]?.subjectAltName).toContain("IP Address:0:0:0:0:0:0:0:2")
  })

  it("is refused for a host that would be another participant", async () => {
    for (const host of [
      "leader.consilium.internal",
      "LEADER.Consilium.INTERNAL",
      "consilium.internal",
      "*.example",
      "a,b",
      "x.consilium.internal.",
      "0.0.0.0",
      "::",
      "fe80::1%eth0",
      "",
    ])
      await expect(study.member("n", "fog", { host }), host).rejects.toMatchObject({
        code: "identity/bad-address",
      })
    expect(checkedHost("consilium.internal.example")).toBe("consilium.internal.example")
  })

  it("is refused for another name, a changed request, another kind of key, and nonsense", async () => {
    const keys = await study.keysOf("requests")
    const issue = (csr: string | Uint8Array, name = "requests"): Promise<string> =>
      study.authority.issue({ csr, name, role: "facility", validityDays: 1 })
    const csr = makeCsr("requests", keys.tlsKey)
    await expect(issue(csr, "leader")).rejects.toThrow("not for the name leader alone")
    const der = Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ""), "base64")
    await issue(der)
    for (const at of [10, 30, 70, der.length - 3]) {
      const changed = Buffer.from(der)
      changed[at] = (changed[at] as number) ^ 1
      await expect(issue(changed), `byte ${at}`).rejects.toMatchObject({ code: "identity/bad-request" })
    }
    for (const nonsense of ["", "-----BEGIN CERTIFICATE REQUEST-----", "x".repeat(5000), new Uint8Array(100)])
      await expect(issue(nonsense)).rejects.toMatchObject({ code: "identity/bad-request" })
    expect(() => makeCsr("two words", keys.tlsKey)).toThrow(
      expect.objectContaining({ code: "identity/bad-name" }),
    )

    const request = async (curve: string, name: Record<string, string[]>[]): Promise<string> => {
      const algorithm = { name: "ECDSA", namedCurve: curve, hash: "SHA-256" }
      const pair = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
      return (
        await Pkcs10CertificateRequestGenerator.create(
          { name, keys: pair, signingAlgorithm: algorithm },
          webcrypto,
        )
      ).toString()
    }
    await issue(await request("P-256", [{ CN: ["requests"] }]))
    await expect(issue(await request("P-384", [{ CN: ["requests"] }]))).rejects.toThrow(
      "not for an ECDSA P-256 key",
    )
    for (const name of [
      [{ CN: ["requests"] }, { OU: ["leader"] }],
      [{ CN: ["requests"] }, { CN: ["leader"] }],
      [],
    ])
      await expect(issue(await request("P-256", name))).rejects.toMatchObject({
        code: "identity/bad-request",
      })
    await expect(study.member("days", "fog", { validityDays: 0 })).rejects.toMatchObject({
      code: "identity/bad-request",
    })
  })

  it("is not read from a certificate of another kind", async () => {
    expect(subjectOf(new X509Certificate(study.authority.certificate))).toBeNull()
  })
})

describe("addresses", () => {
  it("are a host and a port", () => {
    expect(parseAddress("hospital.example:8443")).toEqual({ host: "hospital.example", port: 8443 })
    expect(parseAddress("127.0.0.1:1")).toEqual({ host: "127.0.0.1", port: 1 })
    expect(parseAddress("[::1]:65535")).toEqual({ host: "::1", port: 65535 })
    for (const bad of [
      "",
      "host",
      "host:",
      ":1",
      "host:0",
      "host:65536",
      "host:01",
      "::1:80",
      "[host]:80",
      "[127.0.0.1]:80",
      "http://h:80",
      "h:80/x",
      "a b:80",
    ])
      expect(() => parseAddress(bad), bad).toThrow("is not an address")
  })
})
