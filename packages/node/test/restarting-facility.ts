import { join } from "node:path"
import { decode } from "@consilium/base/encoding"
import { newSecretKey } from "@consilium/base/random"
import { type Message, messageCodec, pack, type RoundSpec, specDigest } from "@consilium/federation/messages"
import { modelFile, modelHashOf } from "@consilium/federation/model"
import { type Study, studyDigest } from "@consilium/federation/study"
import {
  authorityKey,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  testPolicy,
  toyRecords,
} from "../../federation/test/members.js"
import { nodeSuite } from "../src/identity/suite.js"
import { PrivacyLedger } from "../src/privacy-ledger.js"
import { askLedger, FacilityMachine } from "../src/roles/facility-machine.js"
import { RoundSecrets } from "../src/roles/round-secrets.js"
import { type RunnerOptions, StudyRunner } from "../src/roles/study-runner.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { SealedFiles } from "../src/store/sealed.js"
import { openSegmentStores } from "../src/store/segment-stores.js"

export interface Budget {
  readonly epsilon: number
  readonly delta: number
}

export interface RestartingFacilityOptions {
  /** What the facility's rows are made from. */
  readonly rows: string
  /** What its policy lets it spend on the study and in a month. */
  readonly policy: Budget
  /** Unix milliseconds, in every process. */
  readonly now: number
}

/**
 * A facility of a study that can end and begin again from the folder it saved to, and what the leader says to it. The
 * leader of these tests has seen no charge that the facility has not.
 */
export const restartingFacility = (study: Study, options: RestartingFacilityOptions) => {
  const digest = studyDigest(study)
  const key = newSecretKey()
  const directory = directoryOf(study, 4, 2)
  const me = directory.named("clinic-1")
  const fog = directory.named("fog-1")
  const rows = toyRecords(options.rows, 3, 30)
  const patients = Uint32Array.from({ length: 30 }, (_, row) => row)
  const raw = { ...rows, names: study.model.features, patients }
  const records = {
    featureNames: study.model.features,
    train: rows,
    holdOut: rows,
    trainRaw: raw,
    holdOutRaw: raw,
    patients,
    preparation: "declared" as const,
  }
  const policy = testPolicy({ privacy: { study: options.policy, month: options.policy } })
  const now = () => options.now

  const parametersOf = (round: number) => new Float64Array(4).fill(round / 8)
  const specOf = (round: number): RoundSpec => ({
    study: digest,
    round,
    attempt: 1,
    purpose: "update",
    epoch: 0,
    roster: directory.digest,
    model: modelHashOf(study, parametersOf(round)),
  })
  const announce = (round: number): Message => ({
    type: "announce",
    spec: specOf(round),
    model: modelFile(study, parametersOf(round), round - 1),
    members: null,
  })
  const voided = (round: number): Message => ({
    type: "void",
    spec: specDigest(specOf(round)),
    reason: "too few",
  })

  /** The facility as it comes back from what is in the folder, with `cap` as its month's budget. */
  const start = async (folder: string, cap: Budget, probe?: RunnerOptions["probe"]) => {
    const stores = await openSegmentStores(join(folder, "studies"))
    const sealed = await SealedFiles.open(join(folder, "sealed"), key)
    const ledger = new PrivacyLedger({ facility: me.id, cap, now })
    const store = await stores.study(digest)
    const keys = keysFor(me.name)
    const machineFrom = (snapshot: Uint8Array | null): FacilityMachine =>
      new FacilityMachine(
        { study, directory, me, keys, suite: nodeSuite, policy, authorityKey },
        records,
        new RoundSecrets(sealed, study, me.name),
        ledger,
        signed(rosterOf(study, 4, 2), study),
        snapshot,
      )
    let machine: FacilityMachine | null = null
    const runner = await StudyRunner.open({
      study: digest,
      me,
      keys,
      store,
      box: await openJournalBox(sealed, digest),
      machine: (snapshot) => {
        machine = machineFrom(snapshot)
        return machine
      },
      now,
      narrate: () => undefined,
      probe,
    })
    await ledger.read(runner.id, store)
    ledger.opened()
    runner.begin()
    const hear = (said: Message) =>
      runner.take(fog, runner.taken(fog) + 1, [
        pack(digest, directory.leader.id, me.id, said, keysFor("leader").sign),
      ])
    const nonce = ledger.question(runner.id)
    await runner.post(askLedger(nonce))
    await hear({ type: "ledger-known", nonce, evidence: [] })
    /** What waits for the fog. */
    const sent = (): readonly Message[] =>
      runner.mailbox(fog).held.map(({ body }) => decode(messageCodec, body))
    return {
      runner,
      machine: machine as unknown as FacilityMachine,
      /** The machine that a snapshot leads to. */
      machineFrom,
      ledger,
      hear,
      sent,
      updates: () =>
        sent().flatMap((message) =>
          message.type === "update" ? [message.submission.submission.direct] : [],
        ),
      end: async (): Promise<void> => {
        runner.stop()
        await stores.close()
      },
      /** As a crash ends it: nothing more is saved. */
      crash: () => stores.close(),
    }
  }
  return { announce, voided, start }
}

/** Waits for something that a process comes to by itself. */
export const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** A probe that stops a runner for good at a moment of saving events of a type, and whether it has. */
export const frozenAt = (moment: "after-save" | "before-save", type: string) => {
  let frozen = false
  const probe: NonNullable<RunnerOptions["probe"]> = (at, what) => {
    if (at !== moment || !what.includes(`log:${type}`)) return undefined
    frozen = true
    return new Promise(() => undefined)
  }
  return { probe, isFrozen: () => frozen }
}
