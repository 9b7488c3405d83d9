import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { insecureSeededRandom } from "@consilium/base/testing"
import { type Charge, ledgerEntryOf } from "@consilium/federation/charge"
import { emptyLedger, ledgerHeadAfter } from "@consilium/federation/ledger-chain"
import { epsilonAfter, isPrivate, type PrivateStudy, stepEvent } from "@consilium/federation/privacy-plan"
import { participantId } from "@consilium/federation/roster"
import { studyDigest } from "@consilium/federation/study"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import { FastDiscreteGaussian } from "@consilium/privacy/fast-discrete-gaussian"
import { poissonSample } from "@consilium/privacy/poisson-sample"
import { RandomBits } from "@consilium/privacy/random-bits"
import { exactly, multiply } from "@consilium/privacy/rational"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  chargesRow,
  emptyBatchRow,
  noiseRow,
  onceRow,
  oneRunRow,
  type Seen,
  samplingRows,
} from "../src/audit/facility-process-figures.js"
import type { SentUpdate } from "../src/audit/facility-process-record.js"
import {
  type AuditStudy,
  CANARIES,
  CLIP,
  FEATURES,
  FEW,
  layOutAudit,
  MANY,
  ROUNDS,
  SAMPLE_RATE,
  scaleOf,
} from "../src/audit/facility-process-study.js"
import type { AuditRow } from "../src/audit/section.js"

// What the audit makes of what it saw, without processes: updates as a sound facility sends them, and others.

const STEP = 2 ** -12
const folder = mkdtempSync(join(tmpdir(), "consilium-audit-figures-"))
let laidOut: AuditStudy
let study: PrivateStudy

beforeAll(async () => {
  laidOut = await layOutAudit(join(folder, "study"), insecureSeededRandom(5, "audit"))
  if (!isPrivate(laidOut.study)) throw new Error("The audit's study adds no noise.")
  study = laidOut.study
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a facility does differently from a sound one. */
interface Deviation {
  readonly noise?: number
  readonly fixedBatch?: boolean
  readonly sampleRate?: number
}

/** What an audit sees of a facility, the charges being those of a sound one. */
const seenOf = (name: string, deviation: Deviation = {}): Seen => {
  const { noise = 1, fixedBatch = false, sampleRate = SAMPLE_RATE } = deviation
  const patients = laidOut.patients.get(name) ?? []
  const random = insecureSeededRandom(6, name)
  const bits = new RandomBits(random)
  const event = stepEvent(study)
  if (event.type !== "poisson-sampled" || event.event.type !== "discrete-gaussian-vector")
    throw new Error("The study charges something else.")
  const sigma = exactly(event.event.sigma)
  const gaussian = new FastDiscreteGaussian(multiply(sigma, sigma), random)
  const scale = scaleOf(study, patients.length, STEP)
  let head = emptyLedger(participantId(name))
  const charges: Charge[] = []
  const updates: SentUpdate[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    const model = sha256(utf8(`model ${round}`))
    const charge: Charge = {
      place: { seq: head.seq + 1, previous: head.hash, month: "2026-11" },
      purpose: "update",
      round,
      attempt: 1,
      model,
      steps: 1,
      event: encode(dpEventCodec, event),
      epsilon: epsilonAfter(study, round),
      delta: study.privacy.delta,
      insecureSeed: false,
    }
    head = ledgerHeadAfter(ledgerEntryOf(studyDigest(study), charge))
    const sums = Float64Array.from(gaussian.samples(FEATURES.length + 1), (value) => noise * Number(value))
    const drawn = fixedBatch
      ? Uint32Array.from({ length: Math.round(SAMPLE_RATE * patients.length) }, (_, i) => i)
      : poissonSample(sampleRate, patients.length, bits)
    for (const row of drawn) {
      const { column, value } = patients[row] as (typeof patients)[number]
      sums[column] = (sums[column] as number) + (value * CLIP) / Math.hypot(1, value) / STEP
      sums[FEATURES.length] = (sums[FEATURES.length] as number) + CLIP / Math.hypot(1, value) / STEP
    }
    charges.push(charge)
    updates.push({
      facility: name,
      spec: { ...SPEC, study: studyDigest(study), round, attempt: 1, model },
      ledger: Buffer.from(head.hash).toString("hex"),
      values: Int32Array.from(sums, (sum) => Math.round(scale * sum)),
    })
  }
  const ledger = {
    head: { seq: head.seq, hash: Buffer.from(head.hash).toString("hex") },
    updates: ROUNDS,
    epsilon: epsilonAfter(study, ROUNDS),
  }
  return { study, name, patients, updates, charges, ledger }
}

const NOTHING = new Uint8Array(32)
const SPEC: Omit<SentUpdate["spec"], "study" | "round" | "attempt" | "model"> = {
  purpose: "update",
  epoch: 0,
  roster: NOTHING,
}

const failing = (rows: readonly AuditRow[]): readonly string[] =>
  rows.filter(({ holds }) => !holds).map(({ id }) => id)

/** All rows, of a facility with many patients and one with few that deviate alike. */
const rowsOf = (deviation: Deviation): readonly AuditRow[] => {
  const many = seenOf(MANY, deviation)
  const few = seenOf(FEW, deviation)
  return [
    noiseRow(many),
    emptyBatchRow(few),
    ...samplingRows(many),
    oneRunRow(many, laidOut.included),
    chargesRow([many, few]),
    onceRow([many, few]),
  ]
}

describe("[S25] what is made of what was seen of a facility's process", () => {
  it("plants patients of whom nobody is held out, every canary by a coin", () => {
    const many = laidOut.patients.get(MANY) ?? []
    const canaries = many.filter(({ column }) => column < CANARIES)
    expect(new Set(canaries.map(({ column }) => column)).size).toBe(canaries.length)
    expect(laidOut.included.filter((isIn) => isIn)).toHaveLength(canaries.length)
    expect(new Set(many.map(({ column, value }) => `${column}/${value}`)).size).toBe(many.length)
    // 254 fair coins fall further from 127 in one of 1e9 layouts
    expect(Math.abs(canaries.length - CANARIES / 2)).toBeLessThan(49)
  })

  it.each<readonly [string, Deviation, readonly string[]]>([
    ["a sound facility", {}, []],
    ["a tenth less noise", { noise: 0.9 }, ["process/noise"]],
    ["half the noise", { noise: 0.5 }, ["process/noise", "process/noise-of-empty-batches"]],
    ["a tenth more noise", { noise: 1.1 }, ["process/noise"]],
    ["no noise", { noise: 0 }, ["process/noise", "process/noise-of-empty-batches", "process/one-run"]],
    ["a fixed batch", { fixedBatch: true }, ["process/batch-sizes"]],
    ["a half more patients a step", { sampleRate: 0.15 }, ["process/share-drawn", "process/batch-sizes"]],
  ])("fails the right rows of %s", (_, deviation, fails) => {
    const rows = rowsOf(deviation)
    expect(
      failing(rows),
      rows.map(({ id, value, bound }) => `${id}: ${value} (${bound})`).join("\n"),
    ).toEqual(fails)
  })

  it("finds an update that nothing paid for, one that another model's charge paid for, and a ledger that tells less", () => {
    const sound = seenOf(FEW)
    const [first, second] = sound.updates as [SentUpdate, SentUpdate]
    const ledgers: readonly Partial<Seen>[] = [
      { updates: [...sound.updates, { ...first, ledger: "" }] },
      { updates: [...sound.updates, { ...first, ledger: "00".repeat(32) }] },
      { updates: [...sound.updates, { ...second, ledger: first.ledger }] },
      { charges: sound.charges.slice(1) },
      { charges: sound.charges.toReversed() },
      { ledger: { ...sound.ledger, updates: ROUNDS - 1 } },
      { ledger: { ...sound.ledger, epsilon: epsilonAfter(study, ROUNDS - 1) } },
      { ledger: { ...sound.ledger, epsilon: null } },
      { ledger: { ...sound.ledger, head: { ...sound.ledger.head, seq: ROUNDS - 1 } } },
    ]
    expect(chargesRow([sound]).holds).toBe(true)
    for (const changed of ledgers)
      expect(chargesRow([{ ...sound, ...changed }]), JSON.stringify(Object.keys(changed))).toMatchObject({
        holds: false,
        value: expect.stringContaining(`not so at ${FEW}`),
      })
  })

  it("lets an update be sent again as it was, and finds one integer that differs", () => {
    const sound = seenOf(FEW)
    const [first] = sound.updates as [SentUpdate]
    const again: SentUpdate = { ...first, spec: { ...first.spec, attempt: 2 } }
    const row = (one: SentUpdate): AuditRow => onceRow([{ ...sound, updates: [...sound.updates, one] }])
    expect(row(again)).toMatchObject({ holds: true, value: "0 of 1 sent again" })
    const values = first.values.with(7, (first.values[7] as number) + 1)
    expect(row({ ...again, values })).toMatchObject({ holds: false, value: "1 of 1 sent again" })
  })
})
