import {
  privacyLedgerOf,
  privacyLedgerReport,
  resetPrivacyLedger,
} from "@consilium/node/doctor/privacy-ledger"
import { ledgerReport, REPORT_FORMS, type ReportForm } from "@consilium/node/ledger-report"
import { type Format, print } from "./printed.js"
import { ledgerLines } from "./privacy-ledger-text.js"
import { writeReport } from "./report-file.js"

export const privacyLedger = async (config: string, format: Format): Promise<void> => {
  const found = await privacyLedgerOf(config)
  print(format, found, ledgerLines(found))
}

export const resetLedger = async (
  config: string,
  decision: { readonly by: string; readonly reason: string },
  format: Format,
): Promise<void> => {
  const begun = await resetPrivacyLedger(config, decision)
  print(format, begun, [
    `The privacy ledger of ${begun.facility} begins anew with entry ${begun.beganAt}; all of ${begun.thisMonth.month} counts as spent.`,
    begun.caps.lifetime === null
      ? "Rounds with differential privacy go on here next month."
      : "What was spent before is unknown, so all of the lifetime budget counts as spent as well: rounds with differential privacy go on here next month only if policy.privacy.lifetime is set to null.",
  ])
}

/** The form that a file's name asks for; Markdown where it says none. */
const formOf = (out: string): ReportForm => REPORT_FORMS.find((form) => out.endsWith(`.${form}`)) ?? "md"

export interface ExportOptions {
  readonly config: string
  readonly out: string
  readonly form: ReportForm | null
  readonly force: boolean
}

/** Writes a facility's whole ledger into a file for those who answer for data protection. */
export const exportLedger = async (
  { config, out, form, force }: ExportOptions,
  format: Format,
): Promise<void> => {
  const report = await privacyLedgerReport(config)
  const chosen = form ?? formOf(out)
  const bytes = ledgerReport(report, chosen)
  await writeReport(out, bytes, force)
  const { facility, problem } = report.reading
  const { length } = report.entries
  print(
    format,
    { facility, file: out, form: chosen, entries: length, bytes: bytes.length, isWhole: problem === null },
    [
      `Written to ${out}: the privacy ledger of ${facility} with its ${length} ${length === 1 ? "entry" : "entries"}, for this user only.`,
      ...(problem === null ? [] : [`NOT WHOLE: ${problem.reason}`]),
    ],
  )
}
