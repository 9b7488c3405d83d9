import { exportHeads, exportLog } from "@consilium/node/audit-export"
import { auditFile } from "@consilium/node/audit-file"
import { auditFolder } from "@consilium/node/audit-folder"
import type { AuditReport } from "@consilium/node/audit-report"

type Format = "text" | "json"

const print = (format: Format, value: object, text: readonly string[]): void => {
  process.stdout.write(format === "json" ? `${JSON.stringify(value)}\n` : `${text.join("\n")}\n`)
}

const compared = ({ headsCompared, cosignedEvent, events }: AuditReport): string =>
  headsCompared > 0
    ? `It is the log that facilities signed: ${headsCompared} heads that they kept lie on it.`
    : cosignedEvent === null
      ? "Facilities have signed no head of it yet."
      : `Facilities signed it up to event ${cosignedEvent} of ${events}, as the log itself says; give --heads to compare it with what they kept.`

/** Replays a leader's log, from its folder or from an exported file, and prints what it proves. */
export const auditVerify = async (options: {
  readonly config?: string
  readonly study?: string
  readonly file?: string
  readonly authority?: string
  readonly heads?: readonly string[]
  readonly format: Format
}): Promise<void> => {
  const { config = "", study, file, authority = "", heads = [], format } = options
  const audit =
    file === undefined
      ? await auditFolder(config, { study, heads })
      : await auditFile(file, { authority, heads })
  print(format, { verified: true, ...audit }, [
    `The log holds: ${audit.events} events of the study ${audit.study}, ${audit.openedSums} sums opened, each over a certified list.`,
    compared(audit),
    audit.ended ? "It goes on to the end of the study." : "It ends before the study does.",
    ...(audit.stopped === null
      ? []
      : [
          `${audit.stopped.by} (${audit.stopped.via}) stopped it after ${audit.stopped.rounds} closed rounds: ${audit.stopped.reason}`,
          "The model is that of the last closed round.",
        ]),
    `  facilities  ${audit.facilities} at the end (roster ${audit.roster})`,
    `  log head    ${audit.logHead}`,
    `  model hash  ${audit.modelHash}`,
    ...(audit.bundle === null ? [] : [`  file digest ${audit.bundle}`]),
  ])
}

/** Writes a leader's log into one file for a stranger. */
export const auditExport = async (options: {
  readonly config: string
  readonly study?: string
  readonly to: string
  readonly heads?: readonly string[]
  readonly format: Format
}): Promise<void> => {
  const { config, study, to, heads = [], format } = options
  const report = await exportLog(config, to, { study, heads })
  print(format, report, [
    `${report.file}: ${report.events} events of the study ${report.study}, ${report.heads} co-signed heads, ${report.bytes} bytes.`,
    "Whoever has the file verifies it with nothing but the authority's public signing key:",
    `  consilium audit verify --file ${report.file} --authority ${report.authority}`,
    `  file digest ${report.bundle}`,
  ])
}

/** Writes the co-signed heads that a facility keeps into a file. */
export const auditHeads = async (options: {
  readonly config: string
  readonly study?: string
  readonly to: string
  readonly format: Format
}): Promise<void> => {
  const { config, study, to, format } = options
  const report = await exportHeads(config, to, { study })
  print(format, report, [
    report.lastEvent === null
      ? `${report.file}: this facility keeps no co-signed head of the study ${report.study}.`
      : `${report.file}: ${report.heads} co-signed heads of the study ${report.study}, up to event ${report.lastEvent} of the leader's log.`,
  ])
}
