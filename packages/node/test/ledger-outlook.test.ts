import { fromHex, toHex } from "@consilium/base/bytes"
import { chargeFor, ledgerEntryOf } from "@consilium/federation/charge"
import { emptyLedger, type LedgerHead, ledgerHeadAfter } from "@consilium/federation/ledger-chain"
import type { Budget, PrivacyCaps } from "@consilium/federation/policy"
import {
  epsilonAfter,
  isPrivate,
  NO_FIGURES,
  type PrivateStudy,
  stepEvent,
} from "@consilium/federation/privacy-plan"
import { participantId } from "@consilium/federation/roster"
import { studyDigest } from "@consilium/federation/study"
import { newPrivacyOdometer, odometerReading, recordEvent } from "@consilium/privacy/odometer"
import { describe, expect, it } from "vitest"
import { testPolicy, testStudy } from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { ledgerEntrySchema, ledgerPage } from "../src/ledger-entries.js"
import { type LedgerStudy, newWarnings, underWay } from "../src/ledger-outlook.js"
import { ledgerReading, ledgerReadingSchema } from "../src/ledger-reading.js"
import { PrivacyLedger } from "../src/privacy-ledger.js"

const ME = participantId("clinic-1")
const HOUR = 3_600_000
const NOVEMBER = Date.UTC(2026, 10, 20)

const privateStudy = (number: number, rounds: number, epsilon = 100): PrivateStudy => {
  const study = testStudy(4, {
    ...withPrivacy({ epsilon }),
    protection: "plain",
    rounds,
    nonce: new Uint8Array(32).fill(number),
    name: `study-${number}`,
  })
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}
const HEART = privateStudy(1, 20)
const LUNG = privateStudy(2, 30)
const idOf = (study: PrivateStudy): string => toHex(studyDigest(study))
const STEPS = HEART.training.steps
/** What so many rounds cost. */
const cost = (rounds: number): number => epsilonAfter(HEART, rounds)

/** A facility's ledger in a test, at a time that the test moves. */
class Book {
  now = NOVEMBER
  readonly ledger: PrivacyLedger
  readonly #policy
  #head: LedgerHead = emptyLedger(ME)
  readonly #rounds = new Map<PrivateStudy, number>()

  constructor(caps: Partial<PrivacyCaps> = {}) {
    const wide: Budget = { epsilon: 100, delta: 1e-5 }
    this.#policy = testPolicy({ privacy: { study: wide, month: wide, ...caps } })
    const { month, lifetime = null } = this.#policy.privacy
    this.ledger = new PrivacyLedger({ facility: ME, cap: month, lifetime, now: () => this.now })
    this.ledger.opened()
  }

  /** Charges the next round of a study, so long after the last. */
  charge(study: PrivateStudy, after = HOUR): void {
    this.now += after
    const round = (this.#rounds.get(study) ?? 0) + 1
    this.#rounds.set(study, round)
    const spec = {
      study: studyDigest(study),
      round,
      attempt: 1,
      purpose: "update" as const,
      epoch: 0,
      roster: new Uint8Array(32),
      model: new Uint8Array(32).fill(round),
    }
    const month = new Date(this.now).toISOString().slice(0, 7)
    const place = { seq: this.#head.seq + 1, previous: this.#head.hash, month }
    const charge = chargeFor(study, spec, round, NO_FIGURES, place)
    this.#head = ledgerHeadAfter(ledgerEntryOf(fromHex(idOf(study)), charge))
    this.ledger.note(idOf(study), charge, this.now)
  }

  get studies(): readonly LedgerStudy[] {
    return [...this.#rounds].map(([study, round]) => ({ study, state: "running", round }))
  }
  read() {
    const read = ledgerReading("clinic-1", this.ledger, this.studies, this.#policy)
    expect(ledgerReadingSchema.parse(JSON.parse(JSON.stringify(read)))).toEqual(read)
    return read
  }
  news(): readonly string[] {
    return newWarnings(this.ledger, this.#policy, underWay(this.studies))
  }
}

describe("the lifetime of a privacy ledger", () => {
  it("is an odometer's reading over all months and studies, and no cap unless the policy sets one", () => {
    const book = new Book()
    expect(book.read().lifetime).toMatchObject({
      epsilon: 0,
      updates: 0,
      since: null,
      cap: null,
      forecast: null,
    })
    for (const study of [HEART, LUNG, HEART]) book.charge(study, 20 * 24 * HOUR)
    const { lifetime, months } = book.read()
    expect(months.map(({ month }) => month)).toEqual(["2026-12", "2027-01"])
    const odometer = recordEvent(newPrivacyOdometer(1e-5), stepEvent(HEART), 3 * STEPS)
    expect(lifetime).toMatchObject({ ...odometerReading(odometer), updates: 3, since: "2026-12", cap: null })
    // it holds at every moment, so it is above what an accountant says of the same releases
    expect(lifetime.epsilon).toBeGreaterThan(cost(3))
  })

  it("[S20] refuses, in any month, what would go beyond the policy's cap, counting what others have set aside", async () => {
    const book = new Book({ lifetime: { epsilon: 1.2 * cost(2), delta: 1e-5 } })
    book.charge(HEART)
    expect(await book.ledger.reserve(idOf(HEART), stepEvent(HEART), STEPS)).toBeNull()
    const other = await book.ledger.reserve(idOf(LUNG), stepEvent(LUNG), STEPS)
    expect(other?.code).toBe("policy/privacy-lifetime")
    book.ledger.release(idOf(HEART))
    expect(await book.ledger.reserve(idOf(LUNG), stepEvent(LUNG), STEPS)).toBeNull()
    book.charge(LUNG)
    const refusal = await book.ledger.reserve(idOf(HEART), stepEvent(HEART), STEPS)
    expect(refusal).toMatchInlineSnapshot(`
      {
        "code": "policy/privacy-lifetime",
        "reason": "This facility's lifetime privacy budget is used up: all studies of all months together may spend epsilon 4.51 (delta 0.00001), 4.16 is spent or set aside, and another round would go beyond it.",
      }
    `)
    expect(refusal?.reason.length).toBeLessThanOrEqual(250)
    expect(book.read().studies.map(({ room }) => room)).toEqual(
      Array(2).fill({ rounds: 0, by: "lifetime-cap" }),
    )
    // another month has another budget, and the same lifetime
    book.now += 60 * 24 * HOUR
    const later = await book.ledger.reserve(idOf(HEART), stepEvent(HEART), STEPS)
    expect(later?.code).toBe("policy/privacy-lifetime")
    expect(book.read().thisMonth).toMatchObject({ month: "2027-01", epsilon: 0 })
  })

  it("[S20] counts as spent after a new beginning, in every month", async () => {
    const lifetime = { epsilon: 50, delta: 1e-5 }
    const book = new Book({ lifetime })
    book.charge(HEART)
    const place = { seq: 9, previous: new Uint8Array(32).fill(9), month: "2026-11" }
    const what = { type: "reset", by: "A. Okafor", reason: "the disk is lost" } as const
    book.ledger.noteBeginning({ place, what }, book.now)
    const read = book.read().lifetime
    expect(read).toMatchObject({ cap: { ...lifetime, spent: 50 }, beginnings: [{ by: "A. Okafor" }] })
    book.now += 60 * 24 * HOUR
    expect(await book.ledger.reserve(idOf(HEART), stepEvent(HEART), STEPS)).toMatchInlineSnapshot(`
      {
        "code": "policy/privacy-lifetime",
        "reason": "This facility's privacy ledger was started anew in 2026-11; what it had spent before is unknown, so its whole lifetime budget of epsilon 50.00 (delta 0.00001) counts as spent.",
      }
    `)
  })
})

describe("what was spent on what", () => {
  it("stands by month, study and purpose, each with the cost of its own releases alone", () => {
    const book = new Book()
    for (const study of [HEART, HEART, LUNG]) book.charge(study)
    book.charge(LUNG, 15 * 24 * HOUR)
    const training = { purpose: "training", delta: 1e-5 }
    expect(book.read().spending).toEqual([
      {
        month: "2026-11",
        study: idOf(HEART),
        name: "study-1",
        updates: 2,
        steps: 2 * STEPS,
        epsilon: cost(2),
        ...training,
      },
      {
        month: "2026-11",
        study: idOf(LUNG),
        name: "study-2",
        updates: 1,
        steps: STEPS,
        epsilon: cost(1),
        ...training,
      },
      {
        month: "2026-12",
        study: idOf(LUNG),
        name: "study-2",
        updates: 1,
        steps: STEPS,
        epsilon: cost(1),
        ...training,
      },
    ])
  })
})

describe("what still fits, and until when", () => {
  it("follows the pace of the ledger's own entries", () => {
    const book = new Book({ study: { epsilon: 1.001 * cost(5), delta: 1e-5 } })
    book.charge(HEART)
    expect(book.read().studies[0]?.forecast).toEqual({
      roundsPerDay: null,
      reachedAt: null,
      plannedUntil: null,
    })
    book.charge(HEART, 2 * HOUR)
    const [heart] = book.read().studies
    expect(heart?.room).toEqual({ rounds: 3, by: "study-cap" })
    expect(heart?.forecast).toEqual({
      roundsPerDay: 12,
      reachedAt: new Date(book.now + 8 * HOUR).toISOString(),
      plannedUntil: null,
    })
  })

  it("says when all planned rounds are over where they fit", () => {
    const book = new Book()
    book.charge(HEART)
    book.charge(HEART)
    const [heart] = book.read().studies
    expect(heart).toMatchObject({ room: { rounds: 18, by: "planned" }, forecast: { reachedAt: null } })
    expect(heart?.forecast?.plannedUntil).toBe(new Date(book.now + 18 * HOUR).toISOString())
  })

  it("tells when studies together reach the month's cap, or that the month ends before", () => {
    const caps = { month: { epsilon: 1.2 * cost(8), delta: 1e-5 } }
    const book = new Book(caps)
    for (const study of [HEART, LUNG, HEART, LUNG]) book.charge(study)
    const { forecast } = book.read().thisMonth
    const fits = Array.from({ length: 20 }, (_, i) => i + 1).filter((updates) =>
      book.ledger.fits("month", [{ event: stepEvent(HEART), steps: STEPS, updates }]),
    ).length
    expect(forecast).toMatchObject({ rounds: fits, by: "cap" })
    // one of two studies has a round each hour
    expect(forecast.reachedAt).toBe(new Date(book.now + (fits + 1) * HOUR).toISOString())
    const slow = new Book(caps)
    for (const study of [HEART, HEART]) slow.charge(study, 4 * 24 * HOUR)
    expect(slow.read().thisMonth).toMatchObject({
      month: "2026-11",
      forecast: { rounds: 0, reachedAt: null, by: "time" },
    })
  })
})

describe("warnings before a budget stops anything", () => {
  it("are told once each, and not in every round", () => {
    const book = new Book({
      study: { epsilon: 1.001 * cost(8), delta: 1e-5 },
      month: { epsilon: 1.05 * cost(8), delta: 1e-5 },
    })
    const told = Array.from({ length: 7 }, () => {
      book.charge(HEART)
      return book.news()
    })
    expect(told.map((lines) => lines.length)).toEqual([0, 0, 0, 0, 0, 3, 0])
    expect(told.flat()).toMatchInlineSnapshot(`
      [
        "The privacy budget for 2026-11, over all studies, is 85 % used: epsilon 6.43 of 7.54 (delta 0.00001).",
        "The privacy budget for the study study-1 is 85 % used: epsilon 6.16 of 7.19 (delta 0.00001).",
        "Only 2 more rounds of the study study-1 fit: then the study's budget for patients' privacy is used up, and 14 are still planned.",
      ]
    `)
    // all of them hold on, and are read wherever somebody looks
    expect(book.read().warnings.map(({ says }) => says)).toHaveLength(3)
  })

  it("are not told again for what was told when it came back, but once when it starts", () => {
    const book = new Book({ study: { epsilon: cost(3), delta: 1e-5 } })
    book.charge(HEART)
    book.charge(HEART)
    expect(book.news().length).toBeGreaterThan(0)
    expect(book.news()).toEqual([])
    book.ledger.opened()
    expect(book.news().length).toBeGreaterThan(0)
  })

  it("are not of a study that is over", () => {
    const book = new Book({ study: { epsilon: cost(2), delta: 1e-5 } })
    book.charge(HEART)
    book.charge(HEART)
    const policy = testPolicy({
      privacy: { study: { epsilon: cost(2), delta: 1e-5 }, month: { epsilon: 100, delta: 1e-5 } },
    })
    const over = book.studies.map((one) => ({ ...one, state: "over" as const }))
    expect(ledgerReading("clinic-1", book.ledger, over, policy).warnings).toEqual([])
  })
})

describe("the entries of a privacy ledger", () => {
  it("come in pages, form the chain that their hashes say, and name what each was for", () => {
    const book = new Book()
    for (const study of [HEART, LUNG, HEART]) book.charge(study)
    const { entries, total } = ledgerPage(book.ledger, book.studies, 0)
    expect(total).toBe(3)
    for (const entry of entries)
      expect(ledgerEntrySchema.parse(JSON.parse(JSON.stringify(entry)))).toEqual(entry)
    expect(entries.map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(entries.map(({ previous }) => previous)).toEqual([
      toHex(emptyLedger(ME).hash),
      ...entries.slice(0, 2).map(({ hash }) => hash),
    ])
    expect(entries[2]?.hash).toBe(toHex(book.ledger.head.hash))
    expect(entries[1]).toMatchObject({
      type: "charge",
      name: "study-2",
      round: 1,
      steps: STEPS,
      purpose: "training",
    })
    expect(ledgerPage(book.ledger, book.studies, 2).entries).toEqual(entries.slice(2))
  })
})
