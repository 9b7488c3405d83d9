import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { auditLeaderLog } from "@consilium/federation/audit"
import { cosignedIn } from "@consilium/federation/audit-bundle"
import type { CosignedHead } from "@consilium/federation/messages"
import { writeLogBundle } from "@consilium/node/audit-export"
import { type AuditReport, reportOf } from "@consilium/node/audit-report"
import { facilityFileSchema, policyOf } from "@consilium/node/config/role-files"
import { nodeSuite } from "@consilium/node/identity/suite"
import { type InProcessRun, runInProcess } from "@consilium/node/in-process/federation"
import type { RawRecords } from "@consilium/node/local-records"
import { type Outcome, writeOutcome } from "@consilium/node/roles/outcome"
import { type RoundModels, roundModels } from "./image-report.js"
import type { InProcessLayout } from "./layout.js"

/** The leader's log in a run's folder: `consilium audit verify --file` reads it. */
export const LOG_FILE = "study.log"

export interface InProcessResult {
  readonly outcome: Outcome
  readonly audit: AuditReport
  readonly seconds: number
  /** The authority's public signing key: what a stranger must know to verify the log in the folder. */
  readonly authority: string
  /** The model of every round, where the study trains a network. */
  readonly models: RoundModels
}

/** Runs a study in this process, audits its log, and leaves log, outcome and model in the folder. */
export const demoInProcess = async (
  { folder, study, places, facilities }: InProcessLayout,
  records: ReadonlyMap<string, RawRecords>,
  options: { readonly narrate: (line: string) => void; readonly stop: AbortSignal },
): Promise<InProcessResult> => {
  const started = Date.now()
  const run = await runInProcess({
    study,
    places,
    facilities: new Map(
      [...facilities].map(([name, { file }]) => [
        name,
        { records: records.get(name) as RawRecords, policy: policyOf(facilityFileSchema.parse(file)) },
      ]),
    ),
    ...options,
  })
  const seconds = (Date.now() - started) / 1000
  const { directory, authorityKey, log, outcome, model } = run
  const audit = await auditLeaderLog({ suite: nodeSuite, study, directory, authorityKey }, log.entries())
  await writeOutcome(folder, outcome, model)
  await writeLog(folder, run)
  return {
    outcome,
    audit: reportOf(study, audit, null),
    seconds,
    authority: toHex(authorityKey),
    models: await roundModels(study, log.entries()),
  }
}

const writeLog = async (folder: string, { signedRoster, log }: InProcessRun): Promise<void> => {
  let last: CosignedHead | null = null
  for await (const entry of log.entries()) last = cosignedIn(entry) ?? last
  const heads = last === null ? [] : [last]
  await writeLogBundle(join(folder, LOG_FILE), {
    roster: signedRoster,
    heads,
    events: log.length,
    entries: log.entries(),
  })
}
