import { readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { concatBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { RELEASED, releaseCodec } from "@consilium/federation/leader-release"
import { headerHash, type LogEntry, nextHeader } from "@consilium/federation/log"
import { modelFile } from "@consilium/federation/model"
import { decodeModel } from "@consilium/learning/model-file"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { authorityKey, directoryOf, keysFor } from "../../federation/test/members.js"
import { eventView } from "../src/api/event-sentences.js"
import { exportModel, listModels, modelCard, releaseModel } from "../src/models/leader-models.js"
import { modelCardText } from "../src/models/model-card-text.js"
import { checkedModel, modelListOf, pickModel, pieceOf, readHistory } from "../src/models/model-log.js"
import { decisionSchema, modelCardSchema, modelListSchema } from "../src/models/model-schemas.js"
import { outcomeOf } from "../src/roles/outcome.js"
import { lockFolder } from "../src/store/lock.js"
import { auditedOutcome, auditedStudy, configOf, firstRoster, keepLog, layOut } from "./audit-study.js"
import { temporaryFolder } from "./store-children.js"

const { leader, directory, log } = auditedOutcome
const [first, second] = leader.progress.closed.map(({ model }) => toHex(model)) as [string, string]

/** The log with decisions after its end. */
const withReleases = (...rounds: readonly number[]): readonly LogEntry[] => {
  const entries = [...log]
  for (const round of rounds) {
    const last = entries.at(-1) as LogEntry
    const body = encode(releaseCodec, {
      round,
      model: leader.progress.closed[round - 1]?.model as Uint8Array,
      by: "A. Okafor",
      reason: "fewer false | alarms",
    })
    const { header, head } = nextHeader(
      { seq: last.header.seq, hash: headerHash(last.header) },
      { at: 1_700_000_000_000, actor: directory.leader.id, type: RELEASED, body },
    )
    entries.push({ header, body, signature: keysFor("leader").sign(head.hash) })
  }
  return entries
}
const logOf = (entries: readonly LogEntry[]) => ({
  study: auditedStudy,
  first: directory,
  authorityKey,
  async *entries() {
    yield* entries
  },
})

let folder = ""
let config = ""
let remove: () => Promise<void> = async () => undefined
beforeAll(async () => {
  const made = await temporaryFolder("models")
  folder = made.path
  remove = made.remove
  await layOut(folder, ["leader", "clinic-1"])
  config = configOf(folder, "leader")
  await keepLog(folder, "segments", { study: auditedStudy, roster: firstRoster, log: withReleases(1) })
})
afterAll(() => remove())

const errorOf = async (work: Promise<unknown>): Promise<ConsiliumError> => {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ConsiliumError)) throw new Error("It was to fail with an error of the project.")
  return error
}

describe("models of a leader that does not run", () => {
  it("are listed by round; the last one is in use until somebody decides", async () => {
    const history = await readHistory(logOf(log))
    expect(modelListOf(history).models.map(({ released }) => released)).toEqual([false, true])
    const list = await listModels({ config })
    expect(modelListSchema.parse(list)).toEqual(list)
    expect(list).toMatchObject({
      study: { name: "audited", state: "complete" },
      marks: ["insecure-seed", "synthetic-data"],
      models: [
        {
          round: 1,
          hash: first,
          released: true,
          facilities: ["clinic-1", "clinic-2", "clinic-3", "clinic-4"],
        },
        { round: 2, hash: second, released: false, facilities: ["clinic-1", "clinic-3", "clinic-4"] },
      ],
      releases: [{ round: 1, hash: first, by: "A. Okafor", event: log.length + 1 }],
    })
    const again = modelListOf(await readHistory(logOf(withReleases(1, 2, 1, 2))))
    expect(again.models.map(({ released }) => released)).toEqual([false, true])
    expect(again.releases).toHaveLength(4)
  })

  it("are named by round, by hash, or not at all", async () => {
    const list = await listModels({ config })
    expect(pickModel(list, {}).round).toBe(1)
    expect(pickModel(list, { round: 2 }).hash).toBe(second)
    expect(pickModel(list, { hash: second.slice(0, 9).toUpperCase() }).round).toBe(2)
    expect(() => pickModel(list, { round: 3 })).toThrow(
      "has no model of round 3; there are those of the rounds 1 to 2",
    )
    expect(() => pickModel(list, { hash: "0123456789" })).toThrow("whose hash begins with 0123456789")
    expect(() => pickModel({ ...list, models: [] }, {})).toThrow(
      "has no model yet; no round of it is closed yet",
    )
  })

  it("are exported byte for byte as they were shown to everyone, and only if the hash is theirs", async () => {
    const to = join(folder, "model.consilium")
    const report = await exportModel({ config, study: "audited" }, { round: 2 }, to)
    const bytes = new Uint8Array(await readFile(to))
    expect(report).toMatchObject({ round: 2, hash: second, file: to, bytes: bytes.length })
    expect(bytes).toEqual(modelFile(auditedStudy, leader.progress.parameters, 2))
    expect(decodeModel(bytes).provenance.flags).toEqual(["insecure-seed", "synthetic-data"])
    if (process.platform !== "win32") expect((await stat(to)).mode & 0o077).toBe(0)
    expect(() => checkedModel(bytes, first)).toThrow(`have the hash ${second}, not ${first}`)
    const pieces = [0, 100, 200, 300, 400].map((at) => Buffer.from(pieceOf(bytes, at, 100).base64, "base64"))
    expect(concatBytes(...pieces)).toEqual(bytes.subarray(0, 500))
    expect(await errorOf(exportModel({ config }, { round: 9 }, to))).toMatchObject({
      code: "model/not-found",
    })
    expect(new Uint8Array(await readFile(to))).toEqual(bytes)
    const nowhere = join(folder, "not", "there")
    expect(await errorOf(exportModel({ config }, {}, nowhere))).toMatchObject({ code: "store/failed" })
  })

  it("have a card that says what is known of them, and what is not", async () => {
    const card = await modelCard({ config }, { round: 2 })
    expect(modelCardSchema.parse(card)).toEqual(card)
    const sum = log.filter(({ header }) => header.type === "sum-opened").at(-1)
    expect(sum).toBeDefined()
    expect(card.model).toMatchObject({ hash: second, released: false, parameters: 4 })
    expect(card.data.facilities).toContainEqual({
      name: "clinic-2",
      joined: 1,
      left: 1,
      inRound: false,
      testedRows: null,
    })
    // toy facilities have 10, 13, 16 and 19 rows to train on
    expect(card.data.trainingRows).toBe(10 + 16 + 19)
    expect((await modelCard({ config }, { round: 1 })).data.trainingRows).toBe(10 + 13 + 16 + 19)
    expect(card.metrics.facilities.map(({ facility, rows }) => `${facility} ${rows}`)).toEqual([
      "clinic-1 12",
      "clinic-3 12",
      "clinic-4 12",
    ])
    expect(card.privacy.says).toBe("Differential privacy is off.")
    expect(card.limits.join("\n")).toMatch(/made up[\s\S]*public number[\s\S]*no differential privacy/)
    expect(card.limits).toContain("What facilities gave before they left stays in it: clinic-2.")
    expect(card.limits).toContain("It is not the model in use.")
    expect(card.verify.authority).toBe(toHex(authorityKey))
    expect(card.log.events).toBe(log.length + 1)
    const text = modelCardText(card)
    expect(text).toContain(`| hash | \`${second}\` |`)
    expect(text).toContain("by A. Okafor: fewer false \\| alarms")
    expect(text).toContain("| clinic-2 | 1 | 1 | no | not reported |")
    expect(text).toContain(`    consilium audit verify --file study.log --authority ${toHex(authorityKey)}`)
  })

  it("are not there for others: another role's file, another study, a folder in use", async () => {
    await writeFile(configOf(folder, "clinic-1"), "records: {}\n")
    expect(await errorOf(listModels({ config: configOf(folder, "clinic-1") }))).toMatchObject({
      code: "config/invalid",
      message: expect.stringContaining("is of the facility clinic-1, not of a leader."),
    })
    expect(await errorOf(listModels({ config, study: "other" }))).toMatchObject({ code: "audit/no-study" })
    const bad = { round: 1, by: "two\nlines", reason: "why" }
    expect(await errorOf(Promise.resolve().then(() => releaseModel({ config }, bad)))).toMatchObject({
      code: "model/bad-decision",
      message: expect.stringContaining("by: one line of text was expected"),
    })
    const lock = await lockFolder(join(folder, "leader", "data"))
    try {
      expect(await errorOf(listModels({ config, patienceMs: 0 }))).toMatchObject({ code: "store/locked" })
    } finally {
      await lock.close()
    }
  })
})

describe("a decision", () => {
  it("is told in words where the log is read for people", () => {
    const handle = { id: "", study: auditedStudy, rosters: () => [leader.progress.directory, directory] }
    expect(eventView(handle, withReleases(2).at(-1) as LogEntry).says).toBe(
      `A. Okafor made the model of round 2 the one in use, ${second.slice(0, 16)}: fewer false | alarms`,
    )
  })

  it("has a round, a name and a reason, each in one line that the log has room for", () => {
    const good = { round: 1, by: "A. Okafor", reason: "fewer false alarms" }
    expect(decisionSchema.safeParse(good).success).toBe(true)
    for (const change of [
      { round: 0 },
      { by: "" },
      { by: "é".repeat(33) },
      { reason: "x".repeat(1025) },
      { reason: "a\u001b[2Jb" },
      { reason: "a\u202eb" },
    ])
      expect(decisionSchema.safeParse({ ...good, ...change }).success).toBe(false)
  })
})

describe("a study's outcome", () => {
  it("names everybody who ever took part, with the rounds they were enrolled for", () => {
    const later = log.flatMap(({ header, body }) => (header.type === "roster" ? [body] : []))
    expect(later).toHaveLength(1)
    const rosters = [
      { from: 1, directory },
      { from: 2, directory: leader.progress.directory },
    ]
    const outcome = outcomeOf(auditedStudy, rosters, leader, [])
    expect(outcome.facilities.map(({ name, joined, left }) => `${name} ${joined} ${left}`)).toEqual([
      "clinic-1 1 null",
      "clinic-2 1 1",
      "clinic-3 1 null",
      "clinic-4 1 null",
    ])
    expect(outcome.rounds.map(({ participants }) => participants.length)).toEqual([4, 3])
    // one who comes back under the same keys is there to the end
    const back = [...rosters, { from: 3, directory: directoryOf(auditedStudy, 4, 2) }]
    expect(outcomeOf(auditedStudy, back, leader, []).facilities[1]).toMatchObject({ joined: 1, left: null })
  })
})
