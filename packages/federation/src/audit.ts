import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Due, dueAfter, firstDue } from "./agenda.js"
import { AuditEnd } from "./audit-end.js"
import { AuditEpochs } from "./audit-epochs.js"
import { failure } from "./audit-failure.js"
import { GivenHeads } from "./audit-heads.js"
import { AuditLedgers } from "./audit-ledgers.js"
import { AuditModel } from "./audit-model.js"
import { BUDGET_USED_UP } from "./budget-end.js"
import { checkCertificate, headOfCertificate, sameProposal } from "./cosigned.js"
import { ROTATION_ASKED } from "./leader-keys.js"
import { RELEASED } from "./leader-release.js"
import { STOPPED, type Stop } from "./leader-stop.js"
import { emptyHead, type LogEntry, type LogHead, verifyLog } from "./log.js"
import {
  type CosignedHead,
  envelopeCodec,
  type Message,
  type MessageOf,
  messageCodec,
  type Proposal,
  type RoundSpec,
  type SignatureList,
  specDigest,
  unpack,
} from "./messages.js"
import { attemptName, isFigures } from "./purpose.js"
import { checkSuccession, type Directory, openRoster } from "./roster.js"
import { isKeyed, openingThreshold, type Study, studyDigest } from "./study.js"
import { checkStudyAmong } from "./study-tree.js"
import type { CryptoSuite } from "./suite.js"
import { protectionOf } from "./sums/protections.js"

/** What a log is checked against: nothing of it comes from the log. */
export interface AuditSubject {
  readonly suite: CryptoSuite
  readonly study: Study
  /** Who was enrolled when the study began. */
  readonly directory: Directory
  /** Signs rosters. */
  readonly authorityKey: Uint8Array
  /** Heads of the log that facilities kept: the log must hold every one of them. */
  readonly heads?: readonly CosignedHead[]
  /** Rosters that go with those heads, as the authority signed them: a log that was cut may lack them. */
  readonly rosters?: readonly Uint8Array[]
}

export interface Audit {
  readonly events: number
  readonly head: LogHead
  readonly certifiedRounds: number
  /** Sums that were opened in all: of rounds, of statistics and of evaluations. */
  readonly openedSums: number
  /** Parameter hash of the model that the log's opened sums lead to. */
  readonly model: Uint8Array
  /** Who is enrolled at the end of the log. */
  readonly directory: Directory
  /** The last head that the log itself shows to be co-signed. */
  readonly cosigned: CosignedHead | null
  /** How many different heads were given and lie on this log. */
  readonly heads: number
  /** Whether the log goes on to the end of the study. */
  readonly ended: boolean
  /** A person's decision that ended the study before its rounds were closed and reported; null if nobody took one. */
  readonly stopped: Stop | null
  /** The closed round whose model is in use: the last, unless somebody released another; null before the first. */
  readonly released: { readonly round: number; readonly model: Uint8Array } | null
}

/** Types of events whose bodies are the leader's own messages. */
const SAID = new Set([
  "announce",
  "lock",
  "openings",
  "propose",
  "certificate",
  "key-test",
  "candidate",
  "void",
  "closed",
  "finish",
  "ended",
  "roster",
  "ledger-known",
])

/** Notes of the leader's about what it did not take; nothing follows from them. */
const isNote = (type: string): boolean =>
  type.startsWith("security:") ||
  type.startsWith("dropped:") ||
  type === "dealer-excluded" ||
  type === ROTATION_ASKED ||
  type === "aborted"

interface Attempt {
  readonly spec: RoundSpec
  readonly digest: Uint8Array
  readonly proposed: Proposal | null
  /** The list whose sum may be opened. */
  readonly certified: Proposal | null
  readonly opened: boolean
  /** The attempt that a ceremony is held for; null in any other. */
  readonly before: Due | null
}

/**
 * Replays a leader's log as a stranger would, event by event and without keeping the past: chain and signatures, every
 * logged message's sender, changes of the roster, the order of rounds and attempts, a certificate before every opened
 * sum, the sum within its range, the model of every round recomputed from the sums, and the heads that facilities signed.
 */
export class LogAudit {
  readonly #subject: AuditSubject
  readonly #study: Study
  readonly #digest: Uint8Array
  readonly #given: GivenHeads
  readonly #ledgers: AuditLedgers
  readonly #epochs: AuditEpochs
  readonly #model: AuditModel
  readonly #end: AuditEnd
  #head: LogHead
  #directory: Directory
  /** What may be announced next; null within an attempt and at the end. */
  #due: Due | null
  /** Whether nothing is left but to show the last model. */
  #finishDue = false
  #attempt: Attempt | null = null
  #cosigned: CosignedHead | null = null

  /** @throws {ConsiliumError} "identity/bad-roster" if the directory is of another study */
  constructor(subject: AuditSubject) {
    const { study, directory } = subject
    const digest = studyDigest(study)
    if (!equalBytes(directory.roster.study, digest))
      throw new ConsiliumError("identity/bad-roster", "The roster is of another study than the one given.")
    this.#subject = subject
    this.#study = study
    this.#digest = digest
    this.#head = emptyHead(digest)
    this.#directory = directory
    this.#due = firstDue(study)
    this.#ledgers = new AuditLedgers(study)
    this.#epochs = new AuditEpochs(study)
    this.#model = new AuditModel(study)
    this.#end = new AuditEnd(subject.suite, study, this.#model)
    this.#given = new GivenHeads(subject, subject.heads ?? [], subject.rosters ?? [])
    this.#given.check(this.#head, directory)
  }

  /**
   * Takes the log's next event.
   * @throws {ConsiliumError} if it does not hold, with its number
   */
  next(entry: LogEntry): void {
    const { suite } = this.#subject
    const { leader } = this.#directory
    this.#head = verifyLog(this.#head, [entry], (message, signature) =>
      suite.verify(leader.signingKey, message, signature),
    )
    try {
      this.#check(entry)
    } catch (error) {
      if (!(error instanceof ConsiliumError) || error.code === "audit/failed") throw error
      const { code, message } = error
      throw new ConsiliumError("audit/failed", `Event ${entry.header.seq} of the log: ${code}: ${message}`, {
        cause: error,
      })
    }
    this.#given.check(this.#head, this.#directory)
  }

  /**
   * What the events so far prove, if there are no more.
   * @throws {ConsiliumError} "audit/truncated" if facilities signed events beyond the last one
   */
  finish(): Audit {
    this.#given.finish(this.#head, this.#directory)
    const { certifiedRounds, openedSums, hash, inUse } = this.#model
    const { ended, stopped } = this.#end
    return {
      events: this.#head.seq,
      head: this.#head,
      certifiedRounds,
      openedSums,
      model: hash,
      directory: this.#directory,
      cosigned: this.#cosigned,
      heads: this.#given.count,
      ended,
      stopped,
      released: inUse,
    }
  }

  #check({ header, body }: LogEntry): void {
    const { seq, type, actor } = header
    if (isNote(type)) return
    if (type !== "sum-opened" && type !== RELEASED && type !== STOPPED && !SAID.has(type)) {
      this.#heard(seq, type, actor, body)
      return
    }
    if (!equalBytes(actor, this.#directory.leader.id))
      throw failure(seq, "a leader's decision is logged in another's name")
    if (type === RELEASED) {
      // the one decision that may come at any time, also after the end
      this.#model.release(seq, body)
      return
    }
    if (this.#end.ended) throw failure(seq, `a ${type} comes after the end of the study`)
    if (this.#end.stopped !== null && type !== "void" && type !== "ended")
      throw failure(seq, `a ${type} comes after the study was stopped`)
    if (type === STOPPED) {
      if (this.#attempt?.opened)
        throw failure(seq, "the study is stopped between an opened sum and its round's end")
      this.#end.stop(seq, body)
      return
    }
    if (type === "sum-opened") {
      this.#openSum(seq, body)
      return
    }
    const message: Message = decode(messageCodec, body)
    if (message.type !== type) throw failure(seq, `a ${message.type} is logged as ${type}`)
    this.#said(seq, message, header.previous)
  }

  /** A message of somebody else, as it came. */
  #heard(seq: number, type: string, actor: Uint8Array, body: Uint8Array): void {
    const { suite } = this.#subject
    const envelope = decode(envelopeCodec, body)
    if (!equalBytes(envelope.from, actor)) throw failure(seq, "the logged sender is not the message's")
    const from = this.#directory.get(actor)
    const message = unpack(suite, from, envelope)
    if (message.type !== type) throw failure(seq, `a ${message.type} is logged as ${type}`)
    if (!equalBytes(envelope.study, this.#digest) || !equalBytes(envelope.to, this.#directory.leader.id))
      throw failure(seq, `a ${type} was not sent to this study's leader`)
    this.#ledgers.heard(message)
    if (message.type === "refusal" && message.code === BUDGET_USED_UP) this.#refusedForBudget(actor, message)
    if (message.type === "final-report") this.#end.report(seq, from, message)
  }

  #openSum(seq: number, body: Uint8Array): void {
    if (this.#attempt === null || this.#attempt.certified === null || this.#attempt.before !== null)
      throw failure(seq, "a sum was opened without a certificate")
    this.#model.open(seq, this.#attempt.certified, this.#directory, body)
    this.#attempt = { ...this.#attempt, certified: null, opened: true }
  }

  #refusedForBudget(actor: Uint8Array, { purpose, round, attempt }: MessageOf<"refusal">): void {
    const spec = this.#attempt?.spec
    if (purpose !== "update" || spec?.purpose !== "update") return
    if (spec.round === round && spec.attempt === attempt) this.#end.refusedForBudget(actor)
  }

  /** The attempt that a message of the leader's is about. */
  #under(seq: number, spec: Uint8Array, what: string): Attempt {
    if (this.#attempt === null || !equalBytes(spec, this.#attempt.digest))
      throw failure(seq, `${what} for an attempt that was not announced`)
    return this.#attempt
  }

  #said(seq: number, message: Message, previous: Uint8Array): void {
    const { suite } = this.#subject
    const study = this.#study
    const shows = (head: { readonly seq: number; readonly hash: Uint8Array }): boolean =>
      head.seq === seq - 1 && equalBytes(head.hash, previous)
    switch (message.type) {
      case "announce":
        if (message.spec.purpose === "keys") {
          this.#ceremonyAnnounced(seq, message.spec)
          return
        }
        this.#announced(seq, message.spec)
        this.#model.checkAnnounced(seq, message)
        return
      case "key-test":
        if (this.#under(seq, message.spec, "keys are tested").before === null)
          throw failure(seq, "keys are tested outside of a ceremony")
        return
      case "lock":
      case "openings":
        this.#under(seq, message.spec, "a list is checked")
        return
      case "propose": {
        const { proposal } = message
        const attempt = this.#under(seq, specDigest(proposal.spec), "a list is proposed")
        // the leader proposes at once, so what it shows ends right before
        if (!shows({ seq: proposal.headSeq, hash: proposal.head }))
          throw failure(seq, "a proposal shows another log than this one")
        this.#attempt = { ...attempt, proposed: proposal }
        return
      }
      case "certificate": {
        const { proposal, signatures, openers } = message
        const attempt = this.#under(seq, specDigest(proposal.spec), "a list is certified")
        if (attempt.opened || attempt.proposed === null || !sameProposal(attempt.proposed, proposal))
          throw failure(seq, "a certificate is not for the list proposed")
        if (proposal.cohort.length < study.cohort.minCohort)
          throw failure(
            seq,
            `a list of ${proposal.cohort.length} facilities is certified where ${study.cohort.minCohort} are needed`,
          )
        checkCertificate(suite, study, this.#directory, proposal, signatures)
        this.#cosigned = headOfCertificate(proposal, signatures)
        if (attempt.before !== null) {
          this.#epochs.begin(proposal)
          this.#due = attempt.before
          this.#attempt = null
          return
        }
        const wrong = this.#ledgers.certified(this.#directory, proposal.cohort)
        if (wrong !== null) throw failure(seq, wrong)
        this.#checkOpeners(seq, signatures, openers)
        this.#epochs.checkDealers(seq, proposal.cohort)
        this.#attempt = { ...attempt, certified: proposal }
        return
      }
      case "candidate":
        if (!this.#under(seq, message.spec, "a new model is shown").opened)
          throw failure(seq, "a new model is shown without an opened sum")
        this.#model.checkFile(seq, "candidate", message.model)
        return
      case "void": {
        const { spec, opened, before } = this.#under(seq, message.spec, "void is said")
        if (opened) throw failure(seq, "an attempt is void whose sum was opened")
        this.#attempt = null
        this.#due = this.#afterVoid(spec, before)
        return
      }
      case "closed": {
        const { spec, opened } = this.#under(seq, message.spec, "a round is closed")
        if (!opened) throw failure(seq, "a round was closed without an opened sum")
        this.#model.close(seq, spec, message.accepted)
        this.#attempt = null
        this.#due = this.#after(spec)
        return
      }
      case "roster":
        this.#changeRoster(seq, message.signed)
        return
      case "ledger-known":
        return
      case "finish":
        if (!this.#mayFinish(message))
          throw failure(seq, `the study is finished before its ${study.rounds} rounds are closed`)
        this.#model.checkFile(seq, "finish", message.model)
        if (!shows(message.head)) throw failure(seq, "the final head shown is of another log than this one")
        this.#due = null
        this.#finishDue = false
        this.#end.show({ seq: seq - 1, hash: previous as LogHead["hash"] })
        return
      case "ended":
        this.#end.end(seq, this.#directory, message)
        this.#cosigned = message.head ?? this.#cosigned
        return
      default:
        throw failure(seq, `a ${message.type} is not the leader's to say`)
    }
  }

  #mayFinish(finish: MessageOf<"finish">): boolean {
    if (this.#finishDue && finish.rounds === this.#model.closedRounds) return true
    return this.#attempt === null && this.#end.isDueEarly(this.#directory, finish)
  }

  /** What follows what is done or given up; null and `finishDue` at the end. */
  #after(done: Pick<Due, "purpose" | "round"> | RoundSpec): Due | null {
    const next = dueAfter(this.#study, done, this.#model.evaluated)
    this.#finishDue = next === null
    return next
  }

  /** Figures are given up after their last attempt; without keys or a round's sum a study cannot go on. */
  #afterVoid({ purpose, round, attempt }: RoundSpec, before: Due | null): Due | null {
    if (attempt < this.#study.attempts)
      return before ?? (purpose === "keys" ? null : { purpose, round, attempt: attempt + 1 })
    return before === null && isFigures(purpose) ? this.#after({ purpose, round }) : null
  }

  #announced(seq: number, spec: RoundSpec): void {
    const due = this.#due
    const { purpose, round, attempt, study, roster, model } = spec
    if (!equalBytes(study, this.#digest)) throw failure(seq, "a round belongs to another study")
    if (purpose !== due?.purpose || round !== due.round || attempt !== due.attempt)
      throw failure(seq, `${attemptName(spec)} is announced out of turn`)
    if (!equalBytes(roster, this.#directory.digest))
      throw failure(
        seq,
        `a round is announced among another roster than number ${this.#directory.roster.version}`,
      )
    if (!equalBytes(model, this.#model.base(purpose)))
      throw failure(seq, "a round starts from another model than the one before it led to")
    this.#epochs.checkAnnounced(seq, spec)
    this.#ledgers.announced()
    this.#end.announced()
    this.#due = null
    this.#attempt = {
      spec,
      digest: specDigest(spec),
      proposed: null,
      certified: null,
      opened: false,
      before: null,
    }
  }

  /** A ceremony comes before an attempt at a round. */
  #ceremonyAnnounced(seq: number, spec: RoundSpec): void {
    const due = this.#due
    if (!isKeyed(this.#study) || spec.round !== due?.round)
      throw failure(seq, `a key ceremony before round ${spec.round} is announced out of turn`)
    if (!equalBytes(spec.study, this.#digest) || !equalBytes(spec.roster, this.#directory.digest))
      throw failure(seq, "a key ceremony is announced for another study or among another roster")
    this.#epochs.ceremony(seq, spec)
    this.#due = null
    this.#attempt = {
      spec,
      digest: specDigest(spec),
      proposed: null,
      certified: null,
      opened: false,
      before: due,
    }
  }

  /** Where the protection names who opens, those are t of the signers. */
  #checkOpeners(seq: number, signatures: SignatureList, openers: readonly Uint8Array[]): void {
    const named = protectionOf(this.#study).opened === "named"
    const needed = named ? openingThreshold(this.#study, this.#directory.facilities.length) : 0
    const signers = new Set(signatures.map(({ facility }) => toHex(facility)))
    if (openers.length !== needed || openers.some((id) => !signers.has(toHex(id))))
      throw failure(
        seq,
        `a certificate names ${openers.length} facilities to open, not ${needed} of its signers`,
      )
  }

  #changeRoster(seq: number, signed: Uint8Array): void {
    const { suite, authorityKey } = this.#subject
    if (this.#due?.attempt !== 1)
      throw failure(seq, "the roster is changed at another time than before a round")
    const { directory } = openRoster(suite, authorityKey, signed)
    checkSuccession(this.#directory, directory)
    checkStudyAmong(this.#study, directory.roster.participants)
    this.#directory = directory
  }
}

/**
 * Checks a whole log; see `LogAudit`. The events may come from a stream: memory does not grow with their number.
 * @throws {ConsiliumError} at the first event that does not hold, with its number
 */
export const auditLeaderLog = async (
  subject: AuditSubject,
  entries: Iterable<LogEntry> | AsyncIterable<LogEntry>,
): Promise<Audit> => {
  const audit = new LogAudit(subject)
  for await (const entry of entries) audit.next(entry)
  return audit.finish()
}
