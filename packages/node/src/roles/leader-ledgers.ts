import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { headOfCertificate } from "@consilium/federation/cosigned"
import type { LogEntry } from "@consilium/federation/log"
import {
  envelopeCodec,
  type LedgerEvidence,
  type Message,
  messageCodec,
  type SignedSubmission,
  submissionDigest,
} from "@consilium/federation/messages"
import { isPrivate } from "@consilium/federation/privacy-plan"
import type { Study } from "@consilium/federation/study"
import type { KnownLedgers } from "./leader-machine.js"

/** A study of the leader as its ledgers are gathered from it. */
export interface GatheredStudy {
  readonly id: string
  readonly study: Study
  readonly firstRoster: Uint8Array
  readonly length: number
  entries(after: number): AsyncIterable<LogEntry>
}

/** The newest heads of a facility's ledger: the one it signed last, and the last that was certified. */
interface Newest {
  readonly signed: LedgerEvidence
  readonly certified: LedgerEvidence | null
}

interface Gathering {
  /** Events read so far. */
  read: number
  roster: Uint8Array
  /** Submissions of the attempt under way, by the digest that a list names them by. */
  listed: Map<string, SignedSubmission>
}

/** Types of events that tell of submissions, certificates or rosters: nothing else is decoded. */
const HEARD = new Set(["submit", "update", "region"])
const SAID = new Set(["announce", "certificate", "roster"])

/**
 * What a leader has seen of facilities' privacy ledgers, over all its studies, gathered from their logs as they grow:
 * evidence for a facility whose own ledger was set back.
 */
export class LeaderLedgers implements KnownLedgers {
  readonly #studies: () => readonly GatheredStudy[]
  readonly #gathered = new Map<string, Gathering>()
  readonly #newest = new Map<string, Newest>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(studies: () => readonly GatheredStudy[]) {
    this.#studies = studies
  }

  /** What is known of a facility's ledger: the newest head it signed and, if that is another, the newest certified one. */
  of(facility: Uint8Array): Promise<readonly LedgerEvidence[]> {
    const found = this.#turn.then(async () => {
      for (const study of this.#studies()) if (isPrivate(study.study)) await this.#gather(study)
      const newest = this.#newest.get(toHex(facility))
      if (newest === undefined) return []
      const { signed, certified } = newest
      return certified === null || certified === signed ? [signed] : [signed, certified]
    })
    this.#turn = found.catch(() => undefined)
    return found
  }

  async #gather(study: GatheredStudy): Promise<void> {
    const known = this.#gathered.get(study.id)
    const gathering = known ?? { read: 0, roster: study.firstRoster, listed: new Map() }
    this.#gathered.set(study.id, gathering)
    if (study.length === gathering.read) return
    for await (const { header, body } of study.entries(gathering.read)) {
      gathering.read = header.seq
      if (HEARD.has(header.type))
        this.#take(gathering, decode(messageCodec, decode(envelopeCodec, body).body))
      else if (SAID.has(header.type)) this.#take(gathering, decode(messageCodec, body))
    }
  }

  #take(gathering: Gathering, message: Message): void {
    switch (message.type) {
      case "submit":
        this.#submitted(gathering, message)
        return
      case "update":
        this.#submitted(gathering, message.submission)
        return
      case "region":
        for (const signed of message.submissions) this.#submitted(gathering, signed)
        return
      case "announce":
        gathering.listed = new Map()
        return
      case "roster":
        gathering.roster = message.signed
        return
      case "certificate": {
        const { proposal, signatures } = message
        const certificate = headOfCertificate(proposal, signatures)
        for (const { digest } of proposal.cohort) {
          const submission = gathering.listed.get(toHex(digest))
          if (submission === undefined) continue
          this.#keep({ roster: gathering.roster, submission, certificate })
        }
      }
    }
  }

  #submitted(gathering: Gathering, { submission, signature }: SignedSubmission): void {
    if (submission.ledger === null) return
    const signed = { submission, signature }
    gathering.listed.set(toHex(submissionDigest(submission)), signed)
    this.#keep({ roster: gathering.roster, submission: signed, certificate: null })
  }

  #keep(evidence: LedgerEvidence): void {
    const { submission } = evidence.submission
    const facility = toHex(submission.facility)
    const seq = seqOf(evidence)
    const before = this.#newest.get(facility)
    const newer = before === undefined || seq > seqOf(before.signed)
    // the certified form of the newest one takes its place
    const same = before !== undefined && seq === seqOf(before.signed) && evidence.certificate !== null
    const signed = newer || same ? evidence : before.signed
    const certified =
      evidence.certificate !== null && seq >= (before?.certified ? seqOf(before.certified) : 0)
        ? evidence
        : (before?.certified ?? null)
    this.#newest.set(facility, { signed, certified })
  }
}

const seqOf = ({ submission }: LedgerEvidence): number => submission.submission.ledger?.seq ?? 0
