import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { decode } from "@consilium/base/encoding"
import { SecretKey } from "@consilium/base/random"
import { type MessageOf, messageCodec } from "@consilium/federation/messages"
import { openSealed } from "@consilium/node/roles/membership"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { copyData, keyFileOf, readable, sealedRecords } from "../security/folder-secrets.js"
import { type KnownUpdate, knownUpdates, recordsOf } from "../security/known-updates.js"
import { LeaderApi } from "../security/leader-api.js"
import { bytesSecret, type Secret } from "../security/needles.js"
import { plantedSecrets, plantPatients } from "../security/planted-patients.js"
import { pause, resume } from "../security/process-memory.js"
import { type Hit, Scanner } from "../security/scanner.js"
import { buildProgram, StudyRun } from "../security/study-run.js"

// A facility in a study without a seed: its secrets are its own. Another one stands still meanwhile, so that the round
// is under way while the folder is copied.

const WATCHED = "hospital-1"
const HELD = "clinic-1"
const LAST = "research-centre-1"

let run: StudyRun
let scanner: Scanner
let update: KnownUpdate
let secrets: readonly Secret[]
let keys: readonly Secret[]
/** Copies of the folder: in the first round, in the second, and when the study is over. */
const copies: Record<"first" | "second" | "after", string> = { first: "", second: "", after: "" }

const found = (bytes: ReadonlyMap<string, Uint8Array>): readonly Hit[] =>
  [...bytes].flatMap(([where, content]) => scanner.scan(content, where))
const names = (hits: readonly Hit[]): readonly string[] =>
  [...new Set(hits.map(({ secret }) => secret))].sort()
const roundSecret = "round secret"

/** The files below a folder, by their path in it. */
const filesUnder = (folder: string): ReadonlyMap<string, Buffer> =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => statSync(join(folder, path)).isFile())
      .map((path) => [path, readFileSync(join(folder, path))]),
  )

const announcementOf = async (api: LeaderApi, round: number): Promise<MessageOf<"announce">> => {
  const announced = (await api.log())
    .filter(({ header }) => header.type === "announce")
    .map(({ body }) => decode(messageCodec, body) as MessageOf<"announce">)
  return announced.find(({ spec }) => spec.round === round) as MessageOf<"announce">
}

const copyNow = async (to: string): Promise<string> => {
  await pause(run.pid(WATCHED))
  const copy = copyData(run, WATCHED, to)
  resume(run.pid(WATCHED))
  return copy
}

beforeAll(async () => {
  await buildProgram()
  run = await StudyRun.layOut({ facilities: 3, fogs: 1, rounds: 2, seed: null, protection: "shamir" })
  plantPatients(run, WATCHED)
  const api = await LeaderApi.prepare(run)
  run.startAllBut([LAST])
  await run.said(HELD, "is enrolled")
  await pause(run.pid(HELD))
  run.start(LAST)
  await run.said(WATCHED, "update-submitted: round 1, attempt 1")
  copies.first = await copyNow("first round")
  const spec = await announcementOf(api, 1)
  resume(run.pid(HELD))
  await run.said(HELD, "round-closed: round 1")
  await pause(run.pid(HELD))
  await run.said(WATCHED, "update-submitted: round 2, attempt 1")
  copies.second = await copyNow("second round")
  resume(run.pid(HELD))
  const codes = await run.complete()
  expect(codes, run.lastWords()).toEqual(
    Object.fromEntries(run.layout.processes.map(({ name }) => [name, 0])),
  )
  copies.after = copyData(run, WATCHED, "afterwards")

  const sealed = await openSealed(copies.first, { kind: "file", path: keyFileOf(run, WATCHED) })
  const file = (await sealed.names()).find((name) => name.startsWith("round-secret-")) as string
  const drawn = (await sealed.get(file)) as Uint8Array
  update = knownUpdates(
    run.study,
    WATCHED,
    await recordsOf(run, WATCHED),
    [spec],
    run.layout.facilities.size,
    () => new SecretKey(drawn),
  )[0] as KnownUpdate
  const own = (await sealed.get("participant-keys")) as Uint8Array
  keys = [0, 1, 2].map((i) => bytesSecret(`own key ${i + 1}`, own.subarray(1 + 32 * i, 33 + 32 * i)))
  const { raw, standardised } = await plantedSecrets(run, WATCHED)
  secrets = [
    bytesSecret(roundSecret, drawn),
    ...update.secrets,
    ...update.shares,
    ...keys,
    ...raw,
    ...standardised,
  ]
  scanner = new Scanner(secrets)
})
afterAll(() => run?.close())

const integers = (): string =>
  (update.secrets.find(({ name }) => name.endsWith("weighted integers")) as Secret).name

describe("[S13] a copy of a facility's data folder, in the middle of a round", () => {
  it("shows who has no storage key no update, share, patient, round secret or own key", () => {
    for (const copy of Object.values(copies)) expect(scanner.scanFolder(copy, "copy")).toEqual([])
  })

  it("shows who has the key the integers, the round's secret and the own keys: the search knows their form", async () => {
    const hits = names(found(await readable(run, WATCHED, copies.first)))
    expect(hits).toEqual(expect.arrayContaining([integers(), roundSecret, ...keys.map(({ name }) => name)]))
  })

  it("does not open without its key, or with another, and no key is made in its place", async () => {
    const path = join(run.folder, "another.key")
    const open = () => openSealed(copies.first, { kind: "file", path })
    await expect(open()).rejects.toMatchObject({ code: "store/key-missing" })
    writeFileSync(path, `${"5a".repeat(32)}\n`, { mode: 0o600 })
    await expect(open()).rejects.toMatchObject({ code: "store/wrong-key" })
    rmSync(path)
    await expect(open()).rejects.toMatchObject({ code: "store/key-missing" })
  })
})

describe("[S13] once a round is closed", () => {
  it("its integers and its secret are gone from the facility's disk, also for who has the storage key", async () => {
    for (const copy of [copies.second, copies.after]) {
      const hits = names(found(await readable(run, WATCHED, copy)))
      expect(hits).toEqual(keys.map(({ name }) => name))
    }
  })

  it("nothing of the records and keys that held them is left, sealed or not", async () => {
    const files = [...filesUnder(copies.first)].filter(([path]) => /\/(journal-key|round-secret)-/.test(path))
    expect(files).toHaveLength(2)
    const records = await sealedRecords(run, copies.first)
    expect(records.length).toBeGreaterThan(1)
    for (const copy of [copies.second, copies.after])
      for (const [path, content] of filesUnder(copy)) {
        for (const [name, bytes] of files)
          expect([path, name, content.includes(bytes)]).toEqual([path, name, false])
        for (const record of records)
          expect([path, content.includes(Buffer.from(record))]).toEqual([path, false])
      }
  })

  it("and when the study is over one key and one generation of the journal are left, and no round's secret", () => {
    const sealed = readdirSync(join(copies.after, "sealed"))
    expect(sealed.filter((name) => name.startsWith("journal-key-"))).toHaveLength(1)
    expect(sealed.filter((name) => name.startsWith("round-secret-"))).toEqual([])
    const [study] = readdirSync(join(copies.after, "studies"))
    expect(readdirSync(join(copies.after, "studies", study as string, "journal"))).toHaveLength(1)
  })
})
