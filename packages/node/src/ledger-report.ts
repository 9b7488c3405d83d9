import { utf8 } from "@consilium/base/platform"
import type { ShownCharge, ShownLedgerEntry } from "./ledger-entries.js"
import type { LedgerReading } from "./ledger-reading.js"

// A facility's privacy ledger as a file for those who answer for the protection of its patients' data.

export const REPORT_FORMS = ["md", "csv", "json"] as const
export type ReportForm = (typeof REPORT_FORMS)[number]

/** All that a report is made of. It holds no patient's value: only what was spent, when, on what, and by which noise. */
export interface LedgerReport {
  readonly reading: LedgerReading
  readonly running: boolean
  readonly entries: readonly ShownLedgerEntry[]
  /** ISO-8601, UTC. */
  readonly writtenAt: string
}

export const GLOSSARY = [
  "Epsilon: how much more likely any result can become through one patient's data: at most e^epsilon times. Smaller protects better, and it only ever rises.",
  "Delta: the small probability with which that bound need not hold.",
  "Noise: random numbers added before anything leaves the facility, so that results look nearly the same with or without one patient.",
] as const

const isCharge = (entry: ShownLedgerEntry): entry is ShownCharge => entry.type === "charge"

const periodOf = (entries: readonly ShownLedgerEntry[]) => {
  const times = entries.flatMap(({ at }) => (at === null ? [] : [at])).sort()
  const [from] = times
  const to = times.at(-1)
  return from === undefined || to === undefined ? null : { from, to }
}

const jsonOf = ({ reading, running, entries, writtenAt }: LedgerReport): string => {
  const { facility, head, certified, problem, ...rest } = reading
  return `${JSON.stringify(
    {
      kind: "consilium-privacy-ledger",
      facility,
      writtenAt,
      running,
      period: periodOf(entries),
      chain: { entries: head.seq, head: head.hash, certified, isWhole: problem === null, problem },
      ...rest,
      entries,
      glossary: GLOSSARY,
    },
    null,
    2,
  )}\n`
}

/** A cell of CSV (RFC 4180). What a spreadsheet would take for a formula is text. */
const csvCell = (value: string | number | boolean | null): string => {
  if (typeof value !== "string") return value === null ? "" : String(value)
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

const CSV_HEADS = [
  ...[
    "facility",
    "entry",
    "type",
    "time",
    "month",
    "study",
    "study_id",
    "purpose",
    "round",
    "attempt",
    "steps",
  ],
  ...["mechanism", "event", "epsilon_after", "delta", "insecure_seed", "by", "reason", "hash", "previous"],
]

const csvOf = ({ reading: { facility }, entries }: LedgerReport): string => {
  const rows = entries.map((entry) => {
    const { seq, type, at, month, hash, previous } = entry
    const start = [facility, seq, type, at, month]
    const what = isCharge(entry)
      ? [
          ...[entry.name, entry.study, entry.purpose, entry.round, entry.attempt, entry.steps],
          ...[entry.mechanism, JSON.stringify(entry.event), entry.epsilon, entry.delta, entry.insecureSeed],
          ...[null, null],
        ]
      : [...Array<null>(11).fill(null), entry.by, entry.reason]
    return [...start, ...what, hash, previous]
  })
  return [CSV_HEADS, ...rows].map((row) => `${row.map(csvCell).join(",")}\r\n`).join("")
}

/** Text of others in a cell of a table: it ends no cell and is no markup. */
const cell = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}]/gu, " ")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replace(/[\\`*_[\]|#]/g, "\\$&")

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] => [
  `| ${heads.join(" | ")} |`,
  `|${heads.map(() => "---").join("|")}|`,
  ...rows.map((row) => `| ${row.map(cell).join(" | ")} |`),
]

const shown = (epsilon: number | null): string => (epsilon === null ? "without bound" : epsilon.toFixed(4))
const minute = (at: string | null): string =>
  at === null ? "not known" : `${at.slice(0, 10)} ${at.slice(11, 16)} UTC`

const chainText = ({ head, certified, problem }: LedgerReading): string => {
  if (problem !== null) return `NOT WHOLE (${problem.code}): ${problem.reason}`
  if (head.seq === 0) return "It has no entries."
  const held =
    certified === null
      ? "no entry is certified by others yet"
      : `certified by the other facilities up to entry ${certified.seq} (\`${certified.hash}\`)`
  return `Checked: one unbroken chain of ${head.seq} ${head.seq === 1 ? "entry" : "entries"}, head \`${head.hash}\`; ${held}.`
}

const lifetimeText = ({ lifetime }: LedgerReading): readonly string[] => {
  const { epsilon, delta, updates, since, cap, beginnings } = lifetime
  const spent =
    since === null
      ? "Nothing is spent."
      : `Since ${since} all studies together have spent epsilon ${shown(epsilon)} at delta ${delta}, in ${updates} ${updates === 1 ? "release" : "releases"}. An odometer reads this: it holds at every moment, also one chosen because of earlier results, and is dearer than the months for that.`
  return [
    beginnings.length === 0 ? spent : `${spent} What was lost before a new beginning is not in it.`,
    cap === null
      ? "The facility's policy sets no cap over all months."
      : `The facility's policy caps it at epsilon ${cap.epsilon} (delta ${cap.delta}); of this cap epsilon ${shown(cap.spent)} is used.`,
  ]
}

const markdownOf = ({ reading, running, entries, writtenAt }: LedgerReport): string => {
  const { facility, caps, months, studies, spending, warnings } = reading
  const period = periodOf(entries)
  const charges = entries.filter(isCharge)
  const resets = entries.flatMap((entry) => (entry.type === "reset" ? [entry] : []))
  const mechanisms = [...new Set(charges.map(({ mechanism }) => mechanism))]
  const none = (rows: readonly string[], sentence: string): readonly string[] =>
    rows.length > 2 ? rows : [sentence]
  return [
    `# What ${cell(facility)} has spent of its patients' privacy`,
    "",
    `Written ${minute(writtenAt)} from the facility's own privacy ledger${running ? "" : ", while it did not run"}. Period: ${period === null ? "nothing is charged yet" : `${minute(period.from)} to ${minute(period.to)}`}. The report holds no patient's value.`,
    "",
    ...(warnings.length === 0
      ? []
      : ["## Warnings", "", ...warnings.map(({ says }) => `- ${cell(says)}`), ""]),
    "## Caps of this facility's policy",
    "",
    ...table(
      ["cap", "epsilon", "delta"],
      [
        ["one study", String(caps.study.epsilon), String(caps.study.delta)],
        ["one calendar month (UTC), all studies", String(caps.month.epsilon), String(caps.month.delta)],
        caps.lifetime === null
          ? ["all months, all studies", "no cap", ""]
          : ["all months, all studies", String(caps.lifetime.epsilon), String(caps.lifetime.delta)],
      ],
    ),
    "",
    "## The ledger as a whole",
    "",
    chainText(reading),
    "",
    ...lifetimeText(reading),
    "",
    "## By month",
    "",
    ...none(
      table(
        ["month", "spent (epsilon)", "cap", "delta", "releases"],
        months.map(({ month, epsilon, cap, updates, beginning }) => [
          month,
          beginning === null ? shown(epsilon) : `all of it (started anew; known: ${updates} releases)`,
          String(cap.epsilon),
          String(cap.delta),
          String(updates),
        ]),
      ),
      "No month has spent anything.",
    ),
    "",
    "## By study",
    "",
    ...none(
      table(
        ["study", "id", "state", "spent (epsilon)", "delta", "cap"],
        studies.map(({ name, id, state, spent, cap }) => [
          name,
          id,
          state,
          shown(spent.epsilon),
          String(spent.delta),
          String(cap.epsilon),
        ]),
      ),
      "No study with differential privacy has begun here.",
    ),
    "",
    "## What it was spent on",
    "",
    "Each row is the cost of these releases alone; the parts do not add up to the whole.",
    "",
    ...none(
      table(
        ["month", "study", "spent on", "releases", "steps", "epsilon", "delta"],
        spending.map(({ month, study, name, purpose, updates, steps, epsilon, delta }) => [
          month,
          name ?? study,
          purpose,
          String(updates),
          String(steps),
          shown(epsilon),
          String(delta),
        ]),
      ),
      "Nothing.",
    ),
    "",
    "## New beginnings of the ledger",
    "",
    ...none(
      table(
        ["entry", "when", "month that counts as spent", "by", "why"],
        resets.map(({ seq, at, month, by, reason }) => [String(seq), minute(at), month, by, reason]),
      ),
      "None: nobody has started it anew.",
    ),
    "",
    "## Every charge",
    "",
    ...none(
      table(
        [
          ...["entry", "when", "month", "study", "study id", "round", "attempt", "spent on", "steps"],
          ...["mechanism", "epsilon after it, in this study", "delta", "mark"],
        ],
        charges.map((charge) => [
          ...[String(charge.seq), minute(charge.at), charge.month, charge.name ?? "not known here"],
          ...[charge.study.slice(0, 16), String(charge.round), String(charge.attempt), charge.purpose],
          ...[String(charge.steps), `M${mechanisms.indexOf(charge.mechanism) + 1}`],
          ...[shown(charge.epsilon), String(charge.delta)],
          charge.insecureSeed ? "insecure-seed: protects nobody" : "",
        ]),
      ),
      "None.",
    ),
    "",
    "Each step of a charge is one release of its mechanism:",
    "",
    ...none(
      ["", "", ...mechanisms.map((mechanism, i) => `- M${i + 1}: ${cell(mechanism)}`)],
      "- none yet",
    ).filter((line) => line !== ""),
    "",
    "## What the words mean",
    "",
    ...GLOSSARY.map((line) => `- ${line}`),
    "",
  ].join("\n")
}

/** The bytes of a report in one of its forms. */
export const ledgerReport = (report: LedgerReport, form: ReportForm): Uint8Array =>
  utf8({ md: markdownOf, csv: csvOf, json: jsonOf }[form](report))
