import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fromHex, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { chargeCodec, chargeFor, ledgerEntryOf } from "@consilium/federation/charge"
import { emptyLedger, type LedgerPlace, ledgerHeadAfter } from "@consilium/federation/ledger-chain"
import {
  epsilonAfter,
  isPrivate,
  NO_FIGURES,
  type PrivateStudy,
  stepEvent,
} from "@consilium/federation/privacy-plan"
import { participantId } from "@consilium/federation/roster"
import { studyDigest } from "@consilium/federation/study"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { testStudy } from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { CHARGED, PrivacyLedger } from "../src/privacy-ledger.js"
import type { RunnerOptions, StudyRunner } from "../src/roles/study-runner.js"
import { frozenAt, restartingFacility, until } from "./restarting-facility.js"

const made = testStudy(4, { ...withPrivacy({ epsilon: 100 }), protection: "plain", rounds: 20 })
if (!isPrivate(made)) throw new Error("The study was to be private.")
const STUDY: PrivateStudy = made
const ID = toHex(studyDigest(STUDY))
const EVENT = stepEvent(STUDY)
const STEPS = STUDY.training.steps
const BUDGET = { epsilon: 100, delta: 1e-5 }
const NOVEMBER = Date.UTC(2026, 10, 30, 23, 59)
const DECEMBER = Date.UTC(2026, 11, 1)

const ME = participantId("clinic-1")
/** Charges as they follow each other in a month. */
const chain = (month = "2026-11") => {
  let head = emptyLedger(ME)
  return (study: string, round: number, attempt = 1) => {
    const made = charge(round, attempt, { seq: head.seq + 1, previous: head.hash, month })
    head = ledgerHeadAfter(ledgerEntryOf(fromHex(study), made))
    return made
  }
}

const charge = (round: number, attempt: number, place: LedgerPlace) =>
  chargeFor(
    STUDY,
    {
      study: new Uint8Array(32),
      round,
      attempt,
      purpose: "update",
      epoch: 0,
      roster: new Uint8Array(32),
      model: new Uint8Array(32),
    },
    round,
    NO_FIGURES,
    place,
  )
const A = ID
const B = "0b".repeat(32)
const opened = (epsilon: number, now = () => NOVEMBER): PrivacyLedger => {
  const ledger = new PrivacyLedger({ facility: ME, cap: { epsilon, delta: 1e-5 }, now })
  ledger.opened()
  return ledger
}

/** How many more updates fit into this month, up to 9. */
const room = (ledger: PrivacyLedger): number =>
  [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((updates) =>
    ledger.fits("month", [{ event: EVENT, steps: STEPS, updates }]),
  ).length

describe("the month of a privacy ledger", () => {
  it("adds up what all studies spent, each charge once", () => {
    const ledger = opened(6)
    const next = chain()
    expect(ledger.month(NOVEMBER)).toEqual({
      month: "2026-11",
      epsilon: 0,
      cap: { epsilon: 6, delta: 1e-5 },
      updates: 0,
      beginning: null,
    })
    const first = next(A, 1)
    ledger.note(A, first)
    const once = ledger.month(NOVEMBER).epsilon
    ledger.note(A, first)
    expect(ledger.month(NOVEMBER).epsilon).toBe(once)
    ledger.note(A, next(A, 1, 2))
    ledger.note(B, next(B, 1))
    const three = ledger.month(NOVEMBER).epsilon
    // a filter holds for studies chosen on the way; it is dearer than an accountant, and not by much
    const exact = new RdpAccountant().compose(EVENT, 3 * STEPS).getEpsilon(1e-5)
    expect(three).toBeGreaterThanOrEqual(exact)
    expect(three).toBeLessThan(1.35 * exact)
    expect(ledger.month(DECEMBER)).toMatchObject({ month: "2026-12", epsilon: 0 })
    expect(ledger.problem).toBeNull()
  })

  it("has room until its cap, then says so to a person, and has room again next month", async () => {
    let now = NOVEMBER
    const ledger = opened(1.2 * epsilonAfter(STUDY, 2), () => now)
    const next = chain()
    for (const round of [1, 2]) {
      expect(room(ledger)).toBe(3 - round)
      expect(await ledger.reserve(A, EVENT, STEPS)).toBeNull()
      ledger.note(A, next(A, round))
    }
    expect(room(ledger)).toBe(0)
    const refusal = await ledger.reserve(A, EVENT, STEPS)
    expect(refusal).toMatchInlineSnapshot(`
      {
        "code": "policy/privacy-month",
        "reason": "This facility's privacy budget for 2026-11 is used up: all its studies together may spend epsilon 4.51 (delta 0.00001), 4.16 is spent or set aside, and another round would go beyond it.",
      }
    `)
    now = DECEMBER
    expect(await ledger.reserve(A, EVENT, STEPS)).toBeNull()
  })

  it("counts what is set aside for another study, until it is given up", async () => {
    const ledger = opened(1.2 * epsilonAfter(STUDY, 2))
    ledger.note(A, chain()(A, 1))
    expect(await ledger.reserve(A, EVENT, STEPS)).toBeNull()
    // the same study asks again after a crash: not twice
    expect(await ledger.reserve(A, EVENT, STEPS)).toBeNull()
    expect((await ledger.reserve(B, EVENT, STEPS))?.code).toBe("policy/privacy-month")
    ledger.release(A)
    expect(await ledger.reserve(B, EVENT, STEPS)).toBeNull()
  })

  it("admits nothing before everything spent is known", async () => {
    const ledger = new PrivacyLedger({ facility: ME, cap: BUDGET, now: () => NOVEMBER })
    let answered = false
    const asked = ledger.reserve(A, EVENT, STEPS).finally(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(answered).toBe(false)
    ledger.opened()
    expect(await asked).toBeNull()
  })
})

describe("the chain of a privacy ledger", () => {
  const filled = (): PrivacyLedger => {
    const ledger = opened(500)
    const next = chain()
    for (let round = 1; round <= 3; round++)
      for (const study of [A, B]) ledger.note(study, next(study, round))
    return ledger
  }
  const shown = (seq: number, byte = 1) => [{ seq, hash: new Uint8Array(32).fill(byte), certified: true }]

  it("has places for one study at a time, in the order in which they ask", async () => {
    const ledger = filled()
    expect(await ledger.place(A)).toEqual({ seq: 7, previous: ledger.head.hash, month: "2026-11" })
    const order: string[] = []
    const waiting = [B, "0c".repeat(32)].map((study) =>
      ledger.place(study).then(({ seq }) => {
        order.push(`${study.slice(0, 2)} ${seq}`)
        ledger.settled(study)
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(order).toEqual([])
    // not used: its attempt was void meanwhile
    ledger.settled(A)
    await Promise.all(waiting)
    expect(order).toEqual(["0b 7", "0c 7"])
  })

  it("gives no place to a study that is over, and goes on without it", async () => {
    const ledger = filled()
    await ledger.place(A)
    const over = ledger.place(B)
    const next = ledger.place("0c".repeat(32))
    ledger.leave(B)
    ledger.leave(A)
    ledger.settled(A)
    await over
    expect((await next).seq).toBe(7)
  })

  it.each([
    ["the first", (round: number, study: string) => round === 1 && study === A, 1],
    ["one between", (round: number, study: string) => round === 2 && study === B, 4],
    ["one whole study", (_round: number, study: string) => study === B, 2],
  ])("[S21] is not whole without %s of its entries", (_which, lacks, entry) => {
    const ledger = opened(500)
    const next = chain()
    for (let round = 1; round <= 3; round++)
      for (const study of [A, B]) {
        const made = next(study, round)
        if (!lacks(round, study)) ledger.note(study, made)
      }
    expect(ledger.problem).toEqual({
      code: "privacy/ledger-rolled-back",
      reason: `Entry ${entry} of this facility's privacy ledger is missing or altered, so what it spent is forgotten. It spends no more until the newest data folder is back or the ledger is started anew.`,
    })
  })

  it("[S21] is not whole where two entries have one number", () => {
    const ledger = filled()
    ledger.note("0c".repeat(32), charge(1, 1, { seq: 5, previous: new Uint8Array(32), month: "2026-11" }))
    expect(ledger.problem?.reason).toContain("Entry 5 ")
  })

  it("[S21] is not whole beside a head that others hold and it does not", () => {
    const ledger = filled()
    ledger.noteShown(A, null, [{ ...ledger.head, certified: true }])
    expect(ledger.problem).toBeNull()
    ledger.noteShown(A, null, shown(4))
    expect(ledger.problem?.reason).toMatchInlineSnapshot(
      `"The others hold another entry 4 of this facility's privacy ledger than the one here: its data folder is not the newest, and spending is forgotten. It spends no more until the newest is back or the ledger is started anew."`,
    )
    ledger.noteShown(A, null, shown(9))
    expect(ledger.problem?.reason).toMatchInlineSnapshot(
      `"The others hold entry 9 of this facility's privacy ledger, which ends here at entry 6: its data folder is not the newest, and spending is forgotten. It spends no more until the newest is back or the ledger is started anew."`,
    )
    for (const { length } of [ledger.problem?.reason ?? ""]) expect(length).toBeLessThanOrEqual(250)
  })

  it("[S21] admits a study after an answer to its own question of this process, and no other", async () => {
    const ledger = filled()
    const nonce = ledger.question(A)
    let admitted: unknown = "waits"
    const asked = ledger.admission(A).then((refusal) => {
      admitted = refusal
    })
    ledger.noteShown(B, ledger.question(B), [])
    ledger.noteShown(A, new Uint8Array(32), [])
    ledger.noteShown(A, null, [])
    expect(await ledger.admission(B)).toBeNull()
    expect([admitted, ledger.isCompared(A), ledger.isCompared(B)]).toEqual(["waits", false, true])
    ledger.noteShown(A, nonce, shown(9))
    await asked
    expect(admitted).toMatchObject({ code: "privacy/ledger-rolled-back" })
    // what one study was shown holds for all
    expect(await ledger.admission(B)).toMatchObject({ code: "privacy/ledger-rolled-back" })
  })

  it("[S21] begins anew after all that is known of it, with the month spent, and cannot go back behind that", async () => {
    const ledger = filled()
    await expect(ledger.placeOfBeginning(A)).rejects.toMatchObject({ code: "privacy/ledger-whole" })
    ledger.noteShown(A, null, shown(9))
    const place = await ledger.placeOfBeginning(A)
    expect(place).toEqual({ seq: 10, previous: new Uint8Array(32).fill(1), month: "2026-11" })
    const what = { type: "reset", by: "A. Person", reason: "the disk is lost" } as const
    ledger.noteBeginning({ place, what })
    ledger.settled(A)
    expect(ledger.problem).toBeNull()
    expect(ledger.month()).toMatchObject({ epsilon: 500, beginning: { by: "A. Person" } })
    expect(room(ledger)).toBe(0)
    expect((await ledger.reserve(A, EVENT, STEPS))?.code).toBe("policy/privacy-month")
    const { seq } = await ledger.place(A)
    expect(seq).toBe(11)
    ledger.noteShown(A, null, shown(12))
    expect(ledger.problem?.code).toBe("privacy/ledger-rolled-back")
  })
})

describe("a facility that crashes", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "consilium-ledger-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const {
    announce,
    voided,
    start: startIn,
  } = restartingFacility(STUDY, {
    rows: "ledger",
    policy: BUDGET,
    now: NOVEMBER,
  })
  const start = (name: string, cap: number, probe?: RunnerOptions["probe"]) =>
    startIn(join(folder, name), { epsilon: cap, delta: 1e-5 }, probe)
  /** Rounds and attempts that are charged in a facility's log. */
  const chargesOf = async ({ store }: StudyRunner): Promise<readonly string[]> => {
    const found: string[] = []
    for await (const { header, body } of store.entries())
      if (header.type === CHARGED) {
        const { round, attempt } = decode(chargeCodec, body)
        found.push(`${round}/${attempt}`)
      }
    return found
  }

  it.each([
    ["after-save", ["1/1"]],
    ["before-save", []],
  ] as const)(
    "[S20] %s of the charge: what is saved is spent, and the update is charged once",
    async (when, saved) => {
      const { probe, isFrozen } = frozenAt(when, CHARGED)
      const first = await start(when, 50, probe)
      await first.hear(announce(1))
      await until(isFrozen)
      expect(await chargesOf(first.runner)).toEqual(saved)
      // nothing has left
      expect(first.updates()).toEqual([])
      await first.crash()

      const second = await start(when, 50)
      await until(() => second.updates().length > 0)
      expect(second.machine.state.memory.charges).toBe(1)
      expect(await chargesOf(second.runner)).toEqual(["1/1"])
      expect(second.updates()).toHaveLength(1)
      expect(second.ledger.month(NOVEMBER).epsilon).toBeGreaterThan(0)
      await second.end()
    },
  )

  it("[S20] loses no charge over ten restarts", async () => {
    const spent: number[] = []
    for (let round = 1; round <= 10; round++) {
      const { runner, ledger, hear, updates, end } = await start("restarts", 500)
      await hear(announce(round))
      await until(() => updates().length === round)
      expect(await chargesOf(runner)).toHaveLength(round)
      await hear(voided(round))
      spent.push(ledger.month(NOVEMBER).epsilon)
      await end()
    }
    expect(spent.every((epsilon, i) => i === 0 || epsilon > (spent[i - 1] as number))).toBe(true)
    const whole = opened(500)
    const next = chain()
    for (let round = 1; round <= 10; round++) whole.note(ID, next(ID, round))
    expect(spent[9]).toBe(whole.month(NOVEMBER).epsilon)
  })

  it("[S20] sits a round out when the month has no room, and says so to the leader", async () => {
    const { runner, machine, ledger, hear, sent, end } = await start("month", 1.05 * epsilonAfter(STUDY, 1))
    // another study of this month
    ledger.note(B, chain()(B, 1))
    await hear(announce(1))
    await until(() => machine.state.phase === "idle" && sent().some(({ type }) => type === "refusal"))
    expect(machine.state.memory.charges).toBe(0)
    const types: string[] = []
    for await (const { header } of runner.store.entries()) types.push(header.type)
    expect(types).toEqual(["training-failed"])
    await end()
  })
})
