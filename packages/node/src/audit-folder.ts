import { auditLeaderLog } from "@consilium/federation/audit"
import { type AuditReport, reportOf } from "./audit-report.js"
import { readHeads, withStoredStudy } from "./audit-sources.js"
import { nodeSuite } from "./identity/suite.js"

/**
 * Audits the log in the data folder of a leader that is not running, against the authority of its kit and heads that
 * facilities kept.
 */
export const auditFolder = (
  configPath: string,
  options: { readonly study?: string | undefined; readonly heads?: readonly string[] } = {},
): Promise<AuditReport> =>
  withStoredStudy(configPath, options.study ?? null, async ({ study, directory, authorityKey, store }) => {
    const given = await readHeads(options.heads ?? [], directory.roster.study)
    const subject = { suite: nodeSuite, study, directory, authorityKey, ...given }
    return reportOf(study, await auditLeaderLog(subject, store.entries()), null)
  })
