import { participantId } from "@consilium/federation/roster"
import { describe, expect, it } from "vitest"
import { testPolicy } from "../../federation/test/members.js"
import { ledgerPage } from "../src/ledger-entries.js"
import { ledgerReading } from "../src/ledger-reading.js"
import { type LedgerReport, ledgerReport, REPORT_FORMS } from "../src/ledger-report.js"
import { PrivacyLedger } from "../src/privacy-ledger.js"

/** The report of a ledger that holds nothing, or a new beginning for such a reason. */
const reportOf = (reason: string | null): LedgerReport => {
  const policy = testPolicy({
    privacy: {
      study: { epsilon: 8, delta: 1e-5 },
      month: { epsilon: 16, delta: 1e-5 },
      lifetime: { epsilon: 40, delta: 1e-6 },
    },
  })
  const { month, lifetime = null } = policy.privacy
  const facility = participantId("north")
  const at = Date.UTC(2026, 10, 21)
  const ledger = new PrivacyLedger({ facility, cap: month, lifetime, now: () => at })
  const place = { seq: 1, previous: ledger.head.hash, month: "2026-11" }
  if (reason !== null) ledger.noteBeginning({ place, what: { type: "reset", by: "A. Okafor", reason } }, at)
  return {
    reading: ledgerReading("north", ledger, [], policy),
    running: false,
    entries: ledgerPage(ledger, [], 0).entries,
    writtenAt: "2026-11-21T10:00:00.000Z",
  }
}
const textOf = (report: LedgerReport, form: (typeof REPORT_FORMS)[number]): string =>
  new TextDecoder().decode(ledgerReport(report, form))

describe("the report of a privacy ledger", () => {
  it("says in words where there is nothing", () => {
    const text = textOf(reportOf(null), "md")
    for (const sentence of [
      "while it did not run",
      "Period: nothing is charged yet.",
      "It has no entries.",
      "Nothing is spent.",
      "| all months, all studies | 40 | 0.000001 |",
      "No month has spent anything.",
      "No study with differential privacy has begun here.",
      "None: nobody has started it anew.",
    ])
      expect(text).toContain(sentence)
    expect(textOf(reportOf(null), "csv").split("\r\n")).toHaveLength(2)
    expect(JSON.parse(textOf(reportOf(null), "json"))).toMatchObject({ period: null, entries: [] })
  })

  it("is the same for the same ledger, in every form", () => {
    for (const form of REPORT_FORMS) expect(textOf(reportOf("x"), form)).toBe(textOf(reportOf("x"), form))
  })

  it.each([
    ["=HYPERLINK(1)", ",'=HYPERLINK(1),"],
    ['a "b", c', ',"a ""b"", c",'],
    ["-1\nnext", ',"\'-1\nnext",'],
  ])("leaves %j as text of one cell for a spreadsheet", (reason, cell) => {
    expect(textOf(reportOf(reason), "csv")).toContain(cell)
  })

  it("lets no text of others be markup, or end a cell or a row", () => {
    const reason = "x | y\n# <b>[z](http://a)</b> `c` \u202e"
    const row = textOf(reportOf(reason), "md")
      .split("\n")
      .find((line) => line.startsWith("| 1 |"))
    expect(row).toBe(
      "| 1 | 2026-11-21 00:00 UTC | 2026-11 | A. Okafor | x \\| y \\# &lt;b>\\[z\\](http://a)&lt;/b> \\`c\\`   |",
    )
  })

  it("counts a lifetime's cap as spent after a new beginning", () => {
    expect(textOf(reportOf("lost"), "md")).toContain("of this cap epsilon 40.0000 is used")
  })
})
