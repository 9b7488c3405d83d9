import { createReadStream } from "node:fs"
import { ConsiliumError } from "@consilium/base/errors"
import { auditBundle, BundleReader } from "@consilium/federation/audit-bundle"
import { openRoster } from "@consilium/federation/roster"
import { type AuditReport, reportOf } from "./audit-report.js"
import { authorityKeyOf, type HeadSources, readHeads } from "./audit-sources.js"
import { nodeSuite } from "./identity/suite.js"

/** Audits an exported log, knowing nothing but the authority's public signing key and heads that facilities kept. */
export const auditFile = async (
  path: string,
  options: { readonly authority: string; readonly heads?: readonly string[] },
): Promise<AuditReport> => {
  const authorityKey = authorityKeyOf(options.authority)
  const given = await headsForFile(path, authorityKey, options.heads ?? [])
  const audit = await auditBundle({ suite: nodeSuite, authorityKey, ...given }, chunksOf(path))
  return reportOf(audit.study, audit, audit.digest)
}

const headsForFile = async (
  path: string,
  authorityKey: Uint8Array,
  paths: readonly string[],
): Promise<HeadSources> => {
  if (paths.length === 0) return { heads: [], rosters: [] }
  const bundle = await BundleReader.open(chunksOf(path))
  await bundle.close()
  const { roster } = bundle
  return readHeads(paths, openRoster(nodeSuite, authorityKey, roster).directory.roster.study)
}

/** The bytes of a file as they come from the disk. */
async function* chunksOf(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) yield chunk as Uint8Array
  } catch (cause) {
    if (cause instanceof ConsiliumError) throw cause
    throw new ConsiliumError("audit/no-file", `The file ${path} cannot be read.`, { cause })
  }
}
