import { toHex } from "@consilium/base/bytes"
import type { Audit } from "@consilium/federation/audit"
import type { Study } from "@consilium/federation/study"

/** What an audit found, in numbers and hexadecimal text. */
export interface AuditReport {
  readonly study: string
  readonly events: number
  /** Sums that were opened, each over a certified list. */
  readonly certifiedRounds: number
  readonly openedSums: number
  readonly logHead: string
  readonly modelHash: string
  /** Number of the roster at the end. */
  readonly roster: number
  readonly facilities: number
  /** Whether the log goes on to the end of the study. */
  readonly ended: boolean
  /** A person's decision that ended it early; null if nobody took one. */
  readonly stopped: {
    readonly rounds: number
    readonly by: string
    readonly via: string
    readonly reason: string
  } | null
  /** Number of the last event that a quorum of facilities signed, as the log shows; null if there is none. */
  readonly cosignedEvent: number | null
  /** Different heads from elsewhere that the log was compared with. */
  readonly headsCompared: number
  /** SHA-256 of a bundle, if it was one. */
  readonly bundle: string | null
}

export const reportOf = (study: Study, audit: Audit, bundle: Uint8Array | null): AuditReport => ({
  study: study.name,
  events: audit.events,
  certifiedRounds: audit.certifiedRounds,
  openedSums: audit.openedSums,
  logHead: toHex(audit.head.hash),
  modelHash: toHex(audit.model),
  roster: audit.directory.roster.version,
  facilities: audit.directory.facilities.length,
  ended: audit.ended,
  stopped: audit.stopped && {
    rounds: audit.stopped.rounds,
    by: audit.stopped.by,
    via: audit.stopped.via,
    reason: audit.stopped.reason,
  },
  cosignedEvent: audit.cosigned?.seq ?? null,
  headsCompared: audit.heads,
  bundle: bundle && toHex(bundle),
})
