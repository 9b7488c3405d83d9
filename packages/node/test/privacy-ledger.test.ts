import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { newSecretKey } from "@consilium/base/random"
import { chargeCodec, chargeFor } from "@consilium/federation/charge"
import { type Message, pack, specDigest } from "@consilium/federation/messages"
import { modelFile, modelHashOf } from "@consilium/federation/model"
import { epsilonAfter, isPrivate, type PrivateStudy, stepEvent } from "@consilium/federation/privacy-plan"
import { studyDigest } from "@consilium/federation/study"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
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
import { FacilityMachine } from "../src/roles/facility-machine.js"
import { RoundSecrets } from "../src/roles/round-secrets.js"
import { type RunnerOptions, StudyRunner } from "../src/roles/study-runner.js"
import { openJournalBox } from "../src/store/journal-box.js"
import { SealedFiles } from "../src/store/sealed.js"
import { openSegmentStores } from "../src/store/segment-stores.js"

const made = testStudy(4, { ...withPrivacy({ epsilon: 100 }), protection: "plain", rounds: 20 })
if (!isPrivate(made)) throw new Error("The study was to be private.")
const STUDY: PrivateStudy = made
const ID = toHex(studyDigest(STUDY))
const EVENT = stepEvent(STUDY)
const STEPS = STUDY.training.steps
const BUDGET = { epsilon: 100, delta: 1e-5 }
const NOVEMBER = Date.UTC(2026, 10, 30, 23, 59)
const DECEMBER = Date.UTC(2026, 11, 1)

const charge = (round: number, attempt = 1) =>
  chargeFor(
    STUDY,
    {
      study: new Uint8Array(32),
      round,
      attempt,
      epoch: 0,
      roster: new Uint8Array(32),
      model: new Uint8Array(32),
    },
    round,
  )
const opened = (epsilon: number): PrivacyLedger => {
  const ledger = new PrivacyLedger({ epsilon, delta: 1e-5 })
  ledger.opened()
  return ledger
}

describe("the month of a privacy ledger", () => {
  it("adds up what all studies spent, each charge once", () => {
    const ledger = opened(6)
    expect(ledger.month(NOVEMBER)).toEqual({
      month: "2026-11",
      epsilon: 0,
      cap: { epsilon: 6, delta: 1e-5 },
    })
    ledger.note("a", NOVEMBER, charge(1))
    const once = ledger.month(NOVEMBER).epsilon
    ledger.note("a", NOVEMBER, charge(1))
    expect(ledger.month(NOVEMBER).epsilon).toBe(once)
    ledger.note("a", NOVEMBER, charge(1, 2))
    ledger.note("b", NOVEMBER, charge(1))
    const three = ledger.month(NOVEMBER).epsilon
    // a filter holds for studies chosen on the way; it is dearer than an accountant, and not by much
    const exact = new RdpAccountant().compose(EVENT, 3 * STEPS).getEpsilon(1e-5)
    expect(three).toBeGreaterThanOrEqual(exact)
    expect(three).toBeLessThan(1.35 * exact)
    expect(ledger.month(DECEMBER)).toMatchObject({ month: "2026-12", epsilon: 0 })
  })

  it("has room until its cap, then says so to a person, and has room again next month", async () => {
    const ledger = opened(1.2 * epsilonAfter(STUDY, 2))
    for (const round of [1, 2]) {
      expect(await ledger.reserve("a", NOVEMBER, EVENT, STEPS)).toBeNull()
      ledger.note("a", NOVEMBER, charge(round))
    }
    const refusal = await ledger.reserve("a", NOVEMBER, EVENT, STEPS)
    expect(refusal).toMatchInlineSnapshot(`
      {
        "code": "policy/privacy-month",
        "reason": "This facility's privacy budget for 2026-11 is used up: all its studies together may spend epsilon 4.51 (delta 0.00001), 4.16 is spent or set aside, and another round would go beyond it.",
      }
    `)
    expect(await ledger.reserve("a", DECEMBER, EVENT, STEPS)).toBeNull()
  })

  it("counts what is set aside for another study, until it is given up", async () => {
    const ledger = opened(1.2 * epsilonAfter(STUDY, 2))
    ledger.note("a", NOVEMBER, charge(1))
    expect(await ledger.reserve("a", NOVEMBER, EVENT, STEPS)).toBeNull()
    // the same study asks again after a crash: not twice
    expect(await ledger.reserve("a", NOVEMBER, EVENT, STEPS)).toBeNull()
    expect((await ledger.reserve("b", NOVEMBER, EVENT, STEPS))?.code).toBe("policy/privacy-month")
    ledger.release("a")
    expect(await ledger.reserve("b", NOVEMBER, EVENT, STEPS)).toBeNull()
  })

  it("admits nothing before everything spent is known", async () => {
    const ledger = new PrivacyLedger({ epsilon: 50, delta: 1e-5 })
    let answered = false
    const asked = ledger.reserve("a", NOVEMBER, EVENT, STEPS).finally(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(answered).toBe(false)
    ledger.opened()
    expect(await asked).toBeNull()
  })
})

describe("a facility that crashes", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "consilium-ledger-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const key = newSecretKey()
  const directory = directoryOf(STUDY, 4, 2)
  const me = directory.named("clinic-1")
  const fog = directory.named("fog-1")
  const rows = toyRecords("ledger", 3, 30)
  const records = {
    featureNames: STUDY.model.features,
    train: rows,
    holdOut: rows,
    patients: Uint32Array.from({ length: 30 }, (_, i) => i),
    preparation: "declared" as const,
  }
  const announced = (round: number) => {
    const parameters = new Float64Array(4).fill(round / 8)
    const spec = {
      study: studyDigest(STUDY),
      round,
      attempt: 1,
      epoch: 0,
      roster: directory.digest,
      model: modelHashOf(STUDY, parameters),
    }
    return { spec, model: modelFile(STUDY, parameters, round - 1) }
  }
  const fromLeader = (said: Message) =>
    pack(studyDigest(STUDY), directory.leader.id, me.id, said, keysFor("leader").sign)
  const announce = (round: number) => fromLeader({ type: "announce", ...announced(round) })
  const voided = (round: number) =>
    fromLeader({ type: "void", spec: specDigest(announced(round).spec), reason: "too few" })

  /** The facility as it comes back: its runner, its machine, its ledger. */
  const start = async (name: string, cap: number, probe?: RunnerOptions["probe"]) => {
    const stores = await openSegmentStores(join(folder, name, "studies"))
    const sealed = await SealedFiles.open(join(folder, name, "sealed"), key)
    const ledger = new PrivacyLedger({ epsilon: cap, delta: 1e-5 })
    const store = await stores.study(studyDigest(STUDY))
    let machine: FacilityMachine | null = null
    const runner = await StudyRunner.open({
      study: studyDigest(STUDY),
      me,
      keys: keysFor(me.name),
      store,
      box: await openJournalBox(sealed, studyDigest(STUDY)),
      machine: (snapshot) => {
        const keys = keysFor(me.name)
        const context = {
          study: STUDY,
          directory,
          me,
          keys,
          suite: nodeSuite,
          policy: testPolicy({ privacy: { study: BUDGET, month: BUDGET } }),
          authorityKey,
        }
        const secrets = new RoundSecrets(sealed, STUDY, me.name)
        const roster = signed(rosterOf(STUDY, 4, 2), STUDY)
        machine = new FacilityMachine(context, records, secrets, ledger, roster, snapshot)
        return machine
      },
      now: () => NOVEMBER,
      narrate: () => undefined,
      probe,
    })
    await ledger.read(runner.id, store)
    ledger.opened()
    runner.begin()
    const charges = async () => {
      const found: string[] = []
      for await (const { header, body } of store.entries())
        if (header.type === CHARGED) {
          const { round, attempt } = decode(chargeCodec, body)
          found.push(`${round}/${attempt}`)
        }
      return found
    }
    return {
      runner,
      machine: machine as unknown as FacilityMachine,
      ledger,
      charges,
      close: () => stores.close(),
    }
  }
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
  }

  it.each([
    ["after-save", ["1/1"]],
    ["before-save", []],
  ] as const)(
    "%s of the charge: what is saved is spent, and the update is charged once",
    async (when, saved) => {
      let frozen = false
      const first = await start(when, 50, (moment, what) => {
        if (moment !== when || !what.includes(`log:${CHARGED}`)) return undefined
        frozen = true
        return new Promise(() => undefined)
      })
      await first.runner.take(fog, 1, [announce(1)])
      await until(() => frozen)
      expect(await first.charges()).toEqual(saved)
      // nothing has left
      expect(first.runner.mailbox(fog).held).toEqual([])
      await first.close()

      const second = await start(when, 50)
      await until(() => second.runner.mailbox(fog).held.length > 0)
      expect(second.machine.state.memory.charges).toBe(1)
      expect(await second.charges()).toEqual(["1/1"])
      expect(second.runner.mailbox(fog).held).toHaveLength(1)
      expect(second.ledger.month(NOVEMBER).epsilon).toBeGreaterThan(0)
      second.runner.stop()
      await second.close()
    },
  )

  it("[S20] loses no charge over ten restarts", async () => {
    const spent: number[] = []
    for (let round = 1; round <= 10; round++) {
      const { runner, ledger, charges, close } = await start("restarts", 500)
      await runner.take(fog, 2 * round - 1, [announce(round)])
      await until(() => runner.mailbox(fog).held.length === round)
      expect(await charges()).toHaveLength(round)
      await runner.take(fog, 2 * round, [voided(round)])
      spent.push(ledger.month(NOVEMBER).epsilon)
      runner.stop()
      await close()
    }
    expect(spent.every((epsilon, i) => i === 0 || epsilon > (spent[i - 1] as number))).toBe(true)
    const whole = opened(500)
    for (let round = 1; round <= 10; round++) whole.note(ID, NOVEMBER, charge(round))
    expect(spent[9]).toBe(whole.month(NOVEMBER).epsilon)
  })

  it("[S20] sits a round out when the month has no room, and says so to the leader", async () => {
    const now = Date.now()
    const { runner, machine, ledger, close } = await start("month", 1.05 * epsilonAfter(STUDY, 1))
    // another study of this month
    ledger.note("other", now, charge(1))
    await runner.take(fog, 1, [announce(1)])
    await until(() => machine.state.phase === "idle" && runner.mailbox(fog).held.length > 0)
    expect(machine.state.memory.charges).toBe(0)
    const types: string[] = []
    for await (const { header } of runner.store.entries()) types.push(header.type)
    expect(types).toEqual(["training-failed"])
    runner.stop()
    await close()
  })
})
