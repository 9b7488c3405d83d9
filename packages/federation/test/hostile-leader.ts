import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import { FieldVector } from "@consilium/sharing/field"
import { reconstructShamir } from "@consilium/sharing/shamir"
import { stripMasks } from "@consilium/sharing/verified"
import { startFacility, stepFacility } from "../src/facility.js"
import type { FacilityContext, FacilityEffect, FacilityEvent, FacilityState } from "../src/facility-state.js"
import { emptyHead, type LogHead, type LogHeader, nextHeader } from "../src/log.js"
import {
  certificateDigest,
  finalHeadDigest,
  type Message,
  type MessageOf,
  messageCodec,
  openingMessage,
  type Proposal,
  type RoundSpec,
  type SignedOpening,
  type SignedSubmission,
  type Submission,
  specDigest,
  submissionDigest,
  submissionMessage,
} from "../src/messages.js"
import { modelFile, modelHashOf } from "../src/model.js"
import { Directory, type Participant, type Roster } from "../src/roster.js"
import { openingThreshold, quorum, type Study, studyDigest, valueCount } from "../src/study.js"
import { challengeFor } from "../src/submissions.js"
import { facilitySchemeOf } from "../src/sums/facility/schemes.js"
import {
  authorityKey,
  changedRoster,
  directoryOf,
  keysFor,
  rosterOf,
  signed,
  suite,
  testPolicy,
  testStudy,
} from "./members.js"
import { ownSideOf, settingOf } from "./sum-parties.js"

export const FACILITIES = 5
const VICTIM = "clinic-1"

/** One thing that the leader does; numbers are read as it needs them. */
export interface Move {
  readonly kind:
    | "onwards"
    | "announce"
    | "trained"
    | "shares"
    | "lock"
    | "openings"
    | "propose"
    | "certificate"
    | "candidate"
    | "void"
    | "closed"
    | "finish"
    | "ended"
    | "roster"
    | "again"
    | "impostor"
  /** Which facilities, as bits. */
  readonly mask: number
  readonly a: number
  readonly b: number
}

interface Dealt {
  readonly submission: SignedSubmission
  readonly sealed: Uint8Array
  readonly stream: string
}
/** What the others deal and answer follows from the attempt, so it is computed once for all runs. */
const DEALT = new Map<string, Dealt>()
const ANSWERED = new Map<string, SignedOpening>()

interface Chain {
  readonly headers: readonly LogHeader[]
  readonly heads: readonly LogHead[]
}

/** Everything that the facility let out, for the rules to be checked on. */
export interface Let {
  readonly signatures: { readonly proposal: Proposal; readonly digest: Uint8Array }[]
  readonly partials: { readonly proposal: Proposal; readonly sealed: Uint8Array; readonly valid: boolean }[]
  readonly openings: { readonly message: MessageOf<"opening"> }[]
  readonly verdicts: MessageOf<"verdict">[]
  readonly submissions: {
    readonly spec: RoundSpec
    readonly digest: Uint8Array
    readonly values: string
    /** Digest of the facility's roster at the time. */
    readonly roster: Uint8Array
  }[]
  /** Rosters that the facility took over, with what it was doing. */
  readonly rosters: { readonly directory: Directory; readonly phase: FacilityState["phase"] }[]
  /** Messages sent after it had left. */
  afterLeaving: number
  /** Final heads that it signed. */
  readonly finals: { readonly head: Uint8Array; readonly valid: boolean }[]
  readonly trainings: RoundSpec[]
  readonly measured: string[]
  finished: number
}

/**
 * A leader that knows every other facility's keys and sends one facility whatever it likes: lists, heads and models of its
 * own making, in any order, under valid signatures of everybody but the facility.
 */
export class HostileLeader {
  readonly study: Study
  readonly directory: Directory
  readonly context: FacilityContext
  readonly out: Let = {
    signatures: [],
    partials: [],
    openings: [],
    verdicts: [],
    submissions: [],
    rosters: [],
    afterLeaving: 0,
    finals: [],
    trainings: [],
    measured: [],
    finished: 0,
  }
  state: FacilityState
  readonly #me: Participant
  readonly #sent: Message[] = []
  readonly #proposals = new Map<string, Proposal>()
  readonly #valid = new Set<string>()
  /** What the facility dealt to the others in an attempt, by point. */
  readonly #mine = new Map<string, { parts: Map<number, Uint8Array>; submission: SignedSubmission | null }>()
  #chain: Chain
  #fork: Chain
  #spec: RoundSpec
  #pending: Extract<FacilityEffect, { type: "train" }> | null = null
  #locked: ReadonlyMap<string, SignedSubmission> = new Map()
  #proposal: Proposal | null = null
  #finish: MessageOf<"finish"> | null = null
  #trainings = 0

  constructor(protection: Study["protection"]) {
    this.study = testStudy(FACILITIES, { protection, rounds: 4, attempts: 4 })
    this.directory = directoryOf(this.study, FACILITIES, 2)
    this.#me = this.directory.named(VICTIM)
    this.context = {
      study: this.study,
      directory: this.directory,
      me: this.#me,
      keys: keysFor(VICTIM),
      suite,
      policy: testPolicy(),
      authorityKey,
    }
    this.state = startFacility(this.context)
    const empty = { headers: [], heads: [emptyHead(studyDigest(this.study))] }
    this.#chain = this.#grown(empty, "main", 2)
    this.#fork = this.#grown(empty, "fork", 3)
    this.#spec = this.#specOf(1, 1, 0)
  }

  /** Whether one head lies before another, or is it, on a chain of the leader's. */
  before(earlier: Uint8Array, later: Uint8Array): boolean {
    return [this.#chain, this.#fork].some(({ heads }) => {
      const [i, j] = [earlier, later].map((hash) => heads.findIndex((head) => equalBytes(head.hash, hash)))
      return (i as number) >= 0 && (i as number) <= (j as number)
    })
  }

  do(move: Move): void {
    const { kind, mask, a, b } = move
    const { round, attempt } = this.#spec
    const now = specDigest(this.#spec)
    const moves: Readonly<Record<Move["kind"], () => void>> = {
      onwards: () => this.#onwards(move),
      // the next attempt, the next round, one long over, one that the study does not have, one of another study
      announce: () =>
        this.#announce(
          [round, round + 1, 1, 9, round][a % 5] as number,
          [attempt + 1, 1, 1, 1, 9][a % 5] as number,
          b % 3,
          mask === 0,
          b % 11 === 10,
        ),
      trained: () => this.#trained(a),
      shares: () => this.#shares(mask, a),
      lock: () => this.#lock(mask, a),
      openings: () => this.#openings(mask, a),
      propose: () => this.#propose(mask, a, b),
      certificate: () => this.#certificate(mask, a),
      candidate: () => this.#send({ type: "candidate", spec: now, model: this.#file(a % 4) }),
      void: () => this.#send({ type: "void", spec: now, reason: "so it is" }),
      closed: () => this.#send({ type: "closed", spec: now, accepted: this.#model(a % 4) }),
      finish: () => this.#finishing(a, b),
      ended: () => this.#send({ type: "ended", reason: "enough", head: null }),
      roster: () => this.#send({ type: "roster", signed: this.#roster(a, b) }),
      again: () => {
        const past = this.#sent[a % Math.max(1, this.#sent.length)]
        if (past) this.#send(past)
      },
      impostor: () => {
        const past = this.#sent.at(-1 - (a % 3))
        const other = this.directory.named(["clinic-2", "fog-1"][b % 2] as string)
        if (past) this.#event({ type: "message", at: 1_000, from: other, message: past })
      },
    }
    moves[kind]()
  }

  /** What an honest leader would do next, with a list of some facilities; now and then not quite. */
  #onwards({ mask, a, b }: Move): void {
    const { round, attempt } = this.#spec
    const now = specDigest(this.#spec)
    const moves: Readonly<Record<FacilityState["phase"], () => void>> = {
      idle: () =>
        b % 4 === 0
          ? this.#announce(round + 1, 1, 0, false, false)
          : this.#announce(round, attempt + 1, 0, false, false),
      training: () => this.#trained(0),
      submitted: () => {
        if (this.study.protection === "plain") this.#propose(mask | 1, 0, b)
        else {
          this.#shares(31, 0)
          this.#lock(mask | 1, 0)
        }
      },
      locked: () => (b % 5 === 0 ? this.#lock(mask, 0) : this.#openings(31, b % 3 === 0 ? a : 0)),
      checked: () => this.#propose(31, 0, b),
      signed: () => this.#certificate(b % 3 === 0 ? mask : 31, 0),
      opened: () => {
        if (a % 3 === 0) this.#send({ type: "candidate", spec: now, model: this.#file(1) })
        else if (a % 3 === 1) this.#send({ type: "void", spec: now, reason: "so it is" })
        else this.#send({ type: "closed", spec: now, accepted: this.#model(1) })
      },
      ended: () => undefined,
    }
    moves[this.state.phase]()
  }

  #model(variant: number): Uint8Array {
    return modelHashOf(this.study, new Float64Array(4).fill(variant))
  }
  #file(variant: number): Uint8Array {
    return variant === 3 ? new Uint8Array(40) : modelFile(this.study, new Float64Array(4).fill(variant), 1)
  }
  #specOf(round: number, attempt: number, model: number): RoundSpec {
    const { digest: roster } = this.state.memory.directory
    return {
      study: studyDigest(this.study),
      round,
      attempt,
      purpose: "update",
      epoch: 0,
      roster,
      model: this.#model(model),
    }
  }

  /** Rosters in a row, and some that do not follow, are not the authority's, or leave the facility out. */
  #roster(a: number, b: number): Uint8Array {
    const { roster } = this.state.memory.directory
    const there = (name: string): boolean => roster.participants.some((p) => p.name === name)
    const next: Roster = there("clinic-6")
      ? changedRoster(roster, { leave: ["clinic-6"] })
      : changedRoster(roster, { join: { "clinic-6": "fog-1" } })
    const rekeyed = next.participants.map((p) =>
      p.name === "clinic-2" ? { ...p, signingKey: keysFor("mallory").signingKey } : p,
    )
    const others: readonly (() => Uint8Array)[] = [
      () => signed(rosterOf(this.study, FACILITIES, 2), this.study),
      () => signed({ ...next, version: roster.version }, this.study),
      () => signed({ ...next, participants: rekeyed }, this.study),
      () => signed(roster, this.study),
      () => signed(next, this.study).map((byte, i, all) => (i === all.length - 1 ? byte ^ 1 : byte)),
      () => signed(changedRoster(roster, { leave: ["fog-2"], join: {} }), this.study),
      () =>
        signed(changedRoster(roster, { leave: [there("clinic-5") ? "clinic-5" : "clinic-4"] }), this.study),
      () => signed(changedRoster(roster, { leave: a % 4 === 0 ? [VICTIM] : [] }), this.study),
    ]
    return a % 3 > 0 ? signed(next, this.study) : (others[b % others.length] as () => Uint8Array)()
  }

  #finishing(a: number, b: number): void {
    const { headers, heads } = b % 4 === 3 ? this.#fork : this.#chain
    const seq = a % 5 === 4 ? 1 : headers.length
    const { hash } = heads[seq] as LogHead
    const head = { seq, hash, headers: b % 5 === 4 ? headers.slice(-1) : headers.slice(0, seq) }
    this.#finish = { type: "finish", rounds: a % 20, model: this.#file(b % 3), head }
    this.#send(this.#finish)
  }
  #grown(chain: Chain, what: string, by: number): Chain {
    let { headers, heads } = chain
    for (let i = 0; i < by; i++) {
      const body = sha256(new Uint8Array([i, heads.length]))
      const { header, head } = nextHeader(heads.at(-1) as LogHead, {
        at: 1,
        actor: this.#me.id,
        type: what,
        body,
      })
      headers = [...headers, header]
      heads = [...heads, head]
    }
    return { headers, heads }
  }

  #announce(round: number, attempt: number, model: number, foreign: boolean, otherRoster: boolean): void {
    const spec = this.#specOf(round, attempt, model)
    const other = new Directory(changedRoster(this.state.memory.directory.roster, { fogs: ["fog-3"] })).digest
    const told = {
      ...spec,
      ...(foreign ? { study: new Uint8Array(32) } : {}),
      ...(otherRoster ? { roster: other } : {}),
    }
    this.#send({ type: "announce", spec: told, model: this.#file(model), members: null })
    if ("attempt" in this.state && equalBytes(this.state.attempt.digest, specDigest(spec))) {
      this.#spec = spec
      this.#proposal = null
      this.#locked = new Map()
    } else if (this.state.phase === "idle" && attempt > 4) this.#spec = this.#specOf(round + 1, 0, 0)
  }

  #trained(how: number): void {
    const work = this.#pending
    if (work === null) return
    this.#pending = null
    this.#trainings += 1
    const { digest, spec } = work
    const values = new Int32Array(valueCount(this.study)).fill(this.#trainings)
    if (how % 7 === 6)
      this.#event({ type: "training-failed", spec: digest, code: "learning/diverged", reason: "no" })
    else
      this.#event({
        type: "trained",
        spec: digest,
        values: how % 7 === 5 ? values.slice(1) : values,
        secret: this.#secret(spec.round),
      })
  }
  #secret(round: number) {
    return insecureSeededSecret(round, "victim")
  }

  #setting() {
    return settingOf(this.study, this.state.memory.directory, this.#spec)
  }

  /** A submission of one of the others, with what it deals to the facility; the second variant deals it a false share. */
  #dealtBy(name: string, variant: number): Dealt {
    const setting = this.#setting()
    const key = `${toHex(setting.spec)}/${name}/${variant % 2}`
    const known = DEALT.get(key)
    if (known) return known
    const dealer = this.directory.named(name)
    const scheme = facilitySchemeOf(this.study, this.#spec)
    const deal = (stream: string) =>
      scheme.protect(
        setting,
        ownSideOf(name),
        new Int32Array(valueCount(this.study)),
        insecureSeededRandom(key, stream),
      ).parts
    const mine = (part: { recipient: Uint8Array }) => equalBytes(part.recipient, this.#me.id)
    const parts = deal("honest").map((part) =>
      variant % 2 && mine(part) ? (deal("false").find(mine) ?? part) : part,
    )
    const submission: Submission = {
      spec: setting.spec,
      facility: dealer.id,
      direct: parts.length === 0 ? new Uint8Array(32).fill(variant) : null,
      parts: parts.map(({ recipient, sealed }) => ({ recipient, digest: sha256(sealed) })),
      ledger: null,
    }
    const signed = { submission, signature: keysFor(name).sign(submissionMessage(submission)) }
    const made = { submission: signed, sealed: parts.find(mine)?.sealed ?? new Uint8Array(0), stream: key }
    DEALT.set(key, made)
    return made
  }

  #others(mask: number): readonly string[] {
    return ["clinic-2", "clinic-3", "clinic-4", "clinic-5"].filter((_, i) => (mask >> (i + 1)) & 1)
  }

  #shares(mask: number, variant: number): void {
    for (const name of this.#others(mask)) {
      const { sealed } = this.#dealtBy(name, variant)
      const message: Message = { type: "share", spec: specDigest(this.#spec), sealed }
      this.#event({ type: "message", at: 1_000, from: this.directory.named(name), message })
    }
  }

  /** Submissions of some, the facility's own too if the lowest bit is set: as it sent it, or of an earlier attempt. */
  #listOf(mask: number, variant: number): readonly SignedSubmission[] {
    const list = this.#others(mask).map((name) => this.#dealtBy(name, variant).submission)
    const own =
      variant % 5 === 4 ? [...this.#mine.values()][0] : this.#mine.get(toHex(specDigest(this.#spec)))
    return mask & 1 && own?.submission ? [...list, own.submission] : list
  }

  #lock(mask: number, variant: number): void {
    const list = this.#listOf(mask, variant)
    const before = this.state.phase
    this.#send({ type: "lock", spec: specDigest(this.#spec), submissions: list })
    const after: FacilityState["phase"] = this.state.phase
    if (before !== after && after === "locked")
      this.#locked = new Map(list.map((signed) => [toHex(signed.submission.facility), signed]))
  }

  #openings(mask: number, variant: number): void {
    const { answer: give } = facilitySchemeOf(this.study, this.#spec)
    const setting = this.#setting()
    const challenge = challengeFor(setting.spec, this.#locked)
    if (give === null) return
    const own = this.out.openings.findLast(({ message }) => equalBytes(message.spec, setting.spec))
    const answers = this.#others(mask).map((name) => {
      const { stream } = this.#dealtBy(name, variant)
      const label = variant % 3 === 2 ? "false" : "honest"
      const key = `${stream}/${label}/${toHex(challenge)}`
      const known = ANSWERED.get(key)
      if (known) return known
      const dealer = this.directory.named(name).id
      const zero = new Int32Array(valueCount(this.study))
      const opening = give(setting, ownSideOf(name), zero, insecureSeededRandom(stream, label), challenge)
      const signature = keysFor(name).sign(openingMessage(setting.spec, challenge, opening))
      const answer = { dealer, opening, signature }
      ANSWERED.set(key, answer)
      return answer
    })
    const openings = [
      ...answers,
      ...(own ? [own.message.opening] : []),
      ...(variant % 6 === 4 ? answers : []),
    ]
    this.#send({ type: "openings", spec: setting.spec, openings })
  }

  #propose(mask: number, variant: number, log: number): void {
    // grown, as it is, the other chain, an old head, a gap
    if (log % 6 <= 1) this.#chain = this.#grown(this.#chain, "main", 1)
    if (log % 6 === 3) this.#fork = this.#grown(this.#fork, "fork", 2)
    const { headers, heads } = log % 6 === 3 ? this.#fork : this.#chain
    const seq = log % 6 === 4 ? 1 : headers.length
    const list = this.#listOf(mask, variant)
    const cohort = list
      .filter(
        ({ submission }) =>
          this.study.protection === "plain" ||
          this.#locked.has(toHex(submission.facility)) ||
          variant % 4 === 3,
      )
      .map(({ submission }) => ({ facility: submission.facility, digest: submissionDigest(submission) }))
    const proposal: Proposal = {
      spec: this.#spec,
      cohort,
      headSeq: seq,
      head: (heads[seq] as LogHead).hash,
      headers: log % 6 === 5 ? headers.slice(-1) : headers.slice(0, seq),
    }
    this.#proposal = proposal
    this.#proposals.set(toHex(certificateDigest(proposal)), proposal)
    this.#send({ type: "propose", proposal, submissions: list })
  }

  #certificate(signers: number, which: number): void {
    const known = [...this.#proposals.values()]
    const proposal = which % 3 === 0 ? this.#proposal : known[which % Math.max(1, known.length)]
    if (!proposal) return
    const digest = certificateDigest(proposal)
    const others = this.#others(signers).map((name) => ({
      facility: this.directory.named(name).id,
      signature: keysFor(name).sign(digest),
    }))
    const { directory } = this.state.memory
    const enrolled = others.filter(({ facility }) => directory.find(facility) !== undefined)
    if (enrolled.length >= quorum(this.study, directory.facilities.length)) this.#valid.add(toHex(digest))
    this.#send({ type: "certificate", proposal, signatures: others, openers: [] })
  }

  #send(message: Message): void {
    this.#sent.push(message)
    this.#event({ type: "message", at: 1_000, from: this.directory.leader, message })
  }

  #event(event: FacilityEvent): void {
    // as it comes over the wire
    const arrived: FacilityEvent =
      event.type === "message"
        ? { ...event, message: decode(messageCodec, encode(messageCodec, event.message)) }
        : event
    const before = this.state
    const step = stepFacility(this.context, before, arrived)
    this.state = step.state
    const { directory } = this.state.memory
    if (!equalBytes(directory.digest, before.memory.directory.digest))
      this.out.rosters.push({ directory, phase: before.phase })
    for (const effect of step.effects) this.#note(effect)
  }

  #note(effect: FacilityEffect): void {
    switch (effect.type) {
      case "train":
        this.out.trainings.push(effect.spec)
        this.#pending = effect
        return
      case "measure":
        this.out.measured.push(toHex(effect.spec))
        return
      case "finish":
        this.out.finished += 1
        this.#event({ type: "finished", global: null, personal: null, subgroups: null })
        return
      case "send":
        if (this.state.memory.directory.find(this.#me.id) === undefined) this.out.afterLeaving += 1
        this.#heard(effect.to, decode(messageCodec, encode(messageCodec, effect.message)))
    }
  }

  #heard(to: Uint8Array, message: Message): void {
    const proposalOf = (digest: Uint8Array): Proposal => {
      const proposal = this.#proposals.get(toHex(digest))
      if (!proposal) throw new Error("The facility named a list that nobody proposed.")
      return proposal
    }
    if (message.type === "share") {
      const key = toHex(message.spec)
      const mine = this.#mine.get(key) ?? { parts: new Map(), submission: null }
      const { openPart } = facilitySchemeOf(this.study, this.#spec)
      const { name } = this.state.memory.directory.get(to)
      const setting = { ...this.#setting(), spec: message.spec }
      const part = openPart?.(setting, ownSideOf(name), this.#me.id, message.sealed) as Uint8Array
      mine.parts.set(this.state.memory.directory.pointOf(to), part)
      this.#mine.set(key, mine)
    }
    if (message.type === "submit" || message.type === "update") {
      const signed = message.type === "submit" ? message : message.submission
      const key = toHex(signed.submission.spec)
      const mine = this.#mine.get(key) ?? { parts: new Map(), submission: null }
      this.#mine.set(key, {
        ...mine,
        submission: { submission: signed.submission, signature: signed.signature },
      })
      const spec = "attempt" in this.state ? this.state.attempt.spec : null
      if (spec === null) throw new Error("A facility without an attempt sent an update.")
      this.out.submissions.push({
        spec,
        digest: submissionDigest(signed.submission),
        values: message.type === "update" ? toHex(message.payload) : this.#opened(mine.parts),
        roster: this.state.memory.directory.digest,
      })
    }
    if (message.type === "final-report" && message.head !== null && this.#finish !== null) {
      const { seq, hash } = this.#finish.head
      const digest = finalHeadDigest(studyDigest(this.study), seq, hash)
      const valid = suite.verify(this.#me.signingKey, digest, message.head)
      this.out.finals.push({ head: hash, valid })
    }
    if (message.type === "opening") this.out.openings.push({ message })
    if (message.type === "verdict") this.out.verdicts.push(message)
    if (message.type === "signature")
      this.out.signatures.push({ proposal: proposalOf(message.digest), digest: message.digest })
    if (message.type === "partial")
      this.out.partials.push({
        proposal: proposalOf(message.digest),
        sealed: message.sealed,
        valid: this.#valid.has(toHex(message.digest)),
      })
  }

  /** What all parts of the facility's dealing together hold: its integers. */
  #opened(parts: ReadonlyMap<number, Uint8Array>): string {
    const directory = this.state.memory.directory
    const own = "mine" in this.state ? (this.state.mine?.own ?? null) : null
    const all = new Map(parts)
    if (own !== null) all.set(directory.pointOf(this.#me.id), own)
    const shares = [...all].map(([point, part]) => ({ point, vector: stripMasks(FieldVector.decode(part)) }))
    const threshold = openingThreshold(this.study, directory.facilities.length)
    return reconstructShamir(shares, threshold).toIntegers().join()
  }
}
