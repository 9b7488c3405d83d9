import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { insecureSeededSecret } from "@consilium/base/testing"
import { messageCodec, type RoundSpec, specDigest } from "@consilium/federation/messages"
import type { Directory } from "@consilium/federation/roster"
import type { Study } from "@consilium/federation/study"
import { ceremonyStream } from "@consilium/federation/sums/facility/key-dealing"
import { ceremonyOf, thresholdParameters } from "@consilium/federation/sums/lattice-parameters"
import { dealKey } from "@consilium/lattice/threshold/key-dealing"
import { callAdmin } from "@consilium/node/admin/client"
import { withStoredStudy } from "@consilium/node/audit-sources"
import { nodeSuite } from "@consilium/node/identity/suite"
import { beforeAll, describe, expect, it, onTestFinished } from "vitest"
import { edit, ended, logOf } from "../failures/held-study.js"
import { copyData, readable } from "../security/folder-secrets.js"
import { buildProgram, StudyRun } from "../security/study-run.js"

const DYING = fileURLToPath(new URL("../failures/dying-role.mjs", import.meta.url))
const FACILITIES = ["clinic-1", "clinic-2", "hospital-1", "hospital-2", "research-centre-1"] as const
const SEED = 11

beforeAll(buildProgram, 600_000)

interface Wanted {
  readonly rounds: number
  readonly collect: number
  readonly answer: number
  readonly protection?: Study["protection"]
}

/** Five facilities of which any three open; no colluders are withstood, as n = 5 and t = 3 make it. */
const layOut = async ({ rounds, collect, answer, protection = "ckks" }: Wanted): Promise<StudyRun> => {
  const run = await StudyRun.layOut({ facilities: 5, fogs: 1, rounds, seed: SEED, protection })
  edit(join(run.folder, "leader/local/leader.yaml"), (text) =>
    text.replace(/^store: pglite$/m, "store: segments").replaceAll(/^ *- (8443|8001|8002)\n/gm, ""),
  )
  edit(join(run.folder, "study.yaml"), (text) =>
    text
      .replace(/threshold: \d+/, "threshold: 3")
      .replace(/colluders: \d+/, "colluders: 0")
      .replace(/collect: \d+/, `collect: ${collect}`)
      .replace(/answer: \d+/, `answer: ${answer}`),
  )
  for (const name of FACILITIES)
    edit(join(run.folder, name, "local/facility.yaml"), (text) =>
      text.replace("colluders: 1", "colluders: 0"),
    )
  await run.reread()
  return run
}
const started = async (wanted: Wanted): Promise<StudyRun> => {
  const run = await layOut(wanted)
  onTestFinished(() => run.close(), 60_000)
  return run
}

/** A facility that has sent its update, and dies when it is to sign the list: its first signature is for the keys. */
const diesAfterSending = (run: StudyRun, name: string): void =>
  run.start(name, DYING, { DIES_AT: "before-save/send:signature", DIES_TIME: "2" })

/** The leader's own messages of a type, in their order. */
const said = <T extends "announce" | "closed" | "void" | "certificate">(run: StudyRun, type: T) =>
  logOf(run, "leader").flatMap(({ header, body }) => {
    if (header.type !== type) return []
    const message = decode(messageCodec, body)
    return message.type === type ? [message as Extract<typeof message, { type: T }>] : []
  })
const models = (run: StudyRun): readonly string[] =>
  said(run, "closed").map(({ accepted }) => toHex(accepted))
const specs = (run: StudyRun, purpose: RoundSpec["purpose"]): readonly RoundSpec[] =>
  said(run, "announce").flatMap(({ spec }) => (spec.purpose === purpose ? [spec] : []))

describe("3 of 5 facilities open a sum", () => {
  let undisturbed: readonly string[] = []
  beforeAll(async () => {
    const run = await layOut({ rounds: 2, collect: 60, answer: 20, protection: "shamir" })
    try {
      run.startAllBut([])
      await run.complete()
      undisturbed = models(run)
    } finally {
      await run.close()
    }
  }, 120_000)

  it("[S5] two are killed after they sent: the sum is exact and the round closes", async () => {
    const run = await started({ rounds: 2, collect: 20, answer: 4 })
    const victims = ["clinic-2", "hospital-2"]
    run.startAllBut(victims)
    for (const name of victims) diesAfterSending(run, name)
    for (const name of victims) expect(await run.ended(name)).toBe(null)
    await run.said("leader", "round 1 of 2 closed: 5 facilities")
    expect(models(run)[0]).toBe(undisturbed[0])
    for (const name of victims) run.start(name)
    await run.complete()
    expect(said(run, "void")).toEqual([])
    await ended(run)
  }, 120_000)

  it("[S6] three: the attempt is void and says why; when they are back, the same cohort opens", async () => {
    const run = await started({ rounds: 2, collect: 20, answer: 4 })
    const victims = ["clinic-2", "hospital-2", "research-centre-1"]
    run.startAllBut(victims)
    for (const name of victims) diesAfterSending(run, name)
    for (const name of victims) expect(await run.ended(name)).toBe(null)
    await run.said("leader", "round 1, attempt 1 is void: 2 facilities signed the list; 3 of 5 are needed")
    for (const name of victims) run.start(name)
    await run.complete()
    expect(models(run)).toEqual(undisturbed)
    expect(specs(run, "update").map(({ round, attempt }) => [round, attempt])).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
    ])
    await ended(run)
  }, 120_000)
})

/** The key that a facility of a seeded study dealt in a ceremony, as it is packed. */
const keyOf = (study: Study, directory: Directory, spec: RoundSpec, facility: string): Uint8Array => {
  const secret = insecureSeededSecret(SEED, "epoch-secret", study.name, facility, String(spec.epoch))
  const digest = specDigest(spec)
  const setting = {
    study,
    directory,
    spec: digest,
    epoch: spec.epoch,
    attempt: spec.attempt,
    suite: nodeSuite,
  }
  const point = directory.pointOf(directory.named(facility).id)
  return dealKey(
    thresholdParameters(setting),
    ceremonyOf(setting),
    point,
    ceremonyStream(setting, secret),
  ).secret.key.expose()
}

describe("keys that are changed while a study runs", () => {
  it("[S24] no round is lost, and the old key is gone from the disk of every facility", async () => {
    const run = await started({ rounds: 6, collect: 20, answer: 20 })
    run.startAllBut([])
    await run.said("leader", "round 1 of 6 closed")
    const wish = { by: "a person", reason: "a laptop was lost" }
    await callAdmin(join(run.folder, "leader/data"), "rotate-keys", wish)
    await run.said("leader", "epoch 2 begins")
    await run.said("leader", "round 5 of 6 closed")
    // as they stand: with the keys of the second epoch in use
    for (const name of FACILITIES) run.kill(name)
    for (const name of FACILITIES) await run.ended(name)
    const leader = join(run.folder, "leader/local/leader.yaml")
    const copies = FACILITIES.map((name) => [name, copyData(run, name, `copy-${name}`)] as const)
    for (const name of FACILITIES) run.start(name)
    await run.complete()
    const { study, directory } = await withStoredStudy(leader, null, async (stored) => stored)
    const [first, second] = specs(run, "keys") as [RoundSpec, RoundSpec]
    expect(specs(run, "keys")).toHaveLength(2)
    expect(said(run, "void")).toEqual([])
    expect(models(run)).toHaveLength(6)
    for (const [name, copy] of copies) {
      const found = await readable(run, name, copy)
      const holds = (spec: RoundSpec): boolean => {
        const key = keyOf(study, directory, spec, name)
        return [...found.values()].some((bytes) => Buffer.from(bytes).includes(Buffer.from(key)))
      }
      // the key in use is there: the search finds what is to be found
      expect([name, holds(second)]).toEqual([name, true])
      expect([name, holds(first)]).toEqual([name, false])
    }
    await ended(run)
  }, 180_000)
})
