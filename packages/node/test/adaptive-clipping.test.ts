import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { decode } from "@consilium/base/encoding"
import { newSecretKey } from "@consilium/base/random"
import { type Message, messageCodec, pack, type RoundSpec, specDigest } from "@consilium/federation/messages"
import { modelFile, modelHashOf } from "@consilium/federation/model"
import { studyDigest } from "@consilium/federation/study"
import { afterAll, beforeAll, expect, it } from "vitest"
import {
  authorityKey,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  testPolicy,
  testStudy,
  toyRecords,
} from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { nodeSuite } from "../src/identity/suite.js"
import { CHARGED, PrivacyLedger } from "../src/privacy-ledger.js"
import { askLedger, FacilityMachine } from "../src/roles/facility-machine.js"
import { RoundSecrets } from "../src/roles/round-secrets.js"
import { type RunnerOptions, StudyRunner } from "../src/roles/study-runner.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { SealedFiles } from "../src/store/sealed.js"
import { openSegmentStores } from "../src/store/segment-stores.js"

// A facility whose clip norm follows its patients: a process that ends and begins again has to go on from the same norm.

const clipping = {
  type: "adaptive",
  targetQuantile: 0.5,
  learningRate: 0.4,
  countSigma: 2,
  minimum: 0.05,
  maximum: 8,
} as const
const STUDY = testStudy(4, { ...withPrivacy({ epsilon: 100, clipping }), protection: "plain", rounds: 20 })
const BUDGET = { epsilon: 500, delta: 1e-5 }
const NOW = Date.UTC(2026, 10, 30)
const ROUNDS = 4

const key = newSecretKey()
const directory = directoryOf(STUDY, 4, 2)
const me = directory.named("clinic-1")
const fog = directory.named("fog-1")
const rows = toyRecords("adaptive", 3, 30)
const patients = Uint32Array.from({ length: 30 }, (_, i) => i)
const raw = { ...rows, names: STUDY.model.features, patients }
const records = {
  featureNames: STUDY.model.features,
  train: rows,
  holdOut: rows,
  trainRaw: raw,
  holdOutRaw: raw,
  patients,
  preparation: "declared" as const,
}

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-adaptive-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const announced = (round: number) => {
  const parameters = new Float64Array(4).fill(round / 8)
  const spec: RoundSpec = {
    study: studyDigest(STUDY),
    round,
    attempt: 1,
    purpose: "update",
    epoch: 0,
    roster: directory.digest,
    model: modelHashOf(STUDY, parameters),
  }
  return { spec, model: modelFile(STUDY, parameters, round - 1), members: null }
}

/** The machine of the facility, from what was saved of it. */
const machineOf = (
  sealed: SealedFiles,
  ledger: PrivacyLedger,
  snapshot: Uint8Array | null,
): FacilityMachine =>
  new FacilityMachine(
    {
      study: STUDY,
      directory,
      me,
      keys: keysFor(me.name),
      suite: nodeSuite,
      policy: testPolicy({ privacy: { study: BUDGET, month: BUDGET } }),
      authorityKey,
    },
    records,
    new RoundSecrets(sealed, STUDY, me.name),
    ledger,
    signed(rosterOf(STUDY, 4, 2), STUDY),
    snapshot,
  )

/** The facility as it comes back from what it saved. */
const start = async (name: string, probe?: RunnerOptions["probe"]) => {
  const stores = await openSegmentStores(join(folder, name, "studies"))
  const sealed = await SealedFiles.open(join(folder, name, "sealed"), key)
  const ledger = new PrivacyLedger({ facility: me.id, cap: BUDGET, now: () => NOW })
  const store = await stores.study(studyDigest(STUDY))
  let machine: FacilityMachine | null = null
  const runner = await StudyRunner.open({
    study: studyDigest(STUDY),
    me,
    keys: keysFor(me.name),
    store,
    box: await openJournalBox(sealed, studyDigest(STUDY)),
    machine: (snapshot) => {
      machine = machineOf(sealed, ledger, snapshot)
      return machine
    },
    now: () => NOW,
    narrate: () => undefined,
    probe,
  })
  await ledger.read(runner.id, store)
  ledger.opened()
  runner.begin()
  const hear = (said: Message) =>
    runner.take(fog, runner.taken(fog) + 1, [
      pack(studyDigest(STUDY), directory.leader.id, me.id, said, keysFor("leader").sign),
    ])
  const nonce = ledger.question(runner.id)
  await runner.post(askLedger(nonce))
  await hear({ type: "ledger-known", nonce, evidence: [] })
  const updates = () =>
    runner
      .mailbox(fog)
      .held.map(({ body }) => decode(messageCodec, body))
      .flatMap((message) => (message.type === "update" ? [message.submission.submission.direct] : []))
  const restored = () => {
    const saved = (machine as FacilityMachine | null)?.snapshot() ?? null
    if (saved === null) throw new Error("A facility between rounds has a snapshot.")
    return { saved, again: machineOf(sealed, ledger, saved).snapshot() }
  }
  return { runner, hear, updates, restored, close: () => stores.close() }
}
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}
const voided = (round: number): Message => ({
  type: "void",
  spec: specDigest(announced(round).spec),
  reason: "too few",
})

/** What a facility sends in its rounds; it ends after every round, or at some moments of saving, as told. */
const sentOver = async (name: string, ends: "never" | "each-round" | "while-saving", from = 1) => {
  let at = await start(name)
  for (let round = from; round <= ROUNDS; round++) {
    if (ends === "while-saving") {
      at.runner.stop()
      await at.close()
      let frozen = false
      at = await start(name, (moment, what) => {
        if (moment !== "after-save" || !what.includes(`log:${CHARGED}`)) return undefined
        frozen = true
        return new Promise(() => undefined)
      })
      await at.hear({ type: "announce", ...announced(round) })
      await until(() => frozen)
      await at.close()
      at = await start(name)
    } else await at.hear({ type: "announce", ...announced(round) })
    await until(() => at.updates().length === round + 1 - from)
    await at.hear(voided(round))
    if (ends === "each-round") {
      at.runner.stop()
      await at.close()
      at = await start(name)
    }
  }
  const sent = at.updates()
  const { saved, again } = at.restored()
  expect(again).toEqual(saved)
  at.runner.stop()
  await at.close()
  return sent
}

it("a facility that ends and begins again between rounds, or in the midst of one, sends the same updates", async () => {
  const straight = await sentOver("straight", "never")
  expect(straight).toHaveLength(ROUNDS)
  expect(await sentOver("each-round", "each-round")).toEqual(straight)
  expect(await sentOver("while-saving", "while-saving")).toEqual(straight)
  // without what it carries from the first round, the second is another one
  const [second] = await sentOver("second-alone", "never", 2)
  expect(second).not.toEqual(straight[1])
})
