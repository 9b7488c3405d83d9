import { X509Certificate } from "node:crypto"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { enrol, loadOrEnrol, renewCertificate } from "../src/identity/enrol-client.js"
import { certificateWarnings, renewalDue } from "../src/identity/expiry.js"
import type { Certificates } from "../src/identity/tls.js"
import { SealedFiles } from "../src/store/sealed.js"
import { raw, TestAuthority } from "./identity-authority.js"
import { type TestStudy, testStudy } from "./identity-study.js"
import { temporaryFolder } from "./store-children.js"

const DAY = 86_400_000
const HOUR = 3_600_000
let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("expiry")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

describe("warnings of a certificate", () => {
  const NOON = Date.UTC(2026, 5, 1, 12)
  let n = 0
  const certificateFor = async (validityDays: number): Promise<string> => {
    const study: TestStudy = await testStudy(join(root, `warnings-${n++}`), () => NOON)
    return (await study.member("north", "facility", { validityDays })).identity.certificate
  }

  it("come at 30, 7 and 1 days before the end, and each stays until it is over", async () => {
    const certificate = await certificateFor(365)
    const marks = (daysLeft: number): readonly number[] =>
      certificateWarnings(certificate, NOON + (365 - daysLeft) * DAY).map(({ mark }) => mark)
    expect([31, 30.01, 30, 7.01, 7, 1.01, 1, 0.1, 0, -5].map(marks)).toEqual([
      [],
      [],
      [30],
      [30],
      [30, 7],
      [30, 7],
      [30, 7, 1],
      [30, 7, 1],
      [30, 7, 1],
      [30, 7, 1],
    ])
    const text = (daysLeft: number): string | undefined =>
      certificateWarnings(certificate, NOON + (365 - daysLeft) * DAY).at(-1)?.message
    expect([29.5, 1.5, 0.5, -1].map(text)).toMatchInlineSnapshot(`
      [
        "The certificate of north expires in 29 days, on 2027-06-01T12:00:00.000Z.",
        "The certificate of north expires in a day, on 2027-06-01T12:00:00.000Z.",
        "The certificate of north expires within a day, on 2027-06-01T12:00:00.000Z.",
        "The certificate of north expired on 2027-06-01T12:00:00.000Z.",
      ]
    `)
    expect(certificateWarnings(certificate, NOON + 364.5 * DAY).at(-1)).toMatchObject({
      left: DAY / 2,
      validTo: "2027-06-01T12:00:00.000Z",
    })
  })

  it("leave out marks that are longer than the certificate's whole life", async () => {
    const week = await certificateFor(7)
    expect(certificateWarnings(week, NOON)).toEqual([])
    expect(certificateWarnings(week, NOON + 6.5 * DAY).map(({ mark }) => mark)).toEqual([1])
    expect(certificateWarnings(await certificateFor(1), NOON + 23 * HOUR)).toEqual([])
  })

  it("come with a renewal that is due a month before the end, or in the last third of a short life", async () => {
    const year = await certificateFor(365)
    expect([334, 336].map((day) => renewalDue(year, NOON + day * DAY))).toEqual([false, true])
    const short = await certificateFor(9)
    expect([5.9, 6.1].map((day) => renewalDue(short, NOON + day * DAY))).toEqual([false, true])
  })
})

describe("a certificate's renewal", () => {
  const spanOf = ({ certificate }: Certificates): readonly number[] => {
    const { validFrom, validTo } = new X509Certificate(certificate)
    return [Date.parse(validFrom), Date.parse(validTo)]
  }

  it("gives the same keys more time, begins an hour early, and changes no roster", async () => {
    let clock = Date.now() - 20 * DAY
    const authority = await TestAuthority.start(join(root, "renewal"), { now: () => clock })
    const all = await authority.joinAll()
    const { kit, keys, identity } = all.north as (typeof all)[string]
    const certificates = { certificate: identity.certificate, caCertificate: identity.caCertificate }
    const options = { kit, keys, certificates, now: () => clock }
    // most of its time is left
    expect(await renewCertificate(options)).toEqual(certificates)
    clock += 20 * DAY // TLS goes by the machine's clock: what is issued now must be good now
    const second = Math.floor(clock / 1000) * 1000
    const renewed = await renewCertificate(options)
    expect(spanOf(renewed)).toEqual([second - HOUR, second + 30 * DAY])
    expect(
      new X509Certificate(renewed.certificate).publicKey.equals(
        new X509Certificate(identity.certificate).publicKey,
      ),
    ).toBe(true)
    expect(await renewCertificate({ ...options, certificates: renewed })).toEqual(renewed)
    expect(authority.registry.studies().map(({ version }) => version)).toEqual([1])
    // also after a restart, it is the one that enrolment gives
    await authority.stop()
    await authority.run()
    expect(await enrol({ kit, keys, address: "", now: () => clock })).toEqual(renewed)
    await authority.stop()
  })

  it("happens by itself at a start in the last days; the old one serves while the authority is away", async () => {
    let clock = Date.now()
    const authority = await TestAuthority.start(join(root, "start"), { now: () => clock })
    const files = await SealedFiles.open(join(root, "start", "own", "north"), authority.study.key)
    const options = {
      kit: authority.kit("north"),
      keys: await authority.study.keysOf("north"),
      address: "",
      now: () => clock,
    }
    const first = await loadOrEnrol(files, options)
    clock += 25 * DAY
    await authority.stop()
    expect(await loadOrEnrol(files, { ...options, patienceMs: 200 })).toEqual(first)
    await authority.run()
    const second = await loadOrEnrol(files, options)
    expect(second).not.toEqual(first)
    expect(await loadOrEnrol(files, options)).toEqual(second)
    await authority.stop()
  })

  it("is refused with the reason once the certificate has expired; the kit then gives the same keys a new one", async () => {
    const authority = await TestAuthority.layOut(join(root, "late"))
    const { study } = authority
    // enrolled long ago, by the authority's clock of then
    const past = Date.now() - 40 * DAY
    let clock = past
    authority.now = () => clock
    Object.assign(study, { authority: await study.at(() => clock) })
    await authority.run()
    const files = await SealedFiles.open(join(root, "late", "own", "north"), study.key)
    const keys = await study.keysOf("north")
    const options = { kit: authority.kit("north"), keys, address: "", now: () => clock }
    const old = await loadOrEnrol(files, options)
    clock = Date.now()
    await expect(
      renewCertificate({ kit: options.kit, keys, certificates: old, now: () => clock }),
    ).rejects.toMatchObject({
      code: "identity/certificate-expired",
      message: expect.stringMatching(/^The certificate of north expired on .* GMT; it is .* GMT\.$/),
      remedy: expect.stringContaining("Start the participant again with its kit"),
    })
    const renewed = await loadOrEnrol(files, options)
    expect(renewed.certificate).not.toBe(old.certificate)
    expect(spanOf(renewed)[1]).toBeGreaterThan(clock + 29 * DAY)
    expect(await loadOrEnrol(files, options)).toEqual(renewed)
    await authority.stop()
  })

  it("is shown by the authority itself, on new connections, without a restart", async () => {
    const authority = await TestAuthority.start(join(root, "own"))
    await authority.join("north")
    const stranger = await (await testStudy(join(root, "stranger"))).member("authority", "authority")
    authority.server?.show(stranger.identity)
    await expect(authority.join("south")).rejects.toMatchObject({ code: "identity/wrong-authority" })
    authority.server?.show((await authority.study.member("authority", "authority")).identity)
    await authority.join("south")
    expect((await raw(authority.port, { path: "/v1/ca" })).status).toBe(200)
    await authority.stop()
  })
})
