import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { hash } from "@consilium/base/hash"
import { emptyHead, type LogHeader, nextHeader } from "@consilium/federation/log"
import {
  certificateDigest,
  type Message,
  type MessageOf,
  messageCodec,
  type Proposal,
} from "@consilium/federation/messages"
import { initialModel } from "@consilium/federation/model"
import { EVERYONE, openRoster, signRoster } from "@consilium/federation/roster"
import { encodeStudy, studyDigest } from "@consilium/federation/study"
import { nodeSuite, privateFromRaw, signBytes } from "@consilium/node/identity/suite"
import type { HostileRounds, OpenAttempt } from "./hostile-round.js"

/** The same chain of events with other times: a second history of the study. */
const rewritten = (
  study: Uint8Array,
  headers: readonly LogHeader[],
): Pick<Proposal, "headers" | "headSeq" | "head"> => {
  let head = emptyHead(study as ReturnType<typeof studyDigest>)
  const out = headers.map((header) => {
    const next = nextHeader(head, {
      at: header.at + 1,
      actor: header.actor,
      type: header.type,
      body: new Uint8Array(0),
    })
    head = next.head
    return next.header
  })
  return { headers: out, headSeq: head.seq, head: head.hash }
}

/** What the leader says when somebody should leave, so that the authority signs a roster that it can misuse. */
export const WANTS_ROSTER = "waiting for another roster"

/** What the leader says, before a facility's name, when somebody should kill that facility and start it again. */
export const WANTS_KILL = "waiting for the end of"
/** The file in the leader's data folder that says that this was done. */
export const GO_ON = "go-on"

/** What a dishonest leader tries, in an order that leaves the study fit for the next attempt to cheat. */
export class Script {
  readonly leader: HostileRounds
  readonly #narrate: (line: string) => void
  readonly sums: Record<string, string> = {}
  readonly certified = new Map<string, string>()
  readonly #stranger = privateFromRaw("ed25519", hash("a key that nobody enrolled"))

  constructor(leader: HostileRounds, narrate: (line: string) => void) {
    this.leader = leader
    this.#narrate = narrate
  }

  #propose = (proposal: Proposal): Message => ({ type: "propose", proposal, submissions: [] })

  /** A message as the leader's own, but signed by a key that is not the leader's. */
  async #unsigned(scenario: string, message: Message): Promise<void> {
    const { leader } = this
    const mark = leader.inbox.length
    for (const name of leader.names)
      leader.forge(leader.directory.named(name).id, {
        body: encode(messageCodec, message),
        sign: (bytes) => signBytes(this.#stranger, bytes),
      })
    await leader.silence(scenario, mark)
  }

  async firstAttempt(parameters: Float64Array): Promise<void> {
    const attempt = await this.leader.announce(1, 1, parameters)
    await this.forgeries(attempt)
    await this.announcements(parameters)
    await this.rosters(parameters)
    await this.challenges(attempt)
    const all = await this.lists(attempt)
    await this.histories(attempt)
    await this.certificates(attempt, all.proposal, all.signatures)
    const partials = await this.openings(attempt, all.proposal, all.signatures)
    await this.killed(attempt, all.proposal, all.signatures, partials)
    await this.measurements(attempt, parameters)
  }

  /** Messages that are not the leader's, or not of this study. */
  async forgeries(attempt: OpenAttempt): Promise<void> {
    const { leader } = this
    const { names } = leader
    const list = leader.list(attempt, names)
    await this.#unsigned("a list signed by a stranger", list)
    const mark = leader.inbox.length
    leader.forge(EVERYONE, {
      body: encode(messageCodec, list),
      sign: (bytes) => signBytes(this.#stranger, bytes),
    })
    const told = await leader.comes(mark, ({ message }) => message.type === "security")
    leader.note("a list signed by a stranger, to everyone", { fog: told ? "stopped" : "nothing" })
    const elsewhere = leader.inbox.length
    leader.forge(EVERYONE, {
      body: encode(messageCodec, { type: "void", spec: attempt.digest, reason: "another study" }),
      study: hash("another study"),
    })
    const again = await leader.comes(elsewhere, ({ message }) => message.type === "security")
    leader.note("the end of an attempt, in an envelope of another study", {
      fog: again ? "stopped" : "nothing",
    })
  }

  async announcements(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const announced = leader.announcement(1, 2, parameters)
    await leader.attack("a round of another study", {
      ...announced,
      spec: { ...announced.spec, study: hash("another study") },
    })
    await leader.attack("a model that is not the announced one", {
      ...announced,
      spec: { ...announced.spec, model: hash("another model") },
    })
  }

  /** Who takes part is the authority's to say, and does not change while a round is under way. */
  async rosters(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { roster } = leader.directory
    const own = { ...roster, version: roster.version + 1, participants: roster.participants.slice(0, -1) }
    await leader.attack("a roster that the authority has not signed", {
      type: "roster",
      signed: signRoster(own, encodeStudy(leader.study), leader.membership.keys.sign),
    })
    this.#narrate(WANTS_ROSTER)
    const signed = await leader.nextRoster()
    await leader.attack("a roster in the middle of a round", { type: "roster", signed })
    const { directory } = openRoster(nodeSuite, leader.membership.kit.authorityKey, signed)
    const announced = leader.announcement(1, 2, parameters)
    await leader.attack("a round among another roster", {
      ...announced,
      spec: { ...announced.spec, roster: directory.digest },
    })
  }

  /** A dealer answers one challenge for one dealing, over a list that is large enough. */
  async challenges(attempt: OpenAttempt): Promise<void> {
    const { leader } = this
    const { names } = leader
    const four = names.slice(1)
    await leader.attack("a list of two to be challenged", leader.list(attempt, names.slice(0, 2)))
    const openings = await leader.ask(leader.list(attempt, names), "opening")
    await leader.attack("a second challenge for one dealing", leader.list(attempt, four))
    const again = await leader.ask(leader.list(attempt, names), "opening")
    leader.note(
      "the same challenge again",
      same(
        names,
        (name) => toHex(openings.get(name)?.opening.opening as Uint8Array),
        (name) => toHex(again.get(name)?.opening.opening as Uint8Array),
      ),
    )
    await leader.attack(
      "a list proposed before its shares are checked",
      this.#propose(leader.proposal(attempt, names)),
    )
    await leader.passOn(attempt, openings)
    await leader.attack("a second challenge after the check", leader.list(attempt, four))
  }

  /** A facility signs one list in an attempt, and one that is large enough. */
  async lists(attempt: OpenAttempt) {
    const { leader } = this
    const { names } = leader
    const two = leader.proposal(attempt, names.slice(0, 2))
    await leader.attack("a list of two to be certified", this.#propose(two))
    const proposal = leader.proposal(attempt, names)
    const signatures = await leader.signatures(proposal)
    const four = leader.proposal(attempt, names.slice(1))
    await leader.attack("a second list in one attempt", this.#propose(four))
    return { proposal, signatures }
  }

  /** A log only grows. */
  async histories(attempt: OpenAttempt): Promise<void> {
    const { leader } = this
    for (const reason of ["one", "two", "three"]) leader.log({ type: "ended", reason, head: null })
    const now = leader.proposal(attempt, leader.names)
    const fork = rewritten(studyDigest(leader.study), now.headers)
    await leader.attack("a log that is not the one seen before", this.#propose({ ...now, ...fork }))
    await leader.attack(
      "a log with an event left out",
      this.#propose({ ...now, headers: now.headers.toSpliced(-2, 1) }),
    )
    const first = {
      headSeq: 1,
      head: (now.headers[1] as LogHeader).previous,
      headers: now.headers.slice(0, 1),
    }
    await leader.attack("a log that ends before what was seen", this.#propose({ ...now, ...first }))
  }

  /** Nothing but a quorum of signatures for this very list is a certificate. */
  async certificates(
    attempt: OpenAttempt,
    all: Proposal,
    signatures: ReadonlyMap<string, Uint8Array>,
  ): Promise<void> {
    const { leader } = this
    const { names } = leader
    const { directory } = leader
    const { keys } = leader.membership
    const three = new Map([...signatures].slice(0, 3))
    const filledWith = (signature: Uint8Array): MessageOf<"certificate"> =>
      leader.certificate(
        all,
        new Map([...three, ...names.slice(3).map((name) => [name, signature] as const)]),
      )
    await leader.attack("a certificate with too few signatures", leader.certificate(all, three))
    await leader.attack(
      "a certificate filled up with forged signatures",
      filledWith(keys.sign(certificateDigest(all))),
    )
    await leader.attack(
      "a certificate with one signature under several names",
      filledWith(signatures.get(names[0] as string) as Uint8Array),
    )
    await leader.attack(
      "a certificate for another list than was signed",
      leader.certificate(leader.proposal(attempt, names.slice(1)), signatures),
    )
    const mark = leader.inbox.length
    const body = encode(messageCodec, leader.certificate(all, new Map([...signatures].slice(0, 4))))
    // the last entry of the list, 16 bytes of name and 64 of signature, becomes a copy of the one before; nobody is named to open
    const end = body.length - NO_OPENERS
    body.copyWithin(end - 80, end - 160, end - 80)
    for (const name of names) leader.forge(directory.named(name).id, { body })
    await leader.silence("a certificate with one signature twice", mark)
    await this.#unsigned("a valid certificate signed by a stranger", leader.certificate(all, signatures))
  }

  /** One answer for one certified list, and the same bytes for who asks again. */
  async openings(
    attempt: OpenAttempt,
    all: Proposal,
    signatures: ReadonlyMap<string, Uint8Array>,
  ): Promise<ReadonlyMap<string, MessageOf<"partial">>> {
    const { leader } = this
    const { names } = leader
    const partials = await leader.ask(leader.certificate(all, signatures), "partial")
    this.#opened("round 1, attempt 1", all, leader.sum(attempt, all, partials))
    const again = await leader.ask(leader.certificate(all, signatures), "partial")
    leader.note(
      "the same certificate again",
      same(
        names,
        (name) => toHex(partials.get(name)?.sealed as Uint8Array),
        (name) => toHex(again.get(name)?.sealed as Uint8Array),
      ),
    )
    const other = leader.proposal(attempt, names.slice(1))
    await leader.attack("another list after the opening", this.#propose(other))
    await leader.attack(
      "a certificate for another list after the opening",
      leader.certificate(other, signatures),
    )
    return partials
  }

  /** Who was killed and comes back says what it said before, and nothing else. */
  async killed(
    attempt: OpenAttempt,
    all: Proposal,
    signatures: ReadonlyMap<string, Uint8Array>,
    partials: ReadonlyMap<string, MessageOf<"partial">>,
  ): Promise<void> {
    const { leader } = this
    const first = leader.names.slice(0, 1)
    this.#narrate(`${WANTS_KILL} ${first[0]}`)
    await leader.awaitFile(GO_ON)
    const again = await leader.ask(leader.certificate(all, signatures), "partial", first)
    leader.note(
      "the same certificate, to one that was killed since",
      same(
        first,
        (name) => toHex(partials.get(name)?.sealed as Uint8Array),
        (name) => toHex(again.get(name)?.sealed as Uint8Array),
      ),
    )
    const others = leader.names.slice(1)
    await leader.attack(
      "another list, to one that was killed since",
      this.#propose(leader.proposal(attempt, others)),
      first,
    )
    await leader.attack(
      "a second challenge, to one that was killed since",
      leader.list(attempt, others),
      first,
    )
  }

  /** Exact figures on patients are given for one model a list. */
  async measurements(attempt: OpenAttempt, parameters: Float64Array): Promise<void> {
    const { leader } = this
    const candidate = (shift: number): Message => ({
      type: "candidate",
      spec: attempt.digest,
      model: leader.announcement(
        2,
        1,
        parameters.map((value) => value + shift),
      ).model,
    })
    await leader.ask(candidate(0.01), "report")
    await leader.expectSilence("a second model to be measured over one list", candidate(0.02))
  }

  /** A round done again for the same model: with the same facilities, or not at all. */
  async redone(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { names } = leader
    const attempt = await leader.announce(1, 2, parameters)
    await leader.check(attempt)
    await leader.attack(
      "a redone round without the first facility",
      this.#propose(leader.proposal(attempt, names.slice(1))),
    )
    await leader.attack(
      "a redone round without the last facility",
      this.#propose(leader.proposal(attempt, names.slice(0, -1))),
    )
    const all = leader.proposal(attempt, names)
    const signatures = await leader.signatures(all)
    const partials = await leader.ask(leader.certificate(all, signatures), "partial")
    this.#opened("round 1, attempt 2", all, leader.sum(attempt, all, partials))
    leader.note(
      "a redone round with the same facilities",
      Object.fromEntries([...partials].map(([name, { type }]) => [name, type])),
    )
  }

  /** A facility opens what it has checked itself. */
  async unchecked(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { names } = leader
    const attempt = await leader.announce(1, 3, parameters)
    const asked = names.slice(0, 4)
    const left = names.slice(4)
    await leader.check(attempt, names, asked)
    const all = leader.proposal(attempt, names)
    const signatures = await leader.signatures(all, asked)
    await leader.attack(
      "a valid certificate to one that was never shown the list",
      leader.certificate(all, signatures),
      left,
    )
    await leader.attack(
      "a certificate over a dealer whose share was never checked",
      leader.certificate(all, signatures),
      asked,
    )
    await leader.attack(
      "one attempt more than the study allows",
      leader.announcement(1, leader.study.attempts + 1, parameters),
    )
  }

  /** Two lists in one attempt, each shown to some. */
  async twoLists(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { names } = leader
    const [first, ...rest] = names as readonly [string, ...string[]]
    const attempt = await leader.announce(2, 1, parameters)
    await leader.check(attempt)
    const all = leader.proposal(attempt, names)
    const four = leader.proposal(attempt, names.slice(0, -1))
    const forAll = await leader.signatures(all, [first])
    // the log has grown by the first list: the others are shown the second over that log
    const second = leader.proposal(attempt, names.slice(0, -1))
    const forFour = await leader.signatures(second, rest)
    await leader.attack(
      "a valid certificate for the list that others signed",
      leader.certificate(second, forFour),
      [first],
    )
    await leader.attack(
      "a certificate with the signature of the one it deceived",
      leader.certificate(all, forAll),
    )
    await leader.attack(
      "a certificate of signatures for two lists",
      leader.certificate(all, new Map([...forAll, ...forFour])),
    )
    await leader.attack("the same list over an older log", leader.certificate(four, forFour))
    const partials = await leader.ask(leader.certificate(second, forFour), "partial", rest)
    this.#opened("round 2, attempt 1", second, leader.sum(attempt, second, partials))
  }

  /** A list counts as opened for who signed it, whatever became of it. */
  async onlySigned(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { names } = leader
    const [first, ...rest] = names as readonly [string, ...string[]]
    const attempt = await leader.announce(2, 2, parameters)
    await leader.check(attempt)
    await leader.attack(
      "one facility fewer than in a list that was signed but never certified",
      this.#propose(leader.proposal(attempt, names.slice(0, -1))),
      [first],
    )
    await leader.attack(
      "one facility more than in a certified list",
      this.#propose(leader.proposal(attempt, names)),
      rest,
    )
  }

  /** More than the study that the authority signed. */
  async end(parameters: Float64Array): Promise<void> {
    const { leader } = this
    const { study } = leader
    await leader.attack(
      "one round more than the study has",
      leader.announcement(study.rounds + 1, 1, parameters),
    )
    const model = leader.announcement(study.rounds, 1, parameters).model
    const [first, ...others] = leader.names as readonly [string, ...string[]]
    const forked = rewritten(studyDigest(study), leader.headers)
    await leader.attack(
      "a final head that does not extend the log",
      { type: "finish", rounds: study.rounds, model, head: shown(forked) },
      [first],
    )
    const { seq, hash: end } = leader.head
    const finish: Message = {
      type: "finish",
      rounds: study.rounds,
      model,
      head: shown({ headers: leader.headers, headSeq: seq, head: end }),
    }
    const reports = await leader.ask(finish, "final-report", others)
    await leader.expectSilence("a second end of the study", finish)
    await leader.expectSilence(
      "a round after the end of the study",
      leader.announcement(study.rounds, 1, parameters),
    )
    await leader.expectSilence("a second end after that round", finish)
    const signatures = new Map(
      [...reports].flatMap(([name, { head }]) => (head === null ? [] : [[name, head] as const])),
    )
    const cosigned = leader.finalHead(seq, end, signatures)
    await leader.expectSilence(
      "a last head that too few have signed",
      { type: "ended", reason: THE_END, head: leader.finalHead(seq, end, new Map([...signatures].slice(1))) },
      [first],
    )
    leader.tell([...others, "fog-1"], { type: "ended", reason: THE_END, head: cosigned })
  }

  /** Runs the script; the reason if it does not come to its end. */
  async run(): Promise<string | null> {
    const first = initialModel(this.leader.study)
    const second = first.map((value, i) => value + 0.001 * (i + 1))
    try {
      await this.firstAttempt(first)
      await this.redone(first)
      await this.unchecked(first)
      await this.twoLists(second)
      await this.onlySigned(second)
      await this.end(second)
      return null
    } catch (error) {
      return String(error)
    }
  }

  #opened(label: string, proposal: Proposal, sum: string): void {
    this.certified.set(toHex(certificateDigest(proposal)), label)
    this.sums[label] = sum
  }
}

/** Bytes of an empty list. */
const NO_OPENERS = 4

const THE_END = "The script is over."

const shown = ({ headers, headSeq, head }: Pick<Proposal, "headers" | "headSeq" | "head">) => ({
  seq: headSeq,
  hash: head,
  headers: [...headers],
})

const same = (
  names: readonly string[],
  a: (name: string) => string,
  b: (name: string) => string,
): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [name, a(name) === b(name) ? "same bytes" : "other bytes"]))
